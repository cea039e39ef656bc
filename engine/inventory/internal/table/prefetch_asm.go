//go:build amd64 || arm64

package table

import "unsafe"

// Prefetch starts loading the cache line at p and does not wait for it. Any p is allowed: it is never dereferenced.
//
//go:noescape
func Prefetch(p unsafe.Pointer)
