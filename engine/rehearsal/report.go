package rehearsal

import (
	"maps"
	"slices"

	"github.com/seathold/seathold/engine"
)

// Report is what a rehearsal came to. With one worker everything but Measured follows from the sale, the scale and the
// seed.
type Report struct {
	Sale       string        `json:"sale"`
	Scale      float64       `json:"scale"`
	Seed       uint64        `json:"seed"`
	Workers    int           `json:"workers"`
	Durability string        `json:"durability"`
	Draws      []DrawReport  `json:"draws"`
	Phases     []PhaseReport `json:"phases"`
	Places     Places        `json:"places"`
	Audit      Audit         `json:"audit"`
	Measured   Measured      `json:"measured"`
}

// DrawReport is a draw.
type DrawReport struct {
	Draw     string `json:"draw"`
	Entries  int    `json:"entries"`
	Priority int    `json:"priority"` // entries of the priority group
	Repeated int    `json:"repeated"` // entries that were sent twice
	Buyers   int    `json:"buyers"`   // entrants who came to buy
	Root     string `json:"root"`
	Seed     string `json:"seed"`
}

// PhaseReport is a phase, as its buyers saw it.
type PhaseReport struct {
	Phase           string              `json:"phase"`
	Visits          int                 `json:"visits"`
	Requests        int                 `json:"requests"` // to reserve
	Repeated        int                 `json:"repeated"` // of these, sent a second time
	Held            int                 `json:"held"`     // reservations; each is one of the next three
	Confirmed       int                 `json:"confirmed"`
	Released        int                 `json:"released"`
	Expired         int                 `json:"expired"`
	Tickets         int                 `json:"tickets"` // confirmed
	Refused         map[engine.Code]int `json:"refused"`
	Capped          int                 `json:"capped"`   // buyers who left at their cap
	Unserved        int                 `json:"unserved"` // buyers who left without what they wanted
	SoldOutSessions int                 `json:"sold_out_sessions"`
}

// Places are tickets over all pools that are on sale.
type Places struct {
	Offered  int `json:"offered"`
	Asked    int `json:"asked"`     // wished for by somebody, more often than there are some of them
	AskedFor int `json:"asked_for"` // of those offered: wished for at least once
	Sold     int `json:"sold"`
	Left     int `json:"left"`
	Missed   int `json:"missed"` // asked for, and left
}

// Measured is what differs from run to run.
type Measured struct {
	Phases        []PhaseMeasured `json:"phases"`
	SaleSeconds   float64         `json:"sale_seconds"` // without the audit
	AuditSeconds  float64         `json:"audit_seconds"`
	VerifySeconds float64         `json:"verify_seconds"` // of the journal
	Seconds       float64         `json:"seconds"`        // in all
	PeakBytes     int64           `json:"peak_bytes"`     // of the whole process's resident memory; 0 where the system does not report it
}

// PhaseMeasured is how fast a phase went. An operation is a request, confirmation or release; it is answered when its
// outcome is durable.
type PhaseMeasured struct {
	Phase      string  `json:"phase"`
	Operations int     `json:"operations"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P99Ms      float64 `json:"p99_ms"` // from sending to the answer, in batches of up to a thousand
}

// Clean reports whether the audit found every invariant kept, and every place that was asked for sold.
func (r *Report) Clean() bool { return r.Audit.Broken == 0 && r.Places.Missed == 0 }

func (r *Report) describe(o *Options) {
	r.Sale, r.Scale, r.Seed, r.Workers = o.Sale.Name, o.Scale, o.Seed, o.Workers
	r.Durability = [...]string{engine.Sync: "sync", engine.Async: "async", engine.None: "none"}[o.Durability]
}

// settleBooks sums up what the buyers have counted.
func (r *rehearsal) settleBooks() {
	r.report.Draws = r.draws
	asked := make([]int64, len(r.sale.Pools))
	for _, s := range r.stages {
		t := s.tally
		for _, l := range r.lanes {
			t.add(l.count[s.index])
		}
		r.report.Phases = append(r.report.Phases, PhaseReport{Phase: s.phase.ID, Visits: int(s.visits), Requests: t.requests,
			Repeated: t.repeated, Held: t.held, Confirmed: t.confirmed, Released: t.released, Expired: t.expired, Tickets: t.tickets,
			Refused: maps.Clone(t.refused), Capped: t.capped, Unserved: t.unserved, SoldOutSessions: s.soldOut})
		m := PhaseMeasured{Phase: s.phase.ID, Operations: t.operations, Seconds: s.took.Seconds(),
			P99Ms: float64(t.latency.ValueAtQuantile(99)) / 1e6}
		if m.Seconds > 0 {
			m.PerSecond = float64(m.Operations) / m.Seconds
		}
		r.report.Measured.Phases = append(r.report.Measured.Phases, m)
		for i, n := range t.asked {
			asked[i] += n
		}
	}
	p := &r.report.Places
	for i := range r.sale.Pools {
		if !r.sale.Sessions[r.sale.Pools[i].Session].OnSale {
			continue
		}
		offered := r.sale.Pools[i].Capacity - r.sale.Pools[i].Withheld
		left := int(r.stock[i])
		p.Offered += offered
		p.Asked += int(asked[i])
		p.AskedFor += min(offered, int(asked[i]))
		p.Left += left
		p.Sold += offered - left
		p.Missed += min(left, max(0, int(asked[i])-(offered-left)))
	}
}

// codes are the reasons for which anything was refused, in alphabetical order.
func (r *Report) codes() []engine.Code {
	all := map[engine.Code]bool{}
	for i := range r.Phases {
		for code := range r.Phases[i].Refused {
			all[code] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
