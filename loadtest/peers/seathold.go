package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
)

// Seathold is an engine over Sale, whose open phase sells everything to every account.
type Seathold struct {
	*engine.Engine
	Pools []Pool

	open   time.Time    // where the sale clock starts
	passed atomic.Int64 // how far it has moved since, in ns
	server *server.Server
	ended  chan error
}

// openSeathold opens an engine sized for a number of accounts; a nil journal means none. Only Expire moves its sale
// clock.
func openSeathold(ctx context.Context, b journal.Backend, accounts int) (*Seathold, error) {
	o := engine.Options{Sale: Sale(), Journal: b, ExpectAccounts: accounts}
	if b == nil {
		o.Durability = engine.None
	}
	s := &Seathold{Pools: Pools(o.Sale)}
	_, s.open = openPhase(o.Sale)
	o.Clock = saleclock.Virtual(func() time.Time { return s.open.Add(time.Duration(s.passed.Load())) })
	var err error
	if s.Engine, err = engine.Open(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

// Listen serves the HTTP API on a free port of this machine until Close.
func (s *Seathold) Listen() (address string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	if s.server, err = server.New(context.Background(), server.Options{Engine: s.Engine}); err != nil {
		return "", errors.Join(err, ln.Close())
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.server.Serve(ln) }()
	return ln.Addr().String(), nil
}

// Close shuts down the server, if there is one, and closes the engine.
func (s *Seathold) Close() error {
	var err error
	if s.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(s.server.Shutdown(ctx), <-s.ended)
	}
	return errors.Join(err, s.Engine.Close())
}

// Cycles makes n cycles from many concurrent callers. A cycle reserves one ticket of each of 1 or 3 pools and confirms
// the reservation. The cycles are numbered from first on; no number may be used twice on one engine.
func (s *Seathold) Cycles(ctx context.Context, c *Crowd, names Names, first uint64, n, callers, lines int) error {
	return s.each(c, names, first, n, callers, func(caller *caller, at uint64) error {
		if err := caller.reserve(ctx, at, lines); err != nil {
			return err
		}
		return caller.engine.Confirm(ctx, caller.request.ID, "", &caller.reservation)
	})
}

// Reservations makes n reservations of one ticket of each of 1 or 3 pools; see Cycles.
func (s *Seathold) Reservations(ctx context.Context, c *Crowd, names Names, first uint64, n, callers, lines int) error {
	return s.each(c, names, first, n, callers, func(caller *caller, at uint64) error {
		return caller.reserve(ctx, at, lines)
	})
}

// Expire moves the sale clock by an hour and ends n reservations that Reservations made.
func (s *Seathold) Expire(ctx context.Context, c *Crowd, first uint64, n, callers int) error {
	s.passed.Store(int64(time.Hour))
	return s.each(c, Names{}, first, n, callers, func(caller *caller, at uint64) error {
		err := s.Confirm(ctx, engine.ID(c.id(at)), "", &caller.reservation)
		if refusal, refused := errors.AsType[*engine.Refusal](err); refused && refusal.Code == engine.ReservationExpired {
			return nil
		}
		return fmt.Errorf("expected an expired reservation, got: %v", err)
	})
}

// Change makes one of the calls confirm, confirm_again, release, extend, reduce, return and replace for each of n
// reservations that Reservations made, of 3 pools. A reduction keeps one of the tickets.
func (s *Seathold) Change(ctx context.Context, c *Crowd, names Names, first uint64, n, callers int, call string) error {
	end := s.open.Add(30 * time.Minute)
	return s.each(c, names, first, n, callers, func(caller *caller, at uint64) error {
		id, r := engine.ID(c.id(at)), &caller.reservation
		switch call {
		case "confirm":
			return s.Confirm(ctx, id, "", r)
		case "confirm_again":
			return s.ConfirmAgain(ctx, id, "", r)
		case "release":
			return s.Release(ctx, id, r)
		case "extend":
			return s.Extend(ctx, id, end, r)
		case "reduce":
			return s.Reduce(ctx, id, caller.lines(at, 1), r)
		case "return":
			return s.Return(ctx, id, "", r)
		}
		caller.request.Replaces = id
		return caller.reserve(ctx, at+uint64(c.accounts)<<20, 3) // of the same account
	})
}

// Refusals requests n packs, each of which must be refused with the code. With an empty code, each request must be a
// repetition that returns the existing reservation.
func (s *Seathold) Refusals(
	ctx context.Context, c *Crowd, names Names, first uint64, n, callers int, code engine.Code,
) error {
	return s.each(c, names, first, n, callers, func(caller *caller, at uint64) error {
		err := caller.reserve(ctx, at, 3)
		refusal, refused := errors.AsType[*engine.Refusal](err)
		if refused && refusal.Code == code || err == nil && code == "" && caller.reservation.Repeated {
			return nil
		}
		return fmt.Errorf("expected the refusal %q, got: %v", code, err)
	})
}

// each calls do for n numbers from first on, from many concurrent callers, and returns an error of one of them.
func (s *Seathold) each(c *Crowd, names Names, first uint64, n, callers int, do func(*caller, uint64) error) error {
	var next atomic.Uint64
	next.Store(first)
	end := first + uint64(n)
	var fault atomic.Pointer[error]
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			caller := caller{engine: s.Engine, pools: s.Pools, crowd: c, names: names}
			for at := next.Add(1) - 1; at < end && fault.Load() == nil; at = next.Add(1) - 1 {
				if err := do(&caller, at); err != nil {
					stored := err // so that only a failure allocates
					fault.Store(&stored)
				}
			}
		})
	}
	all.Wait()
	if err := fault.Load(); err != nil {
		return *err
	}
	return nil
}

// caller holds the request and the result that a caller of the engine reuses.
type caller struct {
	engine      *engine.Engine
	pools       []Pool
	crowd       *Crowd
	names       Names
	request     engine.Request
	room        []engine.Line
	reservation engine.Reservation
}

func (c *caller) reserve(ctx context.Context, n uint64, lines int) error {
	q := &c.request
	q.ID, q.Account, q.Lines = engine.ID(c.crowd.id(n)), c.names.of(c.crowd.account(n)), c.lines(n, lines)
	return c.engine.Reserve(ctx, q, &c.reservation)
}

// lines returns a ticket of each of the first pools of the n-th reservation, until the next call.
func (c *caller) lines(n uint64, count int) []engine.Line {
	c.room = c.room[:0]
	for line := range count {
		p := &c.pools[c.crowd.pool(n, line)]
		c.room = append(c.room, engine.Line{Session: p.Session, Category: p.Category, Quantity: 1})
	}
	return c.room
}
