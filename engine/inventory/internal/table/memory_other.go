//go:build !linux

package table

// inHugePages is a no-op on systems without a request for large pages here.
func inHugePages[T any]([]T) {}
