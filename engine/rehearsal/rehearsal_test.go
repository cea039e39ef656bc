package rehearsal

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// journalled adds an embedded journal to the options.
func journalled(t *testing.T, dir string, o Options) Options {
	b, err := embedded.Open(dir, embedded.Options{})
	require.NoError(t, err)
	o.Journal, o.Reopen = b, func() (Readable, error) { return embedded.OpenReadOnly(dir) }
	return o
}

func run(t *testing.T, o Options) *Report {
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	return r
}

func requireSold(t *testing.T, r *Report) {
	require.Empty(t, r.Audit.Problems)
	require.True(t, r.Clean())
	require.Zero(t, r.Places.Left)
	require.Equal(t, r.Places.Offered, r.Places.Sold)
	require.Equal(t, r.Places.Offered, r.Places.AskedFor)
	require.Greater(t, r.Places.Asked, r.Places.Offered)
}

// The whole sale with an embedded journal and durability sync, with an audit of every record.
func TestEveryTicketIsSoldAndTheAuditIsClean(t *testing.T) {
	for _, scale := range []float64{0.001, 0.01} {
		r := run(t, journalled(t, t.TempDir(), Options{Sale: catalog.Paris2024(), Scale: scale, Seed: 1, Workers: 4}))
		requireSold(t, r)
		require.Equal(t, 4036, r.Audit.Pools)
		require.Greater(t, r.Audit.Reservations, 0)
		held := 0
		for _, p := range r.Phases {
			require.Equal(t, p.Held, p.Confirmed+p.Released+p.Expired, p.Phase)
			held += p.Held
		}
		entries := r.Draws[0].Entries + r.Draws[1].Entries
		definition, announcedFrozenAndDrawn := 1, 6
		require.Equal(t, definition+announcedFrozenAndDrawn+entries+2*held, r.Audit.Records)
	}
}

// Everything that goes wrong by the package documentation does go wrong.
func TestEverythingGoesWrong(t *testing.T) {
	r := run(t, Options{Sale: catalog.Paris2024(), Scale: 0.01, Seed: 2, Workers: 2, Durability: engine.None})
	requireSold(t, r)
	refused := map[engine.Code]int{}
	for _, p := range r.Phases {
		require.NotZero(t, p.Released, p.Phase)
		require.NotZero(t, p.Expired, p.Phase)
		require.NotZero(t, p.Repeated, p.Phase)
		require.NotZero(t, p.Tickets, p.Phase)
		for code, n := range p.Refused {
			refused[code] += n
		}
	}
	for _, code := range []engine.Code{engine.AccountCapExceeded, engine.NoAccessSlot, engine.PackShape,
		engine.PhaseNotOpen, engine.ReservationExpired, engine.SessionLimitExceeded, engine.SlotEnded,
		engine.SlotNotOpen, engine.SoldOut} {
		require.NotZero(t, refused[code], code)
		delete(refused, code)
	}
	require.Empty(t, refused, "refusals for any other reason")
	for _, p := range r.Phases {
		require.NotZero(t, p.SoldOutSessions, p.Phase)
	}
	require.NotZero(t, r.Draws[0].Priority)
	require.Zero(t, r.Draws[1].Priority)
}

// Sales of some sessions end while a phase still sells them. Their buyers take other sessions, what is left of them
// stays, and nothing of them was sold after their end.
func TestSalesEndDuringAPhase(t *testing.T) {
	sale := catalog.Paris2024()
	for i := range sale.Sessions {
		switch i % 3 {
		case 0: // soon after the last sale has opened, with its rush
			sale.Sessions[i].SalesEndAt = sale.Sessions[i].SalesEndAt.AddDate(0, -7, 0)
		case 1: // before
			sale.Sessions[i].SalesEndAt = sale.Sessions[i].SalesEndAt.AddDate(-1, 0, 0)
		}
	}
	r := run(t, journalled(t, t.TempDir(), Options{Sale: sale, Scale: MinScale, Seed: 3, Workers: 2}))
	require.Empty(t, r.Audit.Problems)
	require.True(t, r.Clean())
	last := r.Phases[len(r.Phases)-1]
	require.NotZero(t, last.Refused[engine.SalesEnded])
	require.NotZero(t, r.Places.Left)
	require.NotZero(t, last.Tickets)
}

// reproducible returns the part of the report that the seed determines.
func reproducible(t *testing.T, r *Report) string {
	again := *r
	again.Measured = measured{}
	text, err := json.MarshalIndent(&again, "", "  ")
	require.NoError(t, err)
	return string(text)
}

func TestOneWorkerIsReproducible(t *testing.T) {
	one := func(seed uint64) string {
		o := Options{Sale: catalog.Paris2024(), Scale: MinScale, Seed: seed, Workers: 1}
		return reproducible(t, run(t, journalled(t, t.TempDir(), o)))
	}
	first := one(7)
	require.Equal(t, first, one(7))
	require.NotEqual(t, first, strings.Replace(one(8), `"seed": 8`, `"seed": 7`, 1))
}

func TestTable(t *testing.T) {
	r := run(t, Options{Sale: catalog.Paris2024(), Scale: 0.001, Seed: 1, Workers: 1, Durability: engine.None})
	for i := range r.Measured.Phases {
		r.Measured.Phases[i] = phaseMeasured{}
	}
	r.Measured = measured{Phases: r.Measured.Phases}
	var table strings.Builder
	require.NoError(t, r.WriteTable(&table))
	golden := filepath.Join("testdata", "table.txt")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(table.String()), 0o644))
	}
	expected, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(expected), table.String())
}

// A sale of another shape: a draw whose round is not yet published, packs of two, a session that is sold in packs only.
func TestAnotherSaleInAdvance(t *testing.T) {
	sale, err := catalog.Load(filepath.Join("..", "..", "engine", "catalog", "testdata", "small"))
	require.NoError(t, err)
	require.False(t, sale.Draws[0].Beacon.StandIn)
	r := run(t, journalled(t, t.TempDir(), Options{Sale: sale, Scale: 0.01, Seed: 4, Workers: 2}))
	require.Empty(t, r.Audit.Problems)
	require.NotZero(t, r.Phases[0].Tickets)
	require.NotZero(t, r.Phases[1].Tickets)
	require.False(t, sale.Draws[0].Beacon.StandIn, "the sale is not modified")
}

func TestNonEmptyJournalIsRefused(t *testing.T) {
	dir, o := t.TempDir(), Options{Sale: catalog.Paris2024(), Scale: MinScale, Seed: 1}
	run(t, journalled(t, dir, o))
	_, err := Run(t.Context(), journalled(t, dir, o))
	require.ErrorContains(t, err, "not empty")
	// The rehearsal has closed it.
	b, err := embedded.OpenReadOnly(dir)
	require.NoError(t, err)
	require.NoError(t, b.Close())
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Sale: catalog.Paris2024(), Scale: MinScale, Durability: engine.None}
	for _, c := range []struct {
		change  func(o *Options)
		message string
	}{
		{func(o *Options) { o.Sale = nil }, "no sale definition"},
		{func(o *Options) { o.Scale = 0 }, "a scale of 0"},
		{func(o *Options) { o.Scale = 1.5 }, "a scale of 1.5"},
		{func(o *Options) { o.Workers = -1 }, "-1 workers"},
		{func(o *Options) { o.Durability = engine.Sync }, "a journal"},
	} {
		o := good
		c.change(&o)
		_, err := Run(t.Context(), o)
		require.ErrorContains(t, err, c.message)
	}
}

func TestRehearsalEndsWithItsContext(t *testing.T) {
	for _, at := range []string{"draw1 entries", "draw2 slots"} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Run(ctx, journalled(t, dir, Options{Sale: catalog.Paris2024(), Scale: MinScale, Seed: 3,
			Progress: func(stage string, _, _ int, _ string) {
				if stage == at {
					cancel()
				}
			}}))
		require.ErrorIs(t, err, context.Canceled)
		b, err := embedded.OpenReadOnly(dir)
		require.NoError(t, err)
		found, err := b.Recover(journal.Recovery{Chunk: func([]byte) error { return nil },
			Group: func(journal.Group) error { return nil }})
		require.NoError(t, err)
		require.NotZero(t, found.Records)
		require.NoError(t, b.Close())
	}
}
