package server

import (
	"bytes"
	"container/list"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
)

// form is what a list shows of a session.
type form uint8

const (
	inFull    form = iota // GET /v1/sessions
	available             // GET /v1/stock
)

// variant is what a list is made of, besides the stock.
type variant struct {
	form   form
	filter sessionFilter
}

// The levels of compression. For the 590 KB of Paris 2024 gzip takes 2 ms for 46 KB, and brotli 4 ms for 38 KB. Gzip's
// highest level takes ten times as long for 42 KB, its level 3 half as long for 60 KB.
const (
	gzipLevel   = 6
	brotliLevel = 5
)

// leastCoded is the least length that is compressed. A shorter answer fits into one packet as it is.
const leastCoded = 1400

// renderingWait is how long a request for a list waits for the processor while other lists are made, or for another
// request that makes its list. It has its turn meanwhile.
const renderingWait = 250 * time.Millisecond

// rendering is the body of an answer in one coding, shared by all who read it. It is never written to.
type rendering struct {
	body   []byte
	coding coding
	etag   []byte // strong, so it is another one in each coding

	readers readers // of a body of more than exempt bytes
}

// edition is the renderings of one variant with one stock, by coding.
type edition struct {
	stamp atomic.Pointer[stamp] // a newer one while the body is the same
	hash  uint64                // of the body in identity
	coded [codings]atomic.Pointer[rendering]
}

// shelf has the last edition of a variant.
type shelf struct {
	variant   variant
	rendering place
	last      atomic.Pointer[edition]

	bytes   int64 // of last; guarded by renderings.mu
	evicted bool  // likewise
}

// renderings are the shelves of the variants that were asked for most recently.
type renderings struct {
	limit   int64   // bytes of all
	budget  *budget // counts what is no longer on a shelf, and still read
	slots   place   // for the renderings that are being made: half of the processors make them
	made    atomic.Uint64
	refused atomic.Uint64 // requests that have waited renderingWait
	rooms   sync.Pool     // of *[]byte, to encode in

	mu      sync.Mutex
	bytes   int64
	shelves map[variant]*list.Element // of *shelf
	recent  list.List                 // the most recently used shelf first
}

func (s *renderings) init(budget *budget, limit int64) {
	s.budget, s.limit, s.shelves = budget, limit, map[variant]*list.Element{}
	s.slots = make(place, max(1, runtime.GOMAXPROCS(0)/2))
	s.rooms.New = func() any { return new([]byte) }
}

// rendering returns a list in a coding, with stock that is at most maxLag older than now, and all ends of sales until
// the call. One goroutine makes a rendering that is missing. Meanwhile others get the one before it, if that is recent
// enough, or wait. The error is an *engine.Refusal.
func (b *board) rendering(e *engine.Engine, v variant, c coding, now time.Time) (*rendering, error) {
	s := b.snapshot(e, now)
	shelf := b.renderings.shelf(v)
	r, current := shelf.find(s, c, now)
	if current {
		return r, nil
	}
	until := time.Now().Add(renderingWait)
	if !shelf.rendering.tryEnter() {
		if r != nil {
			return r, nil
		}
		if !shelf.rendering.enter(until) {
			b.renderings.refused.Add(1)
			return nil, &engine.Refusal{Code: engine.Overloaded}
		}
	}
	defer shelf.rendering.leave()
	// An older snapshot must not take the place of what others have rendered meanwhile.
	s = b.snapshot(e, now)
	if r, current = shelf.find(s, c, now); current { // another goroutine has made it
		return r, nil
	}
	return b.render(shelf, s, c, until)
}

// shelf returns the variant's shelf, and makes it if necessary.
func (s *renderings) shelf(v variant) *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.shelves[v]; e != nil {
		s.recent.MoveToFront(e)
		return e.Value.(*shelf)
	}
	made := &shelf{variant: v, rendering: make(place, 1)}
	s.shelves[v] = s.recent.PushFront(made)
	s.settle(made, shelfBytes)
	return made
}

// shelfBytes is what a shelf takes besides its renderings, roughly.
const shelfBytes = 640

// find returns the rendering in the coding and whether it is of the snapshot. One of an earlier snapshot is returned
// only if its stock was right less than maxLag ago.
func (f *shelf) find(s *snapshot, c coding, now time.Time) (r *rendering, current bool) {
	last := f.last.Load()
	if last == nil {
		return nil, false
	}
	of := last.stamp.Load()
	if r = last.coded[c].Load(); r != nil && of != s.stamp && (of.era != s.era || of.age(now) >= maxLag) {
		r = nil
	}
	return r, r != nil && of == s.stamp
}

// render makes the rendering of the snapshot in the coding. The caller is the one who renders for the shelf.
func (b *board) render(f *shelf, s *snapshot, c coding, until time.Time) (*rendering, error) {
	if !b.renderings.budget.roomy() { // which counts the refusal
		return nil, &engine.Refusal{Code: engine.Overloaded}
	}
	if !b.renderings.slots.enter(until) {
		b.renderings.refused.Add(1)
		return nil, &engine.Refusal{Code: engine.Overloaded}
	}
	defer b.renderings.slots.leave()
	began := time.Now()
	defer func() { b.spend(time.Since(began)) }()
	d := b.edition(f, s)
	if r := d.coded[c].Load(); r != nil {
		return r, nil
	}
	r := encodedAs(c, d.coded[identity].Load(), d.hash)
	d.coded[c].Store(r)
	if r.coding == c { // a short body is its own rendering in every coding
		b.renderings.keep(f, r)
	}
	return r, nil
}

// edition returns the shelf's edition of the snapshot, in identity at least. If the body has not changed, that is the
// last one, whose other renderings are right too.
func (b *board) edition(f *shelf, s *snapshot) *edition {
	last := f.last.Load()
	if last != nil && last.stamp.Load() == s.stamp {
		return last
	}
	room := b.renderings.rooms.Get().(*[]byte)
	defer b.renderings.rooms.Put(room)
	now := s.text.since(s.ended)
	if f.variant.form == available {
		*room = s.text.appendAvailable((*room)[:0], &f.variant.filter, s.stock, now)
	} else {
		*room = s.text.appendSessions((*room)[:0], &f.variant.filter, s.stock, now)
	}
	hash := xxhash.Sum64(*room)
	if last != nil && last.hash == hash && bytes.Equal(last.coded[identity].Load().body, *room) {
		last.stamp.Store(s.stamp)
		return last
	}
	d := &edition{hash: hash}
	d.stamp.Store(s.stamp)
	d.coded[identity].Store(&rendering{body: slices.Clone(*room), etag: appendETag(nil, hash, identity)})
	b.renderings.made.Add(1)
	f.last.Store(d)
	b.renderings.replace(f, last, d)
	return d
}

// encodedAs encodes a body. A short one remains as it is.
func encodedAs(c coding, plain *rendering, hash uint64) *rendering {
	if len(plain.body) < leastCoded {
		return plain
	}
	r := &rendering{coding: c, etag: appendETag(nil, hash, c)}
	switch c {
	case gzipped:
		r.body = slices.Clip(fasthttp.AppendGzipBytesLevel(nil, plain.body, gzipLevel))
	case brotli:
		r.body = slices.Clip(fasthttp.AppendBrotliBytesLevel(nil, plain.body, brotliLevel))
	}
	return r
}

// appendETag appends the strong entity tag of a body in a coding. It depends on the content only, so all servers of a
// sale have the same tags, and a restart keeps them.
func appendETag(dst []byte, hash uint64, c coding) []byte {
	dst = strconv.AppendUint(append(dst, '"'), hash, 36)
	if c != identity {
		dst = append(append(dst, '-'), codingNames[c]...)
	}
	return append(dst, '"')
}

// place has one element for each goroutine in it, and room for as many as may be. Unlike a lock it is waited for until
// a time: if each of many waiters waited for renderingWait after its predecessor, the last would for a minute.
type place chan struct{}

// tryEnter reports whether there is room; the caller then calls leave.
func (p place) tryEnter() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

// enter reports whether there was room until then; the caller then calls leave.
func (p place) enter(until time.Time) bool {
	if p.tryEnter() {
		return true
	}
	expired := time.NewTimer(time.Until(until))
	defer expired.Stop()
	select {
	case p <- struct{}{}:
		return true
	case <-expired.C:
		return false
	}
}

func (p place) leave() { <-p }

// replace puts an edition, in identity only, on a shelf in the place of the last one, nil for none.
func (s *renderings) replace(f *shelf, last, d *edition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retire(last)
	if f.evicted {
		s.retire(d)
		return
	}
	s.settle(f, int64(len(d.coded[identity].Load().body))+shelfBytes-f.bytes)
}

// keep puts a further rendering of its edition on a shelf.
func (s *renderings) keep(f *shelf, r *rendering) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.evicted {
		s.budget.retire(r)
		return
	}
	s.settle(f, int64(len(r.body)))
}

// retire hands the renderings of an edition, nil for none, to the budget for as long as they are read.
func (s *renderings) retire(d *edition) {
	if d == nil {
		return
	}
	for c := range codings {
		if r := d.coded[c].Load(); r != nil {
			s.budget.retire(r)
		}
	}
}

// settle adds bytes to a shelf and evicts the least recently used others while all have too many. An evicted shelf is
// used by the goroutines that have it, and by no others.
func (s *renderings) settle(f *shelf, bytes int64) {
	f.bytes += bytes
	s.bytes += bytes
	for s.bytes > s.limit && s.recent.Len() > 1 {
		oldest := s.recent.Back()
		if oldest.Value.(*shelf) == f {
			s.recent.MoveToFront(oldest)
			continue
		}
		gone := s.recent.Remove(oldest).(*shelf)
		gone.evicted = true
		s.retire(gone.last.Load())
		s.bytes -= gone.bytes
		delete(s.shelves, gone.variant)
	}
}
