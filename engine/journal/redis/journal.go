package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
)

// Options tell where a journal is kept and by whom. Address is required.
type Options struct {
	Address string // see ParseAddress
	Name    string // tells journals in one Redis apart: letters, digits and ._- up to 64; default "main"

	// KeepBytes is how much of what was appended last stays in memory, to be appended again to a Redis that came back with
	// less than it had acknowledged; default 128 MiB. Reckon with what two seconds bring: `appendfsync everysec` may lose
	// as much.
	KeepBytes int
	// Timeout is how long the first attempt at a call waits for its answer; default 2 s. After one that was too short the
	// next waits twice as long, up to 30 s.
	Timeout time.Duration
	// TLS replaces the client's settings for rediss:// addresses, for a certificate authority or a certificate of one's own.
	TLS *tls.Config
}

func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name = "main"
	}
	if o.KeepBytes == 0 {
		o.KeepBytes = 128 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if len(o.Name) > 64 {
		return o, fmt.Errorf("the journal's name has %d characters; at most 64 are possible", len(o.Name))
	}
	for _, c := range o.Name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return o, fmt.Errorf("the journal's name %q has a %q; letters, digits and ._- are possible", o.Name, c)
		}
	}
	if o.KeepBytes < 0 || o.Timeout < 0 {
		return o, errors.New("KeepBytes and Timeout are not negative")
	}
	return o, nil
}

// Errors beside those of package journal.
var (
	// ErrLost is a journal.ErrDamaged: Redis came back with less than it had acknowledged, and what is missing is no longer
	// in memory. Nothing more is appended. Final.
	ErrLost = fmt.Errorf("%w: Redis came back with less than it had acknowledged", journal.ErrDamaged)
	// ErrDiverged, of Follow and Claim: what was followed is no longer what the journal holds, because Redis came back with
	// less, or because the leader dropped what had not yet been read. Close the journal, forget the state and start anew.
	ErrDiverged = errors.New("the journal no longer holds what was followed")
)

// Faults of the caller; the journal is not touched.
var (
	errNotLeading  = errors.New("Recover or Follow is called first, once, and then Claim, before anything is appended")
	errCheckpoints = errors.New("a checkpoint is being written already")
	errSteppedDown = fmt.Errorf("%w: this leader has stepped down", journal.ErrClosed)
)

// role is what a journal is used for.
type role int

const (
	fresh   role = iota
	reading      // has recovered or followed
	leading
	ended // nothing can be done any more
)

// Journal is a journal in a Redis. It is a journal.Shared: Recover or Follow is called first, then Claim, then Append and
// Beat by one goroutine, and checkpoints by one other. Status, Epoch and Close may be called at any time by any goroutine.
type Journal struct {
	link *link
	o    Options

	// Of the goroutine that recovers, follows or appends.
	reader *reader // until the claim
	claim  *entry  // since then
	number uint64  // of the last entry sent in this epoch
	kept   kept

	mu         sync.Mutex // guards what follows; never held during a call
	role       role
	failed     error // why nothing can be appended any more
	last       uint64
	tail       position
	places     places
	epoch      uint64
	leader     string
	heard      time.Time
	resent     uint64
	intact     []manifest // complete checkpoints, the oldest first
	checkpoint *Checkpoint
	serial     uint64 // of the last checkpoint begun in this epoch
}

var _ journal.Shared = (*Journal)(nil)

// Open prepares a journal. It does not reach out to the Redis; Check, Recover and Follow do.
func Open(o Options) (*Journal, error) {
	l, err := newLink(o)
	if err != nil {
		return nil, err
	}
	o, _ = o.withDefaults()
	return &Journal{link: l, o: o, kept: kept{limit: o.KeepBytes}}, nil
}

// Append adds a group in one round trip, and repeats it until Redis has answered that the group stands behind all groups
// before it, or ctx ends. How an answer that was lost is made up for stands in the package documentation. A refused
// group, one that does not follow or is out of bounds, changes nothing. Any other error is final and returned for ever
// after: journal.ErrFenced, ErrLost, journal.ErrClosed, the end of ctx, or what Redis answered.
func (j *Journal) Append(ctx context.Context, g journal.Group) error {
	if err := j.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.First != j.last+1 {
		return fmt.Errorf("BUG: a group from record %d behind record %d", g.First, j.last)
	}
	if g.Count < 1 || len(g.Records) < g.Count || len(g.Records) > maxRunBytes {
		return fmt.Errorf("BUG: a group of %d records in %d bytes; at most %d bytes are possible", g.Count, len(g.Records), maxRunBytes)
	}
	j.number++
	e := j.kept.group(id{j.epoch, j.number}, j.tail, g)
	if err := j.place(ctx, e); err != nil {
		return j.fail(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last, j.tail, j.heard = g.Last(), e.at, time.Now()
	j.places.add(place{g.Last(), e.at})
	return nil
}

// beatPatience bounds what a beat may take, so that records are not kept waiting for it.
const beatPatience = time.Second

// Beat tells followers that this leader lives; the one who appends calls it when it has had nothing to append for a while.
// It also finds out whether the journal still ends where it should, and if not does what Append does. A beat that does
// not get through is no error: the next may. An error is final.
func (j *Journal) Beat(ctx context.Context) error {
	if err := j.usable(); err != nil {
		return err
	}
	attempt, cancel := context.WithTimeout(ctx, beatPatience)
	defer cancel()
	j.number++
	err := j.beat(attempt, beatType)
	if err == nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.heard = time.Now()
		return nil
	}
	if ctx.Err() == nil && (passing(err) || errors.Is(err, context.DeadlineExceeded)) {
		j.link.setTrouble(err)
		return nil
	}
	return j.fail(err)
}

// StepDown tells followers that this leader appends nothing any more, so that one of them claims at once. It is called when
// the last group is durable, before Close. It repeats until Redis has answered or ctx ends.
func (j *Journal) StepDown(ctx context.Context) error {
	if err := j.usable(); err != nil {
		return err
	}
	j.number++
	a := j.link.attempts()
	for {
		err := j.beat(ctx, resignType)
		if err == nil {
			_ = j.fail(errSteppedDown) // it returns the error for callers that pass it on
			return nil
		}
		if err := a.again(ctx, err); err != nil {
			return j.fail(err)
		}
	}
}

// Epoch returns this leader's term number; 0 before Claim.
func (j *Journal) Epoch() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.role == fresh || j.role == reading {
		return 0
	}
	return j.epoch
}

// beat sends one beat and mends what it finds broken.
func (j *Journal) beat(ctx context.Context, kind string) error {
	reply, err := j.link.run(ctx, j.link.timeout, beatScript, []string{j.link.stream, j.link.tail},
		id{j.epoch, j.number}.String(), j.tail.String(), kind)
	if err != nil {
		return err
	}
	j.link.setTrouble(nil)
	if reply == int64(1) {
		return nil
	}
	newest := j.kept.newest()
	there, err := j.mend(ctx, newest)
	if err != nil || there {
		return err
	}
	return j.place(ctx, newest)
}

// usable returns why nothing can be appended, if so.
func (j *Journal) usable() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return j.failed
	}
	if j.role != leading {
		return errNotLeading
	}
	return nil
}

// fail ends all writing for good.
func (j *Journal) fail(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = err
		if !errors.Is(err, journal.ErrClosed) {
			j.failed = fmt.Errorf("journal %q takes no more records: %w", j.o.Name, err)
		}
	}
	j.role = ended
	return j.failed
}

// Close ends all calls under way, which return journal.ErrClosed, and the connections. Followers are told nothing: see
// StepDown.
func (j *Journal) Close() error {
	j.mu.Lock()
	unfinished := j.checkpoint
	j.failed, j.role = journal.ErrClosed, ended
	j.mu.Unlock()
	err := j.link.close()
	if unfinished != nil {
		unfinished.end(journal.ErrClosed)
	}
	return err
}

// Status is what a journal knows of itself.
type Status struct {
	Leading bool
	Epoch   uint64 // of the leader
	Leader  string // its address; empty when none is known
	Last    uint64 // sequence of the last record appended or followed

	// Heard is when this leader was last answered, or when the follower last heard of the leader; zero for never.
	Heard time.Time

	Resent  uint64 // entries appended again to a Redis that came back with less
	Trouble error  // why calls are being repeated at the moment
	Failed  error  // why nothing can be appended any more
}

// Status may be called at any time.
func (j *Journal) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Status{Leading: j.role == leading, Epoch: j.epoch, Leader: j.leader, Last: j.last, Heard: j.heard,
		Resent: j.resent, Trouble: j.link.currentTrouble(), Failed: j.failed}
}

// place sends an entry until it stands in the stream behind the one before it.
func (j *Journal) place(ctx context.Context, e *entry) error {
	a := j.link.attempts()
	for {
		reply, err := j.send(ctx, a.timeout, e)
		if err == nil && reply == int64(1) {
			j.link.setTrouble(nil)
			return nil
		}
		if err != nil && !refusedID(err) {
			if err := a.again(ctx, err); err != nil {
				return err
			}
			continue
		}
		there, mending := j.mend(ctx, e)
		if mending != nil || there {
			return mending
		}
		if err != nil { // the chain is as it should be, and yet the id is refused
			return fmt.Errorf("%w: entry %v is refused: %v", journal.ErrDamaged, e.at.id, err)
		}
	}
}

// refusedID tells whether Redis found a higher id in the stream.
func refusedID(err error) bool { return redis.HasErrorPrefix(err, "The ID specified in XADD") }

// send makes one attempt at an entry. It returns 1 when the entry now stands in the stream.
func (j *Journal) send(ctx context.Context, timeout time.Duration, e *entry) (any, error) {
	l := j.link
	if !e.isClaim() {
		return l.run(ctx, timeout, appendScript, []string{l.stream, l.tail}, e.at.id.String(), e.previous.String(),
			e.group.First, e.group.Count, sumText(e.at.sum), e.group.Records)
	}
	reply, err := l.run(ctx, timeout, claimScript, []string{l.stream, l.tail, l.leader}, e.at.id.String(), sumText(e.at.sum),
		e.leader, e.nonce, e.previous.String())
	if list, ok := reply.([]any); ok && len(list) == 2 {
		return list[0], err
	}
	return nil, err
}

func sumText(sum uint64) string {
	s := strconv.FormatUint(sum, 16)
	return "0000000000000000"[len(s):] + s
}

// mend is called when the journal does not end where it should for e to be appended. It returns true when e stands there
// already, its answer having been lost; it appends again what Redis has lost before e; and it fails for good when another
// leader has claimed the journal or what is lost is not kept.
func (j *Journal) mend(ctx context.Context, e *entry) (there bool, err error) {
	end, err := j.link.look(ctx, 0)
	if err != nil {
		return false, err
	}
	claim, _, err := parseLeader(end.leader)
	if err != nil {
		return false, err
	}
	mine := j.claim.at
	foreign := claim != mine && claim.id.epoch >= mine.id.epoch
	if foreign || end.at.id.epoch > mine.id.epoch {
		return false, fmt.Errorf("%w: epoch %d, by %q", journal.ErrFenced, max(claim.id.epoch, end.at.id.epoch), end.leader)
	}
	missing, ok := j.kept.behind(end.at, e)
	if !ok {
		return false, fmt.Errorf("%w: it ends at %v, and kept in memory is what follows %v", ErrLost, end.at.id, j.kept.before.id)
	}
	if missing == nil {
		return true, nil
	}
	for _, m := range missing[:len(missing)-1] {
		if err := j.place(ctx, m); err != nil {
			return false, err
		}
		j.mu.Lock()
		j.resent++
		j.mu.Unlock()
	}
	return false, nil
}
