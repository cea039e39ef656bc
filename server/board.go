package server

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/rules"
)

const (
	// maxLag is how old the stock of a list may be, in addition to the time that encoding it takes.
	maxLag = 100 * time.Millisecond
	// renderingShare is the share of one processor that lists take before they become up to maxLag old: a tenth.
	renderingShare = 10
)

// board has the stock of all pools as lists show it: one snapshot that all readers share, and its renderings.
//
// A snapshot is replaced when a reader requests one, the stock has changed, and either the snapshot is maxLag old or
// the lists have used less than their share of a processor. So a few readers get the stock of that instant, and any
// number of readers cost no more than ten snapshots a second. It is replaced as well once sales of a session have ended
// on the sale clock, the definition has changed, or something was paused or resumed; nothing made before that is shown
// any more. Its stock is read as that of a single session is, so it shows no outcome that a crash could undo (I5).
type board struct {
	current    atomic.Pointer[snapshot]
	text       atomic.Pointer[stockText]
	renderings renderings

	mu       sync.Mutex   // of the goroutine that replaces the snapshot
	allowed  atomic.Int64 // processor time that lists may still take now, in nanoseconds
	refilled time.Time
}

// snapshot is the stock of all pools at one time.
type snapshot struct {
	*stamp
	engine *engine.Engine
	text   *stockText
	stock  []engine.Stock // by pool
	ended  int            // how many sessions' sales have ended

	version atomic.Uint64 // of the engine's stock, read before the stock was last seen to be this
}

// stamp identifies a snapshot and its age. Renderings have the stamp only: any number of variants that nobody
// asks for any more may be on shelves, and each would keep the stock of its own snapshot, and its engine, in memory.
type stamp struct {
	era   uint64 // another one for another engine or definition, and after the end of sales of a session
	taken time.Time
	later atomic.Int64 // how long after taken the stock was last seen to be this, in nanoseconds
}

// age is the time since the snapshot was last right, as far as is known. It does not depend on the system's clock,
// which may be set back.
func (s *stamp) age(now time.Time) time.Duration {
	return now.Sub(s.taken) - time.Duration(s.later.Load())
}

// over reports whether sales of a session have ended since, on the sale clock, or the definition or what is paused is
// another one. That is shown at once.
func (s *snapshot) over() bool {
	return s.ended < len(s.text.ends) && s.engine.Now().UnixMilli() >= s.text.ends[s.ended] ||
		!s.text.is(s.engine.Shown())
}

// init sets the most bytes that lists may take, and the budget of those that are only being read. It allows a burst.
func (b *board) init(budget *budget, limit int64) {
	b.allowed.Store(int64(maxLag))
	b.refilled = time.Now()
	b.renderings.init(budget, limit)
}

// textOf returns the constant part of the JSON of a sale in which this is paused.
func (b *board) textOf(sale *catalog.Sale, pauses rules.Pauses) *stockText {
	if t := b.text.Load(); t != nil && t.is(sale, pauses) {
		return t
	}
	t := newStockText(sale, pauses)
	b.text.Store(t)
	return t
}

// snapshot returns the stock of the engine, at most maxLag before now.
func (b *board) snapshot(e *engine.Engine, now time.Time) *snapshot {
	s := b.current.Load()
	if s != nil && s.engine == e && !b.due(s, now) {
		return s
	}
	if !b.mu.TryLock() {
		if s != nil && s.engine == e && s.age(now) < maxLag && !s.over() {
			return s // another reader is replacing it
		}
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	if s = b.current.Load(); s == nil || s.engine != e {
		return b.replace(nil, e, now)
	}
	b.refill(now)
	if !b.due(s, now) {
		return s
	}
	return b.replace(s, e, now)
}

// due reports whether the stock is to be read again.
func (b *board) due(s *snapshot, now time.Time) bool {
	if s.age(now) >= maxLag || s.over() {
		return true
	}
	version, known := s.engine.StockVersion()
	return (!known || version != s.version.Load()) && b.allowed.Load() > 0
}

// refill adds the time that lists may take to what is left. No more than maxLag is saved for a burst. Readers have
// waited for different times, so now may be earlier than that of the reader before.
func (b *board) refill(now time.Time) {
	if !now.After(b.refilled) {
		return
	}
	more := int64(now.Sub(b.refilled)) / renderingShare
	b.allowed.Add(min(more, int64(maxLag)-b.allowed.Load()))
	b.refilled = now
}

// spend takes the processor time that lists took from what is left.
func (b *board) spend(took time.Duration) { b.allowed.Add(-int64(took)) }

// replace reads the stock and makes it the current snapshot, unless it has not changed since the old one.
func (b *board) replace(old *snapshot, e *engine.Engine, now time.Time) *snapshot {
	began := time.Now()
	s := &snapshot{stamp: &stamp{taken: now}, engine: e}
	version := s.read(b)
	if last := b.current.Load(); last != nil {
		if s.era = last.era; last.engine != e || last.ended != s.ended || last.text != s.text {
			s.era++
		}
	}
	if old != nil && old.text == s.text && old.ended == s.ended && slices.Equal(old.stock, s.stock) {
		old.version.Store(version)
		old.later.Store(int64(now.Sub(old.taken)))
		s = old
	}
	b.current.Store(s)
	b.spend(time.Since(began))
	return s
}

// read reads the stock, and again while the definition changes under it: the stock and the definition are of the same
// instant. It returns the version of the stock.
func (s *snapshot) read(b *board) (version uint64) {
	for s.text == nil || !s.text.is(s.engine.Shown()) {
		s.text = b.textOf(s.engine.Shown())
		s.ended = s.text.ended(s.engine.Now().UnixMilli())
		version, _ = s.engine.StockVersion()
		s.stock = appendStock(make([]engine.Stock, 0, len(s.text.pools)), s.engine, len(s.text.pools))
	}
	s.version.Store(version)
	return version
}
