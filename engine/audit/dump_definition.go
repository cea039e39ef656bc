package audit

import (
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/record"
)

// dumpedContent is what a definition says, as JSON: what outcomes are judged by.
type dumpedContent struct {
	Programmes []dumpedProgramme `json:"programmes"`
	Sessions   []dumpedSession   `json:"sessions"`
	Phases     []dumpedPhase     `json:"phases"`
	Draws      []dumpedDraw      `json:"draws,omitempty"`
}

// dumpedProgramme has in Most what one account had, at the most, when that was more than the cap.
type dumpedProgramme struct {
	Programme  string `json:"programme"`
	AccountCap int    `json:"account_cap"`
	Returned   string `json:"returned_tickets,omitempty"` // `withheld`, or empty for on sale again
	Most       int    `json:"most,omitempty"`
}

// dumpedSession has in Most what one account had, at the most, when that was more than the limit.
type dumpedSession struct {
	Session   string       `json:"session"`
	Programme string       `json:"programme"`
	Limit     int          `json:"limit"`
	Removed   bool         `json:"removed,omitempty"`
	SalesEnd  string       `json:"sales_end_at,omitempty"`
	Most      int          `json:"most,omitempty"`
	Pools     []dumpedPool `json:"pools,omitempty"`
}

type dumpedPool struct {
	Category string `json:"category"`
	Capacity int    `json:"capacity"`
	Withheld int    `json:"withheld"`
	Freed    int    `json:"freed,omitempty"` // places of returned tickets that were withheld and are on sale again
	Removed  bool   `json:"removed,omitempty"`
}

type dumpedPhase struct {
	Phase        string `json:"phase"`
	Removed      bool   `json:"removed,omitempty"`
	Programme    string `json:"programme"`
	PackSessions int    `json:"pack_sessions,omitempty"`
	PackEqual    bool   `json:"pack_equal_quantities,omitempty"`
	OpensAt      string `json:"opens_at"`
	ClosesAt     string `json:"closes_at"`
	Draw         string `json:"draw,omitempty"` // whose winners have slots
	Slots        int    `json:"slots,omitempty"`
	Places       int    `json:"places,omitempty"` // winners a slot
	Sells        int    `json:"sells"`            // sessions
	Group        string `json:"group,omitempty"`  // whose members alone buy

	SessionPlaces []dumpedPlaces `json:"session_places,omitempty"` // which it sells at most, also of removed bounds
}

type dumpedPlaces struct {
	Session string `json:"session"`
	Places  int    `json:"places"`
	Removed bool   `json:"removed,omitempty"`
}

type dumpedDraw struct {
	Draw               string `json:"draw"`
	Removed            bool   `json:"removed,omitempty"`
	RegistrationOpens  string `json:"registration_opens"`
	RegistrationCloses string `json:"registration_closes"`
	Phase              string `json:"phase"`
	Round              uint64 `json:"round"`
}

// content is for all definitions but those of version 1, which have names only.
func content(d *record.Definition) *dumpedContent {
	sale, to, freed := d.Rules, &dumpedContent{}, d.FreedByPool()
	for i := range sale.Programmes {
		p := &sale.Programmes[i]
		dumped := dumpedProgramme{Programme: p.ID, AccountCap: p.AccountCap}
		if p.WithholdReturned {
			dumped.Returned = "withheld"
		}
		to.Programmes = append(to.Programmes, dumped)
	}
	for _, m := range d.Above.Programmes {
		to.Programmes[m.Of].Most = m.Tickets
	}
	for i := range sale.Sessions {
		s := &sale.Sessions[i]
		session := dumpedSession{Session: s.ID, Programme: sale.Programmes[s.Programme].ID, Limit: s.Limit,
			Removed: s.Removed}
		if !s.SalesEndAt.IsZero() {
			session.SalesEnd = stamp(s.SalesEndAt)
		}
		for _, pool := range s.Pools {
			p := &sale.Pools[pool]
			session.Pools = append(session.Pools, dumpedPool{Category: p.Category, Capacity: p.Capacity, Withheld: p.Withheld,
				Freed: freed[pool], Removed: p.Removed})
		}
		to.Sessions = append(to.Sessions, session)
	}
	for _, m := range d.Above.Sessions {
		to.Sessions[m.Of].Most = m.Tickets
	}
	for i := range sale.Phases {
		to.Phases = append(to.Phases, phaseContent(sale, &sale.Phases[i]))
	}
	for i := range sale.Quotas {
		q := &sale.Quotas[i]
		phase := &to.Phases[q.Phase]
		phase.SessionPlaces = append(phase.SessionPlaces, dumpedPlaces{Session: sale.Sessions[q.Session].ID,
			Places: q.Places, Removed: q.Removed})
	}
	for i := range sale.Draws {
		d := &sale.Draws[i]
		to.Draws = append(to.Draws, dumpedDraw{Draw: d.ID, Removed: d.Removed, RegistrationOpens: stamp(d.RegistrationOpens),
			RegistrationCloses: stamp(d.RegistrationCloses), Phase: sale.Phases[d.Phase].ID, Round: d.Beacon.Round})
	}
	return to
}

func phaseContent(sale *catalog.Sale, p *catalog.Phase) dumpedPhase {
	to := dumpedPhase{Phase: p.ID, Removed: p.Removed, Programme: sale.Programmes[p.Programme].ID,
		PackSessions: p.PackSessions, PackEqual: p.PackEqual, OpensAt: stamp(p.OpensAt), ClosesAt: stamp(p.ClosesAt)}
	if p.Access == catalog.Slots {
		to.Draw, to.Slots, to.Places = sale.Draws[p.Draw].ID, p.SlotCount(), p.Slots.Places
	}
	if p.Access == catalog.Members {
		to.Group = sale.Groups[p.Group].ID
	}
	for session := range sale.Sessions {
		if p.Sells(session) {
			to.Sells++
		}
	}
	return to
}
