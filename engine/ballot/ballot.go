// Package ballot runs the draws of a sale: it registers entries, freezes them at the close of registration, ranks them
// by a beacon, and answers who has which access slot. Package draw computes the results; this package keeps them in
// memory, places their records in the journal, and restores them.
package ballot

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// Host is what ballots need of the engine that runs them.
type Host struct {
	Inventory  *inventory.Inventory // names the accounts
	Accounts   int                  // bound of the rows of accounts
	Sync       bool                 // Status counts durable entries only
	Journalled bool                 // the journal's writer drains what Place has placed

	Now     func() time.Time // the sale clock
	Machine func() time.Time // the clock of the machine, for draw.Moment
	Random  io.Reader        // of the secrets
	// Place gives a record its place in the journal, with the instant at which its outcome was decided. The journal's
	// writer calls Ballot.Append for it. The subject is an account's row, or the number of a postponement. ok is false if
	// there is no room; then nothing has changed.
	Place func(kind record.Kind, draw int, subject uint32, at time.Time) (seq uint64, ok bool)
	// Visible reports whether the outcome with this sequence may be shown (I5).
	Visible func(seq uint64) bool
	// Pause waits before another attempt, as the inventory's does.
	Pause func(inventory.Wait) (inventory.Wait, bool)
}

// Ballot is one draw of the sale. All methods may be called by any number of goroutines, except where noted.
type Ballot struct {
	host     *Host
	index    int // of the draw
	register *register
	rules    atomic.Pointer[drawRules] // replaced under the exclusive freezeLock, until the entries are frozen

	// freezeLock orders entries and the freeze: an entry is made under the shared lock, the freeze, a postponement and the
	// draw under the exclusive one. So the journal has every entry before the record that freezes them. Reads take neither
	// lock.
	freezeLock sync.RWMutex
	announced  atomic.Pointer[announcedDraw]
	postponed  atomic.Pointer[[]*postponement]
	frozen     atomic.Pointer[frozenEntries]
	drawn      atomic.Pointer[drawnEntries]
	count      atomic.Int64  // entries
	spread     atomic.Uint32 // of calls, see inventory.Begin
	durable    atomic.Int64  // durable entries; the writer's goroutine and recovery write it
	appended   int64         // entries of the group that is being made durable; the writer's goroutine owns it
	ranked     int           // entries restored with their rank; recovery owns it
	noted      atomic.Bool   // that the draw is void
	withdrew   atomic.Bool   // an entry was withdrawn, or is about to be

	sorting sync.Mutex // held while sorted is computed
	sorted  atomic.Pointer[sortedEntries]
}

// sortedEntries are the input of proofs and exports. A restart loses them; they are computed again from the register.
type sortedEntries struct {
	*draw.Entries
	rows []uint32 // of the inventory's accounts, by entry
}

// frozenEntries is published at the close of registration, drawnEntries when the beacon has decided. Each is stored
// before its record is placed, and visible only once the record is durable (I5).
type frozenEntries struct {
	size      int
	root      draw.Digest
	terms     draw.Digest // of the terms
	machineMs int64       // 0 if the entries are not sealed
	record    announcement
}

// sealed reports whether the entries are handles. Those that a journal of version 1 froze are accounts.
func (f *frozenEntries) sealed() bool { return f.machineMs != 0 }

// moment returns when the entries were frozen; the zero value if they are not sealed.
func (f *frozenEntries) moment() draw.Moment {
	if !f.sealed() {
		return draw.Moment{}
	}
	return draw.MomentOf(f.record.atMs, f.machineMs)
}

type drawnEntries struct {
	beacon draw.Beacon
	seed   draw.Digest
	record announcement
}

// announcement tracks the record of an outcome. Both the caller that places the record and the writer that drains it
// mark it as placed. A checkpoint must contain every outcome before its start, even while the caller is stalled, and
// none that is not yet placed.
type announcement struct {
	atMs   int64 // when it was decided; set before the announcement is published. 0 in a journal of version 1
	placed atomic.Bool
	seq    atomic.Uint64 // 0 until the caller has stored it
	known  atomic.Bool   // seq is set
}

func (a *announcement) markPlaced(seq uint64) {
	a.seq.Store(seq)
	a.known.Store(true)
	a.placed.Store(true)
}

// restore marks an outcome that recovery found as placed.
func (a *announcement) restore(s record.Stamp) {
	a.atMs = s.AtMs
	a.markPlaced(s.Seq)
}

// stamp returns when and where the outcome was placed. The caller that placed it may be stalled before it stores the
// sequence; that is then 0, as for a sequence that is not known.
func (a *announcement) stamp() record.Stamp { return record.Stamp{AtMs: a.atMs, Seq: a.seq.Load()} }

func (b *Ballot) visible(a *announcement) bool { return a.known.Load() && b.host.Visible(a.seq.Load()) }

// State is how far a draw has got.
type State string

// The states of a draw, in their order.
const (
	Announced    State = "announced"    // registration has not opened
	Registration State = "registration" // entries are accepted
	Closed       State = "closed"       // registration is over, the entries are about to be frozen
	Frozen       State = "frozen"       // the root is published; the draw waits for the beacon's round
	Drawn        State = "drawn"
	Void         State = "void" // the round was due before the entries were frozen: the draw cannot be run
)

// Status is the public state of a draw.
type Status struct {
	Draw        string
	State       State
	Entries     int
	Terms       draw.Terms  // with the commitment to the secret once that is durable
	Timing      draw.Timing // the postponements, and from Frozen on when the entries were frozen
	Root        draw.Digest // from Frozen on
	TermsDigest draw.Digest // from Frozen on; zero if the entries are not sealed
	Beacon      draw.Beacon // in Drawn
	Seed        draw.Digest // in Drawn
}

// Errors of Freeze, Run and Postpone. Nothing has changed.
var (
	ErrRegistrationOpen = errors.New("registration has not closed yet")
	ErrAlreadyDrawn     = errors.New("the draw was run before; its result is final")
	ErrNotFrozen        = errors.New("the entries are not frozen; freeze them before the round is due")
	ErrNotDue           = errors.New("the round is not due by the sale clock, which therefore is behind or simulated")
	ErrRemoved          = errors.New("the sale has no such draw any more")
	ErrUndated          = errors.New("the journal does not say when the entries were frozen")
)

// errNoSecret is the error of a freeze right after a definition has added the draw.
var errNoSecret = errors.New("the draw has no secret yet; try again")

// Errors of entries and exports.
var (
	ErrClosed     = errors.New("registration is not open")
	ErrNoGroup    = errors.New("the sale has no such group any more")
	ErrOverloaded = errors.New("another call of the account stays undecided")
	ErrNoEntry    = errors.New("the account has no entry")
	ErrNotRun     = errors.New("the draw has not been run")
)

// Errors of Enter, Freeze and Run for a table of the inventory that is full. Nothing has changed.
var (
	ErrAccountsFull = errors.New("no room for another account")
	ErrNotesFull    = errors.New("no room for another outcome of a draw")
)

// ID returns the draw's id.
func (b *Ballot) ID() string { return b.draw().ID }

// Status returns how far the draw has got.
func (b *Ballot) Status() Status {
	now, rules := b.host.Now(), b.shownRules()
	s := Status{Draw: rules.draw.ID, Terms: rules.terms, Entries: int(b.count.Load()), Timing: b.timing(b.visible)}
	if a := b.announced.Load(); a != nil && b.visible(&a.record) {
		s.Terms.Commitment = a.secret.Commitment()
	}
	if b.host.Sync {
		s.Entries = int(b.durable.Load())
	}
	switch {
	case now.Before(rules.draw.RegistrationOpens):
		s.State = Announced
	case now.Before(rules.draw.RegistrationCloses):
		s.State = Registration
	default:
		s.State = Closed
	}
	if f := b.frozen.Load(); f != nil && b.visible(&f.record) {
		s.State, s.Root, s.Entries = Frozen, f.root, f.size
		if f.sealed() {
			s.TermsDigest = f.terms
		}
	}
	if b.isVoid(now) {
		s.State = Void
	}
	if d := b.drawn.Load(); d != nil && b.visible(&d.record) {
		s.State, s.Beacon, s.Seed = Drawn, d.beacon, d.seed
	}
	return s
}

// FreezeDue reports whether registration is over and the entries are to be frozen.
func (b *Ballot) FreezeDue() bool {
	now := b.host.Now()
	d := b.draw()
	return b.frozen.Load() == nil && !d.Removed && !now.Before(d.RegistrationCloses) && !b.isVoid(now)
}

// open returns ErrRegistrationOpen before the close.
func (b *Ballot) open() error {
	if closes := b.draw().RegistrationCloses; b.host.Now().Before(closes) {
		return fmt.Errorf("%w: it closes at %s", ErrRegistrationOpen, closes.UTC().Format(time.RFC3339))
	}
	return nil
}

// Freeze ends registration and computes the root of the entries. Freezing again changes nothing. The outcome is visible
// once the record with the returned sequence is durable. Once the round is due, entries are no longer frozen: whoever
// freezes with the beacon in hand can choose the result. Errors are ErrRegistrationOpen and draw.ErrLate.
func (b *Ballot) Freeze() (seq uint64, err error) {
	b.freezeLock.Lock()
	defer b.freezeLock.Unlock()
	if f := b.frozen.Load(); f != nil {
		return f.record.seq.Load(), nil
	}
	if b.draw().Removed {
		return 0, ErrRemoved
	}
	if err := b.open(); err != nil {
		return 0, err
	}
	if b.announced.Load() == nil {
		return 0, errNoSecret
	}
	timing := b.timing(always)
	timing.Frozen = b.moment()
	if err := timing.CheckFrozen(b.terms()); err != nil { // before the work
		return 0, err
	}
	sorted, err := b.sort(true)
	if err != nil {
		return 0, err
	}
	timing.Frozen = b.moment()
	if err := timing.CheckFrozen(b.terms()); err != nil { // the round was due meanwhile
		return 0, err
	}
	terms, err := b.sealedTerms().Digest()
	if err != nil {
		return 0, err
	}
	now := timing.Frozen.Sale
	f := &frozenEntries{size: sorted.Len(), root: sorted.Root(), terms: terms,
		machineMs: timing.Frozen.Machine.UnixMilli()}
	f.record.atMs = now.UnixMilli()
	b.frozen.Store(f) // before its record is placed, since the writer reads it
	seq, ok := b.host.Place(record.KindFrozen, b.index, 0, now)
	if !ok {
		b.frozen.Store(nil)
		return 0, ErrNotesFull
	}
	f.record.markPlaced(seq)
	b.sorted.Store(sorted)
	return seq, nil
}

// Run ranks the frozen entries by the beacon and assigns the access slots. The outcome is visible once the record
// with the returned sequence is durable; this holds for ErrAlreadyDrawn too. It does not freeze: with the beacon in
// hand that would be too late. Other errors are ErrRegistrationOpen, ErrNotFrozen, ErrNotDue, ErrUndated and those
// of draw.Run.
func (b *Ballot) Run(beacon draw.Beacon) (seq uint64, err error) {
	b.freezeLock.Lock()
	defer b.freezeLock.Unlock()
	if d := b.drawn.Load(); d != nil {
		return d.record.seq.Load(), ErrAlreadyDrawn
	}
	now := b.host.Now()
	if err := b.runnable(now); err != nil {
		return 0, err
	}
	seed, err := b.rank(beacon)
	if err != nil {
		return 0, err
	}
	d := &drawnEntries{beacon: beacon, seed: seed}
	d.record.atMs = now.UnixMilli()
	b.drawn.Store(d)
	seq, ok := b.host.Place(record.KindDrawn, b.index, 0, now)
	if !ok {
		b.drawn.Store(nil)
		return 0, ErrNotesFull
	}
	d.record.markPlaced(seq)
	return seq, nil
}

// runnable refuses to run a draw whose entries were not frozen before the round, or whose round is not yet due. No
// relay has the beacon of such a round. If one has, the sale clock is slow, and the date of the freeze proves nothing.
func (b *Ballot) runnable(now time.Time) error {
	f, timing := b.frozen.Load(), b.timing(always)
	due := timing.Due(b.terms())
	switch {
	case f == nil:
		if err := b.open(); err != nil {
			return err
		}
		if b.isVoid(now) {
			return fmt.Errorf("%w: round %d was due at %s; the draw is void, so announce another one", draw.ErrLate,
				timing.Round(b.terms()), due.Format(time.RFC3339))
		}
		return ErrNotFrozen
	case b.terms().StandIn:
		return nil
	case !f.sealed():
		return fmt.Errorf("%w, so the draw is void: announce another one", ErrUndated)
	case now.Before(due):
		return fmt.Errorf("%w: it is %s there, and round %d is due at %s", ErrNotDue, now.Format(time.RFC3339),
			timing.Round(b.terms()), due.Format(time.RFC3339))
	}
	return nil
}

// rank computes the result and writes it to the register.
func (b *Ballot) rank(beacon draw.Beacon) (seed draw.Digest, err error) {
	result, sorted, err := b.run(beacon)
	if err != nil {
		return seed, err
	}
	for at, row := range sorted.rows {
		b.register.drew(row, result.Rank[at], int(result.Slot[at])+1)
	}
	return result.Seed, nil
}

// run decides the draw in the format in which its entries were frozen.
func (b *Ballot) run(beacon draw.Beacon) (*draw.Result, *sortedEntries, error) {
	sorted, err := b.sortedAgain()
	if err != nil {
		return nil, nil, err
	}
	terms, timing := b.unsealedTerms(), draw.Timing{}
	if b.frozen.Load().sealed() {
		terms, timing = b.sealedTerms(), b.timing(always)
	}
	result, err := draw.Run(sorted.Entries, *terms, timing, beacon)
	return result, sorted, err
}

// runAgain computes the result of a draw that was run. The error is ErrNotRun before.
func (b *Ballot) runAgain() (*draw.Result, *sortedEntries, error) {
	if !b.isVisiblyDrawn() {
		return nil, nil, ErrNotRun
	}
	return b.run(b.drawn.Load().beacon)
}

// sortedAgain returns the frozen entries. It sorts them again after a restart.
func (b *Ballot) sortedAgain() (*sortedEntries, error) {
	if sorted := b.sorted.Load(); sorted != nil {
		return sorted, nil
	}
	b.sorting.Lock()
	defer b.sorting.Unlock()
	if sorted := b.sorted.Load(); sorted != nil {
		return sorted, nil
	}
	f := b.frozen.Load()
	sorted, err := b.sort(f.sealed())
	if err != nil {
		return nil, err
	}
	if f.root != sorted.Root() || f.size != sorted.Len() {
		return nil, fmt.Errorf("draw %s: its %d entries have the root %s; published were %d and %s", b.draw().ID,
			sorted.Len(), sorted.Root(), f.size, f.root)
	}
	b.sorted.Store(sorted)
	return sorted, nil
}

// sort sorts and hashes all entries, sealed or as a journal of version 1 froze them.
func (b *Ballot) sort(sealed bool) (*sortedEntries, error) {
	freeze := draw.FreezeAccounts
	if sealed {
		secret := b.announced.Load().secret
		freeze = func(n int, account func([]byte, int) []byte, group func(int) uint8,
			groups []string) (*draw.Entries, error) {
			return draw.Freeze(&secret, n, account, group, groups)
		}
	}
	var rows []uint32
	b.register.each(b.host.Inventory.Accounts(), func(row uint32, p entryState) {
		if !p.withdrawn { // the record of its withdrawal precedes that of the freeze
			rows = append(rows, row)
		}
	})
	entries, err := freeze(len(rows),
		func(into []byte, i int) []byte { return append(into, b.host.Inventory.AccountName(rows[i])...) },
		func(i int) uint8 { return uint8(b.register.of(rows[i]).group) }, record.GroupNames(b.sale()))
	if err != nil {
		return nil, err
	}
	return &sortedEntries{Entries: entries, rows: rows}, nil
}

// Winner is an account that has an access slot.
type Winner struct {
	Rank    uint32
	Account string
	Salt    draw.Digest // of the account's handle; zero if the entries are not sealed
}

// EachWinner calls visit for each winner in the order of their ranks, until it fails. Errors are ErrNotRun and visit's.
func (b *Ballot) EachWinner(visit func(Winner) error) error {
	result, sorted, err := b.runAgain()
	if err != nil {
		return err
	}
	for access := range result.Winners {
		w := Winner{Rank: access.Rank, Account: b.host.Inventory.AccountName(sorted.rows[access.Entry])}
		if b.frozen.Load().sealed() {
			w.Salt = b.announced.Load().secret.Salt(w.Account)
		}
		if err := visit(w); err != nil {
			return err
		}
	}
	return nil
}

// Export writes the files of a draw that was run, see draw.Result.Export. Errors are ErrNotRun and create's.
func (b *Ballot) Export(create func(name string) (io.WriteCloser, error)) error {
	result, _, err := b.runAgain()
	if err != nil {
		return err
	}
	return result.Export(create)
}
