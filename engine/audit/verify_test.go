package audit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// story writes a journal of reservations, one record at a time.
type story struct {
	t     *testing.T
	sale  *catalog.Sale
	phase int // open to all
	writtenJournal
}

func newStory(t *testing.T) *story {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	s := &story{t: t, sale: sale}
	for sale.Phases[s.phase].Access != catalog.Open {
		s.phase++
	}
	definition := record.DefinitionOf(sale)
	s.records, s.count = definition.Append(nil, 1000), 1
	return s
}

// reservation returns a hold of the first pool, created at ms.
func (s *story) reservation(id byte, account string, quantity int, ms int64) inventory.Snapshot {
	return inventory.Snapshot{ID: inventory.ID{id}, Account: account, State: inventory.Held, Phase: uint16(s.phase),
		CreatedMs: ms, AtMs: ms, ExpiresMs: ms + 1000, Lines: []inventory.Line{{Pool: 0, Quantity: uint32(quantity)}}}
}

func (s *story) take(id byte, account string, quantity int) *story {
	r := s.reservation(id, account, quantity, 1000)
	s.records, s.count = record.AppendTaken(s.records, &r), s.count+1
	return s
}

func (s *story) end(id byte, as inventory.State) *story {
	r := inventory.Snapshot{ID: inventory.ID{id}, State: as, AtMs: 1500}
	s.records, s.count = record.AppendEnd(s.records, &r), s.count+1
	return s
}

func (s *story) verify() Findings {
	found, err := Verify(s, s.sale)
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
	} {
		s := newStory(t)
		write(s)
		problems := s.verify().Problems
		require.NotEmpty(t, problems, want)
		require.Contains(t, problems[0], want)
	}
}

// A legal journal has no problems, and its totals are those of its records. What was given back can be taken again.
func TestVerifyCounts(t *testing.T) {
	s := newStory(t)
	s.sale.Pools[0].Capacity, s.sale.Pools[0].Withheld = 4, 0
	s.take(1, "ann", 3).end(1, inventory.Released).take(2, "bob", 2).end(2, inventory.Confirmed).take(3, "ann", 1)
	s.take(4, "cat", 1).end(4, inventory.Expired)
	found := s.verify()
	require.Empty(t, found.Problems)
	require.Equal(t, 4, found.Reservations)
	require.Equal(t, 3, found.Accounts)
	require.Equal(t, map[inventory.State]int{inventory.Held: 1, inventory.Confirmed: 1, inventory.Released: 1,
		inventory.Expired: 1}, found.ByState)
	require.Equal(t, 1, found.Held)
	require.Equal(t, 2, found.Confirmed)
}

// A checkpoint may contain the outcomes of records up to its end. Those records are no problem.
func TestVerifyAfterCheckpoint(t *testing.T) {
	s := newStory(t)
	s.take(1, "ann", 2).end(1, inventory.Confirmed)
	sold := s.reservation(1, "ann", 2, 1000)
	sold.State, sold.AtMs = inventory.Confirmed, 1500
	definition := record.DefinitionOf(s.sale)
	s.checkpoint = record.AppendReservation(definition.AppendRow(nil, record.Stamp{}), &sold)
	require.NotEmpty(t, s.verify().Problems, "a checkpoint that ends before the first record")
	s.info = journal.CheckpointInfo{End: 3}
	require.Empty(t, s.verify().Problems)
}

// A dump has a line for each record, with the names of the journal's own definition.
func TestDump(t *testing.T) {
	s := newStory(t)
	s.take(1, "ann", 2).end(1, inventory.Confirmed)
	entry := record.Draw{Group: 1, Account: "ann"}
	s.records, s.count = entry.Append(s.records, record.KindEntry, 1600), s.count+1
	frozen := record.Draw{Size: 1, Root: draw.Digest{0xab}}
	s.records, s.count = frozen.Append(s.records, record.KindFrozen, 1700), s.count+1
	held := s.reservation(2, "bob", 1, 2000)
	held.Seq = 7
	definition := record.DefinitionOf(s.sale)
	s.checkpoint = record.AppendClock(definition.AppendRow(nil, record.Stamp{AtMs: 1000, Seq: 1}), 1500, 3)
	s.checkpoint = record.AppendReservation(s.checkpoint, &held)
	var out bytes.Buffer
	require.NoError(t, Dump(s, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3+s.count)
	at := `"at":"1970-01-01T00:00:01.`
	pool := definition.Pools[0]
	ticket := `"lines":[{"session":"` + pool.Session + `","category":"` + pool.Category + `","quantity":`
	for i, want := range []string{
		`{"last_seq":1,"kind":"definition",` + at + `000Z","sale":"paris2024","digest":"` + definition.Digest.String() + `",`,
		`{"last_seq":3,"kind":"clock",` + at + `500Z"}`,
		`{"last_seq":7,"kind":"reservation","at":"1970-01-01T00:00:02.000Z","id":"02000000-0000-0000-0000-000000000000","account":"bob","phase":"` +
			definition.Phases[s.phase] + `","state":"held",` + ticket + `1}],"created_at":"1970-01-01T00:00:02.000Z",` +
			`"expires_at":"1970-01-01T00:00:03.000Z"}`,
		`{"seq":1,"kind":"definition",` + at + `000Z",`,
		`{"seq":2,"kind":"taken",` + at + `000Z","id":"01000000-0000-0000-0000-000000000000","account":"ann",`,
		`{"seq":3,"kind":"confirmed",` + at + `500Z","id":"01000000-0000-0000-0000-000000000000","confirmed_at":"1970-01-01T00:00:01.500Z"}`,
		`{"seq":4,"kind":"entry",` + at + `600Z","account":"ann","draw":"draw1","priority_group":"club"}`,
		`{"seq":5,"kind":"frozen",` + at + `700Z","draw":"draw1","entries":1,"root":"ab0000`,
	} {
		require.True(t, strings.HasPrefix(lines[i], want), "line %d: %s", i, lines[i])
	}

	broken := &writtenJournal{records: record.AppendTaken(nil, &held), count: 1}
	require.ErrorIs(t, Dump(broken, &out), record.ErrInvalid, "no definition comes before the record")
}
