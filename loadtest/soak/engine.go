package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/engine/spec"
)

// running is an engine without a journal. Only its public calls are made.
type running struct {
	e     *engine.Engine
	clock *clock
	lines [pools]engine.Line // by pool of the plan, one ticket
	own   map[engine.Line]uint32
	pool  [pools]int // of the sale definition
	log   loud
}

// The phases of the sale.
const (
	singles = "singles"
	packs   = "packs"
)

// define returns the sale.
func (p plan) define() (*catalog.Sale, error) {
	opens := time.UnixMilli(saleStart).UTC()
	closes := opens.Add(10 * 366 * 24 * time.Hour)
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: accountCap, SessionLimit: sessionLimit}},
		Phases: []spec.DefinedPhase{{ID: singles, Programme: "games", OpensAt: opens, ClosesAt: closes},
			{ID: packs, Programme: "games", PackSessions: 3, OpensAt: opens, ClosesAt: closes}},
	}
	for i := range sessions {
		s := spec.DefinedSession{ID: fmt.Sprintf("S%03d", i), Programme: "games", StartsAt: closes}
		for range categories {
			s.Places = append(s.Places, p.placesOf(i))
		}
		d.Sessions = append(d.Sessions, s)
	}
	return d.Load()
}

// placesOf returns how many places each pool of a session has.
func (p plan) placesOf(session int) int {
	if session >= usualSessions {
		return scarcePlaces
	}
	return p.places()
}

func openEngine(p plan, clock *clock) (sale, error) {
	defined, err := p.define()
	if err != nil {
		return nil, err
	}
	s := &running{clock: clock, own: map[engine.Line]uint32{}}
	s.e, err = engine.Open(context.Background(), engine.Options{Sale: defined, Durability: engine.None,
		TTL: longTTL * time.Millisecond, MaxHold: time.Hour, Forget: remembered * time.Millisecond,
		Clock:           saleclock.Virtual(func() time.Time { return time.UnixMilli(clock.now()) }),
		MaxReservations: p.rows, MaxAccounts: p.rows, Log: slog.New(slog.NewTextHandler(&s.log, nil))})
	if err != nil {
		return nil, err
	}
	for i := range s.lines {
		l := engine.Line{Session: fmt.Sprintf("S%03d", i/categories), Category: spec.Category(i % categories)}
		session, _ := defined.SessionByID(l.Session)
		s.pool[i], _ = defined.PoolOf(session, l.Category)
		s.own[l], s.lines[i] = uint32(i), l
	}
	return s, nil
}

func (s *running) start() {} // an engine that is open works

func (s *running) settle() {
	for s.e.ExpireDue() > 0 {
	}
}

func (s *running) stock(pool int) inventory.Stock {
	found := s.e.Stock(s.pool[pool])
	return inventory.Stock{Available: found.Available, Held: found.Held, Sold: found.Sold, Withheld: found.Withheld}
}

// census returns what the engine's own checks in the background have found.
func (s *running) census() (int, error) {
	if err := s.log.err(); err != nil {
		return 0, err
	}
	found, ok := s.e.LastConservation()
	if ok && found.Problem != "" {
		return found.StockDifference + found.CapExcess, errors.New(found.Problem)
	}
	return found.StockDifference + found.CapExcess, nil
}

func (s *running) usage() usage {
	tables := s.e.Stats().Tables
	return usage{rows: tables[0].Used, accounts: tables[1].Used}
}

// forgetWithin is how long it takes at most until the engine has forgotten everything that may be. A pass over all rows
// begins each minute; the second one takes what was led to by what the first one took.
const forgetWithin = 3 * time.Minute

// forget checks the sale, and waits until the engine has forgotten what it may.
func (s *running) forget() (accounts bool, err error) {
	found, err := s.e.CheckConservation(context.Background())
	if err == nil && found.Problem != "" {
		err = errors.New(found.Problem)
	}
	for until := time.Now().Add(forgetWithin); err == nil && time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if s.usage().rows == int(s.e.Stats().Reservations[engine.Confirmed]) {
			return false, nil
		}
	}
	return false, err
}

func (s *running) close() error { return errors.Join(s.e.Close(), s.log.err()) }

func (s *running) seller() seller { return &engineSeller{running: s} }

// loud keeps what is logged: a soak that logs has failed.
type loud struct {
	lock sync.Mutex
	text bytes.Buffer
}

// Write keeps a line of the log.
func (l *loud) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(p)
}

func (l *loud) err() error {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.text.Len() > 0 {
		return fmt.Errorf("the engine logged: %s", bytes.TrimSpace(l.text.Bytes()))
	}
	return nil
}

type engineSeller struct {
	*running
	r       engine.Reservation
	request engine.Request
	keep    []engine.Line
	found   []inventory.Line
}

// codes are the answers of refusals.
var codes = map[engine.Code]answer{engine.ReservationNotFound: notFound, engine.IDReused: otherContent,
	engine.ReservationHeld: wasHeld, engine.ReservationConfirmed: wasConfirmed, engine.ReservationReleased: wasReleased,
	engine.ReservationReturned: wasReturned, engine.ReservationExpired: wasExpired,
	engine.SessionLimitExceeded: overLimit, engine.AccountCapExceeded: overCap, engine.SoldOut: soldOut,
	engine.Overloaded: overloaded, engine.Full: full}

func (s *engineSeller) answer(err error) answer {
	if err == nil {
		if s.r.Repeated {
			return repeated
		}
		return done
	}
	if refusal, ok := errors.AsType[*engine.Refusal](err); ok {
		if a, ok := codes[refusal.Code]; ok {
			return a
		}
	}
	return unforeseen
}

// named returns the lines as the engine names them.
func (s *engineSeller) named(to []engine.Line, lines []inventory.Line) []engine.Line {
	for _, l := range lines {
		named := s.running.lines[l.Pool]
		named.Quantity = int(l.Quantity)
		to = append(to, named)
	}
	return to
}

func (s *engineSeller) prefetch(inventory.ID) {} // an engine does it for a batch alone

func (s *engineSeller) reserve(o *demand) (answer, int64) {
	q := &s.request
	*q = engine.Request{ID: engine.ID(o.id), Replaces: engine.ID(o.replaces), Account: o.account, Phase: singles,
		TTL: time.Duration(o.ttl) * time.Millisecond, Lines: s.named(q.Lines[:0], o.lines)}
	if o.pack {
		q.Phase = packs
	}
	err := s.e.Reserve(context.Background(), q, &s.r)
	return s.answer(err), s.r.ExpiresAt.UnixMilli()
}

func (s *engineSeller) confirm(id inventory.ID, reference string) answer {
	return s.answer(s.e.Confirm(context.Background(), engine.ID(id), reference, &s.r))
}

func (s *engineSeller) confirmAgain(o *demand, reference string) answer {
	return s.answer(s.e.ConfirmAgain(context.Background(), engine.ID(o.id), reference, &s.r))
}

func (s *engineSeller) release(id inventory.ID) answer {
	return s.answer(s.e.Release(context.Background(), engine.ID(id), &s.r))
}

func (s *engineSeller) giveBack(id inventory.ID) answer {
	return s.answer(s.e.Return(context.Background(), engine.ID(id), "", &s.r))
}

func (s *engineSeller) extend(id inventory.ID, expires int64) answer {
	return s.answer(s.e.Extend(context.Background(), engine.ID(id), time.UnixMilli(expires), &s.r))
}

func (s *engineSeller) reduce(id inventory.ID, keep []inventory.Line) answer {
	s.keep = s.named(s.keep[:0], keep)
	return s.answer(s.e.Reduce(context.Background(), engine.ID(id), s.keep, &s.r))
}

func (s *engineSeller) read(id inventory.ID, to *facts) answer {
	if a := s.answer(s.e.Reservation(context.Background(), engine.ID(id), &s.r)); a > repeated {
		return a
	}
	s.found = s.found[:0]
	for _, l := range s.r.Lines {
		quantity := uint32(l.Quantity)
		l.Quantity = 0
		s.found = append(s.found, inventory.Line{Pool: s.own[l], Quantity: quantity})
	}
	to.state, to.account, to.lines = s.r.State, s.r.Account, s.found
	to.expires, to.reference = s.r.ExpiresAt.UnixMilli(), s.r.Reference
	return done
}
