package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server"
)

// collector collects the metrics of a sale. It keeps no counts: every scrape reads those of the engine and the server,
// without blocking either.
type collector struct {
	*families
	source func() *server.Server // the current server, nil while there is none
}

// Describe is part of prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.all {
		to <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	p := page{to: to}
	s := c.source()
	if s == nil {
		p.gauge(c.ready, 0)
		p.gauge(c.leader, 0)
		return
	}
	e := s.Engine()
	stats := e.Stats()
	c.calls(p, stats.Calls)
	c.api(p, s)
	c.sold(p, e, &stats)
	c.term(p, s, &stats)
	if stats.Journal != nil {
		c.journal(p, stats.Journal)
	}
	c.conserved(p, e)
}

// page is the target of one scrape.
type page struct{ to chan<- prometheus.Metric }

func (p page) gauge(d *prometheus.Desc, value float64, labels ...string) {
	p.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (p page) counter(d *prometheus.Desc, value uint64, labels ...string) {
	p.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (p page) durations(d *prometheus.Desc, all *engine.Durations, labels ...string) {
	buckets := map[float64]uint64{}
	for bound, n := range all.Buckets() {
		buckets[seconds(bound)] = n
	}
	p.to <- prometheus.MustNewConstHistogram(d, all.Count(), seconds(all.Sum), buckets, labels...)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (c *collector) calls(p page, calls []engine.CallStats) {
	for i := range calls {
		call := &calls[i]
		for _, r := range call.Results {
			p.counter(c.operations, r.Count, call.Call, string(r.Code))
		}
		p.durations(c.engineTime, &call.Engine, call.Call)
		p.durations(c.journalTime, &call.Journal, call.Call)
	}
}

func (c *collector) api(p page, s *server.Server) {
	stats := s.Stats()
	for status, n := range stats.Answers {
		p.counter(c.answers, n, strconv.Itoa(status))
	}
	p.gauge(c.connections, float64(stats.Connections))
	p.gauge(c.inFlight, float64(stats.InFlight))
	p.gauge(c.backlogged, float64(stats.Backlogged))
	p.gauge(c.admissionLimit, float64(stats.MaxInFlight))
	p.counter(c.admissionRefused, stats.Refused)
}

func (c *collector) sold(p page, e *engine.Engine, stats *engine.Stats) {
	for _, state := range []engine.State{engine.Held, engine.Confirmed, engine.Released, engine.Expired} {
		if stats.Reservations != nil {
			p.gauge(c.reservations, float64(stats.Reservations[state]), state.String())
		}
	}
	p.counter(c.expired, stats.Expired)
	p.gauge(c.accounts, float64(stats.Accounts))
	for _, s := range stats.Slots {
		p.gauge(c.slotsOpen, float64(s.Winners), s.Phase)
		p.gauge(c.windowsOpen, float64(s.Windows), s.Phase)
	}
	for i := range e.Sale().Phases {
		p.gauge(c.phaseOpen, truth(e.PhaseOpen(i)), e.Sale().Phases[i].ID)
	}
	p.gauge(c.saleClock, float64(e.Now().UnixMilli())/1000)
	c.collectTickets(p, e)
}

func (c *collector) term(p page, s *server.Server, stats *engine.Stats) {
	p.gauge(c.ready, truth(s.Ready() == nil))
	p.gauge(c.leader, truth(stats.Leads))
	p.gauge(c.epoch, float64(stats.Epoch))
	p.gauge(c.standbyLag, seconds(stats.StandbyLag))
}

func (c *collector) journal(p page, j *engine.JournalStats) {
	p.gauge(c.journalUp, truth(j.Err == nil))
	p.counter(c.groups, j.Syncs.Count())
	p.counter(c.records, j.Records)
	p.counter(c.bytes, j.Bytes)
	p.durations(c.syncTime, &j.Syncs)
	p.gauge(c.queue, float64(j.Placed-min(j.Durable, j.Placed)))
	p.gauge(c.placed, float64(j.Placed))
	p.gauge(c.durable, float64(j.Durable))
	p.counter(c.checkpoints, j.Checkpoints, "complete")
	p.counter(c.checkpoints, j.CheckpointsFailed, "failed")
	p.gauge(c.checkpointAge, seconds(j.CheckpointAge))
	size, took := int64(0), 0.0
	if j.Checkpoint != nil {
		size, took = j.Checkpoint.Bytes, seconds(j.Checkpoint.Took)
	}
	p.gauge(c.checkpointSize, float64(size))
	p.gauge(c.checkpointTook, took)
	p.gauge(c.recordsToReplay, float64(j.ToReplay))
}

func (c *collector) conserved(p page, e *engine.Engine) {
	last, checked := e.LastConservation()
	p.gauge(c.difference, float64(last.StockDifference), "I1")
	p.gauge(c.difference, float64(last.CapExcess), "I2")
	at := 0.0
	if checked {
		at = float64(last.At.UnixMilli()) / 1000
	}
	p.gauge(c.lastPass, at)
	p.gauge(c.passTook, seconds(last.Took))
	p.gauge(c.passPools, float64(last.ExactPools), "exact")
	p.gauge(c.passPools, float64(last.Pools-last.ExactPools), "bounded")
	p.gauge(c.passUn, float64(last.UnsteadyLedgers))
	for i := range e.Sale().Programmes {
		n := 0
		if checked {
			n = last.AccountsAtCap[i]
		}
		p.gauge(c.accountsAtCap, float64(n), e.Sale().Programmes[i].ID)
	}
}

// collectTickets collects the stock of every session.
func (c *collector) collectTickets(p page, e *engine.Engine) {
	sale := e.Sale()
	for i := range sale.Sessions {
		session := &sale.Sessions[i]
		var sum engine.Stock
		for pool := session.FirstPool; pool < session.FirstPool+session.PoolCount; pool++ {
			stock := e.Stock(pool)
			sum.Available += stock.Available
			sum.Held += stock.Held
			sum.Sold += stock.Sold
			sum.Withheld += stock.Withheld
		}
		gauge := func(state string, tickets int) {
			p.gauge(c.tickets, float64(tickets), sale.Programmes[session.Programme].ID, session.Discipline, session.ID, state)
		}
		gauge("available", sum.Available)
		gauge("held", sum.Held)
		gauge("sold", sum.Sold)
		gauge("withheld", sum.Withheld)
	}
}
