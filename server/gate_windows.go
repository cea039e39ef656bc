package server

// readArrived reads nothing: on Windows such a read would block. The gate then works with what ordinary reads return.
func readArrived(uintptr, []byte) (int, error) { return 0, nil }
