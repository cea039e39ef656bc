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
	"github.com/seathold/seathold/server"
)

// Seathold is an engine over Sale, in which everything is sold to everybody.
type Seathold struct {
	*engine.Engine
	Places []Place

	server *server.Server
	ended  chan error
}

// OpenSeathold opens the engine; a nil journal is none at all. Its sale clock stands still.
func OpenSeathold(ctx context.Context, b journal.Backend, accounts int) (*Seathold, error) {
	o := engine.Options{Sale: Sale(), Journal: b, ExpectAccounts: accounts}
	if b == nil {
		o.Durability = engine.None
	}
	_, open := Phase(o.Sale)
	o.Clock = func(time.Time) func() time.Time { return func() time.Time { return open } }
	e, err := engine.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Seathold{Engine: e, Places: Places(o.Sale)}, nil
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

// Close ends the server, if there is one, and the engine.
func (s *Seathold) Close() error {
	var err error
	if s.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(s.server.Shutdown(ctx), <-s.ended)
	}
	return errors.Join(err, s.Engine.Close())
}

// Cycles makes n cycles, each reserving one ticket of so many pools and confirming it, in the name of so many callers at
// once. They go on behind the first; the numbers of two runs must not overlap.
func (s *Seathold) Cycles(ctx context.Context, c *Crowd, names Names, first uint64, n, callers, lines int) error {
	return s.each(c, names, first, n, callers, func(caller *caller, at uint64) error {
		if err := caller.reserve(ctx, at, lines); err != nil {
			return err
		}
		return caller.engine.Confirm(ctx, caller.request.ID, "", &caller.reservation)
	})
}

// Reservations makes n reservations of one ticket.
func (s *Seathold) Reservations(ctx context.Context, c *Crowd, names Names, first uint64, n, callers int) error {
	return s.each(c, names, first, n, callers, func(caller *caller, at uint64) error { return caller.reserve(ctx, at, 1) })
}

// Ends confirms, or releases, n reservations that were made before.
func (s *Seathold) Ends(ctx context.Context, c *Crowd, first uint64, n, callers int, confirm bool) error {
	return s.each(c, Names{}, first, n, callers, func(caller *caller, at uint64) error {
		id := engine.ID(c.ID(at))
		if confirm {
			return caller.engine.Confirm(ctx, id, "", &caller.reservation)
		}
		return caller.engine.Release(ctx, id, &caller.reservation)
	})
}

// Refusals asks n times for a pack and is refused with the code each time; with an empty code it is told of the
// reservation that there is.
func (s *Seathold) Refusals(ctx context.Context, c *Crowd, names Names, first uint64, n, callers int, code engine.Code) error {
	return s.each(c, names, first, n, callers, func(caller *caller, at uint64) error {
		err := caller.reserve(ctx, at, 3)
		refusal, refused := errors.AsType[*engine.Refusal](err)
		if refused && refusal.Code == code || err == nil && code == "" && caller.reservation.Repeated {
			return nil
		}
		return fmt.Errorf("instead of %q: %v", code, err)
	})
}

// each does something for n numbers from the first on, in the name of so many callers at once.
func (s *Seathold) each(c *Crowd, names Names, first uint64, n, callers int, do func(caller *caller, at uint64) error) error {
	var next atomic.Uint64
	next.Store(first)
	end := first + uint64(n)
	var fault atomic.Pointer[error]
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			caller := caller{engine: s.Engine, places: s.Places, crowd: c, names: names}
			for at := next.Add(1) - 1; at < end && fault.Load() == nil; at = next.Add(1) - 1 {
				if err := do(&caller, at); err != nil {
					stored := err // only this one is allocated
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

// caller keeps what a caller of the engine uses again and again.
type caller struct {
	engine      *engine.Engine
	places      []Place
	crowd       *Crowd
	names       Names
	request     engine.Request
	reservation engine.Reservation
}

func (c *caller) reserve(ctx context.Context, n uint64, lines int) error {
	q := &c.request
	q.ID, q.Account = engine.ID(c.crowd.ID(n)), c.names.Of(c.crowd.Account(n))
	q.Lines = q.Lines[:0]
	for line := range lines {
		p := &c.places[c.crowd.Place(n, line)]
		q.Lines = append(q.Lines, engine.Line{Session: p.Session, Category: p.Category, Quantity: 1})
	}
	return c.engine.Reserve(ctx, q, &c.reservation)
}
