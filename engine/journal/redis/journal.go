package redis

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// Options configure a journal. Address is required.
type Options struct {
	// Address is one of
	//
	//	redis://[user:password@]host[:port][/db]                        one Redis
	//	unix://[user:password@]/path/of/the.sock[?db=N]                 one Redis on this machine
	//	redis+sentinel://[user:password@]host:port,host:port/master[?db=N&sentinel_user=U&sentinel_password=P]
	//	redis+cluster://[user:password@]host:port,host:port             all keys share one slot: one shard is used
	//
	// With rediss instead of redis, connections use TLS and the server's certificate must match its host name. The default
	// port is 6379, for sentinels 26379. User and password are percent-encoded.
	Address string
	// Name distinguishes journals in one Redis: letters, digits and ._- up to 64 characters; default "main".
	Name string
	// New lets a journal begin where there may have been one before. Without it, Recover and Follow return
	// journal.ErrGone for an empty journal in a Redis that was flushed, or was a replica, since it started.
	New bool
	// Expected means that there is a journal, since this program has read it before: if it is empty, Recover and Follow
	// return journal.ErrGone.
	Expected bool
	// ResendBytes is how many bytes of the most recent records stay in memory, to be appended again to a Redis that
	// restarted with less than it had acknowledged; default 128 MiB. It should hold what two seconds bring, which is what
	// `appendfsync everysec` may lose.
	ResendBytes int
	// Timeout is how long the first attempt at a call waits for a response; default 2 s. After a timeout the next attempt
	// waits twice as long, up to 30 s.
	Timeout time.Duration
	// RequireSafe makes Append acknowledge a group only while Redis guarantees that acknowledged records survive; see
	// Report. Withheld has the reason while it does not.
	RequireSafe bool
	// CheckEvery is the time between two checks of what Redis guarantees, from Recover or Follow on; default 2 s. If it is
	// negative, only Check and, with RequireSafe, new connections cause one.
	CheckEvery time.Duration
	// Log receives changes: calls that fail and are retried, entries that are appended again, guarantees that are lost and
	// restored. Default: nothing is logged.
	Log *slog.Logger
	// TLS replaces the client's settings for rediss:// addresses, for example to use a private certificate authority or a
	// client certificate. Connections to sentinels use it, too.
	TLS *tls.Config
}

var validName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (o Options) withDefaults() (Options, error) {
	o.Name = cmp.Or(o.Name, "main")
	o.ResendBytes = cmp.Or(o.ResendBytes, 128<<20)
	o.Timeout = cmp.Or(o.Timeout, 2*time.Second)
	o.CheckEvery = cmp.Or(o.CheckEvery, 2*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if !validName.MatchString(o.Name) {
		return o, fmt.Errorf("the journal's name %.100q is not 1 to 64 letters, digits or ._-", o.Name)
	}
	if o.ResendBytes < 0 || o.Timeout < 0 {
		return o, errors.New("ResendBytes and Timeout must not be negative")
	}
	return o, nil
}

// Errors in addition to those of package journal.
var (
	// ErrLost is a journal.ErrDamaged: Redis restarted with less than it had acknowledged, and the missing entries are no
	// longer in memory. Nothing more is appended. Final.
	ErrLost = fmt.Errorf("%w: Redis restarted with less than it had acknowledged", journal.ErrDamaged)
	// ErrDiverged is returned by all readers and by Claim: the journal no longer contains what was read, because Redis
	// restarted with less, or the leader dropped entries before they were read. Close the journal, discard the state that
	// was built from it, and start over. If it is journal.ErrGone too, that state may be the only copy: nothing is there
	// any more, or less than an Options.RequireSafe has been promised.
	ErrDiverged = errors.New("the journal no longer contains what was read from it")
)

// Errors of the caller, which leave the journal unchanged.
var (
	errNotLeading  = errors.New("call Recover or Follow once, and then Claim, before appending")
	errCheckpoints = errors.New("another checkpoint is being written")
	errSteppedDown = fmt.Errorf("%w: this leader has stepped down", journal.ErrClosed)
)

// role is what a journal is used for.
type role int

const (
	fresh   role = iota
	reading      // has recovered or followed
	leading
	ended // closed or failed
)

// Journal is a journal in Redis. It is a journal.Shared: Recover or Follow is called first, then Claim, then Append and
// Beat by one goroutine, and checkpoints by one other. Status, Epoch and Close may be called at any time by any
// goroutine.
type Journal struct {
	link *link

	// Owned by the goroutine that recovers, follows or appends.
	reader *reader // until the claim
	claim  *entry  // from the claim on; not changed after it
	// damaged are the ids of checkpoints that the recovery found damaged. It is not changed after the claim.
	damaged []string
	number  uint64 // of the last entry sent in this epoch
	resend  resendBuffer
	// failedBeat is the call of troubles while the last beat has failed.
	failedBeat uint64
	// restoredAt is when the keys other than the stream were last compared with what they must hold.
	restoredAt time.Time

	// cargo is the piece that the next group carries. carrier reports whether the last one carried one.
	cargo   *piece
	carrier bool

	pace    pace
	offered atomic.Pointer[piece] // the piece of a checkpoint that waits for a group
	restore atomic.Bool           // a checkpoint has found another leader key

	mu         sync.Mutex // guards the fields below; never held during a call
	role       role
	failed     error // why nothing can be appended any more
	last       uint64
	tail       position
	boundaries boundaries
	epoch      uint64 // of the leader, as far as known
	claimed    uint64 // epoch that this journal has claimed; 0 before
	leader     string
	resent     uint64
	intact     []manifest // complete checkpoints when they were last listed or written, oldest first
	checkpoint *checkpoint
	serial     uint64 // of the last checkpoint begun in this epoch
}

var (
	_ journal.Shared    = (*Journal)(nil)
	_ journal.Monitored = (*Journal)(nil)
)

// Open prepares a journal. It does not connect; Check, Recover and Follow do.
func Open(o Options) (*Journal, error) {
	l, err := newLink(o)
	if err != nil {
		return nil, err
	}
	return &Journal{link: l, resend: resendBuffer{limit: l.options.ResendBytes}}, nil
}

// Epoch returns this leader's term number; 0 before Claim, also if a follower has failed or was closed.
func (j *Journal) Epoch() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.claimed
}

// usable returns why nothing can be appended, or nil.
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

// fail ends all appending for good and returns the error of all later calls.
func (j *Journal) fail(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = err
		if !errors.Is(err, journal.ErrClosed) {
			j.failed = fmt.Errorf("journal %q accepts no more records: %w", j.link.options.Name, err)
		}
	}
	j.role = ended
	return j.failed
}

// Close ends all calls in progress, which return journal.ErrClosed, and closes the connections. It does not notify
// followers: see StepDown.
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

// Status describes a journal at one moment.
type Status struct {
	Leading bool
	Epoch   uint64 // of the leader
	Leader  string // its address; empty when none is known
	Last    uint64 // sequence of the last record appended or followed

	Resent   uint64 // entries appended again to a Redis that restarted with less
	Retrying error  // why calls are being retried now; nil while they succeed
	Failed   error  // why nothing can be appended any more
}

// Status returns the current status.
func (j *Journal) Status() Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Status{Leading: j.role == leading, Epoch: j.epoch, Leader: j.leader, Last: j.last, Resent: j.resent,
		Retrying: j.link.troubles.cause(), Failed: j.failed}
}
