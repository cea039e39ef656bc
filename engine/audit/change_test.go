package audit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// change adds the record of a change of a reservation as the story's other methods make it: it is a hold of 1,000 ms,
// and is confirmed after 500 ms. The record is a legal one, but for what alter does to it.
func (s *story) change(by inventory.Origin, ms int64, r inventory.Snapshot, alter ...func(*inventory.Snapshot)) *story {
	s.begin()
	r.Origin, r.AtMs = by, s.at+ms
	switch by {
	case inventory.OriginExtend:
		r.Flags |= inventory.FlagExtended
		r.ExpiresMs += 1000
	case inventory.OriginReduce:
		r.Flags |= inventory.FlagReduced
	case inventory.OriginReduceSold:
		r.Flags |= inventory.FlagReduced
		r.State, r.ConfirmedMs = inventory.Confirmed, s.at+500
	case inventory.OriginReplace:
		r.Flags |= inventory.FlagReplaces
		r.CreatedMs, r.ExpiresMs, r.Replaces = r.AtMs, r.AtMs+1000, inventory.ID{1}
	case inventory.OriginAgain:
		r.State, r.ConfirmedMs = inventory.Confirmed, r.AtMs
	case inventory.OriginReturn:
		r.State, r.ConfirmedMs = inventory.Returned, s.at+500
	}
	for _, f := range alter {
		f(&r)
	}
	s.records, s.count = record.AppendChange(s.records, &r), s.count+1
	return s
}

// of returns the hold 1 of ann as it was taken, of a quantity of the first pool.
func (s *story) of(quantity int) inventory.Snapshot { return s.reservation(1, "ann", quantity, 0) }

// units puts so many seats of the first pool on sale.
func (s *story) units(n int) *story {
	s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = n, 0
	return s
}

// limit makes n tickets the most of the first session.
func (s *story) limit(n int) *story {
	s.sale.Sessions[s.sale.Pools[0].Session].Limit = n
	return s
}

// withhold makes the programme of the first pool keep returned tickets withheld.
func (s *story) withhold() *story {
	s.sale.Programmes[s.sale.Sessions[s.sale.Pools[0].Session].Programme].WithholdReturned = true
	return s
}

// pack returns a hold of ann of three sessions with the quantities, in a phase of packs.
func (s *story) pack(quantities ...int) inventory.Snapshot {
	s.sale.Phases[s.phase].Kind, s.sale.Phases[s.phase].PackSessions = catalog.Pack, 3
	r := s.of(1)
	r.Lines = nil
	for session := range s.sale.Sessions {
		if len(r.Lines) < 3 && s.sale.Phases[s.phase].Sells(session) && s.sale.Sessions[session].Limit >= 6 {
			pool, quantity := s.sale.Sessions[session].Pools[0], quantities[len(r.Lines)]
			r.Lines = append(r.Lines, inventory.Line{Pool: uint32(pool), Quantity: uint32(quantity)})
		}
	}
	return r
}

// keep makes a reservation have lines with these quantities of the pools that it has; 0 drops a line.
func keep(quantities ...uint32) func(*inventory.Snapshot) {
	return func(r *inventory.Snapshot) {
		var lines []inventory.Line
		for i, q := range quantities {
			if q > 0 {
				lines = append(lines, inventory.Line{Pool: r.Lines[i].Pool, Quantity: q})
			}
		}
		r.Lines = lines
	}
}

func until(ms int64) func(*inventory.Snapshot) {
	return func(r *inventory.Snapshot) { r.ExpiresMs = r.CreatedMs + ms }
}

func withheld(r *inventory.Snapshot) { r.Flags |= inventory.FlagWithheld }

const (
	extend     = inventory.OriginExtend
	reduce     = inventory.OriginReduce
	reduceSold = inventory.OriginReduceSold
	replace    = inventory.OriginReplace
	again      = inventory.OriginAgain
	giveBack   = inventory.OriginReturn

	held      = inventory.Held
	confirmed = inventory.Confirmed
	released  = inventory.Released
	expired   = inventory.Expired
)

// Legal changes are no problem. Every prefix of such a journal is legal too.
func TestVerifyLegalChanges(t *testing.T) {
	for name, write := range map[string]func(s *story){
		"a later end": func(s *story) {
			s.take(1, "ann", 2).change(extend, 999, s.of(2)).endAt(1, confirmed, 1999)
		},
		"an earlier end": func(s *story) {
			s.take(1, "ann", 2).change(extend, 1, s.of(2), until(2)).endAt(1, expired, 2)
		},
		"two ends": func(s *story) {
			later := s.of(2)
			later.Flags = inventory.FlagExtended
			s.take(1, "ann", 2).change(extend, 999, s.of(2)).change(extend, 1500, later, until(4000)).endAt(1, expired, 4000)
		},
		"fewer held": func(s *story) {
			s.units(4).take(1, "ann", 4).change(reduce, 999, s.of(4), keep(1)).take(2, "bob", 3).end(1, confirmed)
		},
		"fewer confirmed": func(s *story) {
			s.units(4).take(1, "ann", 4).end(1, confirmed).change(reduceSold, 90_000, s.of(4), keep(3)).take(2, "bob", 1)
		},
		"fewer, and then returned": func(s *story) {
			r := s.of(1)
			r.Flags = inventory.FlagReduced
			s.units(4).take(1, "ann", 4).end(1, confirmed).change(reduceSold, 800, s.of(4), keep(1))
			s.change(giveBack, 900, r).take(2, "bob", 4)
		},
		"a smaller pack": func(s *story) {
			r := s.pack(6, 6, 6)
			s.place(&r).change(reduce, 100, r, keep(2, 2, 2))
		},
		"a smaller pack that was never equal": func(s *story) {
			r := s.pack(6, 4, 2)
			s.place(&r).change(reduce, 100, r, keep(1, 4, 2))
		},
		"returned, and sold again": func(s *story) {
			s.units(4).limit(4).take(1, "ann", 4).end(1, confirmed).change(giveBack, 2000, s.of(4)).take(2, "ann", 4)
		},
		"returned with another reference": func(s *story) {
			s.take(1, "ann", 4).end(1, confirmed).change(giveBack, 2000, s.of(4), func(r *inventory.Snapshot) {
				r.Reference = "REFUND-1"
			})
		},
		"returned and withheld, with room for others": func(s *story) {
			s.withhold().units(5).limit(4).take(1, "ann", 4).end(1, confirmed).change(giveBack, 2000, s.of(4), withheld)
			s.take(2, "ann", 1)
		},
		"fewer, whose programme withholds": func(s *story) {
			s.withhold().units(4).take(1, "ann", 4).end(1, confirmed).change(reduceSold, 800, s.of(4), keep(1))
			s.take(2, "bob", 3)
		},
		"replaced within the last units and the limit": func(s *story) {
			s.units(4).limit(4).take(1, "ann", 4).change(replace, 999, s.reservation(2, "ann", 3, 0)).take(3, "bob", 1)
		},
		"a chain of replacements": func(s *story) {
			s.units(4).take(1, "ann", 1).change(replace, 10, s.reservation(2, "ann", 4, 0))
			s.change(replace, 20, s.reservation(3, "ann", 4, 0), func(r *inventory.Snapshot) { r.Replaces = inventory.ID{2} })
		},
		"taken again, in another phase": func(s *story) {
			s.sale.Phases = append(s.sale.Phases, s.sale.Phases[s.phase])
			s.sale.Phases[len(s.sale.Phases)-1].ID = "another"
			s.units(4).take(1, "ann", 4).end(1, expired).change(again, 1500, s.of(4), func(r *inventory.Snapshot) {
				r.Phase = uint16(len(s.sale.Phases) - 1)
			})
		},
		"taken again, and returned": func(s *story) {
			s.take(1, "ann", 4).end(1, expired).change(again, 1500, s.of(4))
			s.change(giveBack, 1600, s.of(4), func(r *inventory.Snapshot) { r.ConfirmedMs = s.at + 1500 })
		},
		"beyond a limit that was lowered": func(s *story) {
			r := s.of(5)
			s.take(1, "ann", 6).limit(2)
			s.define(record.Above{Sessions: []record.Most{{Of: s.sale.Pools[0].Session, Tickets: 6}}})
			s.change(reduce, 10, r).change(extend, 20, r, func(r *inventory.Snapshot) { r.Flags |= inventory.FlagReduced })
		},
		"an id that was returned and forgotten": func(s *story) {
			later := s.reservation(1, "bob", 1, 1001)
			s.take(1, "ann", 4).end(1, confirmed).change(giveBack, 600, s.of(4)).place(&later)
		},
	} {
		s := newStory(t)
		write(s)
		require.Empty(t, s.verify().Problems, name)
	}
}

// Every illegal change is reported, alone, with what is wrong and the record.
func TestVerifyIllegalChanges(t *testing.T) {
	const r1 = "reservation 01000000-0000-0000-0000-000000000000 "
	account := func(of string) func(*inventory.Snapshot) { return func(r *inventory.Snapshot) { r.Account = of } }
	flags := func(more uint8) func(*inventory.Snapshot) { return func(r *inventory.Snapshot) { r.Flags |= more } }
	created := func(r *inventory.Snapshot) { r.CreatedMs++ }
	sold := func(at int64) func(*inventory.Snapshot) {
		return func(r *inventory.Snapshot) { r.ConfirmedMs = r.CreatedMs + at }
	}
	reference := func(r *inventory.Snapshot) { r.Reference = "other" }
	replacing := func(r *inventory.Snapshot) { r.Flags, r.Replaces = r.Flags|inventory.FlagReplaces, inventory.ID{9} }
	for _, c := range []struct {
		want  string
		write func(s *story)
	}{
		{"record 2: I6: " + r1 + "is extended but was never taken", func(s *story) { s.change(extend, 1, s.of(1)) }},
		{"record 3: I3: " + r1 + "is extended at 2023-11-30T09:00:01.000Z; its time is over at", func(s *story) {
			s.take(1, "ann", 1).change(extend, 1000, s.of(1))
		}},
		{"record 4: I3: " + r1 + "is expired and then extended", func(s *story) {
			s.take(1, "ann", 1).end(1, expired).change(extend, 999, s.of(1))
		}},
		{"record 4: I3: " + r1 + "is confirmed and then extended", func(s *story) {
			s.take(1, "ann", 1).end(1, confirmed).change(extend, 600, s.of(1))
		}},
		{"record 3: change: " + r1 + "is extended at 2023-11-30T09:00:00.300Z to 2023-11-30T09:00:00.300Z", func(s *story) {
			s.take(1, "ann", 1).change(extend, 300, s.of(1), until(300))
		}},
		{"record 4: I3: " + r1 + "is expired at", func(s *story) {
			s.take(1, "ann", 1).change(extend, 300, s.of(1)).endAt(1, expired, 1000)
		}},
		{"record 3: change: " + r1 + "is extended, and has another content then", func(s *story) {
			s.take(1, "ann", 1).change(extend, 300, s.of(2))
		}},
		{"record 3: change: " + r1 + "is extended, and has another account then", func(s *story) {
			s.take(1, "ann", 1).change(extend, 300, s.of(1), account("bob"))
		}},
		{"record 3: change: " + r1 + "is extended, and has another creation then", func(s *story) {
			s.take(1, "ann", 1).change(extend, 300, s.of(1), created)
		}},
		{"record 3: change: " + r1 + "is extended, and has another phase then", func(s *story) {
			s.take(1, "ann", 1).change(extend, 300, s.of(1), func(r *inventory.Snapshot) { r.Phase-- })
		}},
		{"record 3: change: " + r1 + "is extended, and has another set of flags then", func(s *story) {
			s.take(1, "ann", 1).change(extend, 300, s.of(1), flags(inventory.FlagReduced))
		}},
		{"record 4: change: reservation 02000000-0000-0000-0000-000000000000 is extended, and has another predecessor then",
			func(s *story) {
				r := s.reservation(2, "ann", 1, 10)
				s.take(1, "ann", 1).change(replace, 10, r).change(extend, 300, r, replacing)
			}},

		{"record 3: change: " + r1 + "is reduced, and then has 1 more of session ", func(s *story) {
			s.take(1, "ann", 2).change(reduce, 300, s.of(3))
		}},
		{"record 3: change: " + r1 + "is reduced, but keeps all", func(s *story) {
			s.take(1, "ann", 2).change(reduce, 300, s.of(2))
		}},
		{"record 3: change: " + r1 + "is reduced, and then has 1 more of session ", func(s *story) { // of another pool
			s.take(1, "ann", 2).change(reduce, 300, s.of(1), func(r *inventory.Snapshot) { r.Lines[0].Pool = 1 })
		}},
		{"record 3: I3: " + r1 + "is reduced at", func(s *story) {
			s.take(1, "ann", 2).change(reduce, 1000, s.of(1))
		}},
		{"record 4: I3: " + r1 + "is released and then reduced", func(s *story) {
			s.take(1, "ann", 2).end(1, released).change(reduce, 600, s.of(1))
		}},
		{"record 3: change: " + r1 + "is reduced, and has another state then", func(s *story) {
			s.take(1, "ann", 2).change(reduceSold, 600, s.of(1))
		}},
		{"record 4: change: " + r1 + "is reduced, and has another state then", func(s *story) {
			s.take(1, "ann", 2).end(1, confirmed).change(reduce, 600, s.of(1))
		}},
		{"record 3: change: " + r1 + "is reduced, and has another end then", func(s *story) {
			s.take(1, "ann", 2).change(reduce, 600, s.of(1), until(2000))
		}},
		{"record 4: change: " + r1 + "is reduced, and has another confirmation then", func(s *story) {
			s.take(1, "ann", 2).end(1, confirmed).change(reduceSold, 600, s.of(1), sold(600))
		}},
		{"record 4: change: " + r1 + "is reduced, and has another reference then", func(s *story) {
			s.take(1, "ann", 2).end(1, confirmed).change(reduceSold, 600, s.of(1), reference)
		}},
		{"record 3: change: " + r1 + "is a pack of 3 sessions, and is reduced to 2, or not equally", func(s *story) {
			r := s.pack(6, 6, 6)
			s.place(&r).change(reduce, 600, r, keep(6, 6, 0))
		}},
		{"record 3: change: " + r1 + "is a pack of 3 sessions, and is reduced to 3, or not equally", func(s *story) {
			r := s.pack(6, 6, 6)
			s.place(&r).change(reduce, 600, r, keep(5, 6, 6))
		}},

		{"record 2: I6: " + r1 + "is returned but was never taken", func(s *story) { s.change(giveBack, 1, s.of(1)) }},
		{"record 3: I3: " + r1 + "is held and then returned", func(s *story) {
			s.take(1, "ann", 1).change(giveBack, 600, s.of(1))
		}},
		{"record 5: I3: " + r1 + "is returned and then returned", func(s *story) {
			s.take(1, "ann", 1).end(1, confirmed).change(giveBack, 600, s.of(1)).change(giveBack, 700, s.of(1))
		}},
		{"record 5: I3: " + r1 + "is returned and then released", func(s *story) {
			s.take(1, "ann", 1).end(1, confirmed).change(giveBack, 600, s.of(1)).end(1, released)
		}},
		{"record 4: change: " + r1 + "is returned, and has another content then", func(s *story) {
			s.take(1, "ann", 2).end(1, confirmed).change(giveBack, 600, s.of(1))
		}},
		{"record 4: change: " + r1 + "is returned, and has another confirmation then", func(s *story) {
			s.take(1, "ann", 2).end(1, confirmed).change(giveBack, 600, s.of(2), sold(600))
		}},
		{"record 4: change: " + r1 + "is returned with withheld=true; its programme has the other rule", func(s *story) {
			s.take(1, "ann", 2).end(1, confirmed).change(giveBack, 600, s.of(2), withheld)
		}},
		{"record 4: change: " + r1 + "is returned with withheld=false; its programme has the other rule", func(s *story) {
			s.withhold().take(1, "ann", 2).end(1, confirmed).change(giveBack, 600, s.of(2))
		}},
		{"record 5: I1: session ", func(s *story) { // the withheld places are sold
			s.withhold().units(2).take(1, "ann", 2).end(1, confirmed).change(giveBack, 600, s.of(2), withheld).take(2, "bob", 1)
		}},
		{"record 5: I1: session ", func(s *story) { // the withheld places are gone from the sale
			s.withhold().take(1, "ann", 2).end(1, confirmed).change(giveBack, 600, s.of(2), withheld).units(1).define()
		}},
		{"record 5: I9: " + r1 + "is taken twice", func(s *story) { // withheld, and so never forgotten
			later := s.reservation(1, "bob", 1, 1001)
			s.withhold().take(1, "ann", 2).end(1, confirmed).change(giveBack, 600, s.of(2), withheld).place(&later)
		}},

		{"record 2: I6: " + r1 + "is replaced but was never taken", func(s *story) {
			s.change(replace, 600, s.reservation(2, "ann", 1, 0))
		}},
		{"record 4: I3: " + r1 + "is confirmed and then replaced", func(s *story) {
			s.take(1, "ann", 1).end(1, confirmed).change(replace, 600, s.reservation(2, "ann", 1, 0))
		}},
		{"record 4: I3: " + r1 + "is released and then replaced", func(s *story) {
			s.take(1, "ann", 1).end(1, released).change(replace, 600, s.reservation(2, "ann", 1, 0))
		}},
		{"record 4: I3: " + r1 + "is released and then confirmed", func(s *story) {
			s.take(1, "ann", 1).change(replace, 600, s.reservation(2, "ann", 1, 0)).endAt(1, confirmed, 700)
		}},
		{"record 3: I3: " + r1 + "is replaced at", func(s *story) {
			s.take(1, "ann", 1).change(replace, 1000, s.reservation(2, "ann", 1, 0))
		}},
		{"record 3: change: " + r1 + "of account ann is replaced by 02000000-0000-0000-0000-000000000000 of account bob",
			func(s *story) { s.take(1, "ann", 1).change(replace, 600, s.reservation(2, "bob", 1, 0)) }},
		{"record 4: I9: reservation 02000000-0000-0000-0000-000000000000 is taken twice", func(s *story) {
			s.take(1, "ann", 1).take(2, "ann", 1).change(replace, 600, s.reservation(2, "ann", 1, 0))
		}},
		{"record 3: I1: session ", func(s *story) {
			s.units(4).take(1, "ann", 4).change(replace, 600, s.reservation(2, "ann", 5, 0))
		}},
		{"record 3: I2: account ann has 5 tickets of session ", func(s *story) {
			s.limit(4).take(1, "ann", 1).change(replace, 600, s.reservation(2, "ann", 5, 0))
		}},
		{"record 4: I2: account ann has 5 tickets of session ", func(s *story) { // both halves counted
			s.limit(4).take(1, "ann", 2).take(3, "ann", 2).change(replace, 600, s.reservation(2, "ann", 3, 0))
		}},
		{"record 3: phase: reservation 02000000-0000-0000-0000-000000000000 in phase ", func(s *story) {
			s.sale.Phases[s.phase].ClosesAt = time.UnixMilli(s.at + 600)
			s.take(1, "ann", 2).change(replace, 600, s.reservation(2, "ann", 3, 0))
		}},

		{"record 2: I6: " + r1 + "is taken again but was never taken", func(s *story) { s.change(again, 1, s.of(1)) }},
		{"record 3: I3: " + r1 + "is held and then taken again", func(s *story) {
			s.take(1, "ann", 1).change(again, 600, s.of(1))
		}},
		{"record 4: I3: " + r1 + "is released and then taken again", func(s *story) {
			s.take(1, "ann", 1).end(1, released).change(again, 600, s.of(1))
		}},
		{"record 5: I1: session ", func(s *story) {
			s.units(2).take(1, "ann", 2).end(1, expired).take(2, "bob", 1).change(again, 1500, s.of(2))
		}},
		{"record 5: I2: account ann has 3 tickets of session ", func(s *story) {
			s.limit(2).take(1, "ann", 2).end(1, expired).take(2, "ann", 1).change(again, 1500, s.of(2))
		}},
		{"record 4: phase: " + r1 + "in phase ", func(s *story) {
			s.sale.Phases[s.phase].ClosesAt = time.UnixMilli(s.at + 1500)
			s.take(1, "ann", 2).end(1, expired).change(again, 1500, s.of(2))
		}},
		{"record 4: change: " + r1 + "is taken again, and has another content then", func(s *story) {
			s.take(1, "ann", 2).end(1, expired).change(again, 1500, s.of(1))
		}},
		{"record 4: change: " + r1 + "is taken again, and has another creation then", func(s *story) {
			s.take(1, "ann", 2).end(1, expired).change(again, 1500, s.of(2), created)
		}},
		{"record 4: change: " + r1 + "is taken again, and has another phase then", func(s *story) {
			s.sale.Phases = append(s.sale.Phases, s.sale.Phases[s.phase])
			s.sale.Phases[len(s.sale.Phases)-1].ID = "another"
			r := s.of(2)
			r.Flags = record.FlagPhaseGiven
			s.place(&r).end(1, expired).change(again, 1500, r, func(r *inventory.Snapshot) {
				r.Phase = uint16(len(s.sale.Phases) - 1)
			})
		}},
		{"record 5: I3: " + r1 + "is confirmed and then expired", func(s *story) {
			s.take(1, "ann", 2).end(1, expired).change(again, 1500, s.of(2)).end(1, expired)
		}},
	} {
		s := newStory(t)
		c.write(s)
		problems := s.verify().Problems
		require.Len(t, problems, 1, c.want)
		require.Contains(t, problems[0], c.want)
	}
}

// A reservation that is taken again needs an access slot at that instant, like a new one.
func TestVerifyAccessOfChanges(t *testing.T) {
	for _, by := range []inventory.Origin{replace, again} {
		s := newStory(t).take(1, "ann", 1)
		now := s.of(1)
		if by == replace {
			now.ID = inventory.ID{2}
		} else {
			s.end(1, expired)
		}
		p := &s.sale.Phases[s.phase]
		p.Access, p.Draw = catalog.Slots, 0
		p.Slots = catalog.SlotRule{Length: 48 * time.Hour, Step: time.Hour, Places: 500, Group: -1}
		problems := s.define().change(by, 600, now).verify().Problems
		require.Len(t, problems, 1)
		require.Contains(t, problems[0], "of account ann in phase "+p.ID+", in which it has no slot")
	}
}

// The totals have returned tickets apart. They count nowhere else.
func TestVerifyCountsReturned(t *testing.T) {
	s := newStory(t).withhold()
	other := 0
	for s.sale.Sessions[s.sale.Pools[other].Session].Programme == s.sale.Sessions[s.sale.Pools[0].Session].Programme {
		other++
	}
	s.take(1, "ann", 3).end(1, confirmed).change(giveBack, 600, s.of(3), withheld)
	r := s.reservation(2, "bob", 2, 0)
	r.Lines[0].Pool = uint32(other)
	phase := &s.sale.Phases[s.phase]
	for i := range s.sale.Phases {
		if p := &s.sale.Phases[i]; p.Sells(s.sale.Pools[other].Session) {
			r.Phase, phase = uint16(i), p
		}
	}
	opens := phase.OpensAt.UnixMilli()
	r.CreatedMs, r.AtMs, r.ExpiresMs = opens, opens, opens+1000
	s.place(&r).endAt(2, confirmed, opens-s.at+500)
	s.change(giveBack, 0, r, func(r *inventory.Snapshot) { r.ConfirmedMs = opens + 500 })
	found := s.verify()
	require.Empty(t, found.Problems)
	require.Equal(t, map[inventory.State]int{inventory.Returned: 2}, found.ByState)
	require.Equal(t, []int{0, 0, 5, 3}, []int{found.Held, found.Confirmed, found.Returned, found.Withheld})
}
