package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// ballot is one draw of the sale while it runs.
type ballot struct {
	register *register
	terms    draw.Terms

	// gate keeps entries and the freeze apart: an entry is made under a shared lock, the freeze under the exclusive one. So
	// the journal has every entry before the record that freezes them. Reads take neither.
	gate    sync.RWMutex
	frozen  atomic.Pointer[frozenEntries]
	drawn   atomic.Pointer[drawnBallot]
	count   atomic.Int64 // entries
	durable atomic.Int64 // those of them that are; the writer's goroutine counts them
	ranked  int          // entries restored with their rank; recovery alone uses it

	sorting sync.Mutex // held while sorted is made
	sorted  atomic.Pointer[sortedEntries]
}

// sortedEntries are what proofs and exports are made from. A restart loses them; they are made again from the register.
type sortedEntries struct {
	*draw.Entries
	rows []uint32 // the account's row of each entry, as the register numbers them
}

// frozenEntries is published at the close of registration; drawnBallot when the beacon has decided. Each is kept before
// its record is placed, and told to nobody before the record is durable (I5).
type frozenEntries struct {
	size   int
	root   draw.Digest
	record announcement
}

type drawnBallot struct {
	beacon draw.Beacon
	seed   draw.Digest
	record announcement
}

// announcement is where the record of an outcome stands. The caller that places it says so, and so does the writer that
// drains it: a checkpoint must have what lies before its beginning, even while that caller is stalled, and must not have
// what has no place yet.
type announcement struct {
	placed atomic.Bool
	seq    atomic.Uint64 // 0 until the caller knows it, and for good where a journal gave the outcome back
	known  atomic.Bool   // seq is set
}

func (a *announcement) settle(seq uint64) {
	a.seq.Store(seq)
	a.known.Store(true)
	a.placed.Store(true)
}

// DrawState is how far a draw has come.
type DrawState string

const (
	DrawAnnounced    DrawState = "announced"    // registration has not opened
	DrawRegistration DrawState = "registration" // entries are taken
	DrawClosed       DrawState = "closed"       // registration is over, the entries are about to be frozen
	DrawFrozen       DrawState = "frozen"       // the root is published, the beacon's round is awaited
	DrawDrawn        DrawState = "drawn"
)

// DrawStatus is what is public about a draw.
type DrawStatus struct {
	Draw    string
	State   DrawState
	Entries int
	Terms   draw.Terms
	Root    draw.Digest // from DrawFrozen on
	Beacon  draw.Beacon // from DrawDrawn on
	Seed    draw.Digest // from DrawDrawn on
}

// Errors of FreezeDraw and RunDraw, for the operator. Nothing is changed.
var (
	ErrRegistrationOpen = errors.New("registration has not closed yet")
	ErrAlreadyDrawn     = errors.New("the draw was run before; its result stands")
)

var errNoNote = errors.New("no room for a note in the journal")

func newBallots(s *catalog.Sale, accounts int) []*ballot {
	var all []*ballot
	for i := range s.Draws {
		all = append(all, &ballot{register: newRegister(accounts), terms: record.DrawTerms(s, i)})
	}
	return all
}

// ballotOf returns the draw with the id.
func (e *Engine) ballotOf(id string) (int, *ballot, error) {
	i, ok := e.sale.DrawByID(id)
	if !ok {
		return 0, nil, &Refusal{Code: DrawNotFound, Where: id}
	}
	return i, e.ballots[i], nil
}

// Draw tells how far a draw has come. Errors are *Refusal with DrawNotFound.
func (e *Engine) Draw(id string) (DrawStatus, error) {
	i, b, err := e.ballotOf(id)
	if err != nil {
		return DrawStatus{}, err
	}
	return e.drawStatus(i, b), nil
}

func (e *Engine) drawStatus(i int, b *ballot) DrawStatus {
	d, now := &e.sale.Draws[i], e.Now()
	s := DrawStatus{Draw: d.ID, Terms: b.terms, Entries: int(b.count.Load())}
	if e.o.Durability == Sync {
		s.Entries = int(b.durable.Load())
	}
	switch {
	case now.Before(d.RegistrationOpens):
		s.State = DrawAnnounced
	case now.Before(d.RegistrationCloses):
		s.State = DrawRegistration
	default:
		s.State = DrawClosed
	}
	if f := b.frozen.Load(); f != nil && e.told(&f.record) {
		s.State, s.Root, s.Entries = DrawFrozen, f.root, f.size
	}
	if r := b.drawn.Load(); r != nil && e.told(&r.record) {
		s.State, s.Beacon, s.Seed = DrawDrawn, r.beacon, r.seed
	}
	return s
}

// told reports whether the outcome may be told.
func (e *Engine) told(a *announcement) bool {
	t := e.term.Load()
	return a.known.Load() && (t == nil || t.writer == nil || e.o.Durability == Async || t.writer.Durable() >= a.seq.Load())
}

// FreezeDraw ends the registration of a draw for good, when its time is over, and publishes the root of its entries. The
// engine does so by itself at the close. Freezing again changes nothing. Four million entries take some two seconds.
//
// Errors: ErrRegistrationOpen, *Refusal with DrawNotFound, JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) FreezeDraw(ctx context.Context, id string) (DrawStatus, error) {
	i, b, err := e.ballotOf(id)
	if err != nil {
		return DrawStatus{}, err
	}
	var r Reservation
	if err := e.admit(&r); err != nil {
		return DrawStatus{}, err
	}
	if b.frozen.Load() == nil && e.Now().Before(e.sale.Draws[i].RegistrationCloses) {
		return DrawStatus{}, fmt.Errorf("draw %s: %w: it closes at %s", id, ErrRegistrationOpen, stamp(e.sale.Draws[i].RegistrationCloses))
	}
	seq, err := e.freeze(i, b)
	if err == nil {
		err = e.await(ctx, seq)
	}
	if err != nil {
		return DrawStatus{}, fmt.Errorf("draw %s: %w", id, err)
	}
	return e.drawStatus(i, b), nil
}

func (e *Engine) freeze(i int, b *ballot) (seq uint64, err error) {
	b.gate.Lock()
	defer b.gate.Unlock()
	if f := b.frozen.Load(); f != nil {
		return f.record.seq.Load(), nil
	}
	sorted, err := e.freezeEntries(b.register)
	if err != nil {
		return 0, err
	}
	f := &frozenEntries{size: sorted.Len(), root: sorted.Root()}
	b.frozen.Store(f)
	seq, ok := e.inventory.Note(noteOf(noteFrozen, i, 0))
	if !ok {
		b.frozen.Store(nil)
		return 0, errNoNote
	}
	f.record.settle(seq)
	b.sorted.Store(sorted)
	return seq, nil
}

// RunDraw decides a draw by the beacon of its round: it verifies the beacon, freezes the entries where that has not
// happened, and gives every entry its rank and, as far as the places reach, its access slot. A draw runs once. Four
// million entries take some five seconds.
//
// Errors: ErrRegistrationOpen, ErrAlreadyDrawn, those of draw.Chain.Verify and draw.Run, *Refusal with DrawNotFound,
// JournalUnavailable or NotLeader, or ctx's.
func (e *Engine) RunDraw(ctx context.Context, id string, beacon draw.Beacon) (DrawStatus, error) {
	i, b, err := e.ballotOf(id)
	if err != nil {
		return DrawStatus{}, err
	}
	// A beacon that is refused leaves even the entries as they were.
	if e.drawStatus(i, b).State == DrawClosed {
		if err := b.terms.Chain.Verify(b.terms.Round, beacon); err != nil {
			return DrawStatus{}, fmt.Errorf("draw %s: %w", id, err)
		}
	}
	if _, err := e.FreezeDraw(ctx, id); err != nil {
		return DrawStatus{}, err
	}
	seq, err := e.runDraw(i, b, beacon)
	if err == nil || errors.Is(err, ErrAlreadyDrawn) { // that the draw has run is an outcome, too (I5)
		if failure := e.await(ctx, seq); failure != nil {
			err = failure
		}
	}
	if err != nil {
		return DrawStatus{}, fmt.Errorf("draw %s: %w", id, err)
	}
	return e.drawStatus(i, b), nil
}

func (e *Engine) runDraw(i int, b *ballot, beacon draw.Beacon) (seq uint64, err error) {
	b.gate.Lock()
	defer b.gate.Unlock()
	if d := b.drawn.Load(); d != nil {
		return d.record.seq.Load(), ErrAlreadyDrawn
	}
	seed, err := e.decide(b, beacon)
	if err != nil {
		return 0, err
	}
	d := &drawnBallot{beacon: beacon, seed: seed}
	b.drawn.Store(d)
	seq, ok := e.inventory.Note(noteOf(noteDrawn, i, 0))
	if !ok {
		b.drawn.Store(nil)
		return 0, errNoNote
	}
	d.record.settle(seq)
	return seq, nil
}

// decide computes the result and gives it to the register.
func (e *Engine) decide(b *ballot, beacon draw.Beacon) (seed draw.Digest, err error) {
	sorted, err := e.frozenOf(b)
	if err != nil {
		return seed, err
	}
	result, err := draw.Run(sorted.Entries, b.terms, beacon)
	if err != nil {
		return seed, err
	}
	for at, row := range sorted.rows {
		b.register.drew(row, result.Rank[at], slotCode(result.Slot[at]))
	}
	return result.Seed, nil
}

// frozenOf returns the frozen entries, sorting them again where a restart has lost them.
func (e *Engine) frozenOf(b *ballot) (*sortedEntries, error) {
	if sorted := b.sorted.Load(); sorted != nil {
		return sorted, nil
	}
	b.sorting.Lock()
	defer b.sorting.Unlock()
	if sorted := b.sorted.Load(); sorted != nil {
		return sorted, nil
	}
	sorted, err := e.freezeEntries(b.register)
	if err != nil {
		return nil, err
	}
	if f := b.frozen.Load(); f.root != sorted.Root() || f.size != sorted.Len() {
		return nil, fmt.Errorf("draw %s: its %d entries have the root %s; published were %d and %s", b.terms.Draw,
			sorted.Len(), sorted.Root(), f.size, f.root)
	}
	b.sorted.Store(sorted)
	return sorted, nil
}

// restoreEntry puts an entry of the journal back; once is enough.
func (b *ballot) restoreEntry(row uint32, f *record.Draw) {
	if b.register.enter(row, f.Group) {
		b.register.placed(row)
		b.count.Add(1)
		b.durable.Add(1)
	}
	if f.Rank > 0 {
		b.register.drew(row, f.Rank, f.Slot)
		b.ranked++
	}
}

// restoreFrozen puts the freeze back, if the draw is still the one whose root was published.
func (b *ballot) restoreFrozen(f *record.Draw) error {
	if f.Terms != record.TermsDigest(&b.terms) {
		return fmt.Errorf("draw %s: its entries were frozen under other terms; its closing time, beacon, phase and slots must stay in the "+
			"sale definition what they were then", b.terms.Draw)
	}
	if b.frozen.Load() == nil {
		frozen := &frozenEntries{size: f.Size, root: f.Root}
		frozen.record.settle(0)
		b.frozen.Store(frozen)
	}
	return nil
}

// restoreDrawn puts the outcome of a draw back: from the ranks of a checkpoint where it had them, else by computing it
// again.
func (e *Engine) restoreDrawn(b *ballot, f *record.Draw) error {
	if b.drawn.Load() != nil {
		return nil
	}
	frozen := b.frozen.Load()
	if frozen == nil {
		return fmt.Errorf("%w: draw %s is drawn before it is frozen", record.ErrInvalid, b.terms.Draw)
	}
	seed := draw.SeedOf(frozen.root, f.Beacon.Randomness)
	if b.ranked < frozen.size {
		var err error
		if seed, err = e.decide(b, f.Beacon); err != nil {
			return fmt.Errorf("draw %s: %w", b.terms.Draw, err)
		}
	}
	drawn := &drawnBallot{beacon: f.Beacon, seed: seed}
	drawn.record.settle(0)
	b.drawn.Store(drawn)
	return nil
}

// dump appends the ballot's records to a checkpoint, flushing between them. What has been frozen or drawn is asked first:
// if the draw runs meanwhile, its record comes later in the journal.
func (b *ballot) dump(e *Engine, i int, add func(f *record.Draw, kind record.Kind) error) error {
	drawn, frozen := b.drawn.Load(), b.frozen.Load()
	isDrawn, isFrozen := drawn != nil && drawn.record.placed.Load(), frozen != nil && frozen.record.placed.Load()
	end := e.inventory.Accounts()
	for row := uint32(1); row < end; row++ {
		p := b.register.of(row)
		if !p.placed {
			continue
		}
		f, kind := record.Draw{Index: i, Group: p.group, Account: e.inventory.AccountName(row)}, record.KindEntry
		if isDrawn {
			kind, f.Rank, f.Slot = record.KindRanked, p.rank, p.slot
		}
		if err := add(&f, kind); err != nil {
			return err
		}
	}
	var err error
	if isFrozen {
		err = add(&record.Draw{Index: i, Size: frozen.size, Root: frozen.root, Terms: record.TermsDigest(&b.terms)}, record.KindFrozen)
	}
	if err == nil && isDrawn {
		err = add(&record.Draw{Index: i, Beacon: drawn.beacon}, record.KindDrawn)
	}
	return err
}

// ExportDraw writes a draw that has been run as files, see draw.Result.Export. Errors: *Refusal with DrawNotFound or
// DrawNotRun, and create's.
func (e *Engine) ExportDraw(id string, create func(name string) (io.WriteCloser, error)) error {
	i, b, err := e.ballotOf(id)
	if err != nil {
		return err
	}
	if e.drawStatus(i, b).State != DrawDrawn {
		return &Refusal{Code: DrawNotRun}
	}
	sorted, err := e.frozenOf(b)
	if err != nil {
		return err
	}
	result, err := draw.Run(sorted.Entries, b.terms, b.drawn.Load().beacon)
	if err != nil {
		return err
	}
	return result.Export(create)
}

// await waits until the outcome may be told, for calls that fill no reservation.
func (e *Engine) await(ctx context.Context, seq uint64) error {
	var r Reservation
	return e.settle(ctx, seq, &r)
}

// freezeLoop freezes each draw at the close of its registration.
func (e *Engine) freezeLoop() {
	e.everySecond(func() {
		for i, b := range e.ballots {
			if b.frozen.Load() != nil || e.Now().Before(e.sale.Draws[i].RegistrationCloses) || e.Ready() != nil {
				continue
			}
			status, err := e.FreezeDraw(context.Background(), b.terms.Draw)
			if err != nil {
				e.o.Log.Error("freezing a draw failed", "draw", b.terms.Draw, "error", err)
				continue
			}
			e.o.Log.Info("registration closed", "draw", status.Draw, "entries", status.Entries, "root", status.Root.String(), "round", b.terms.Round)
		}
	})
}
