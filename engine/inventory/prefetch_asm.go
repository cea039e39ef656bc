//go:build amd64 || arm64

package inventory

import "unsafe"

// prefetch asks for a cache line and does not wait for it. Whatever p is, nothing happens but that.
//
//go:noescape
func prefetch(p unsafe.Pointer)
