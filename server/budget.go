package server

import (
	"container/list"
	"sync"
	"time"
)

const (
	// usualSlow is how long a body may take to arrive, or an answer to be read, while others need the bytes.
	usualSlow = time.Second
	// roomWait is how long a request waits for bytes of the budget.
	roomWait = 100 * time.Millisecond
)

// budget bounds the bytes of large bodies that are arriving or being executed, and of large answers that are not yet
// written (I10). Bodies are counted as they arrive, not as they are announced: a client that sends nothing takes
// nothing.
//
// Who needs bytes when all are taken does not wait for clients that are slow: those that have been at it for longer
// than slowAfter are cut off, the oldest first. So a crowd of slow clients holds the budget for a second at most.
type budget struct {
	limit     int64
	slowAfter time.Duration

	mu      sync.Mutex
	used    int64
	charges list.List     // of *charge, the oldest first
	waiting int           // requests that wait for bytes
	freed   chan struct{} // closed when bytes are released; replaced while requests wait
	refused uint64
	cutOff  uint64
}

// charge is the bytes that one body or answer takes. Its fields are guarded by the budget.
type charge struct {
	bytes   int64
	since   time.Time
	cut     func(now time.Time) (connections int) // ends what takes the bytes; nil while no client delays it
	element *list.Element
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, slowAfter: usualSlow, freed: make(chan struct{})}
}

// take adds n bytes to a charge, with what cuts off its client, nil if it waits for none. It waits for the bytes, for
// at most roomWait. Without n bytes it returns false.
func (b *budget) take(c *charge, n int64, cut func(time.Time) int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.limit && !b.makeRoom(n) {
		b.refused++
		return false
	}
	b.add(c, n)
	c.cut = cut
	return true
}

func (b *budget) add(c *charge, n int64) {
	if c.element == nil {
		c.since = time.Now()
		c.element = b.charges.PushBack(c)
	}
	c.bytes += n
	b.used += n
}

// makeRoom cuts off slow clients and waits until n bytes are free. The lock is released meanwhile.
func (b *budget) makeRoom(n int64) bool {
	expired := time.NewTimer(roomWait)
	defer expired.Stop()
	b.waiting++
	defer func() { b.waiting-- }()
	for b.used+n > b.limit {
		b.cutSlow(time.Now(), b.used+n-b.limit)
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
			b.mu.Lock()
		case <-expired.C:
			b.mu.Lock()
			return b.used+n <= b.limit
		}
	}
	return true
}

// cutSlow cuts off slow clients until so many bytes will be free.
func (b *budget) cutSlow(now time.Time, bytes int64) {
	for e := b.charges.Front(); e != nil && bytes > 0; e = e.Next() {
		c := e.Value.(*charge)
		if now.Sub(c.since) < b.slowAfter {
			return
		}
		if c.cut != nil {
			b.cutOff += uint64(c.cut(now))
			bytes -= c.bytes
		}
	}
}

// settle ends what a charge owes to a client: a body has arrived. It cannot be cut off any more.
func (b *budget) settle(c *charge) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.cut = nil
}

// hold makes n bytes what a charge takes from now on, while a client reads an answer, and waits for nothing: the answer
// exists.
func (b *budget) hold(c *charge, n int64, cut func(time.Time) int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(c)
	b.add(c, n)
	c.cut = cut
}

// roomy reports whether what exists is within the limit. It waits for that as take does.
func (b *budget) roomy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used > b.limit && !b.makeRoom(0) {
		b.refused++
		return false
	}
	return true
}

// release ends a charge. It may be charged again.
func (b *budget) release(c *charge) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(c)
}

func (b *budget) drop(c *charge) {
	if c.element == nil {
		return
	}
	b.charges.Remove(c.element)
	b.used -= c.bytes
	c.element, c.bytes, c.cut = nil, 0, nil
	if b.waiting > 0 {
		close(b.freed)
		b.freed = make(chan struct{})
	}
}

// readers are the connections to which a shared body is being written. Bodies of up to exempt bytes have none.
type readers struct {
	since   map[*conn]time.Time
	retired bool // no further reader will get the body
	charge  charge
}

// attach counts a connection that the body is written to.
func (b *budget) attach(r *rendering, c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.readers.since == nil {
		r.readers.since = map[*conn]time.Time{}
	}
	r.readers.since[c] = time.Now()
	b.chargeRetired(r)
}

// detach ends attach.
func (b *budget) detach(r *rendering, c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if delete(r.readers.since, c); len(r.readers.since) == 0 {
		b.drop(&r.readers.charge)
	}
}

// retire charges a body that is being replaced for as long as somebody reads it.
func (b *budget) retire(r *rendering) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.readers.retired = true
	b.chargeRetired(r)
}

func (b *budget) chargeRetired(r *rendering) {
	if !r.readers.retired || len(r.readers.since) == 0 || r.readers.charge.element != nil {
		return
	}
	r.readers.charge.cut = func(now time.Time) (cut int) {
		for c, since := range r.readers.since {
			if now.Sub(since) >= b.slowAfter {
				cut += c.cutWrite(now)
			}
		}
		return cut
	}
	b.add(&r.readers.charge, int64(len(r.body)))
}

// usage returns the bytes taken, and the requests refused and the clients cut off so far.
func (b *budget) usage() (used int64, refused, cutOff uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.refused, b.cutOff
}
