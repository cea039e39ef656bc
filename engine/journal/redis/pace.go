package redis

import (
	"sync"
	"time"
)

// Redis executes one command after another, and syncs what a command has written before it executes the next ones. A
// piece of a checkpoint that is stored by a call of its own can therefore double the time of the group that follows it.
// So the call that appends a group stores a piece as well: one sync makes both durable, and the group takes longer only
// by the time that the piece's bytes need. At most every second group carries a piece, and pieces are so large that
// such a group takes about a quarter longer: half a megabyte where a sync takes ten milliseconds, down to leastPiece
// where it takes a tenth of one. A journal without groups has nothing to spare them.

// leastPiece bounds the number of pieces.
const leastPiece = 32 << 10

const (
	// carryWithin is how long a piece waits for a group, at least.
	carryWithin = 10 * time.Millisecond
	// idleAfter is how long after the last group a piece waits for no other.
	idleAfter = time.Second
	// assumedRate is taken as the bytes that Redis stores in a second until it is measured.
	assumedRate = 256 << 20
)

// pace measures how long groups take. The zero value has measured nothing. Its methods may be called by any goroutine.
type pace struct {
	mu      sync.Mutex
	group   float64   // recent average time of a group without a piece, in seconds; 0 before the first
	perByte float64   // recent average of what each byte of a piece adds, in seconds; 0 before the first
	last    time.Time // when the last group was appended
}

// observe adds the time of a group that carried a piece of so many bytes, or none.
func (p *pace) observe(took time.Duration, carried int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	seconds := took.Seconds()
	switch {
	case carried > 0:
		p.perByte += ((seconds-p.group)/float64(carried) - p.byteTime()) / 16
	case p.group == 0:
		p.group = seconds
	default:
		// One slow sync among many does not count for what it took.
		p.group += (min(seconds, 4*p.group) - p.group) / 16
	}
}

// byteTime returns what each byte of a piece adds to a group, in seconds. The caller holds mu.
func (p *pace) byteTime() float64 {
	if p.perByte == 0 {
		p.perByte = 1.0 / assumedRate
	}
	p.perByte = max(p.perByte, 0.1/assumedRate) // a group with a piece may have been faster than the average
	return p.perByte
}

// size returns how large the next piece should be, from leastPiece to pieceBytes.
func (p *pace) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.group == 0 {
		return pieceBytes
	}
	return int(min(max(p.group/4/p.byteTime(), leastPiece), pieceBytes))
}

// patience returns how long a piece should wait for a group that carries it; 0 if there are no groups.
func (p *pace) patience() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.IsZero() || time.Since(p.last) > idleAfter {
		return 0
	}
	return max(carryWithin, time.Duration(4*p.group*float64(time.Second)))
}
