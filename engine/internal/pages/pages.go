// Package pages has arrays of words that are mostly zero, in pages that never move.
package pages

import "sync/atomic"

// Words are a word for each number below a limit. A page is allocated when one of its words is changed. All methods may
// be called by any number of goroutines.
type Words struct {
	pages []atomic.Pointer[[size]atomic.Uint64]
}

const size = 1 << 14

// New returns words for the numbers up to most, all zero.
func New(most int) Words {
	return Words{pages: make([]atomic.Pointer[[size]atomic.Uint64], most/size+1)}
}

// Of returns the word of a number.
func (w *Words) Of(n uint32) uint64 {
	page := w.pages[n/size].Load()
	if page == nil {
		return 0
	}
	return page[n%size].Load()
}

// At returns the word of a number, to change it. It allocates the page if there is none.
func (w *Words) At(n uint32) *atomic.Uint64 {
	at := &w.pages[n/size]
	if at.Load() == nil {
		at.CompareAndSwap(nil, new([size]atomic.Uint64))
	}
	return &at.Load()[n%size]
}
