package redis

import (
	"context"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// piece is a piece of a checkpoint on its way to Redis. Its bytes are never changed, because an abandoned attempt may
// still be writing them.
type piece struct {
	keys       []string // the hash of checkpoints, and the piece's own
	checkpoint string
	bytes      []byte
	carried    chan bool // receives whether the group that took it has stored it
}

func (c *checkpoint) newPiece(bytes []byte) *piece {
	l := c.journal.link
	return &piece{keys: []string{l.checkpoints, l.pieceKey(c.manifest.id, c.manifest.pieces)},
		checkpoint: c.manifest.id, bytes: bytes, carried: make(chan bool, 1)}
}

// store stores a piece: with a group if one is appended soon, otherwise by a call of its own. That call is also made if
// the group's first attempt has failed; a piece can be stored twice.
func (c *checkpoint) store(p *piece) error {
	if stored, err := c.journal.carry(c.ctx, p); err != nil || stored {
		return err
	}
	return c.run(c.ctx, pieceScript, p.keys, p.checkpoint, p.bytes)
}

// carry offers a piece to the next group. It reports whether a group has stored it.
func (j *Journal) carry(ctx context.Context, p *piece) (stored bool, err error) {
	patience := j.pace.patience()
	if patience == 0 {
		return false, nil
	}
	j.offered.Store(p)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case stored = <-p.carried:
		return stored, nil
	case <-timer.C:
		if j.offered.CompareAndSwap(p, nil) {
			return false, nil
		}
	case <-ctx.Done():
	case <-j.link.ctx.Done():
	}
	// Either the appending goroutine has taken the piece, or no call may be made any more.
	select {
	case stored = <-p.carried:
		return stored, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-j.link.ctx.Done():
		err = journal.ErrClosed
	}
	j.offered.CompareAndSwap(p, nil)
	return false, err
}

// load takes an offered piece for the next group. The group after one that carried a piece carries none.
func (j *Journal) load() {
	if j.carrier = !j.carrier; j.carrier {
		j.cargo = j.offered.Swap(nil)
		j.carrier = j.cargo != nil
	}
}

// sendGroup makes one attempt at a group. It returns 1 when the stream now contains it. The first attempt carries the
// loaded piece and is measured.
func (j *Journal) sendGroup(ctx context.Context, timeout time.Duration, e *entry) (any, error) {
	l := j.link
	keys := []string{l.stream, l.tail}
	args := []any{e.at.id.String(), e.previous.String(), e.group.First, e.group.Count, sumText(e.at.sum), e.group.Records}
	p := j.cargo
	j.cargo = nil
	carried := 0
	if p != nil {
		keys, args, carried = append(keys, p.keys...), append(args, p.checkpoint, p.bytes), len(p.bytes)
	}
	began := time.Now()
	reply, err := l.run(ctx, timeout, appendScript, keys, args...)
	stored := err == nil && reply == int64(2)
	if p != nil {
		p.carried <- stored
	}
	if stored {
		reply = int64(1)
	}
	// A piece may be more than the connection moves within the timeout. Then the next ones must be smaller, or each would
	// delay a group for so long.
	if err == nil && reply == int64(1) && stored == (p != nil) || p != nil && isTimeout(err) {
		j.pace.observe(time.Since(began), carried)
	}
	return reply, err
}
