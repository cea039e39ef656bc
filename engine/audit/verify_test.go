package audit

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// story writes a journal of reservations, one record at a time. It begins with the definition of the sale, as the test
// has changed it by then.
type story struct {
	t     *testing.T
	sale  *catalog.Sale
	phase int   // open to all
	at    int64 // ms, when the phase opens
	last  *record.Definition
	writtenJournal
}

func newStory(t *testing.T) *story {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	s := &story{t: t, sale: sale}
	for sale.Phases[s.phase].Access != catalog.Open || !sale.Phases[s.phase].Sells(sale.Pools[0].Session) {
		s.phase++
	}
	s.at = sale.Phases[s.phase].OpensAt.UnixMilli()
	return s
}

// reservation returns a hold of the first pool, created some ms after the opening.
func (s *story) reservation(id byte, account string, quantity int, ms int64) inventory.Snapshot {
	return inventory.Snapshot{ID: inventory.ID{id}, Account: account, State: inventory.Held, Phase: uint16(s.phase),
		CreatedMs: s.at + ms, AtMs: s.at + ms, ExpiresMs: s.at + ms + 1000,
		Lines: []inventory.Line{{Pool: 0, Quantity: uint32(quantity)}}}
}

// define puts the sale in force, as the test has changed it.
func (s *story) define(above ...record.Above) *story {
	d := record.DefinitionOf(s.sale)
	for _, a := range above {
		d.Above = a
	}
	s.records, s.count = d.Append(s.records, s.at), s.count+1
	return s
}

func (s *story) begin() {
	if s.count == 0 {
		s.define()
	}
}

func (s *story) take(id byte, account string, quantity int) *story {
	return s.takeOf(id, account, 0, quantity)
}

func (s *story) takeOf(id byte, account string, pool, quantity int) *story {
	r := s.reservation(id, account, quantity, 0)
	r.Lines[0].Pool = uint32(pool)
	return s.place(&r)
}

func (s *story) place(r *inventory.Snapshot) *story {
	s.begin()
	s.records, s.count = record.AppendTaken(s.records, r), s.count+1
	return s
}

func (s *story) end(id byte, as inventory.State) *story {
	ms := int64(500)
	if as == inventory.Expired {
		ms = 1000
	}
	return s.endAt(id, as, ms)
}

func (s *story) endAt(id byte, as inventory.State, ms int64) *story {
	s.begin()
	r := inventory.Snapshot{ID: inventory.ID{id}, State: as, AtMs: s.at + ms}
	s.records, s.count = record.AppendEnd(s.records, &r), s.count+1
	return s
}

func (s *story) verify() Findings {
	s.begin()
	found, err := Verify(s, nil)
	require.NoError(s.t, err)
	require.Equal(s.t, found.Broken, len(found.Problems))
	return found
}

// Every broken invariant is reported with its number and the record that breaks it.
func TestVerifyFindsBrokenInvariants(t *testing.T) {
	first := newStory(t)
	session := &first.sale.Sessions[first.sale.Pools[0].Session]
	limit := session.Limit
	for want, write := range map[string]func(s *story){
		"record 3: I1: session " + session.ID: func(s *story) {
			s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = limit, 0
			s.take(1, "ann", limit).take(2, "bob", 1)
		},
		"record 3: I2: account ann has": func(s *story) { s.take(1, "ann", limit).take(2, "ann", 1) },
		"record 2: I2: account ann has": func(s *story) {
			s.sale.Programmes[session.Programme].AccountCap = 1
			s.take(1, "ann", 2)
		},
		"and then released": func(s *story) {
			s.take(1, "ann", 1).end(1, inventory.Confirmed).end(1, inventory.Released)
		},
		"is expired but was never taken":   func(s *story) { s.end(1, inventory.Expired) },
		"record 3: I9: reservation 010000": func(s *story) { s.take(1, "ann", 1).take(1, "ann", 1) },
		"record 3: I3: reservation 01000000-0000-0000-0000-000000000000 is confirmed at": func(s *story) {
			s.take(1, "ann", 1).endAt(1, inventory.Confirmed, 1000)
		},
		"record 3: I3: reservation 01000000-0000-0000-0000-000000000000 is expired at": func(s *story) {
			s.take(1, "ann", 1).endAt(1, inventory.Expired, 999)
		},
		"record 2: phase: reservation 01000000-0000-0000-0000-000000000000 in phase": func(s *story) {
			r := s.reservation(1, "ann", 1, -1)
			s.place(&r)
		},
		"which phase packs does not sell": func(s *story) {
			r := s.reservation(1, "ann", 1, 0)
			r.Phase = 0
			s.sale.Phases[0].OpensAt, s.sale.Phases[0].Access = time.UnixMilli(s.at), catalog.Open
			for p := range s.sale.Pools {
				if !s.sale.Phases[0].Sells(s.sale.Pools[p].Session) {
					r.Lines[0].Pool = uint32(p)
				}
			}
			s.sale.Phases[0].ClosesAt = s.sale.Phases[0].OpensAt.Add(time.Hour)
			s.place(&r)
		},
		"is of 1 sessions; a pack has 3": func(s *story) {
			s.sale.Phases[s.phase].Kind, s.sale.Phases[s.phase].PackSessions = catalog.Pack, 3
			s.take(1, "ann", 1)
		},
		"record 3: phase: reservation 02000000-0000-0000-0000-000000000000 takes session " + session.ID: func(s *story) {
			s.sale.Sessions[s.sale.Pools[0].Session].SalesEndAt = time.UnixMilli(s.at + 10)
			timely, late := s.reservation(1, "ann", 1, 9), s.reservation(2, "ann", 1, 10)
			s.place(&timely).place(&late)
		},
		"does not have equally many tickets for each session": func(s *story) {
			s.sale.Phases[s.phase].PackEqual = true
			pack := s.pack(2, 2, 1)
			s.place(&pack)
		},
	} {
		s := newStory(t)
		write(s)
		problems := s.verify().Problems
		require.NotEmpty(t, problems, want)
		require.Contains(t, problems[0], want)
	}
}

// I2: what was rightly taken before a limit, a cap or a session's programme changed stays. What is taken later is
// judged by the limit then in force.
func TestVerifyJudgesByTheDefinitionInForce(t *testing.T) {
	const other = "record 5: I2: account ann has"
	first := newStory(t)
	session := first.sale.Pools[0].Session
	programme := first.sale.Sessions[session].Programme
	limit, accountCap := first.sale.Sessions[session].Limit, first.sale.Programmes[programme].AccountCap
	above := func(programmes, sessions int) record.Above {
		a := record.Above{}
		if programmes > 0 {
			a.Programmes = []record.Most{{Of: programme, Tickets: programmes}}
		}
		if sessions > 0 {
			a.Sessions = []record.Most{{Of: session, Tickets: sessions}}
		}
		return a
	}
	for name, c := range map[string]struct {
		write func(s *story)
		want  string // "" for no problem
	}{
		"a lowered limit": {func(s *story) {
			s.take(1, "ann", limit)
			s.sale.Sessions[session].Limit = 2
			s.define(above(0, limit)).end(1, inventory.Confirmed).take(2, "bob", 2)
		}, ""},
		"a take beyond the lowered limit": {func(s *story) {
			s.take(1, "ann", 2)
			s.sale.Sessions[session].Limit = 2
			s.define().take(2, "bob", 2).take(3, "ann", 1)
		}, other},
		"a take by one who is beyond it": {func(s *story) {
			s.take(1, "ann", 3)
			s.sale.Sessions[session].Limit = 2
			s.define(above(0, 3)).take(2, "bob", 2).take(3, "ann", 1)
		}, other},
		"a take within it after a release": {func(s *story) {
			s.take(1, "ann", 3)
			s.sale.Sessions[session].Limit = 2
			s.define(above(0, 3)).end(1, inventory.Released).take(3, "ann", 2)
		}, ""},
		"a lowered cap": {func(s *story) {
			s.take(1, "ann", limit)
			s.sale.Programmes[programme].AccountCap = 1
			s.define(above(limit, 0)).end(1, inventory.Released).take(2, "ann", 1)
		}, ""},
		"a take beyond the lowered cap": {func(s *story) {
			s.take(1, "ann", 1).take(2, "bob", 1)
			s.sale.Programmes[programme].AccountCap = 1
			s.define().take(3, "ann", 1)
		}, other},
		"a raised cap": {func(s *story) {
			s.sale.Programmes[programme].AccountCap = 1
			s.take(1, "ann", 1)
			s.sale.Programmes[programme].AccountCap = accountCap
			s.define().take(2, "ann", 1)
		}, ""},
		"a session with a nearly full pool that moved": {func(s *story) {
			s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = 3, 0
			s.take(1, "ann", 2)
			s.sale.Sessions[session].Programme = 1 - programme
			s.define().take(2, "bob", 1)
		}, ""},
		"a session whose pool is oversold after it moved": {func(s *story) {
			s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = 3, 0
			s.take(1, "ann", 2)
			s.sale.Sessions[session].Programme = 1 - programme
			s.define().take(2, "bob", 2)
		}, "4 of 3"},
		"a session that moved": {func(s *story) {
			s.sale.Programmes[1-programme].AccountCap = 1
			s.take(1, "ann", 2)
			s.sale.Sessions[session].Programme = 1 - programme
			s.define(record.Above{Programmes: []record.Most{{Of: 1 - programme, Tickets: 2}}}).take(2, "bob", 1)
		}, ""},
		"a take in the programme that a session moved to": {func(s *story) {
			s.sale.Programmes[1-programme].AccountCap = 2
			s.take(1, "ann", 2).take(2, "bob", 1)
			s.sale.Sessions[session].Programme = 1 - programme
			s.define().take(3, "ann", 1)
		}, other},
		"a definition that excuses more than there is": {func(s *story) {
			s.take(1, "ann", 3)
			s.sale.Sessions[session].Limit = 2
			s.define(above(0, 4))
		}, "record 3: I2: session "},
		"a definition that hides what there is": {func(s *story) {
			s.take(1, "ann", 3)
			s.sale.Sessions[session].Limit = 2
			s.define()
		}, "by the definition one account has 0 tickets, but the most are 3"},
		"fewer places than are taken": {func(s *story) {
			s.take(1, "ann", 2)
			s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = 1, 0
			s.define()
		}, "record 3: I1: session "},
		"fewer places after a release": {func(s *story) {
			s.take(1, "ann", 2).end(1, inventory.Released)
			s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = 1, 0
			s.define().take(2, "ann", 1)
		}, ""},
		"a take beyond the fewer places": {func(s *story) {
			s.take(1, "ann", 1).take(2, "bob", 1)
			s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = 2, 0
			s.define().take(3, "cat", 1)
		}, "record 5: I1: session "},
	} {
		s := newStory(t)
		c.write(s)
		found := s.verify()
		if c.want == "" {
			require.Empty(t, found.Problems, name)
			require.Equal(t, 2, found.Definitions, name)
			continue
		}
		require.Len(t, found.Problems, 1, name)
		require.Contains(t, found.Problems[0], c.want, name)
	}
}

// I2: what a checkpoint contains may be beyond the present limits by as much as the definition says that accounts had
// when it came into force, and no more.
func TestVerifyBoundsTheCheckpoint(t *testing.T) {
	first := newStory(t)
	session := first.sale.Pools[0].Session
	for _, c := range []struct {
		has, said int
		problem   bool
	}{{2, 0, false}, {3, 0, true}, {3, 3, false}, {4, 3, true}} {
		s := newStory(t)
		s.sale.Sessions[session].Limit = 2
		d := record.DefinitionOf(s.sale)
		if c.said > 0 {
			d.Above.Sessions = []record.Most{{Of: session, Tickets: c.said}}
		}
		row := s.reservation(1, "ann", c.has, 0)
		row.Seq = 2
		s.checkpoint = record.AppendReservation(d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1}), &row)
		s.count, s.records = 3, record.AppendTaken(record.AppendTaken(d.Append(nil, s.at), &row), &row)
		s.info = journal.CheckpointInfo{Start: 3, End: 3}
		found := s.verify()
		if !c.problem {
			require.Empty(t, found.Problems, c)
			continue
		}
		require.Len(t, found.Problems, 1)
		require.Contains(t, found.Problems[0], "I2: account ann has")
	}
}

// A journal says itself what it is judged by. A sale that the caller names must have its name; whether it is the last
// definition is in the findings.
func TestVerifyNamedSale(t *testing.T) {
	s := newStory(t).take(1, "ann", 1)
	found, err := Verify(s, s.sale)
	require.NoError(t, err)
	require.False(t, found.Differs)
	require.Equal(t, "paris2024", found.Sale)
	is := record.DefinitionOf(s.sale)
	require.Equal(t, is.Digest, found.Digest)
	s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = 0, 0
	found, err = Verify(s, s.sale)
	require.NoError(t, err)
	require.Empty(t, found.Problems, "its own definition has the place")
	require.True(t, found.Differs)
	s.sale.Name = "other"
	_, err = Verify(s, s.sale)
	require.ErrorContains(t, err, `the journal belongs to the sale "paris2024", not to "other"`)
	empty, err := Verify(&writtenJournal{}, nil)
	require.NoError(t, err)
	require.Zero(t, empty.Definitions)
}

// A definition of version 1 does not say how many places there were: the caller must name the sale.
func TestVerifyVersion1(t *testing.T) {
	kept, err := os.ReadFile("../record/testdata/records.golden")
	require.NoError(t, err)
	digits, _, _ := strings.Cut(strings.TrimPrefix(string(kept), "definition "), "\n")
	run, err := hex.DecodeString(digits)
	require.NoError(t, err)
	w := &writtenJournal{records: run, count: 1}
	_, err = Verify(w, nil)
	require.ErrorIs(t, err, ErrNoSale)
	found, err := Verify(w, catalog.Paris2024())
	require.NoError(t, err)
	require.False(t, found.Differs)
	require.Equal(t, "paris2024", found.Sale)
	require.Zero(t, found.Digest)
}

// A legal journal has no problems, and its totals are those of its records. What was given back can be taken again.
func TestVerifyCounts(t *testing.T) {
	s := newStory(t)
	s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = 4, 0
	s.take(1, "ann", 3).end(1, inventory.Released).take(2, "bob", 2).end(2, inventory.Confirmed).take(3, "ann", 1)
	s.take(4, "cat", 1).end(4, inventory.Expired)
	found := s.verify()
	require.Empty(t, found.Problems)
	require.Equal(t, 1, found.Definitions)
	require.Equal(t, 4, found.Reservations)
	require.Equal(t, 3, found.Accounts)
	require.Equal(t, map[inventory.State]int{inventory.Held: 1, inventory.Confirmed: 1, inventory.Released: 1,
		inventory.Expired: 1}, found.ByState)
	require.Equal(t, 1, found.Held)
	require.Equal(t, 2, found.Confirmed)
}

// A checkpoint may contain the outcomes of records up to its end, as its rows' sequences say. Those records are no
// problem. It leaves out what ended long ago, but never what was confirmed.
func TestVerifyAfterCheckpoint(t *testing.T) {
	write := func(end uint64, row func(s *story, r *inventory.Snapshot)) Findings {
		s := newStory(t).take(1, "ann", 2).end(1, inventory.Confirmed)
		sold := s.reservation(1, "ann", 2, 0)
		sold.State, sold.AtMs, sold.Seq = inventory.Confirmed, s.at+500, 3
		d := record.DefinitionOf(s.sale)
		s.checkpoint = d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1})
		row(s, &sold)
		s.info = journal.CheckpointInfo{End: end}
		return s.verify()
	}
	add := func(s *story, r *inventory.Snapshot) { s.checkpoint = record.AppendReservation(s.checkpoint, r) }
	require.Empty(t, write(3, add).Problems)
	require.Empty(t, write(0, add).Problems, "the row's sequence says that it has them")
	require.Empty(t, write(3, func(s *story, r *inventory.Snapshot) { r.Seq = 0; add(s, r) }).Problems, "version 1")
	require.NotEmpty(t, write(0, func(s *story, r *inventory.Snapshot) { r.Seq = 0; add(s, r) }).Problems,
		"a checkpoint that ends before the first record")
	require.Empty(t, write(3, func(*story, *inventory.Snapshot) {}).Problems)

	s := newStory(t).end(1, inventory.Released).end(2, inventory.Confirmed)
	d := record.DefinitionOf(s.sale)
	s.checkpoint, s.info.End = d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1}), 3
	problems := s.verify().Problems
	require.Len(t, problems, 1)
	require.Contains(t, problems[0], "record 3: I6: reservation 02000000")
	s.info.End = 1
	require.Len(t, s.verify().Problems, 2)
}

// I3: a row of a checkpoint shows when its reservation ended, and that must be on the right side of its expiry: a
// journal that was rescued has nothing but rows. Rows of outcomes of version 1 show no such instant.
func TestVerifyJudgesRows(t *testing.T) {
	for _, c := range []struct {
		state inventory.State
		at    int64 // ms after the hold, which ends after 1000
		want  string
		flags uint8 // of a changed one
	}{
		{inventory.Confirmed, 999, "", 0},
		{inventory.Confirmed, 1000, "is confirmed at", 0},
		{inventory.Confirmed, 1000, "", inventory.FlagReduced},
		{inventory.Returned, 1000, "", inventory.FlagWithheld},
		{inventory.Released, 999, "", 0},
		{inventory.Released, 1001, "is released at", 0},
		{inventory.Released, 1001, "is released at", inventory.FlagExtended},
		{inventory.Expired, 1000, "", 0},
		{inventory.Expired, 999, "is expired at", 0},
		{inventory.Expired, 999, "is expired at", inventory.FlagExtended},
		{inventory.Held, 0, "", 0},
		{inventory.Expired, -1, "", 0},
	} {
		s := newStory(t)
		r := s.reservation(1, "ann", 1, 0)
		r.State, r.AtMs, r.Seq = c.state, s.at+c.at, 2
		if c.at < 0 {
			r.AtMs, r.CreatedMs, r.ExpiresMs = 0, 0, 1000
		}
		d := record.DefinitionOf(s.sale)
		s.checkpoint = d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1})
		r.Flags = c.flags
		if late := r.State == inventory.Confirmed && r.AtMs >= r.ExpiresMs; late && c.flags == 0 {
			s.checkpoint = journal.AppendRecord(s.checkpoint, rowOfVersion1(&r))
		} else {
			s.checkpoint = record.AppendReservation(s.checkpoint, &r)
		}
		s.info.End = 2
		found := s.verify()
		if c.want == "" {
			require.Empty(t, found.Problems)
			continue
		}
		require.Len(t, found.Problems, 1)
		require.Contains(t, found.Problems[0], "I3: reservation 01000000-0000-0000-0000-000000000000 "+c.want)
	}
}

// rowOfVersion1 returns the row of a confirmed reservation of one line. In version 2, one that was confirmed when its
// time was over must have been taken again.
func rowOfVersion1(s *inventory.Snapshot) []byte {
	b := append([]byte{byte(record.KindReservation)}, s.ID[:]...)
	b = append(binary.AppendUvarint(b, uint64(s.Phase)), 0, byte(len(s.Account)))
	b = binary.AppendUvarint(append(b, s.Account...), uint64(s.CreatedMs))
	b = append(binary.AppendUvarint(b, uint64(s.ExpiresMs-s.CreatedMs)), 1)
	b = binary.AppendUvarint(b, uint64(s.Lines[0].Pool))
	b = append(binary.AppendUvarint(b, uint64(s.Lines[0].Quantity)), 4)
	return append(binary.AppendUvarint(b, uint64(s.AtMs)), 0)
}

// An entry is made while registration is open, and the entries are frozen after it.
func TestVerifyDrawInstants(t *testing.T) {
	s := newStory(t)
	rules := &s.sale.Draws[0]
	s.begin()
	entry := record.Draw{Group: 1, Account: "ann"}
	for _, at := range []time.Time{rules.RegistrationOpens.Add(-time.Millisecond), rules.RegistrationCloses} {
		s.records, s.count = entry.Append(s.records, record.KindEntry, at.UnixMilli()), s.count+1
		entry.Account += "x"
	}
	terms := record.DrawTerms(s.sale, 0)
	frozen := record.Draw{Size: 2, Root: draw.Digest{1}, Terms: record.TermsDigest(&terms)}
	s.records = frozen.Append(s.records, record.KindFrozen, rules.RegistrationCloses.Add(-time.Millisecond).UnixMilli())
	s.count++
	problems := s.verify().Problems
	require.Contains(t, problems[0], "record 2: draw draw1: account ann enters at ")
	require.Contains(t, problems[1], "record 3: draw draw1: account annx enters at ")
	require.Contains(t, problems[2], "record 4: draw draw1: its entries are frozen at ")
}
