package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
)

// Readers give up after this time without an answer, unless they follow.
const readPatience = time.Minute

// A reader asks for as many entries at a time as come to about readBytes.
const (
	readBytes     = 4 << 20
	readEntries   = 16  // the first time
	readAtMost    = 500 // ever, since the next ones may be larger
	piecesAtATime = 8
)

// reader is one reading of a journal from its newest checkpoint on. It changes nothing there.
type reader struct {
	link     *link
	to       journal.Recovery
	patience time.Duration

	sum    journal.Recovered
	at     position // of the last group or claim that was read
	newest id       // of the last entry of any type that was read
	count  int      // entries to ask for the next time
	asked  int      // entries that were asked for the last time
	places places
	intact []manifest // complete checkpoints not known to be damaged, the oldest first

	epoch    uint64
	leader   string // address
	resigned bool   // the leader's last word
	heard    time.Time
	base     bool // the next entry is the one that the checkpoint names as its base
}

func newReader(l *link, to journal.Recovery, patience time.Duration) *reader {
	return &reader{link: l, to: to, patience: patience, count: readEntries}
}

// begin delivers the newest intact checkpoint, if there is one.
func (r *reader) begin(ctx context.Context) error {
	if err := r.whoLeads(ctx); err != nil {
		return err
	}
	found, err := r.manifests(ctx)
	if err != nil {
		return err
	}
	for i := len(found) - 1; i >= 0; i-- {
		err := r.chunks(ctx, found[i], func([]byte) error { return nil })
		if err == nil {
			r.intact = found[:i+1]
			return r.deliver(ctx, found[i])
		}
		if !errors.Is(err, journal.ErrDamaged) {
			return err
		}
		again, listing := r.manifests(ctx)
		if listing != nil {
			return listing
		}
		if !slices.Equal(found, again) { // not damaged, but replaced by the leader while it was read
			found, i, r.sum.Notes = again, len(again), nil
			continue
		}
		r.sum.Notes = append(r.sum.Notes,
			fmt.Sprintf("the checkpoint %s is passed over for an older one and a longer replay: %v", found[i].id, err))
	}
	return nil
}

// whoLeads reads who is the leader, as far as the stream's claims may have been trimmed.
func (r *reader) whoLeads(ctx context.Context) error {
	reply, err := r.link.read(ctx, r.patience, "get", r.link.leader)
	if err != nil {
		return err
	}
	text, _ := reply.(string)
	claim, address, err := parseLeader(text)
	if err != nil {
		return err
	}
	r.epoch, r.leader = claim.id.epoch, address
	return nil
}

func (r *reader) deliver(ctx context.Context, m manifest) error {
	r.sum.Checkpoint = journal.CheckpointInfo{Start: m.start, End: m.end, Bytes: m.bytes}
	r.sum.Last = m.base.record
	r.at, r.newest, r.base = m.base.at, m.base.at.id, true
	r.places.add(m.base)
	if err := r.to.Begin(r.sum.Checkpoint); err != nil {
		return err
	}
	return r.chunks(ctx, m, r.to.Chunk)
}

// catchUp delivers all groups that are there.
func (r *reader) catchUp(ctx context.Context) error {
	for {
		n, err := r.more(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return r.complete()
		}
	}
}

// complete holds what was read against what the checkpoints and the leader's key know of.
func (r *reader) complete() error {
	if r.base {
		return fmt.Errorf("%w: entry %v, on which the checkpoint builds, is missing, and all behind it", journal.ErrDamaged, r.at.id)
	}
	if end := r.sum.Checkpoint.End; r.sum.Last < end {
		return fmt.Errorf("%w: the checkpoint knows of records up to %d, and the stream ends with %d, in entry %v",
			journal.ErrDamaged, end, r.sum.Last, r.at.id)
	}
	if r.at == (position{}) && r.epoch > 0 {
		return fmt.Errorf("%w: the stream is gone, and yet epoch %d was claimed in it", journal.ErrDamaged, r.epoch)
	}
	return nil
}

// more reads and delivers some entries behind the last one and returns how many there were.
func (r *reader) more(ctx context.Context) (int, error) {
	from := "(" + r.newest.String()
	if r.base {
		from = r.newest.String()
	} else if r.newest == (id{}) {
		from = "-"
	}
	reply, err := r.link.read(ctx, r.patience, "xrange", r.link.stream, from, "+", "count", r.count)
	if err != nil {
		return 0, err
	}
	messages, err := parseMessages(reply)
	if err != nil {
		return 0, err
	}
	return len(messages), r.take(messages)
}

// wait is more, but waits for entries up to the given time, and makes one attempt only.
func (r *reader) wait(ctx context.Context, block time.Duration) (int, error) {
	cmd := redis.NewCmd(ctx, "xread", "count", r.count, "block", max(1, block.Milliseconds()), "streams", r.link.stream, r.newest.String())
	cmd.SetFirstKeyPos(6)
	err := r.link.call(ctx, block+r.link.timeout, cmd)
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var entries any
	if streams, _ := cmd.Val().([]any); len(streams) == 1 {
		if pair, _ := streams[0].([]any); len(pair) == 2 {
			entries = pair[1]
		}
	}
	messages, err := parseMessages(entries)
	if err != nil {
		return 0, err
	}
	return len(messages), r.take(messages)
}

// take delivers entries in their order.
func (r *reader) take(messages []message) error {
	bytes := 0
	r.asked = r.count
	for _, m := range messages {
		if err := r.one(m); err != nil {
			return err
		}
		bytes += m.bytes()
		r.newest = m.id
	}
	if len(messages) > 0 {
		r.count = min(max(readBytes*len(messages)/bytes, 1), readAtMost)
	}
	return nil
}

func (r *reader) one(m message) error {
	switch m.kind() {
	case beatType:
		r.resigned = false
		return nil
	case resignType:
		r.resigned = true
		return nil
	case groupType, claimType:
	default:
		return m.foreign()
	}
	e, err := m.entry()
	if err != nil {
		return err
	}
	if r.base {
		r.base = false
		if e.at == r.at {
			return nil
		}
		return fmt.Errorf("%w: entry %v, on which the checkpoint builds, is missing: the next one is %v", journal.ErrDamaged, r.at.id, m.id)
	}
	if e.previous != r.at {
		return fmt.Errorf("%w: entries are missing: %v follows %v, and before it stands %v", journal.ErrDamaged, m.id, e.previous.id, r.at.id)
	}
	r.at, r.resigned = e.at, false
	if e.isClaim() {
		r.epoch, r.leader = m.id.epoch, e.leader
		r.places.add(place{r.sum.Last, e.at})
		return nil
	}
	return r.group(e)
}

// group delivers a group, unless the checkpoint holds all of it.
func (r *reader) group(e entry) error {
	if e.group.First != r.sum.Last+1 {
		return fmt.Errorf("%w: entry %v begins with record %d behind record %d", journal.ErrDamaged, e.at.id, e.group.First, r.sum.Last)
	}
	r.sum.Last = e.group.Last()
	r.places.add(place{r.sum.Last, e.at})
	if r.sum.Last <= r.sum.Checkpoint.Start {
		return nil
	}
	r.sum.Groups++
	r.sum.Records += e.group.Count
	return r.to.Group(e.group)
}
