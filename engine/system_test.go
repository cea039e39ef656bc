package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rounds multiplies a test's usual number of rounds by SEATHOLD_ROUNDS.
func rounds(t testing.TB, usual int) int {
	text := os.Getenv("SEATHOLD_ROUNDS")
	if text == "" {
		return usual
	}
	factor, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err, "SEATHOLD_ROUNDS")
	return max(1, int(float64(usual)*factor))
}

// seeded returns a source of randomness and prints its seed.
func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SEATHOLD_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "SEATHOLD_SEED")
	}
	t.Logf("seed %d (repeat with SEATHOLD_SEED=%d)", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// clock is a sale clock that a test moves.
type clock struct{ ms atomic.Int64 }

func (c *clock) set(at time.Time) { c.ms.Store(at.UnixMilli()) }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()).UTC() }

// seller makes an engine a spec.System.
type seller struct {
	e     *engine.Engine
	clock *clock
	// open opens the journal of the next life; nil for an engine without one.
	open    func() (journal.Backend, error)
	options engine.Options
}

// newSeller returns a seller that is not yet started. It sweeps and writes checkpoints only on request.
func newSeller(sale *catalog.Sale, open func() (journal.Backend, error)) *seller {
	s := &seller{clock: &clock{}, open: open}
	s.options = engine.Options{Sale: sale, Clock: saleclock.Virtual(s.clock.now), SweepEvery: -1, CheckpointAfter: -1,
		CheckEvery: -1, TTL: spec.ScenarioTTL,
		MaxReservations: 1 << 20, MaxAccounts: 1 << 18}
	if open == nil {
		s.options.Durability = engine.None
	}
	return s
}

// sellerOn is newSeller with the journal that is kept.
func sellerOn(sale *catalog.Sale, kept *store) *seller {
	return newSeller(sale, func() (journal.Backend, error) { return kept.open(), nil })
}

func (s *seller) start() error { return s.startIn(context.Background()) }

func (s *seller) startIn(ctx context.Context) error {
	o := s.options
	if s.open != nil {
		j, err := s.open()
		if err != nil {
			return err
		}
		o.Journal = j
	}
	var err error
	s.e, err = engine.Open(ctx, o)
	return err
}

// Restart is part of spec.System. Without a journal there is nothing to restart from.
func (s *seller) Restart() error {
	if s.open == nil {
		return nil
	}
	return errors.Join(s.e.Close(), s.start())
}

// Do is part of spec.System. It makes one call at a time, each at its instant.
func (s *seller) Do(op spec.Operation) spec.Answer {
	s.clock.set(op.At)
	var r engine.Reservation
	return s.call(op, &r)
}

// call makes the call at the clock's present time. Any number may run concurrently, each with its own r.
func (s *seller) call(op spec.Operation, r *engine.Reservation) spec.Answer {
	ctx := context.Background()
	var err error
	switch op.Kind {
	case spec.Reserve:
		q := request(op)
		err = s.e.Reserve(ctx, &q, r)
	case spec.Confirm:
		if op.Again {
			err = s.e.ConfirmAgain(ctx, uuid.MustParse(op.ID), op.Reference, r)
		} else {
			err = s.e.Confirm(ctx, uuid.MustParse(op.ID), op.Reference, r)
		}
	case spec.Release:
		err = s.e.Release(ctx, uuid.MustParse(op.ID), r)
	case spec.Extend:
		err = s.e.Extend(ctx, uuid.MustParse(op.ID), op.ExpiresAt, r)
	case spec.Reduce:
		err = s.e.Reduce(ctx, uuid.MustParse(op.ID), linesOf(op), r)
	case spec.Return:
		err = s.e.Return(ctx, uuid.MustParse(op.ID), op.Reference, r)
	case spec.ReadReservation:
		err = s.e.Reservation(ctx, uuid.MustParse(op.ID), r)
	case spec.ReadAccount:
		a, err := s.e.Account(ctx, op.Account)
		if err != nil {
			return spec.Answer{Refusal: refusal(err)}
		}
		return spec.Answer{Account: account(&a)}
	case spec.ReadStock:
		var all []spec.Stock
		for i := range s.e.Sale().Pools {
			all = append(all, spec.Stock(s.e.Stock(i)))
		}
		return spec.Answer{Stock: all}
	case spec.ReadPlaces:
		return spec.Answer{Places: s.places()}
	case spec.Sweep:
		return spec.Answer{Ended: s.e.ExpireDue()}
	case spec.Apply, spec.Pause, spec.SetStock, spec.Join, spec.Leave:
		return s.change(ctx, op)
	}
	return answer(op, r, err)
}

func (s *seller) places() (all []spec.Places) {
	sale := s.e.Sale()
	for i := range sale.Phases {
		for _, p := range s.e.PhasePlaces(i) {
			all = append(all, spec.Places{Phase: sale.Phases[i].ID, Session: p.Session, Places: p.Places,
				Available: p.Available})
		}
	}
	return all
}

// change makes a call of the operator.
func (s *seller) change(ctx context.Context, op spec.Operation) (a spec.Answer) {
	var err error
	switch op.Kind {
	case spec.Apply:
		var applied engine.Applied
		applied, err = s.e.Apply(ctx, op.Sale, draw.Digest{})
		a.Repeated = len(applied.Changes) == 0
	case spec.Pause:
		err = s.e.Pause(ctx, engine.Pausable{Phase: op.Phase, Session: op.Session}, op.Paused)
	case spec.SetStock:
		var stock engine.Stock
		stock, err = s.e.SetStock(ctx, op.Session, op.Category, op.Capacity, op.Withheld)
		a.Stock = []spec.Stock{spec.Stock(stock)}
	case spec.Join:
		var joined engine.Joined
		joined, err = s.e.Join(ctx, op.Group, []string{op.Account})
		a.Repeated = joined.Entered == 0
	case spec.Leave:
		var left bool
		left, err = s.e.Leave(ctx, op.Group, op.Account)
		a.Repeated = !left
	}
	if err != nil {
		return spec.Answer{Refusal: refusal(err)}
	}
	return a
}

func request(op spec.Operation) engine.Request {
	q := engine.Request{ID: uuid.MustParse(op.ID), Account: op.Account, Phase: op.Phase, TTL: op.TTL,
		Lines: linesOf(op)}
	if op.Replaces != "" {
		q.Replaces = uuid.MustParse(op.Replaces)
	}
	return q
}

// batchOp returns the operation as one of a batch.
func batchOp(op spec.Operation) engine.Op {
	kind := map[spec.Kind]engine.OpKind{spec.Reserve: engine.OpReserve, spec.Confirm: engine.OpConfirm,
		spec.Release: engine.OpRelease, spec.Extend: engine.OpExtend, spec.Reduce: engine.OpReduce,
		spec.Return: engine.OpReturn}[op.Kind]
	return engine.Op{Kind: kind, Request: request(op), ID: uuid.MustParse(op.ID), Reference: op.Reference, Again: op.Again,
		ExpiresAt: op.ExpiresAt, Lines: linesOf(op)}
}

func linesOf(op spec.Operation) (lines []engine.Line) {
	for _, l := range op.Lines {
		lines = append(lines, engine.Line(l))
	}
	return lines
}

// answer returns the answer of a call about a reservation.
func answer(op spec.Operation, r *engine.Reservation, err error) spec.Answer {
	if err != nil {
		return spec.Answer{Refusal: refusal(err)}
	}
	return spec.Answer{Reservation: reservation(r), Repeated: r.Repeated && op.Kind != spec.ReadReservation}
}

func refusal(err error) spec.Refusal {
	if taken, ok := errors.AsType[*engine.StockTaken](err); ok {
		return spec.Refusal{Code: "stock_taken", Session: taken.Session, Category: taken.Category, Taken: taken.Taken}
	}
	if errors.Is(err, engine.ErrNoGroup) {
		return spec.Refusal{Code: "not_found"}
	}
	if _, ok := errors.AsType[*engine.ChangeRefused](err); ok {
		return spec.Refusal{Code: "change_refused"}
	}
	var r *engine.Refusal
	if !errors.As(err, &r) {
		panic(fmt.Sprintf("an error that is no refusal: %v", err))
	}
	if r.Detail() == "" {
		panic(fmt.Sprintf("%s has no detail", r.Code))
	}
	return spec.Refusal{Code: string(r.Code), Phase: r.Phase, Session: r.Session, Category: r.Category,
		Programme: r.Programme, Reference: r.Reference,
		Limit: r.Limit, Held: r.Held, Confirmed: r.Confirmed, Requested: r.Requested, Available: r.Available,
		OpensAt: r.OpensAt, ClosesAt: r.ClosesAt, EndedAt: r.EndedAt, MaxExpiresAt: r.MaxExpiresAt,
		CanTakeAgain: r.CanTakeAgain}
}

func reservation(r *engine.Reservation) spec.Reservation {
	to := spec.Reservation{ID: r.ID.String(), Account: r.Account, Phase: r.Phase, State: r.State.String(),
		CreatedAt: r.CreatedAt,
		ExpiresAt: r.ExpiresAt, ConfirmedAt: r.ConfirmedAt, Reference: r.Reference}
	for _, l := range r.Lines {
		to.Lines = append(to.Lines, spec.Line(l))
	}
	if to.Tickets() != r.Tickets {
		panic(fmt.Sprintf("lines of %d tickets, %d in all", to.Tickets(), r.Tickets))
	}
	return to
}

func account(a *engine.Account) spec.Account {
	to := spec.Account{Account: a.Account}
	for _, p := range a.Programmes {
		to.Programmes = append(to.Programmes, spec.ProgrammeTickets(p))
	}
	for i := range a.Reservations {
		to.Reservations = append(to.Reservations, reservation(&a.Reservations[i]))
	}
	return to
}

// verify requires that the journal satisfies I1 to I4, I6 and I9.
func verify(t testing.TB, b journal.Reader, sale *catalog.Sale) audit.Findings {
	found, err := audit.Verify(b, sale)
	require.NoError(t, err)
	require.Empty(t, found.Problems)
	require.Zero(t, found.Broken)
	return found
}
