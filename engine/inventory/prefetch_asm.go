//go:build amd64 || arm64

package inventory

import "unsafe"

// prefetch starts loading the cache line at p and does not wait for it. Any p is allowed: it is never dereferenced.
//
//go:noescape
func prefetch(p unsafe.Pointer)
