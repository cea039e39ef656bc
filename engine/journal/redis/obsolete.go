package redis

import (
	"context"
	"slices"
	"time"
)

// Which checkpoints exist is read from Redis whenever it matters. What a program remembers may be out of date: a
// follower does not see the leader's checkpoints change, and keys can be removed by hand.

// complete returns the checkpoints that a recovery could use, oldest first: their manifests are readable or known, all
// their pieces exist, and this leader's recovery has not found them damaged. It waits up to retryReads.
func (j *Journal) complete(ctx context.Context) ([]manifest, error) {
	listed, err := j.link.manifests(ctx, retryReads)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	for _, m := range j.intact {
		same := func(o manifest) bool { return o.id == m.id }
		listed = append(slices.DeleteFunc(listed, same), m) // its manifest may have been removed or replaced
	}
	j.mu.Unlock()
	sortManifests(listed)
	var found []manifest
	for _, m := range listed {
		if m.pieces < 0 || slices.Contains(j.damaged, m.id) {
			continue
		}
		all, err := j.link.countPieces(ctx, retryReads, m.id, 0, m.pieces)
		if err != nil {
			return nil, err
		}
		if all == m.pieces {
			found = append(found, m)
		}
	}
	return found, nil
}

// countAtOnce is how many pieces are looked up in one call. It takes Redis a tenth of a millisecond.
const countAtOnce = 256

// countPieces returns how many pieces of a checkpoint exist, of count pieces from one on. retryFor is as in attempts.
func (l *link) countPieces(ctx context.Context, retryFor time.Duration, id string, from, count int) (int, error) {
	found := 0
	for end := from + count; from < end; {
		args := []any{"exists"}
		for ; from < end && len(args) <= countAtOnce; from++ {
			args = append(args, l.pieceKey(id, from))
		}
		reply, err := l.read(ctx, retryFor, args...)
		if err != nil {
			return 0, err
		}
		n, _ := reply.(int64)
		found += int(n)
	}
	return found, nil
}

// removeLeftovers removes the pieces of dropped checkpoints and of those that were never finished, also by older
// leaders. A reader that still reads a dropped one starts over, see unlessReplaced.
func (c *checkpoint) removeLeftovers(ctx context.Context) error {
	all, err := c.journal.link.listCheckpoints(ctx, 0)
	if err != nil {
		return err
	}
	for id, text := range all {
		if text != "writing" && text != "dropped" {
			continue
		}
		if err := c.remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// trim removes the entries before the base of a checkpoint.
func (c *checkpoint) trim(ctx context.Context, oldest manifest) error {
	l := c.journal.link
	for {
		trimmed, err := l.script(ctx, 0, trimScript, []string{l.leader, l.stream}, c.leader, oldest.base.at.id.String())
		if err != nil || trimmed == int64(0) {
			return err
		}
	}
}

// removeAtOnce is how many pieces are removed in one call.
const removeAtOnce = 64

// remove removes the pieces of a checkpoint, the last ones first, and then the checkpoint from the hash. Pieces are
// written from the first one on, so the last one is found although single pieces may be missing, and an interrupted
// removal leaves the first ones for the next.
func (c *checkpoint) remove(ctx context.Context, id string) error {
	l := c.journal.link
	count := 0
	for found := countAtOnce; found > 0; {
		var err error
		if found, err = l.countPieces(ctx, 0, id, count, countAtOnce); err != nil {
			return err
		}
		if found > 0 {
			count += countAtOnce
		}
	}
	for count > 0 {
		from := count - removeAtOnce
		keys := []string{l.checkpoints}
		for i := from; i < count; i++ {
			keys = append(keys, l.pieceKey(id, i))
		}
		if err := c.run(ctx, dropScript, keys, id); err != nil {
			return err
		}
		count = from
	}
	return c.run(ctx, dropScript, []string{l.checkpoints}, id)
}
