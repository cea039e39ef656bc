//go:build !amd64 && !arm64

package inventory

import "unsafe"

// prefetch does nothing where no instruction is known that does.
func prefetch(unsafe.Pointer) {}
