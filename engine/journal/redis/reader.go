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

// retryReads is how long a call is retried that reads or claims a journal. A follower retries without a limit.
const retryReads = time.Minute

// A reader requests as many entries at a time as have about readBytes in all.
const (
	readBytes    = 4 << 20
	firstEntries = 16  // in the first request
	maxEntries   = 500 // in any request, since later entries may be larger
	readPieces   = 8
)

// reader reads a journal from its newest checkpoint on. It changes nothing in Redis.
type reader struct {
	link     *link
	to       journal.Recovery
	retryFor time.Duration

	recovered  journal.Recovered
	at         position // of the last group or claim that was read
	newest     id       // of the last entry of any type that was read
	count      int      // entries to request next
	requested  int      // entries that were requested last
	boundaries boundaries
	listed     []manifest // complete checkpoints when the reading began, oldest first
	damaged    []string   // ids of those that were found damaged

	epoch      uint64
	leader     string // address
	badLeader  error  // what is wrong with the leader key; nil once a claim was read
	resigned   bool   // the last entry is a resignation
	expectBase bool   // the next entry must be the base of the checkpoint
}

func newReader(l *link, to journal.Recovery, retryFor time.Duration) *reader {
	return &reader{link: l, to: to, retryFor: retryFor, count: firstEntries}
}

// recover delivers everything that the journal contains now.
func (r *reader) recover(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	return r.catchUpWithLeader(ctx)
}

// resume delivers what was added since the last delivery.
func (r *reader) resume(ctx context.Context, alive func(leader string)) error {
	before := r.newest
	if err := r.catchUpWithLeader(ctx); err != nil {
		return err
	}
	if r.newest != before && !r.resigned {
		alive(r.leader)
	}
	return nil
}

// summary returns what was delivered.
func (r *reader) summary() journal.Recovered {
	r.recovered.Led, r.recovered.Leader = r.epoch > 0 && !r.resigned, r.leader
	return r.recovered
}

// begin delivers the newest intact checkpoint, if there is one.
func (r *reader) begin(ctx context.Context) error {
	// The stream's claims may have been trimmed, so the epoch comes from the leader key.
	claim, address, err := r.link.readLeader(ctx, r.retryFor)
	if errors.Is(err, journal.ErrForeign) {
		r.badLeader, err = err, nil // a leader that is alive makes the key again
	}
	if err != nil {
		return err
	}
	r.epoch, r.leader = claim.id.epoch, address
	found, err := r.list(ctx)
	if err != nil {
		return err
	}
	return r.deliverNewest(ctx, found)
}

// list reads which complete checkpoints there are.
func (r *reader) list(ctx context.Context) (found []manifest, err error) {
	found, err = r.link.manifests(ctx, r.retryFor)
	r.listed = found
	return found, err
}

// deliverNewest delivers the newest intact one of the listed checkpoints.
func (r *reader) deliverNewest(ctx context.Context, found []manifest) error {
	for i := len(found) - 1; i >= 0; i-- {
		// The first reading only checks, so that no chunk of a damaged checkpoint is delivered.
		err := r.chunks(ctx, found[i], func([]byte) error { return nil })
		if err == nil {
			return r.unlessReplaced(ctx, r.deliverCheckpoint(ctx, found[i]))
		}
		if !errors.Is(err, journal.ErrDamaged) {
			return err
		}
		before := found
		current, listErr := r.list(ctx)
		if listErr != nil {
			return listErr
		}
		if !slices.Equal(before, current) { // not damaged, but replaced by the leader while it was read
			found, i, r.recovered.Notes, r.damaged = current, len(current), nil, nil
			continue
		}
		r.damaged = append(r.damaged, found[i].id)
		r.recovered.Notes = append(r.recovered.Notes,
			fmt.Sprintf("checkpoint %s is skipped for an older one and a longer replay: %v", found[i].id, err))
	}
	return nil
}

// unlessReplaced returns the error of a reading. If the leader has committed a checkpoint since the reading began, what
// is missing is not damage: the leader has dropped it, and the reading succeeds when it starts over.
func (r *reader) unlessReplaced(ctx context.Context, err error) error {
	if !errors.Is(err, journal.ErrDamaged) {
		return err
	}
	now, listErr := r.link.manifests(ctx, r.retryFor)
	if listErr == nil && !slices.Equal(now, r.listed) {
		return fmt.Errorf("%w: %w", ErrDiverged, err)
	}
	return err
}

func (r *reader) deliverCheckpoint(ctx context.Context, m manifest) error {
	r.recovered.Checkpoint = journal.CheckpointInfo{Start: m.start, End: m.end, Bytes: m.bytes}
	r.recovered.Last = m.base.record
	r.at, r.newest, r.expectBase = m.base.at, m.base.at.id, true
	r.boundaries.add(m.base)
	if err := r.to.Begin(r.recovered.Checkpoint); err != nil {
		return err
	}
	return r.chunks(ctx, m, r.to.Chunk)
}

// catchUpWithLeader is catchUp for a journal whose leader continues to write and may trim entries that were not read
// yet.
func (r *reader) catchUpWithLeader(ctx context.Context) error {
	return r.unlessReplaced(ctx, r.catchUp(ctx))
}

// catchUp delivers the groups that the stream contains.
func (r *reader) catchUp(ctx context.Context) error {
	for {
		n, err := r.readMore(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			return r.checkComplete()
		}
	}
}

// checkComplete compares what was read with the checkpoint and the leader key.
func (r *reader) checkComplete() error {
	if r.expectBase {
		return fmt.Errorf("%w: entry %v, the base of the checkpoint, is missing, and so are all entries after it",
			journal.ErrDamaged, r.at.id)
	}
	if end := r.recovered.Checkpoint.End; r.recovered.Last < end {
		return fmt.Errorf("%w: the checkpoint covers records up to %d, and the stream ends with %d, in entry %v",
			journal.ErrDamaged, end, r.recovered.Last, r.at.id)
	}
	if r.at == (position{}) && r.badLeader != nil {
		return r.badLeader // nothing else shows whose keys these are
	}
	if r.at == (position{}) && r.epoch > 0 {
		return fmt.Errorf("%w: the stream is missing, although epoch %d was claimed in it", journal.ErrDamaged, r.epoch)
	}
	return nil
}

// findLeader reads the leader's address again if the leader key did not have it, which the leader makes again. An error
// is ignored, because the next beat is followed by another attempt.
func (r *reader) findLeader(ctx context.Context) {
	if r.leader != "" {
		return
	}
	claim, address, err := r.link.readLeader(ctx, r.link.options.Timeout)
	if err == nil && claim.id.epoch == r.epoch {
		r.leader = address
	}
}

// readMore reads and delivers some entries after the last one and returns how many there were.
func (r *reader) readMore(ctx context.Context) (int, error) {
	from := "(" + r.newest.String()
	if r.expectBase {
		from = r.newest.String() // the base itself, to check that it is there
	} else if r.newest == (id{}) {
		from = "-"
	}
	reply, err := r.link.read(ctx, r.retryFor, "xrange", r.link.stream, from, "+", "count", r.count)
	if err != nil {
		return 0, err
	}
	return r.deliverReply(reply)
}

// wait is like readMore, but waits for entries for at most the given time. It makes one attempt only.
func (r *reader) wait(ctx context.Context, block time.Duration) (int, error) {
	reply, err := r.link.call(ctx, block+r.link.options.Timeout, func(ctx context.Context) *redis.Cmd {
		cmd := redis.NewCmd(ctx, "xread", "count", r.count, "block", max(1, block.Milliseconds()),
			"streams", r.link.stream, r.newest.String())
		cmd.SetFirstKeyPos(6)
		_ = r.link.client.Process(ctx, cmd) // cmd has the error
		return cmd
	})
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var entries any
	if streams, _ := reply.([]any); len(streams) == 1 {
		if pair, _ := streams[0].([]any); len(pair) == 2 {
			entries = pair[1]
		}
	}
	return r.deliverReply(entries)
}

// deliverReply delivers the entries of a reply, in order, and returns how many there were.
func (r *reader) deliverReply(reply any) (int, error) {
	messages, err := parseMessages(reply)
	if err != nil {
		return 0, err
	}
	bytes := 0
	r.requested = r.count
	for _, m := range messages {
		if err := r.deliverEntry(m); err != nil {
			return len(messages), err
		}
		bytes += m.bytes()
		r.newest = m.id
	}
	if len(messages) > 0 {
		r.count = min(max(readBytes*len(messages)/bytes, 1), maxEntries)
	}
	return len(messages), nil
}

func (r *reader) deliverEntry(m message) error {
	if m.id.epoch != r.epoch { // the leader key names another leader, and the claim may have been trimmed
		r.epoch, r.leader = m.id.epoch, ""
	}
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
	if r.expectBase {
		r.expectBase = false
		if e.at == r.at {
			return nil
		}
		return fmt.Errorf("%w: entry %v, the base of the checkpoint, is missing: the next one is %v", journal.ErrDamaged,
			r.at.id, m.id)
	}
	if e.previous != r.at {
		return fmt.Errorf("%w: entries are missing: %v must follow %v, but it follows %v", journal.ErrDamaged, m.id,
			e.previous.id, r.at.id)
	}
	r.at, r.resigned = e.at, false
	if e.isClaim() {
		r.leader = e.leader
		r.boundaries.add(boundary{r.recovered.Last, e.at})
		return nil
	}
	return r.deliverGroup(e)
}

// deliverGroup delivers a group, unless the checkpoint contains all of it.
func (r *reader) deliverGroup(e entry) error {
	if e.group.First != r.recovered.Last+1 {
		return fmt.Errorf("%w: entry %v begins with record %d after record %d", journal.ErrDamaged, e.at.id, e.group.First,
			r.recovered.Last)
	}
	r.recovered.Last = e.group.Last()
	r.boundaries.add(boundary{r.recovered.Last, e.at})
	if r.recovered.Last <= r.recovered.Checkpoint.Start {
		return nil
	}
	r.recovered.Groups++
	r.recovered.Records += e.group.Count
	return r.to.Group(e.group)
}
