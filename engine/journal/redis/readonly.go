package redis

import "github.com/seathold/seathold/engine/journal"

// ReadOnly is a journal opened for reading only, for verify and journal dump. It changes nothing in Redis, and the
// leader continues to write.
type ReadOnly struct {
	link *link
}

// OpenReadOnly prepares to read a journal. It does not connect; Recover does.
func OpenReadOnly(o Options) (*ReadOnly, error) {
	l, err := newLink(o)
	if err != nil {
		return nil, err
	}
	return &ReadOnly{l}, nil
}

// Recover delivers what the journal contains, up to the end it has when Recover reaches it. It may be called again.
// After ErrDiverged, the leader has dropped what was being read: the caller discards what was delivered and calls it
// again.
func (o *ReadOnly) Recover(to journal.Recovery) (journal.Recovered, error) {
	r := newReader(o.link, to, retryReads)
	if err := r.recover(o.link.ctx); err != nil {
		return r.summary(), o.link.readError(err)
	}
	return r.summary(), nil
}

// Close ends all calls in progress, which return journal.ErrClosed, and closes the connections.
func (o *ReadOnly) Close() error { return o.link.close() }
