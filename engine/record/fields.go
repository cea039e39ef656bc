package record

import (
	"encoding/binary"

	"github.com/seathold/seathold/engine/inventory"
)

// fields splits the bytes of a record into its fields. After the first fault it sets bad and returns zero values.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n int) []byte {
	if f.bad || n > len(f.rest) {
		f.bad = true
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) byte() byte {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) number(limit uint64) uint64 {
	n, size := binary.Uvarint(f.rest)
	// A number has one encoding: a trailing zero byte would only make it longer.
	if f.bad || size <= 0 || n > limit || size > 1 && f.rest[size-1] == 0 {
		f.bad = true
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

// maxTimeMs is the last millisecond of the year 9999.
const maxTimeMs = 253_402_300_799_999

func (f *fields) time() int64 { return int64(f.number(maxTimeMs)) }

func (f *fields) text(limit int) []byte { return f.take(int(f.number(uint64(limit)))) }

// signed reads a zigzag varint, of which every number has one encoding.
func (f *fields) signed() int64 {
	n := f.number(1<<64 - 1)
	return int64(n>>1) ^ -int64(n&1)
}

// count reads how many elements follow, each of at least one byte.
func (f *fields) count() int { return int(f.number(uint64(len(f.rest)))) }

func (f *fields) lines(q *inventory.Request) {
	n := int(f.byte())
	if n < 1 || n > inventory.MaxLines {
		f.bad = true
		return
	}
	for range n {
		l := inventory.Line{Pool: uint32(f.number(inventory.MaxPools - 1)), Quantity: uint32(f.number(inventory.MaxQuantity))}
		f.bad = f.bad || l.Quantity == 0
		q.Lines = append(q.Lines, l)
	}
}
