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

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// Host is what ballots need of the engine that runs them.
type Host struct {
	Sale      *catalog.Sale
	Inventory *inventory.Inventory // names the accounts
	Accounts  int                  // the most that the inventory holds
	Sync      bool                 // Status counts durable entries only

	Now func() time.Time
	// Place gives a record its place in the journal, with the instant at which its outcome was decided. The journal's
	// writer calls Ballot.Append for it. ok is false if there is no room; then nothing has changed.
	Place func(kind record.Kind, draw int, accountRow uint32, at time.Time) (seq uint64, ok bool)
	// Visible reports whether the outcome with this sequence may be shown (I5).
	Visible func(seq uint64) bool
	// Pause waits before another attempt, as the inventory's does.
	Pause func(inventory.Wait) (inventory.Wait, bool)
}

// Ballot is one draw of the sale. All methods may be called by any number of goroutines, except where noted.
type Ballot struct {
	host     *Host
	index    int // of the draw
	draw     *catalog.Draw
	terms    draw.Terms
	register *register

	// freezeLock orders entries and the freeze: an entry is made under the shared lock, the freeze and the draw under the
	// exclusive one. So the journal has every entry before the record that freezes them. Reads take neither lock.
	freezeLock sync.RWMutex
	frozen     atomic.Pointer[frozenEntries]
	drawn      atomic.Pointer[drawnEntries]
	count      atomic.Int64 // entries
	durable    atomic.Int64 // durable entries; the writer's goroutine and recovery write it
	appended   int64        // entries of the group that is being made durable; the writer's goroutine owns it
	ranked     int          // entries restored with their rank; recovery owns it

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
	size   int
	root   draw.Digest
	record announcement
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
)

// Status is the public state of a draw.
type Status struct {
	Draw    string
	State   State
	Entries int
	Terms   draw.Terms
	Root    draw.Digest // from Frozen on
	Beacon  draw.Beacon // in Drawn
	Seed    draw.Digest // in Drawn
}

// Errors of Freeze and Run. Nothing has changed.
var (
	ErrRegistrationOpen = errors.New("registration has not closed yet")
	ErrAlreadyDrawn     = errors.New("the draw was run before; its result is final")
)

// Errors of entries and exports.
var (
	ErrClosed     = errors.New("registration is not open")
	ErrOverloaded = errors.New("another call of the account stays undecided")
	ErrNoEntry    = errors.New("the account has no entry")
	ErrNotRun     = errors.New("the draw has not been run")
)

// Errors of Enter, Freeze and Run for a table of the inventory that is full. Nothing has changed.
var (
	ErrAccountsFull = errors.New("no room for another account")
	ErrNotesFull    = errors.New("no room for another outcome of a draw")
)

// New returns the ballots of all draws of the sale, in their order.
func New(h *Host) []*Ballot {
	var all []*Ballot
	for i := range h.Sale.Draws {
		all = append(all, &Ballot{host: h, index: i, draw: &h.Sale.Draws[i], terms: record.DrawTerms(h.Sale, i),
			register: newRegister(h.Accounts)})
	}
	return all
}

// ID returns the draw's id.
func (b *Ballot) ID() string { return b.draw.ID }

// Status returns how far the draw has got.
func (b *Ballot) Status() Status {
	now := b.host.Now()
	s := Status{Draw: b.draw.ID, Terms: b.terms, Entries: int(b.count.Load())}
	if b.host.Sync {
		s.Entries = int(b.durable.Load())
	}
	switch {
	case now.Before(b.draw.RegistrationOpens):
		s.State = Announced
	case now.Before(b.draw.RegistrationCloses):
		s.State = Registration
	default:
		s.State = Closed
	}
	if f := b.frozen.Load(); f != nil && b.visible(&f.record) {
		s.State, s.Root, s.Entries = Frozen, f.root, f.size
	}
	if d := b.drawn.Load(); d != nil && b.visible(&d.record) {
		s.State, s.Beacon, s.Seed = Drawn, d.beacon, d.seed
	}
	return s
}

// FreezeDue reports whether registration is over and the entries are not yet frozen.
func (b *Ballot) FreezeDue() bool {
	return b.frozen.Load() == nil && !b.host.Now().Before(b.draw.RegistrationCloses)
}

// Freeze ends registration and computes the root of the entries. Freezing again changes nothing. The outcome is visible
// once the record with the returned sequence is durable.
func (b *Ballot) Freeze() (seq uint64, err error) {
	now := b.host.Now()
	if closes := b.draw.RegistrationCloses; b.frozen.Load() == nil && now.Before(closes) {
		return 0, fmt.Errorf("%w: it closes at %s", ErrRegistrationOpen, closes.UTC().Format(time.RFC3339))
	}
	b.freezeLock.Lock()
	defer b.freezeLock.Unlock()
	if f := b.frozen.Load(); f != nil {
		return f.record.seq.Load(), nil
	}
	sorted, err := b.sort()
	if err != nil {
		return 0, err
	}
	f := &frozenEntries{size: sorted.Len(), root: sorted.Root()}
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

// CheckBeacon verifies the beacon of a draw whose registration has closed and that is not yet frozen. A refused beacon
// must not freeze the entries.
func (b *Ballot) CheckBeacon(beacon draw.Beacon) error {
	if b.Status().State != Closed {
		return nil
	}
	return b.terms.Chain.Verify(b.terms.Round, beacon)
}

// Run ranks the frozen entries by the beacon and assigns the access slots. The outcome is visible once the record with
// the returned sequence is durable; this holds for ErrAlreadyDrawn too.
func (b *Ballot) Run(beacon draw.Beacon) (seq uint64, err error) {
	b.freezeLock.Lock()
	defer b.freezeLock.Unlock()
	if d := b.drawn.Load(); d != nil {
		return d.record.seq.Load(), ErrAlreadyDrawn
	}
	seed, err := b.rank(beacon)
	if err != nil {
		return 0, err
	}
	now := b.host.Now()
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

// rank computes the result and writes it to the register.
func (b *Ballot) rank(beacon draw.Beacon) (seed draw.Digest, err error) {
	sorted, err := b.sortedAgain()
	if err != nil {
		return seed, err
	}
	result, err := draw.Run(sorted.Entries, b.terms, draw.Timing{}, beacon)
	if err != nil {
		return seed, err
	}
	for at, row := range sorted.rows {
		b.register.drew(row, result.Rank[at], int(result.Slot[at])+1)
	}
	return result.Seed, nil
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
	sorted, err := b.sort()
	if err != nil {
		return nil, err
	}
	if f := b.frozen.Load(); f.root != sorted.Root() || f.size != sorted.Len() {
		return nil, fmt.Errorf("draw %s: its %d entries have the root %s; published were %d and %s", b.draw.ID,
			sorted.Len(), sorted.Root(), f.size, f.root)
	}
	b.sorted.Store(sorted)
	return sorted, nil
}

// sort sorts and hashes all entries.
func (b *Ballot) sort() (*sortedEntries, error) {
	var rows []uint32
	b.register.each(b.host.Inventory.Accounts(), func(row uint32, _ entryState) { rows = append(rows, row) })
	entries, err := draw.FreezeAccounts(len(rows),
		func(into []byte, i int) []byte { return append(into, b.host.Inventory.AccountName(rows[i])...) },
		func(i int) uint8 { return uint8(b.register.of(rows[i]).group) }, record.GroupNames(b.host.Sale))
	if err != nil {
		return nil, err
	}
	return &sortedEntries{Entries: entries, rows: rows}, nil
}

// Export writes the files of a draw that was run, see draw.Result.Export. Errors are ErrNotRun and create's.
func (b *Ballot) Export(create func(name string) (io.WriteCloser, error)) error {
	if b.Status().State != Drawn {
		return ErrNotRun
	}
	sorted, err := b.sortedAgain()
	if err != nil {
		return err
	}
	result, err := draw.Run(sorted.Entries, b.terms, draw.Timing{}, b.drawn.Load().beacon)
	if err != nil {
		return err
	}
	return result.Export(create)
}
