package engine

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/rules"
	"github.com/seathold/seathold/engine/saleclock"
)

// Durability determines when a call returns.
type Durability uint8

const (
	Sync  Durability = iota // after its outcome is durable (I5)
	Async                   // before: a crash may lose the last outcomes
	None                    // there is no journal
)

// Options configure an engine. Sale is required, and Journal unless Durability is None. A zero value means the default.
type Options struct {
	// What is sold, and where outcomes are kept.

	// Sale is what is sold, if the journal has no definition yet. Otherwise it is compared with the journal's, by
	// Sale.Files if both have them: see Start. A program that changes a loaded sale passes it through catalog.Assemble,
	// which takes its Files away. Engine.Sale returns what is in force, and Engine.Apply replaces it.
	Sale       *catalog.Sale
	Journal    journal.Backend // not yet recovered; the engine closes it
	Durability Durability      // default Sync

	// Holds and time.

	// TTL is how long a hold lasts if the request has no TTL, and the most that a request may have; in whole seconds,
	// default 17 minutes.
	TTL time.Duration
	// MaxHold is how long after its creation a hold can end at the latest, however often it is extended; in whole seconds,
	// at least TTL, default an hour or TTL, whichever is longer.
	MaxHold time.Duration
	// Clock is the sale clock. The engine sets it forward to the latest instant in the journal before it leads. Engines of
	// one process that follow each other share one clock. Default: saleclock.Real.
	Clock *saleclock.Clock
	// MachineClock is recorded beside the sale clock when a draw is frozen or postponed, so that a simulated sale clock
	// shows: see draw.Moment. A round that is due by it gets no later one. Default: time.Now.
	MachineClock func() time.Time
	// SweepEvery is the wall time between two sweeps for expired reservations; default 100 ms. If it is negative, only
	// ExpireDue sweeps, and only FreezeDraw freezes draws.
	SweepEvery time.Duration
	// Forget is how long what has ended can still be read, on the sale clock: a released or returned reservation from
	// then on, an expired one after its expiry. At least a second, default 24 hours. Then it is forgotten, within
	// minutes, while the sale runs: its id is unknown and free, and its row is used again. A call that is repeated
	// later is a new one, so Forget is much longer than callers retry.
	//
	// While over three quarters of a table are in use, the time is half as long with every further hundredth, so that what
	// ended first is forgotten first. It is a minute at least, unless Forget is less. Confirmed reservations are never
	// forgotten, nor returned ones whose tickets are withheld, nor accounts that have entered a draw or a group. See
	// Stats.Forgetting.
	Forget time.Duration

	// The journal.

	// JournalTimeout is how long a call waits for the journal before it is refused with JournalUnavailable; default 5 s.
	JournalTimeout time.Duration
	// Backlog is how many outcomes may wait for the journal before further calls are refused; default 65,536. Expiries of
	// the background use half of it at most.
	Backlog int
	// CheckpointAfter is how many records follow a checkpoint before the next one is written; default one million, and
	// by default never fewer than twice the number of reservations, so that checkpoints cost a bounded share of the
	// journal's work. If it is negative, only Checkpoint writes one.
	CheckpointAfter int

	// A standby.

	// Standby makes the engine follow the leader of a journal.Shared. It takes over when the leader was silent for
	// TakeoverAfter, default 3 s. Another engine of such a journal waits as long for a leader that has not stepped down,
	// and does not open if that is alive.
	Standby       bool
	TakeoverAfter time.Duration
	// Address is where clients reach this server. The journal passes it to the standbys, see Leader.
	Address string

	// Draws.

	// Random is where the secrets of draws come from; default: crypto/rand. Another source makes a rehearsal
	// reproducible, and is nothing for a real sale: see draw.Secret.
	Random io.Reader

	// Limits of the tables (I10).

	// MaxReservations is the room for reservations; default 33,554,432, at most 1,073,741,823. Each takes a row of 128
	// bytes until it is forgotten, and beside it: 32 or 64 bytes for a reference, 120 if it has more than four lines
	// or replaced another, and 16 to 36 in the index, up to 72 while that moves to a new table. Each change of one
	// (extend, reduce, return, confirm again) takes a row too, and its former row is free a moment later. The memory of
	// free rows is used again and never given back. A replay may use more rows, at most twice as many: if a full table
	// was filled anew while a checkpoint was written.
	MaxReservations int
	// MaxAccounts is the room for accounts; default 16,777,216, at most 2,147,483,647. Each takes a row of 64 bytes
	// until its last reservation is forgotten; for ever if it has entered a draw or a group. Beside it: 64 bytes for a
	// name of more than 55, and as much of an index as a reservation.
	MaxAccounts    int
	ExpectAccounts int // initial size of the tables; they grow when needed

	// Observation.

	// Timed makes Stats include how long calls took. A call then reads the monotonic clock two or three times.
	Timed bool
	// CheckEvery is the wall time between two checks of I1 and I2 on the live sale, see CheckConservation; default 10 s.
	// If it is negative, only CheckConservation checks.
	CheckEvery time.Duration
	// Log receives what an operator should know; default: nothing is logged.
	Log *slog.Logger
}

func (o *Options) setDefaults() error {
	switch {
	case o.Sale == nil:
		return errors.New("no sale definition")
	case o.Journal == nil && o.Durability != None:
		return errors.New("no journal")
	case o.Journal != nil && o.Durability == None:
		return errors.New("a journal is given, but the durability is none")
	case o.Standby && o.shared() == nil:
		return errors.New("a standby needs a journal that several servers share")
	case o.Forget != 0 && o.Forget < leastForget:
		return fmt.Errorf("what has ended is forgotten after %v: use %v or more, and more than callers retry", o.Forget,
			leastForget)
	case o.TTL < 0 || o.TTL%time.Second != 0 || o.TTL > rules.MaxTTL:
		return fmt.Errorf("a hold of %v: use whole seconds up to %v", o.TTL, rules.MaxTTL)
	}
	o.TTL = cmp.Or(o.TTL, 17*time.Minute)
	if o.MaxHold == 0 {
		o.MaxHold = max(time.Hour, o.TTL)
	}
	if o.MaxHold < o.TTL || o.MaxHold%time.Second != 0 || o.MaxHold > rules.MaxTTL {
		return fmt.Errorf("a hold of %v at most: use whole seconds from %v, the time of every hold, to %v", o.MaxHold, o.TTL,
			rules.MaxTTL)
	}
	o.SweepEvery = cmp.Or(o.SweepEvery, 100*time.Millisecond)
	o.JournalTimeout = cmp.Or(o.JournalTimeout, 5*time.Second)
	o.Forget = cmp.Or(o.Forget, 24*time.Hour)
	o.CheckEvery = cmp.Or(o.CheckEvery, 10*time.Second)
	o.TakeoverAfter = cmp.Or(o.TakeoverAfter, 3*time.Second)
	o.MaxAccounts = cmp.Or(o.MaxAccounts, 1<<24)
	o.Backlog = cmp.Or(o.Backlog, 1<<16)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.MachineClock == nil {
		o.MachineClock = time.Now
	}
	if o.Clock == nil {
		o.Clock = saleclock.Real(o.Log)
	}
	return nil
}

// shared returns the journal if several processes can share it, otherwise nil.
func (o *Options) shared() journal.Shared {
	s, _ := o.Journal.(journal.Shared)
	return s
}

// leastForget refuses what can only be a slip of the unit. Callers retry for longer.
const leastForget = time.Second
