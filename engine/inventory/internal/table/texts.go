package table

import "unsafe"

// Texts keeps strings of up to LongestText bytes, each in a cell of 32 or 64 bytes.
type Texts struct {
	short Slab[[shortText]byte]
	long  Slab[[LongestText]byte]
}

// LongestText is the longest string that Texts keeps, in bytes.
const LongestText = 64

const shortText = 32

// Ref names a kept string: cell<<8 | length. 0 is the empty string.
type Ref uint64

// Init sets how many strings there may be.
func (t *Texts) Init(strings int) {
	t.short.Init(strings)
	t.long.Init(strings)
}

// Put keeps a copy of s and returns a reference to it. The owner keeps no more strings than there is room for.
func (t *Texts) Put(s string) Ref {
	if s == "" {
		return 0
	}
	var cell uint32
	var ok bool
	if len(s) <= shortText {
		if cell, ok = t.short.Claim(); ok {
			copy(t.short.At(cell)[:], s)
		}
	} else if cell, ok = t.long.Claim(); ok {
		copy(t.long.At(cell)[:], s)
	}
	if !ok {
		panic("BUG: more texts than there can be")
	}
	return Ref(cell)<<8 | Ref(len(s))
}

// Text returns the string without copying it. It changes once the string is freed.
func (t *Texts) Text(ref Ref) string {
	cell, size := uint32(ref>>8), int(ref&0xff)
	switch {
	case size == 0:
		return ""
	case size <= shortText:
		return unsafe.String(&t.short.At(cell)[0], size)
	}
	return unsafe.String(&t.long.At(cell)[0], size)
}

// Free gives the room of a string back. Nobody else has access to it. One goroutine at a time calls Free.
func (t *Texts) Free(ref Ref) {
	cell, size := uint32(ref>>8), int(ref&0xff)
	switch {
	case size == 0:
	case size <= shortText:
		t.short.Free(cell)
	default:
		t.long.Free(cell)
	}
}

// InUse returns how many strings are kept.
func (t *Texts) InUse() int { return t.short.InUse() + t.long.InUse() }
