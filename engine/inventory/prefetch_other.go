//go:build !amd64 && !arm64

package inventory

import "unsafe"

// prefetch is a no-op on processors for which there is no instruction here.
func prefetch(unsafe.Pointer) {}
