package engine_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/saleclock"
)

// ballotRun is an engine with a journal of its own for the first draw of Paris 2024, with one winner a slot.
type ballotRun struct {
	t     testing.TB
	sale  *catalog.Sale
	dir   string
	now   atomic.Pointer[time.Time]
	e     *engine.Engine
	wrap  func(journal.Backend) journal.Backend
	draw1 *catalog.Draw

	machine func() time.Time // the clock of the machine; nil for the sale clock
	log     bytes.Buffer
}

func newBallotRun(t testing.TB) *ballotRun {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	r := &ballotRun{t: t, sale: sale, dir: t.TempDir(), draw1: &sale.Draws[0]}
	slots := &sale.Phases[r.draw1.Phase].Slots
	slots.Places, slots.Step = 1, 48*time.Hour // two slots for the Club, then ten for everyone
	r.at(r.draw1.RegistrationOpens)
	return r
}

func (r *ballotRun) at(now time.Time) { r.now.Store(&now) }

func (r *ballotRun) open() error {
	j, err := embedded.Open(r.dir, embedded.Options{})
	require.NoError(r.t, err)
	o := engine.Options{Sale: r.sale, Journal: j, SweepEvery: -1, CheckpointAfter: -1, MaxAccounts: 1 << 16,
		MaxReservations: 1 << 16,
		Clock:           saleclock.Virtual(func() time.Time { return *r.now.Load() }),
		MachineClock:    func() time.Time { return *r.now.Load() },
		Random:          strings.NewReader(strings.Repeat("random bytes", 99))}
	if r.machine != nil {
		o.MachineClock = r.machine
	}
	o.Log = slog.New(slog.NewTextHandler(&r.log, nil))
	if r.wrap != nil {
		o.Journal = r.wrap(j)
	}
	r.e, err = engine.Open(r.t.Context(), o)
	return err
}

func (r *ballotRun) restart() {
	require.NoError(r.t, r.e.Close())
	require.NoError(r.t, r.open())
}

func (r *ballotRun) checkpoint() {
	_, err := r.e.Checkpoint(r.t.Context())
	require.NoError(r.t, err)
}

func (r *ballotRun) enter(account, group string) engine.Entry {
	entry, err := r.e.Enter(r.t.Context(), "draw1", account, group)
	require.NoError(r.t, err)
	return entry
}

// freezeAndRun decides the first draw at the close of its registration by its stand-in.
func (r *ballotRun) freezeAndRun() engine.DrawStatus {
	r.at(r.draw1.RegistrationCloses)
	_, err := r.e.FreezeDraw(r.t.Context(), "draw1")
	require.NoError(r.t, err)
	drawn, err := r.e.RunDraw(r.t.Context(), "draw1", standIn(r.t, r.draw1))
	require.NoError(r.t, err)
	return drawn
}

// audit closes the engine and verifies its journal.
func (r *ballotRun) audit() audit.Findings {
	require.NoError(r.t, r.e.Close())
	j, err := embedded.OpenReadOnly(r.dir)
	require.NoError(r.t, err)
	found, err := audit.Verify(j, r.sale)
	require.NoError(r.t, err)
	require.NoError(r.t, j.Close())
	require.Empty(r.t, found.Problems)
	return found
}

// standIn returns the beacon that the sale definition has for a draw.
func standIn(t testing.TB, d *catalog.Draw) draw.Beacon {
	b := draw.Beacon{Round: d.Beacon.Round}
	_, err := hex.Decode(b.Signature[:], []byte(d.Beacon.Signature))
	require.NoError(t, err)
	b.Randomness = sha256.Sum256(b.Signature[:])
	return b
}

// entrants are sixteen accounts, four of them of the Club. There are fewer slots than accounts.
func entrants() map[string]string {
	all := map[string]string{}
	for i := range 16 {
		all[fmt.Sprintf("account-%02d", i)] = ""
	}
	for _, member := range []string{"account-03", "account-07", "account-11", "account-15"} {
		all[member] = "club"
	}
	return all
}

func code(t testing.TB, err error) engine.Code {
	t.Helper()
	var r *engine.Refusal
	require.ErrorAs(t, err, &r)
	return r.Code
}

// A server may restart at any point of a draw, with or without a checkpoint, and all that the draw shows and exports
// stays the same to the byte. At each of four points one of three things happens; nine runs cover all pairs (an
// orthogonal array).
func TestDrawAcrossRestarts(t *testing.T) {
	var want string
	for life := range 9 {
		a, b := life/3, life%3
		places := []int{a, b, (a + b) % 3, (a + 2*b) % 3}
		r := newBallotRun(t)
		require.NoError(t, r.open())
		got := r.play(func() {
			if places[0] > 1 {
				r.checkpoint()
			}
			if places[0] > 0 {
				r.restart()
			}
			places = places[1:]
		})
		if want == "" {
			want = got
		}
		require.Empty(t, places)
		require.Equal(t, want, got, "life %d", life)
		found := r.audit()
		require.Equal(t, []int{16, 0}, found.Entries)
	}
}

// play runs the whole draw and returns all that it shows.
func (r *ballotRun) play(between func()) (shown string) {
	ctx := r.t.Context()
	accounts := slices.Sorted(maps.Keys(entrants()))
	for i, account := range accounts {
		if i == len(accounts)/2 {
			between()
		}
		require.False(r.t, r.enter(account, entrants()[account]).Repeated)
	}
	between()
	require.True(r.t, r.enter(accounts[0], "club").Repeated)
	r.at(r.draw1.RegistrationCloses)
	frozen, err := r.e.FreezeDraw(ctx, "draw1")
	require.NoError(r.t, err)
	require.Equal(r.t, engine.DrawFrozen, frozen.State)
	between()
	again, err := r.e.Draw("draw1")
	require.NoError(r.t, err)
	require.Equal(r.t, frozen, again)
	drawn, err := r.e.RunDraw(ctx, "draw1", standIn(r.t, r.draw1))
	require.NoError(r.t, err)
	between()
	again, err = r.e.Draw("draw1")
	require.NoError(r.t, err)
	require.Equal(r.t, drawn, again)
	shown = fmt.Sprintf("%+v\n", drawn)
	for _, account := range accounts {
		entry, err := r.e.Entry(ctx, "draw1", account)
		require.NoError(r.t, err)
		require.Equal(r.t, draw.HandleOf(entry.Salt, account), entry.Handle)
		require.True(r.t, entry.Proof.Verify(drawn.Root, entry.Handle, entry.Group))
		ledger, err := r.e.Account(ctx, account)
		require.NoError(r.t, err)
		if entry.Slot == nil {
			require.Empty(r.t, ledger.Access)
		} else {
			require.Equal(r.t, []engine.AccessSlot{*entry.Slot}, ledger.Access)
			shown += fmt.Sprintf("%+v ", *entry.Slot)
		}
		entry.Slot = nil
		shown += fmt.Sprintf("%+v\n", entry)
	}
	files := fstest.MapFS{}
	require.NoError(r.t, r.e.ExportDraw("draw1", func(name string) (io.WriteCloser, error) {
		files[name] = &fstest.MapFile{}
		return &mapFile{files[name]}, nil
	}))
	summary, err := draw.Verify(files)
	require.NoError(r.t, err)
	require.Equal(r.t, drawn.Root, summary.Root)
	return shown + fmt.Sprintf("%+v\n%s", summary, files["SHA256SUMS"].Data)
}

type mapFile struct{ file *fstest.MapFile }

func (m *mapFile) Write(data []byte) (int, error) {
	m.file.Data = append(m.file.Data, data...)
	return len(data), nil
}
func (m *mapFile) Close() error { return nil }

// The engine's ranks and slots are those that follow from the rules, which this test computes independently.
func TestDrawFollowsItsRules(t *testing.T) {
	r := newBallotRun(t)
	require.NoError(t, r.open())
	defer r.audit()
	accounts := slices.Sorted(maps.Keys(entrants()))
	for _, account := range accounts {
		r.enter(account, entrants()[account])
	}
	drawn := r.freezeAndRun()
	require.Equal(t, draw.Digest(sha256.Sum256(append(drawn.Root[:], drawn.Beacon.Randomness[:]...))), drawn.Seed)
	ticket := func(account string) []byte {
		entry, err := r.e.Entry(t.Context(), "draw1", account)
		require.NoError(t, err)
		handle := sha256.Sum256([]byte("e" + string(entry.Salt[:]) + account))
		mac := hmac.New(sha256.New, drawn.Seed[:])
		mac.Write(append(handle[:], 0))
		return mac.Sum(nil)
	}
	sort.Slice(accounts, func(i, j int) bool { return bytes.Compare(ticket(accounts[i]), ticket(accounts[j])) < 0 })
	phase := &r.sale.Phases[r.draw1.Phase]
	club, everyone := 0, 2 // the next slot of each
	for i, account := range accounts {
		entry, err := r.e.Entry(t.Context(), "draw1", account)
		require.NoError(t, err)
		require.EqualValues(t, i+1, entry.Rank)
		slot := -1
		if entrants()[account] == "club" && club < 2 {
			slot, club = club, club+1
		} else if everyone < phase.SlotCount() {
			slot, everyone = everyone, everyone+1
		}
		if slot < 0 {
			require.Nil(t, entry.Slot, account)
			continue
		}
		opens := phase.OpensAt.Add(time.Duration(slot) * 48 * time.Hour)
		require.Equal(t, &engine.AccessSlot{Phase: "packs", OpensAt: opens, ClosesAt: opens.Add(48 * time.Hour),
			Priority: slot < 2}, entry.Slot)
	}
	require.Equal(t, 2, club)
	require.Equal(t, phase.SlotCount(), everyone)
}

// Calls against the rules are refused with a clear error and change nothing.
func TestDrawRefusals(t *testing.T) {
	r := newBallotRun(t)
	require.NoError(t, r.open())
	ctx, good := t.Context(), standIn(t, r.draw1)
	run := func(b draw.Beacon) error { _, err := r.e.RunDraw(ctx, "draw1", b); return err }
	enter := func(id, account, group string) engine.Code {
		_, err := r.e.Enter(ctx, id, account, group)
		return code(t, err)
	}
	state := func() engine.DrawState {
		status, err := r.e.Draw("draw1")
		require.NoError(t, err)
		return status.State
	}
	r.at(r.draw1.RegistrationOpens.Add(-time.Millisecond))
	require.Equal(t, engine.DrawAnnounced, state())
	require.Equal(t, engine.RegistrationClosed, enter("draw1", "alice", ""))
	r.at(r.draw1.RegistrationOpens)
	require.Equal(t, engine.DrawNotFound, enter("draw9", "alice", ""))
	require.Equal(t, engine.MalformedRequest, enter("draw1", "al ice", ""))
	require.Equal(t, engine.MalformedRequest, enter("draw1", "alice", "unknown"))
	r.enter("alice", "")
	_, err := r.e.Entry(ctx, "draw1", "alice")
	require.Equal(t, engine.DrawNotRun, code(t, err))
	_, err = r.e.Entry(ctx, "draw1", "bob")
	require.Equal(t, engine.EntryNotFound, code(t, err))
	require.ErrorIs(t, run(good), engine.ErrRegistrationOpen)
	_, err = r.e.FreezeDraw(ctx, "draw1")
	require.ErrorIs(t, err, engine.ErrRegistrationOpen)

	r.at(r.draw1.RegistrationCloses)
	require.ErrorIs(t, run(good), engine.ErrDrawNotFrozen, "it does not freeze with the beacon in hand")
	require.Equal(t, engine.DrawClosed, state())
	_, err = r.e.FreezeDraw(ctx, "draw1")
	require.NoError(t, err)
	other := standIn(t, &r.sale.Draws[1])
	for want, bad := range map[error]draw.Beacon{
		draw.ErrOtherRound: other,
		draw.ErrRandomness: {Round: good.Round, Signature: good.Signature},
		draw.ErrSignature:  {Round: good.Round, Signature: other.Signature, Randomness: other.Randomness},
	} {
		require.ErrorIs(t, run(bad), want)
		require.Equal(t, engine.DrawFrozen, state(), "a wrong beacon decides nothing")
	}
	require.Equal(t, engine.DrawNotRun, code(t, r.e.ExportDraw("draw1", nil)))
	require.Equal(t, engine.RegistrationClosed, enter("draw1", "bob", ""))
	require.NoError(t, run(good))
	require.ErrorIs(t, run(good), engine.ErrAlreadyDrawn)
	require.ErrorIs(t, run(other), engine.ErrAlreadyDrawn)
	require.Equal(t, 1, r.audit().Entries[0])
}

// Nothing that is chosen after the root was published can change the result, not even the sale definition.
func TestFrozenTermsAreFinal(t *testing.T) {
	for name, change := range map[string]func(d *catalog.Draw, p *catalog.Phase){
		"another round": func(d *catalog.Draw, _ *catalog.Phase) { d.Beacon.Round++ },
		"another chain": func(d *catalog.Draw, _ *catalog.Phase) {
			d.Beacon.PublicKey = "00" + d.Beacon.PublicKey[2:]
		},
		"more time to publish": func(d *catalog.Draw, _ *catalog.Phase) { d.PublishWithin += time.Minute },
		"no stand-in":          func(d *catalog.Draw, _ *catalog.Phase) { d.Beacon.StandIn = false },
		"an earlier end": func(d *catalog.Draw, _ *catalog.Phase) {
			d.RegistrationCloses = d.RegistrationCloses.Add(-time.Hour)
		},
		"more places":     func(_ *catalog.Draw, p *catalog.Phase) { p.Slots.Places++ },
		"shorter slots":   func(_ *catalog.Draw, p *catalog.Phase) { p.Slots.Length -= time.Hour },
		"a longer phase":  func(_ *catalog.Draw, p *catalog.Phase) { p.ClosesAt = p.ClosesAt.Add(48 * time.Hour) },
		"no priority":     func(_ *catalog.Draw, p *catalog.Phase) { p.Slots.Group, p.Slots.PriorityDays = -1, 0 },
		"nothing changed": nil,
	} {
		r := newBallotRun(t)
		require.NoError(t, r.open())
		r.enter("alice", "club")
		r.at(r.draw1.RegistrationCloses)
		_, err := r.e.FreezeDraw(t.Context(), "draw1")
		require.NoError(t, err)
		require.NoError(t, r.e.Close())
		if change != nil {
			r.sale.Files = nil // they say something else now
			change(r.draw1, &r.sale.Phases[r.draw1.Phase])
			require.ErrorContains(t, r.open(), "draw draw1: its entries are frozen under other terms", name)
			continue
		}
		require.NoError(t, r.open())
		require.NoError(t, r.e.Close())
	}
}

// The access slot decides when an account may reserve, and nothing else: a hold made in time outlives the slot.
func TestAccessSlots(t *testing.T) {
	r := newBallotRun(t)
	require.NoError(t, r.open())
	defer r.audit()
	for account, group := range entrants() {
		r.enter(account, group)
	}
	r.freezeAndRun()
	winner, loser := "", ""
	var slot engine.AccessSlot
	for account := range entrants() {
		entry, err := r.e.Entry(t.Context(), "draw1", account)
		require.NoError(t, err)
		if entry.Slot == nil {
			loser = account
		} else if !entry.Slot.Priority && entry.Slot.OpensAt.After(slot.OpensAt) {
			winner, slot = account, *entry.Slot
		}
	}
	reserve := func(account string) (r1 engine.Reservation, err error) {
		q := engine.Request{Account: account, Phase: "packs", Lines: packOf(r.sale)}
		err = r.e.Reserve(t.Context(), &q, &r1)
		return r1, err
	}
	refusedAs := func(account string) engine.Code { _, err := reserve(account); return code(t, err) }
	r.at(slot.OpensAt.Add(-time.Millisecond))
	require.Equal(t, engine.SlotNotOpen, refusedAs(winner))
	require.Equal(t, engine.NoAccessSlot, refusedAs(loser))
	require.Equal(t, engine.NoAccessSlot, refusedAs("never-entered"))
	r.at(slot.OpensAt)
	first, err := reserve(winner)
	require.NoError(t, err)
	r.at(slot.ClosesAt.Add(-time.Millisecond))
	last, err := reserve(winner)
	require.NoError(t, err)
	r.at(slot.ClosesAt)
	require.Equal(t, engine.SlotEnded, refusedAs(winner))
	require.Equal(t, engine.ReservationExpired, code(t, r.e.Confirm(t.Context(), first.ID, "", &first)))
	r.at(last.ExpiresAt.Add(-time.Millisecond))
	require.NoError(t, r.e.Confirm(t.Context(), last.ID, "", &last))
	require.Equal(t, engine.Confirmed, last.State)
	r.restart()
	require.Equal(t, engine.SlotEnded, refusedAs(winner))
	require.Equal(t, engine.NoAccessSlot, refusedAs(loser))
}

// packOf returns one ticket each of three sessions that the packs phase sells.
func packOf(sale *catalog.Sale) (lines []engine.Line) {
	phase, _ := sale.PhaseByID("packs")
	for i := range sale.Sessions {
		if s := &sale.Sessions[i]; len(lines) < 3 && sale.Phases[phase].Sells(i) {
			lines = append(lines, engine.Line{Session: s.ID, Category: sale.Pools[s.Pools[0]].Category, Quantity: 1})
		}
	}
	return lines
}
