//go:build !amd64 && !arm64

package table

import "unsafe"

// Prefetch is a no-op on processors for which there is no instruction here.
func Prefetch(unsafe.Pointer) {}
