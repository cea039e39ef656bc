package rehearsal

import (
	"maps"
	"slices"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// Report is the result of a rehearsal, and its JSON form. With one worker everything but Measured is determined by the
// sale, the scale and the seed.
type Report struct {
	Sale       string        `json:"sale"`
	Scale      float64       `json:"scale"`
	Seed       uint64        `json:"seed"`
	Workers    int           `json:"workers"`
	Durability string        `json:"durability"`
	Draws      []drawReport  `json:"draws"`
	Groups     []groupReport `json:"groups,omitempty"` // that have phases of their own
	Phases     []phaseReport `json:"phases"`
	Places     tickets       `json:"places"`
	Audit      findings      `json:"audit"`
	Measured   measured      `json:"measured"`
}

// drawReport is the result of a draw.
type drawReport struct {
	Draw     string `json:"draw"`
	Entries  int    `json:"entries"`
	Priority int    `json:"priority"` // entries of the priority group
	Repeated int    `json:"repeated"` // entries that were sent twice
	Buyers   int    `json:"buyers"`   // entrants who came to buy
	Root     string `json:"root"`
	Seed     string `json:"seed"`
}

// groupReport is who joined a group.
type groupReport struct {
	Group    string `json:"group"`
	Members  int    `json:"members"`
	Repeated int    `json:"repeated"` // members who joined twice
}

// phaseReport is the result of a phase, as counted by its buyers.
type phaseReport struct {
	Phase           string              `json:"phase"`
	Group           string              `json:"group,omitempty"` // whose members alone buy
	Visits          int                 `json:"visits"`
	Outsiders       int                 `json:"outsiders,omitempty"` // of the visits: by accounts that are not members
	Requests        int                 `json:"requests"`            // to reserve
	Repeated        int                 `json:"repeated"`            // of these, sent a second time
	Held            int                 `json:"held"`                // reservations: the sum of the next three
	Confirmed       int                 `json:"confirmed"`
	Released        int                 `json:"released"`
	Expired         int                 `json:"expired"`
	Tickets         int                 `json:"tickets"` // confirmed
	Refused         map[engine.Code]int `json:"refused"`
	Capped          int                 `json:"capped"`   // buyers who left at their cap
	Unserved        int                 `json:"unserved"` // buyers who left without what they wanted
	SoldOutSessions int                 `json:"sold_out_sessions"`
}

// add adds the counts of another phase.
func (p *phaseReport) add(other *phaseReport) {
	p.Outsiders += other.Outsiders
	p.Requests += other.Requests
	p.Repeated += other.Repeated
	p.Held += other.Held
	p.Confirmed += other.Confirmed
	p.Released += other.Released
	p.Expired += other.Expired
	p.Tickets += other.Tickets
	p.Capped += other.Capped
	p.Unserved += other.Unserved
	for code, n := range other.Refused {
		p.Refused[code] += n
	}
}

// tickets counts the tickets of all pools on sale.
type tickets struct {
	Offered  int `json:"offered"`
	Asked    int `json:"asked"`     // requested; more than offered in contested pools
	AskedFor int `json:"asked_for"` // of those offered: requested at least once
	Sold     int `json:"sold"`
	Left     int `json:"left"`
	Missed   int `json:"missed"` // requested, but left; not of sessions whose sales or places ended first
}

// measured is the part of a report that differs from run to run.
type measured struct {
	Phases        []phaseMeasured `json:"phases"`
	SaleSeconds   float64         `json:"sale_seconds"` // without the audit
	AuditSeconds  float64         `json:"audit_seconds"`
	VerifySeconds float64         `json:"verify_seconds"` // of the journal
	Seconds       float64         `json:"seconds"`        // total
	PeakBytes     int64           `json:"peak_bytes"`     // of resident memory; 0 if the system does not report it
}

// phaseMeasured is the speed of a phase. An operation is a request, confirmation or release, answered when its outcome
// is durable.
type phaseMeasured struct {
	Phase      string  `json:"phase"`
	Operations int     `json:"operations"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P99Ms      float64 `json:"p99_ms"` // from the request to the answer, in batches of up to 1,024
}

// Clean reports whether the audit found no broken invariant and every requested ticket was sold.
func (r *Report) Clean() bool { return r.Audit.Broken == 0 && r.Places.Missed == 0 }

func (r *Report) describe(o *Options) {
	r.Sale, r.Scale, r.Seed, r.Workers = o.Sale.Name, o.Scale, o.Seed, o.Workers
	r.Durability = [...]string{engine.Sync: "sync", engine.Async: "async", engine.None: "none"}[o.Durability]
}

// summarize adds up the buyers' counts.
func (r *rehearsal) summarize() {
	r.report.Draws = r.draws
	wanted := make([]int64, len(r.sale.Pools))
	for _, s := range r.stages {
		t := s.tally
		for _, l := range r.lanes {
			t.add(l.count[s.index])
		}
		t.Phase, t.Visits, t.SoldOutSessions = s.phase.ID, int(s.visits), s.soldOut
		if s.phase.Access == catalog.Members {
			t.Group = r.sale.Groups[s.phase.Group].ID
		}
		r.report.Phases = append(r.report.Phases, t.phaseReport)
		m := phaseMeasured{Phase: s.phase.ID, Operations: t.operations, Seconds: s.took.Seconds(),
			P99Ms: float64(t.latency.ValueAtQuantile(99)) / 1e6}
		if m.Seconds > 0 {
			m.PerSecond = float64(m.Operations) / m.Seconds
		}
		r.report.Measured.Phases = append(r.report.Measured.Phases, m)
		for i, n := range t.wanted {
			wanted[i] += n
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
		p.Asked += int(wanted[i])
		p.AskedFor += min(offered, int(wanted[i]))
		p.Left += left
		p.Sold += offered - left
		if session := r.sale.Pools[i].Session; !r.endedEarly(session) && !r.boundedLast(session) {
			p.Missed += min(left, max(0, int(wanted[i])-(offered-left)))
		}
	}
}

// endedEarly reports whether sales of a session had ended when a phase that sells it had its last buyers. What is left
// of it then was not refused to anybody, or rightly.
func (r *rehearsal) endedEarly(session int) bool {
	return slices.ContainsFunc(r.stages, func(s *stage) bool {
		return s.phase.Sells(session) && ended(&r.sale.Sessions[session], s.served)
	})
}

// codes returns the codes of all refusals in alphabetical order.
func (r *Report) codes() []engine.Code {
	all := map[engine.Code]bool{}
	for i := range r.Phases {
		for code := range r.Phases[i].Refused {
			all[code] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
