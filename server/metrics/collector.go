package metrics

import (
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/handshake"
	"github.com/seathold/seathold/server/internal/latency"
)

// collector collects the metrics of a sale. It keeps no counts: every scrape reads those of the engine and the server,
// without blocking either.
type collector struct {
	descs  map[string]*prometheus.Desc // by name without its prefix
	source func() *server.Server       // the current server, nil while there is none
	loaded *Reloads                    // nil if no files are read again
	ends   func() map[string]time.Time // of certificates; nil if there are none
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	p := page{c.descs, to}
	p.reloads(c.loaded)
	p.certificates(c.ends)
	s := c.source()
	if s == nil {
		p.gauge("ready", 0)
		p.gauge("leader", 0)
		return
	}
	e := s.Engine()
	stats := e.Stats()
	p.calls(stats.Calls)
	p.api(s)
	p.sold(e, &stats)
	p.term(s, &stats)
	if stats.Journal != nil {
		p.journal(stats.Journal)
	}
	if stats.Journal != nil || !stats.Leads {
		p.store(e.Condition())
	}
	p.conserved(e)
}

// page is the target of one scrape. Its methods add a sample of the family with the name.
type page struct {
	descs map[string]*prometheus.Desc
	to    chan<- prometheus.Metric
}

func (p page) gauge(name string, value float64, labels ...string) {
	p.to <- prometheus.MustNewConstMetric(p.descs[name], prometheus.GaugeValue, value, labels...)
}

func (p page) counter(name string, value uint64, labels ...string) {
	p.to <- prometheus.MustNewConstMetric(p.descs[name], prometheus.CounterValue, float64(value), labels...)
}

func (p page) durations(name string, all *engine.Durations, labels ...string) {
	buckets := map[float64]uint64{}
	for bound, n := range all.Buckets() {
		buckets[bound.Seconds()] = n
	}
	p.to <- prometheus.MustNewConstHistogram(p.descs[name], all.Count(), all.Sum.Seconds(), buckets, labels...)
}

// latency adds a histogram with classic buckets only.
func (p page) latency(name string, c *latency.Counts) {
	p.to <- prometheus.MustNewConstHistogram(p.descs[name], c.Count(), c.Sum(), maps.Collect(c.Classic()))
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (p page) calls(calls []engine.CallStats) {
	for i := range calls {
		call := &calls[i]
		for _, r := range call.Results {
			p.counter("operations_total", r.Count, call.Call, string(r.Code))
		}
		p.durations("operation_engine_seconds", &call.Engine, call.Call)
		p.durations("operation_journal_seconds", &call.Journal, call.Call)
	}
}

func (p page) api(s *server.Server) {
	stats := s.Stats()
	for status, n := range stats.Answers {
		p.counter("http_answers_total", n, strconv.Itoa(status))
	}
	for _, a := range stats.ByKey {
		p.counter("http_key_answers_total", a.Count, a.Key, a.Route, strconv.Itoa(a.Status))
	}
	for i := range stats.Latencies {
		l := &stats.Latencies[i]
		p.waits("http_wait_seconds", &l.Counts, l.Route, l.Result)
	}
	p.gauge("http_connections", float64(stats.Connections))
	p.counter("http_lists_made_total", stats.ListsMade)
	p.gauge("http_buffered_bytes", float64(stats.Buffered.Bytes))
	p.gauge("http_buffered_limit_bytes", float64(stats.Buffered.Limit))
	p.counter("http_buffered_refused_total", stats.Buffered.Refused)
	p.counter("http_buffered_cut_off_total", stats.Buffered.CutOff)
	p.overload(&stats.Overload)
	p.handshakes(&stats.Handshakes)
}

func (p page) certificates(ends func() map[string]time.Time) {
	if ends == nil {
		return
	}
	for what, end := range ends() {
		p.gauge("tls_certificate_not_after_timestamp_seconds", float64(end.Unix()), what)
	}
}

func (p page) handshakes(h *handshake.Stats) {
	p.gauge("tls_handshakes_in_progress", float64(h.InProgress))
	p.gauge("tls_handshakes_waiting", float64(h.Waiting))
	p.counter("tls_handshakes_total", h.Full, "full")
	p.counter("tls_handshakes_total", h.Resumed, "resumed")
	for reason, n := range h.Failed {
		p.counter("tls_handshake_failures_total", n, reason)
	}
	p.latency("tls_handshake_seconds", h.Took)
}

func (p page) overload(o *server.Overload) {
	p.gauge("http_connections_limit", float64(o.MaxConns))
	p.gauge("turns", float64(o.InTurn))
	p.gauge("turns_limit", float64(o.Turns))
	for urgency, n := range o.Waiting {
		p.gauge("turns_waiting_requests", float64(n), urgency)
	}
	for reason, n := range o.Refused {
		p.counter("overload_refusals_total", n, reason)
	}
	p.latency("turn_wait_seconds", o.Waits)
}

func (p page) sold(e *engine.Engine, stats *engine.Stats) {
	for _, state := range []engine.State{engine.Held, engine.Confirmed, engine.Released, engine.Returned,
		engine.Expired} {
		if stats.Reservations != nil {
			p.gauge("reservations", float64(stats.Reservations[state]), state.String())
		}
	}
	p.counter("reservations_expired_total", stats.Expired)
	p.counter("waits_total", stats.Waits.Begun-min(stats.Waits.Begun, stats.Waits.TimedOut), "completed")
	p.counter("waits_total", stats.Waits.TimedOut, "timed_out")
	p.tables(stats)
	for _, s := range stats.Slots {
		p.gauge("access_slots_open", float64(s.Winners), s.Phase)
		p.gauge("access_slot_windows_open", float64(s.Windows), s.Phase)
	}
	p.definition(e, &stats.Definition)
	p.draws(e)
	p.members(e)
	p.gauge("sale_clock_timestamp_seconds", float64(e.Now().UnixMilli())/1000)
	p.gauge("sale_clock_ahead_seconds", stats.ClockAhead.Seconds())
	p.tickets(e)
}

func (p page) definition(e *engine.Engine, stats *engine.DefinitionStats) {
	sale, paused := e.Shown()
	p.gauge("definition_version", float64(stats.Version))
	p.gauge("definition_changed_timestamp_seconds", float64(stats.Since.UnixMilli())/1000)
	p.counter("definition_changes_total", stats.Changed, "changed")
	p.counter("definition_changes_total", stats.Refused, "refused")
	p.gauge("paused", truth(paused.Sale()), "sale")
	p.gauge("paused", float64(len(paused.Phases())), "phases")
	p.gauge("paused", float64(len(paused.Sessions())), "sessions")
	for i := range sale.Phases {
		if sale.Phases[i].Removed {
			continue
		}
		p.gauge("phase_open", truth(e.PhaseOpen(i)), sale.Phases[i].ID)
		if sale.HasQuotas(i) {
			p.places(sale.Phases[i].ID, e.PhasePlaces(i))
		}
	}
}

// places collects how many tickets a phase sells, unless it sells any number of each session.
func (p page) places(phase string, bounds []engine.PhasePlaces) {
	places, taken := 0, 0
	for i := range bounds {
		places += bounds[i].Places
		taken += bounds[i].Places - bounds[i].Available
	}
	if len(bounds) > 0 {
		p.gauge("phase_places", float64(places), phase)
		p.gauge("phase_places_taken", float64(taken), phase)
	}
}

func (p page) tables(stats *engine.Stats) {
	for _, t := range stats.Tables {
		p.gauge("table_fill_ratio", float64(t.Used)/float64(t.Limit), t.Table.String())
		p.gauge("table_rows", float64(t.Used), t.Table.String())
		p.gauge("table_rows_limit", float64(t.Limit), t.Table.String())
	}
	f := &stats.Forgetting
	p.counter("table_rows_freed_total", f.FreedReservations, "reservations")
	p.counter("table_rows_freed_total", f.FreedAccounts, "accounts")
	for state, n := range f.Forgotten {
		p.counter("reservations_forgotten_total", n, state.String())
	}
	p.gauge("forget_after_seconds", f.After.Seconds())
	p.gauge("forget_after_limit_seconds", f.Limit.Seconds())
	p.gauge("reclaim_waiting_rows", float64(f.Waiting))
	p.gauge("reclaim_grace_seconds", f.Grace.Seconds())
	p.gauge("accounts", float64(stats.Accounts))
	p.gauge("accounts_kept", float64(f.KeptAccounts))
	p.gauge("accounts_closed", float64(f.Closed))
}

func (p page) draws(e *engine.Engine) {
	sale := e.Sale()
	for i := range sale.Draws {
		d := &sale.Draws[i]
		if d.Removed {
			continue
		}
		status, err := e.Draw(d.ID)
		refusal, refused := errors.AsType[*engine.Refusal](err)
		switch {
		case refused && refusal.Code == engine.NotLeader:
			return // a standby that has not caught up, or no longer follows
		case refused && refusal.Code == engine.DrawNotFound:
			continue // it was removed a moment ago
		case err != nil:
			panic("BUG: the state of a draw cannot be read: " + err.Error())
		}
		unfrozen := time.Duration(0)
		if status.State == engine.DrawClosed {
			unfrozen = e.Now().Sub(d.RegistrationCloses)
		}
		p.gauge("draw_unfrozen_seconds", unfrozen.Seconds(), d.ID)
		p.gauge("draw_void", truth(status.State == engine.DrawVoid), d.ID)
	}
}

func (p page) members(e *engine.Engine) {
	sale := e.Sale()
	for i := range sale.Groups {
		in := &sale.Groups[i]
		if in.Removed {
			continue
		}
		members, err := e.Members(in.ID)
		refusal, refused := errors.AsType[*engine.Refusal](err)
		switch {
		case refused && refusal.Code == engine.NotLeader:
			return // a standby that has not caught up, or no longer follows
		case errors.Is(err, engine.ErrNoGroup):
			continue // it was removed a moment ago
		case err != nil:
			panic("BUG: the members of a group cannot be counted: " + err.Error())
		}
		p.gauge("group_members", float64(members), in.ID)
	}
}

func (p page) term(s *server.Server, stats *engine.Stats) {
	p.gauge("ready", truth(s.Ready() == nil))
	p.gauge("leader", truth(stats.Leads))
	p.gauge("epoch", float64(stats.Epoch))
	p.gauge("standby_lag_seconds", stats.StandbyLag.Seconds())
}

func (p page) journal(j *engine.JournalStats) {
	p.gauge("journal_up", truth(j.Err == nil))
	p.counter("journal_groups_total", j.Syncs.Count())
	p.counter("journal_records_total", j.Records)
	p.counter("journal_bytes_total", j.Bytes)
	p.durations("journal_sync_seconds", &j.Syncs)
	p.gauge("journal_queue_records", float64(j.Placed-min(j.Durable, j.Placed)))
	p.gauge("journal_placed_sequence", float64(j.Placed))
	p.gauge("journal_durable_sequence", float64(j.Durable))
	p.counter("checkpoints_total", j.Checkpoints, "complete")
	p.counter("checkpoints_total", j.CheckpointsFailed, "failed")
	p.gauge("checkpoint_running", truth(j.Checkpointing))
	p.gauge("checkpoint_age_seconds", j.CheckpointAge.Seconds())
	size, took := int64(0), 0.0
	if j.Checkpoint != nil {
		size, took = j.Checkpoint.Bytes, j.Checkpoint.Took.Seconds()
	}
	p.gauge("checkpoint_size_bytes", float64(size))
	p.gauge("checkpoint_duration_seconds", took)
	p.gauge("checkpoint_behind_records", float64(j.ToReplay))
}

// store collects how the journal's store is doing, on a leader and on a standby.
func (p page) store(c journal.Condition) {
	p.gauge("journal_safe", truth(len(c.Unsafe) == 0))
	p.gauge("journal_retrying", truth(c.Retrying != nil))
	p.counter("journal_retries_total", c.Retries)
	p.counter("journal_resent_entries_total", c.Resent)
}

func (p page) conserved(e *engine.Engine) {
	last, checked := e.LastConservation()
	p.gauge("conservation_difference_tickets", float64(last.StockDifference), "I1")
	p.gauge("conservation_difference_tickets", float64(last.CapExcess), "I2")
	at := 0.0
	if checked {
		at = float64(last.At.UnixMilli()) / 1000
	}
	p.gauge("conservation_last_pass_timestamp_seconds", at)
	p.gauge("conservation_pass_duration_seconds", last.Took.Seconds())
	p.gauge("conservation_pools", float64(last.ExactPools), "exact")
	p.gauge("conservation_pools", float64(last.Pools-last.ExactPools), "bounded")
	p.gauge("conservation_unsteady_ledgers", float64(last.UnsteadyLedgers))
	for i := range e.Sale().Programmes {
		n := 0
		if checked && i < len(last.AccountsAtCap) { // a programme may be newer than the check
			n = last.AccountsAtCap[i]
		}
		p.gauge("accounts_at_cap", float64(n), e.Sale().Programmes[i].ID)
	}
}

// tickets collects the stock of every session.
func (p page) tickets(e *engine.Engine) {
	sale := e.Sale()
	for i := range sale.Sessions {
		session := &sale.Sessions[i]
		var sum engine.Stock
		for _, pool := range session.Pools {
			stock := e.Stock(pool)
			sum.Available += stock.Available
			sum.Held += stock.Held
			sum.Sold += stock.Sold
			sum.Withheld += stock.Withheld
		}
		gauge := func(state string, tickets int) {
			p.gauge("tickets", float64(tickets), sale.Programmes[session.Programme].ID, session.Discipline, session.ID, state)
		}
		gauge("available", sum.Available)
		gauge("held", sum.Held)
		gauge("sold", sum.Sold)
		gauge("withheld", sum.Withheld)
	}
}
