package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/metrics"
)

// banner prints what is sold, the clock, the journal, and how to try it.
func (s *service) banner(w io.Writer) error {
	out := lines{w: w}
	out.printf("Seathold %s", metrics.ReadBuild())
	out.printf("  sale       %s", describeSale(s.engine.Sale()))
	s.describeDefinition(&out)
	out.printf("  clock      %s", s.describeClock())
	out.printf("  open now   %s", describePhases(s.engine))
	out.printf("  journal    %s", s.describeJournal())
	for _, line := range s.report {
		out.printf("  redis      %s", line)
	}
	if !s.engine.Leads() {
		out.printf("  role       standby: it answers reads, and takes over when the leader is silent for %s",
			s.command.Standby.TakeoverAfter)
	} else if s.command.Durability != "none" {
		out.printf("  recovered  %s", describeRecovery(s.engine.Recovery()))
		for _, note := range s.engine.Recovery().Notes {
			out.printf("  note       %s", note)
		}
	}
	out.printf("  holds      last %s unless the request asks for less, and %s at most when they are extended",
		s.command.Holds.TTL, s.command.Holds.most())
	out.printf("  callers    %s", s.describeCallers())
	out.printf("  API        %s (documented at /docs)", s.url(s.api))
	profiles := ""
	if s.keys != nil {
		profiles = "with an admin's key "
	}
	out.printf("  operator   %s (/healthz, /readyz, /metrics, %s/debug/pprof/)", s.url(s.admin), profiles)
	if s.engine.Leads() {
		s.suggest(&out)
	}
	return out.err
}

func describeSale(sale *catalog.Sale) string {
	derived := ""
	if slices.ContainsFunc(sale.Pools, func(p catalog.Pool) bool { return p.Derived }) {
		derived = "; stock derived from the capacity of the venues"
	}
	return fmt.Sprintf("%s (%s): %s sessions, %s tickets on sale%s", sale.Title, sale.Name, count(len(sale.Sessions)),
		count(sale.PlacesOnSale()), derived)
}

// describeDefinition prints which version of the sale's definition is in force, what is paused, and what became of the
// files of --sale. A standby that has not caught up does not know.
func (s *service) describeDefinition(out *lines) {
	now, err := s.engine.Definition()
	if err != nil {
		return
	}
	what := fmt.Sprintf("version %d, since %s", now.Version, now.Since.UTC().Format(time.RFC3339))
	start := s.engine.Recovery().Sale
	if start.Replaced() {
		what += "; put into force at this start, with " + counted(len(start.Changes), "change", "changes")
	}
	if paused := describePaused(now.Paused.Sale, now.Paused.Phases, now.Paused.Sessions); paused != "" {
		what += "; PAUSED: " + paused
	}
	out.printf("  definition %s", what)
	if start.Replaced() {
		printChanges(out, start.Changes)
	}
	if start.Earlier > 0 {
		out.printf("  note       what --sale %s says was in force before, in version %d, and was replaced; it has no "+
			"effect. seathold sale export writes what is in force", s.command.Sale, start.Earlier)
	}
}

// printChanges prints what a start has changed, the first of many only. The log has more.
func printChanges(out *lines, changes []catalog.Change) {
	const most = 10
	if len(changes) == 0 {
		out.printf("  changed    nothing: other files that say the same")
		return
	}
	for _, change := range changes[:min(most, len(changes))] {
		out.printf("  changed    %s", change)
	}
	if more := len(changes) - most; more > 0 {
		out.printf("  changed    and %s more", count(more))
	}
}

func (s *service) describeClock() string {
	now := s.engine.Now().Format(time.RFC3339)
	if s.clock.real {
		return "wall time, " + now
	}
	return fmt.Sprintf("simulated from %s, now %s", s.clock.from.Format(time.RFC3339), now)
}

func describePhases(e *engine.Engine) string {
	var open []string
	for i := range e.Sale().Phases {
		if p := &e.Sale().Phases[i]; e.PhaseOpen(i) {
			open = append(open, fmt.Sprintf("%s (%s, until %s)", p.ID, p.Title, p.ClosesAt.Format("2 January 2006 15:04 UTC")))
		}
	}
	if open == nil {
		return "no phase of the sale"
	}
	return strings.Join(open, ", ")
}

func (s *service) describeJournal() string {
	switch {
	case s.command.Durability == "none":
		return "none: all outcomes are lost when the server ends"
	case s.command.Durability == "async":
		return s.command.Journal.String() + ", async: answers do not wait for it, a crash may undo the last ones"
	case s.command.Journal.Redis.URL != "":
		return s.command.Journal.String() + ", sync: acknowledged outcomes are in the Redis"
	}
	return s.command.Journal.String() + ", sync: acknowledged outcomes are on disk"
}

func describeRecovery(r engine.Recovery) string {
	if r.Last == 0 {
		return "nothing: the journal is new"
	}
	return fmt.Sprintf("%s reservations of %s accounts in %s", count(r.Reservations), count(r.Accounts),
		r.Took.Round(100*time.Microsecond))
}

func (s *service) describeCallers() string {
	access := "need a key of " + s.command.Callers.Keys
	if s.keys == nil {
		access = "on this machine only, without keys"
	}
	if s.secure != nil {
		access += ", TLS"
	}
	if s.command.Callers.ClientCA != "" {
		access += " with client certificates"
	}
	return access
}

// suggest prints calls that hold and sell tickets in the present state of the sale.
func (s *service) suggest(out *lines) {
	line, account, ok := suggestion(s.engine)
	if !ok {
		out.printf("\nNo open phase sells anything to the public at this time; see --clock.")
		return
	}
	curl := "curl -sS"
	if s.command.Callers.ClientCA != "" {
		curl += " --cert CERT --key KEY"
	}
	if s.secure != nil {
		curl += " --cacert " + s.command.Callers.TLSCert
	}
	if s.keys != nil {
		curl += " -H 'Authorization: Bearer KEY'"
	}
	url := s.url(s.api) + "/v1/reservations"
	out.printf("\nTry it. This holds tickets, and can be repeated until a limit is reached:")
	out.printf(`  %s %s -d '{"account":"%s","lines":[{"session":"%s","category":"%s","quantity":%d}]}'`, curl, url,
		account, line.Session, line.Category, line.Quantity)
	out.printf("This sells them, with the id from that answer in place of ID:")
	out.printf("  %s -X POST %s/ID/confirm", curl, url)
}

// suggestion picks the pool with most tickets available in the open phases for the public, and a new account.
func suggestion(e *engine.Engine) (line engine.Line, account string, ok bool) {
	sale, most := e.Sale(), 0
	for i := range sale.Phases {
		p := &sale.Phases[i]
		if !e.PhaseOpen(i) || p.Access != catalog.Open || p.Kind != catalog.Single {
			continue
		}
		for pool := range sale.Pools {
			session := &sale.Sessions[sale.Pools[pool].Session]
			if available := e.Stock(pool).Available; p.Sells(sale.Pools[pool].Session) && available > most {
				most = available
				line = engine.Line{Session: session.ID, Category: sale.Pools[pool].Category,
					Quantity: min(2, available, session.Limit)}
			}
		}
	}
	return line, freshAccount(e), most > 0
}

// freshAccount returns the name of an account without tickets, unless all it tries have some.
func freshAccount(e *engine.Engine) (name string) {
	name = "alice"
	for i := range 1000 {
		if ledger, err := e.Account(context.Background(), name); err == nil && len(ledger.Reservations) == 0 {
			break
		}
		name = "alice-" + strconv.Itoa(i+2)
	}
	return name
}

func (s *service) url(ln net.Listener) string {
	if s.secure != nil {
		return "https://" + hostPort(ln)
	}
	return "http://" + hostPort(ln)
}

// hostPort returns where the listener can be reached from this machine.
func hostPort(ln net.Listener) string {
	at := ln.Addr().(*net.TCPAddr)
	if at.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(at.Port))
	}
	return at.String()
}

// counted writes a number of things, of which one has another name.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// count writes a number with a comma between groups of three digits.
func count(n int) string { return humanize.Comma(int64(n)) }
