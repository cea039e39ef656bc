package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// version puts the next version of the sale in force, as the test has changed it. It follows the rules but for what
// alter does to it.
func (s *story) version(was *record.Definition, alter ...func(d *record.Definition)) *record.Definition {
	now := *s.sale
	now.Programmes, now.Sessions = slices.Clone(now.Programmes), slices.Clone(now.Sessions)
	now.Pools, now.Phases = slices.Clone(now.Pools), slices.Clone(now.Phases)
	now.Quotas = slices.Clone(now.Quotas)
	d := was.Next(&now)
	for _, f := range alter {
		f(&d)
	}
	s.records, s.count = d.Append(s.records, s.at), s.count+1
	return &d
}

// first puts version 1 of the sale in force.
func (s *story) first() *record.Definition { return s.version(&record.Definition{}) }

func (s *story) pause(p record.Pause) *story {
	s.records, s.count = p.Append(s.records, s.at), s.count+1
	return s
}

func (s *story) stock(capacity, withheld int) *story {
	return s.restock(record.Stock{Capacity: capacity, Withheld: withheld})
}

func (s *story) restock(stock record.Stock) *story {
	s.records, s.count = stock.Append(s.records, s.at), s.count+1
	return s
}

// returned puts version 1 in force, in which returned tickets are withheld, and returns so many of the first pool.
func (s *story) returned(quantity int) *story {
	s.last = s.withhold().units(2).first()
	s.take(1, "ann", quantity).end(1, inventory.Confirmed)
	return s.change(giveBack, 600, s.of(quantity), withheld)
}

// freed makes a version free so many returned places of the first pool.
func freed(tickets int) func(d *record.Definition) {
	return func(d *record.Definition) { d.Freed = []record.Freed{{Pool: 0, Tickets: tickets}} }
}

// I1, I2: versions, stocks and pauses are judged by what is taken, and what is taken by them, in the journal's order.
func TestVerifyJudgesChangesOfTheDefinition(t *testing.T) {
	first := newStory(t)
	session := first.sale.Pools[0].Session
	programme := first.sale.Sessions[session].Programme
	name := first.sale.Sessions[session].ID
	limit := first.sale.Sessions[session].Limit
	ofSession := record.Pause{Of: record.OneSession, Index: session, Paused: true}
	ofPhase := record.Pause{Of: record.OnePhase, Index: first.phase, Paused: true}
	ofSale := record.Pause{Paused: true}
	over := func(p record.Pause) record.Pause { p.Paused = false; return p }
	allow := func(tickets int) func(d *record.Definition) {
		return func(d *record.Definition) {
			d.Above.Sessions = nil
			if tickets > 0 {
				d.Above.Sessions = []record.Most{{Of: session, Tickets: tickets}}
			}
		}
	}
	for what, c := range map[string]struct {
		write func(s *story)
		want  string // "" for no problem
	}{
		"a lowered limit": {func(s *story) {
			d := s.first()
			s.take(1, "ann", limit).limit(2).version(d)
			s.end(1, inventory.Confirmed).take(2, "bob", 2)
		}, ""},
		"limits lowered twice": {func(s *story) {
			d := s.first()
			s.take(1, "ann", limit).limit(2)
			d = s.version(d)
			s.limit(1).version(d)
			s.take(2, "bob", 1)
		}, ""},
		"a limit raised again": {func(s *story) {
			d := s.limit(4).first()
			d = s.take(1, "ann", 4).limit(2).version(d)
			s.limit(4).version(d)
			s.take(2, "bob", 4)
		}, ""},
		"a take beyond the lowered limit": {func(s *story) {
			d := s.first()
			s.limit(2).version(d)
			s.take(2, "ann", 3)
		}, "record 3: I2: account ann has 3 tickets"},
		"a version that allows too much": {func(s *story) {
			d := s.limit(4).first()
			s.limit(2).version(d, allow(5))
		}, "record 2: I2: session " + name + ", limit 2: the version allows accounts 5 tickets beyond it; by the one " +
			"before it is 4"},
		"a version that allows nothing": {func(s *story) {
			d := s.limit(4).first()
			s.limit(2).version(d, allow(0))
		}, "the version allows accounts 0 tickets beyond it; by the one before it is 4"},
		"a version that forgets what an earlier one allowed": {func(s *story) {
			d := s.limit(4).first()
			d = s.limit(2).version(d)
			s.limit(3).version(d, allow(0))
		}, "record 3: I2: session "},
		"a first version that allows something": {func(s *story) {
			s.define(record.Above{}).limit(limit - 1)
			s.version(&record.Definition{Rules: first.sale}, allow(limit+1))
		}, "record 2: I2: session "},
		"a version too many": {func(s *story) {
			d := s.first()
			s.version(d, func(d *record.Definition) { d.Version = 3 })
		}, "record 2: definition: version 3 follows version 1"},
		"a version that leaves out the files of an earlier one": {func(s *story) {
			d := s.version(s.version(s.first()))
			s.version(d, func(d *record.Definition) { d.Earlier = d.Earlier[1:] })
		}, "record 4: definition: version 4 names the files of 2 earlier versions; " +
			"they are not those of the versions before"},
		"a version with other files of an earlier one": {func(s *story) {
			s.version(s.first(), func(d *record.Definition) { d.Earlier[0][0]++ })
		}, "record 2: definition: version 2 names the files of 1 earlier versions"},
		"a version below what is taken": {func(s *story) {
			d := s.units(5).first()
			s.take(1, "ann", 3).units(2).version(d)
		}, "record 3: I1: session " + name},
		"a session that moved while nothing is taken of it": {func(s *story) {
			d := s.first()
			s.take(1, "ann", 1).end(1, inventory.Released).sale.Sessions[session].Programme = 1 - programme
			s.version(d)
		}, ""},
		"a session that moved while tickets are held": {func(s *story) {
			d := s.first()
			s.take(1, "ann", 2).sale.Sessions[session].Programme = 1 - programme
			s.version(d)
		}, "record 3: I2: session " + name + " is in another programme than before, and 2 tickets"},
		"a removed category with tickets": {func(s *story) {
			d := s.first()
			s.take(1, "ann", 2).sale.Pools[0].Removed = true
			s.version(d)
			s.end(1, inventory.Confirmed)
		}, ""},
		"a take of a removed category": {func(s *story) {
			d := s.first()
			s.sale.Pools[0].Removed = true
			s.version(d)
			s.take(1, "ann", 1)
		}, "record 3: phase: reservation 01000000-0000-0000-0000-000000000000 takes session " + name + ", category "},

		"a stock": {func(s *story) {
			s.units(1).first()
			s.take(1, "ann", 1).stock(5, 2).take(2, "bob", 2)
		}, ""},
		"a stock of what is taken": {func(s *story) {
			s.first()
			s.take(1, "ann", 2).stock(3, 1)
		}, ""},
		"a stock below what is taken": {func(s *story) {
			s.first()
			s.take(1, "ann", 2).stock(3, 2)
		}, "record 3: I1: session " + name},
		"a take beyond a stock": {func(s *story) {
			s.first()
			s.stock(2, 1).take(1, "ann", 2)
		}, "record 3: I1: session " + name},
		"a version ends a stock": {func(s *story) {
			d := s.units(2).first()
			s.stock(4, 0).version(d)
			s.take(1, "ann", 3)
		}, "record 4: I1: session " + name},

		"freed places are sold again": {func(s *story) {
			s.returned(2).restock(record.Stock{Capacity: 2, Freed: 2}).take(2, "bob", 2)
		}, ""},
		"a take beyond the freed places": {func(s *story) {
			s.returned(2).restock(record.Stock{Capacity: 2, Withheld: 1, Freed: 2}).take(2, "bob", 2)
		}, "record 6: I1: session " + name + ", category " + first.sale.Pools[0].Category + ": 2 of 1 taken"},
		"a stock that withholds again what is sold": {func(s *story) {
			s.returned(2).restock(record.Stock{Capacity: 3, Freed: 2}).take(2, "bob", 2).restock(record.Stock{Capacity: 3})
		}, "record 7: I1: session " + name + ", category " + first.sale.Pools[0].Category + ": 4 of 3 taken"},
		"more is freed than was withheld": {func(s *story) {
			s.returned(2).restock(record.Stock{Capacity: 2, Freed: 3})
		}, "record 5: I1: session " + name + ", category " + first.sale.Pools[0].Category +
			": 3 places of returned tickets are freed, 2 were withheld"},
		"a version keeps what is freed": {func(s *story) {
			s.returned(2).restock(record.Stock{Capacity: 4, Freed: 1})
			s.units(2).version(s.last, freed(1))
			s.take(2, "bob", 1)
		}, ""},
		"a version that withholds it again": {func(s *story) {
			s.returned(2).restock(record.Stock{Capacity: 4, Freed: 1})
			s.units(9).version(s.last)
		}, "record 6: definition: session " + name + ", category " + first.sale.Pools[0].Category +
			": 0 places of returned tickets are freed; before it 1 were"},
		"a version that frees more": {func(s *story) {
			s.returned(2).restock(record.Stock{Capacity: 4, Freed: 1})
			s.units(9).version(s.last, freed(2))
		}, "record 6: definition: session " + name},

		"what was placed before a pause": {func(s *story) {
			s.first()
			s.take(1, "ann", 2).pause(ofSession).pause(ofPhase).pause(ofSale).change(extend, 300, s.of(2))
			s.change(reduce, 400, s.of(1), later).endAt(1, inventory.Confirmed, 600)
		}, ""},
		"a take after a pause is over": {func(s *story) {
			s.first()
			s.pause(ofSession).pause(ofPhase).pause(ofSale)
			s.pause(over(ofSale)).pause(over(ofPhase)).pause(over(ofSession)).take(1, "ann", 1)
		}, ""},
		"a take of a paused session": {func(s *story) {
			s.first()
			s.pause(ofSession).take(1, "ann", 1)
		}, "record 3: paused: reservation 01000000-0000-0000-0000-000000000000 takes session " + name},
		"a take in a paused phase": {func(s *story) {
			s.first()
			s.pause(ofPhase).take(1, "ann", 1)
		}, "which was paused"},
		"a take of a paused sale": {func(s *story) {
			s.first()
			s.pause(ofSale).take(1, "ann", 1)
		}, "was taken while the sale was paused"},
		"a replacement in a paused sale": {func(s *story) {
			s.first()
			s.take(1, "ann", 1).pause(ofSale).change(replace, 300, s.reservation(2, "ann", 1, 0))
		}, "record 4: paused: reservation 02000000"},
		"what is taken again of a paused session": {func(s *story) {
			s.first()
			s.take(1, "ann", 1).end(1, inventory.Expired).pause(ofSession).change(again, 2000, s.of(1))
		}, "record 5: paused: reservation 01000000"},
		"a pause outlives a version": {func(s *story) {
			d := s.first()
			s.pause(ofSession).limit(3).version(d)
			s.take(1, "ann", 1)
		}, "record 4: paused: reservation"},
	} {
		requireProblem(t, what, c.write, c.want)
	}
}

// requireProblem verifies the journal that write writes. It has one problem, which contains the text; none for "".
func requireProblem(t *testing.T, what string, write func(*story), want string) {
	t.Helper()
	s := newStory(t)
	write(s)
	found := s.verify()
	if want == "" {
		require.Empty(t, found.Problems, what)
		return
	}
	require.Len(t, found.Problems, 1, what)
	require.Contains(t, found.Problems[0], want, what)
}

// later is for a change of what was extended before.
func later(r *inventory.Snapshot) {
	r.Flags, r.ExpiresMs = r.Flags|inventory.FlagExtended, r.ExpiresMs+1000
}

// A checkpoint may have the definition again after other rows, and the groups after its start repeat what it has. Only
// what is newer changes anything.
func TestVerifyDefinitionsOfACheckpoint(t *testing.T) {
	s := newStory(t)
	session := s.sale.Pools[0].Session
	d1 := s.units(9).first()                                                       // record 1
	s.stock(4, 0).pause(record.Pause{Paused: true})                                // 2, 3
	d2 := s.units(7).version(d1)                                                   // 4
	s.stock(2, 0).pause(record.Pause{})                                            // 5, 6
	s.pause(record.Pause{Of: record.OneSession, Index: session, Paused: true})     // 7
	s.pause(record.Pause{Of: record.OneSession, Index: session}).take(1, "ann", 2) // 8, 9
	row := func(seq uint64) record.Stamp { return record.Stamp{AtMs: s.at, Seq: seq} }
	ann := s.of(2)
	ann.Seq = 9
	s.checkpoint = d1.AppendRow(nil, row(1))
	s.checkpoint = record.Stock{Capacity: 4}.AppendRow(s.checkpoint, row(2))
	s.checkpoint = record.Pause{Paused: true}.AppendRow(s.checkpoint, row(3))
	s.checkpoint = d2.AppendRow(s.checkpoint, row(4))
	s.checkpoint = record.Stock{Capacity: 2}.AppendRow(s.checkpoint, row(5))
	s.checkpoint = record.AppendReservation(s.checkpoint, &ann)
	s.info = journal.CheckpointInfo{End: 9}
	found := s.verify()
	require.Empty(t, found.Problems)
	require.Equal(t, 2, found.Definitions)
	require.Equal(t, 2, found.Version)

	s.take(2, "bob", 1)
	require.Contains(t, s.verify().Problems[0], "record 10: I1: session "+s.sale.Sessions[session].ID)
	pause := record.Pause{Paused: true}.Append(nil, s.at)
	s.records, s.count = bytes.Repeat(pause, 5), 5
	require.Empty(t, s.verify().Problems)
	s.info.End = 0
	require.NotContains(t, strings.Join(s.take(2, "bob", 1).verify().Problems, "\n"), "paused", "as old as the stock")
	s.records, s.count = bytes.Repeat(pause, 6), 6
	require.Contains(t, strings.Join(s.take(2, "bob", 1).verify().Problems, "\n"), "while the sale was paused")
}

// The sale that a caller names is compared with what is in force, the stock included. The order of its files, and what
// a journal has removed, are no difference.
func TestVerifyNamedVersion(t *testing.T) {
	s := newStory(t)
	s.first()
	differs := func(sale *catalog.Sale) bool {
		found, err := Verify(s, sale)
		require.NoError(t, err)
		require.Empty(t, found.Problems)
		return found.Differs
	}
	again, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	require.False(t, differs(again))
	found := s.verify()
	require.Equal(t, 1, found.Version)
	require.Equal(t, record.DigestOf(s.sale), found.Digest)
	again.Title = "Another title"
	require.True(t, differs(again), "also in what only people read")
	again.Title = s.sale.Title
	p := s.sale.Pools[0]
	s.stock(p.Capacity+1, p.Withheld)
	require.True(t, differs(again))
	require.NotEqual(t, found.Digest, s.verify().Digest)
	s.stock(p.Capacity, p.Withheld)
	require.False(t, differs(again))
}

// A dump has what a version changes, and names what is paused.
func TestDumpOfVersions(t *testing.T) {
	s := newStory(t)
	d := s.first()
	session := s.sale.Pools[0].Session
	s.sale.Sessions[session].Limit--
	s.version(d)
	s.pause(record.Pause{Paused: true}).pause(record.Pause{Of: record.OnePhase, Index: 1})
	s.pause(record.Pause{Of: record.OneSession, Index: session, Paused: true}).stock(5, 0)
	s.restock(record.Stock{Capacity: 5, Withheld: 1, Freed: 2})
	var out bytes.Buffer
	require.NoError(t, Dump(s, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 7)
	var now dumpedRecord
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &now))
	require.Equal(t, "version", now.Kind)
	require.Equal(t, 2, now.Version)
	require.Equal(t, d.FilesDigest.String(), now.FilesDigest)
	require.Equal(t, record.DigestOf(s.sale).String(), now.Digest)
	require.Len(t, now.Changes, 1)
	require.Contains(t, now.Changes[0], "session "+s.sale.Sessions[session].ID+": limit ")
	at := `","at":"` + time.UnixMilli(s.at).UTC().Format("2006-01-02T15:04:05.000Z") + `",`
	require.Equal(t, []string{
		`{"seq":3,"kind":"paused` + at + `"paused":true}`,
		`{"seq":4,"kind":"paused` + at + `"phase":"` + s.sale.Phases[1].ID + `","paused":false}`,
		`{"seq":5,"kind":"paused` + at + `"session":"` + s.sale.Sessions[session].ID + `","paused":true}`,
		`{"seq":6,"kind":"stock` + at + `"session":"` + s.sale.Sessions[session].ID + `","category":"` +
			s.sale.Pools[0].Category + `","capacity":5,"places_withheld":0}`,
		`{"seq":7,"kind":"stock` + at + `"session":"` + s.sale.Sessions[session].ID + `","category":"` +
			s.sale.Pools[0].Category + `","capacity":5,"places_withheld":1,"places_freed":2}`,
	}, lines[2:])
}
