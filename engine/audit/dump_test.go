package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/record"
)

// A dump has a line for each record, with the names of the journal's own definition.
func TestDump(t *testing.T) {
	s := newStory(t)
	s.take(1, "ann", 2).end(1, inventory.Confirmed)
	entry := record.Draw{Group: 1, Account: "ann"}
	s.records, s.count = entry.Append(s.records, record.KindEntry, s.at+600), s.count+1
	frozen := record.Draw{Size: 1, Root: draw.Digest{0xab}}
	s.records, s.count = frozen.Append(s.records, record.KindFrozen, s.at+700), s.count+1
	held := s.reservation(2, "bob", 1, 2000)
	held.Seq = 7
	definition := record.DefinitionOf(s.sale)
	s.checkpoint = record.AppendClock(definition.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1}), s.at+500, 3)
	s.checkpoint = record.AppendReservation(s.checkpoint, &held)
	var out bytes.Buffer
	require.NoError(t, Dump(s, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3+s.count)
	at := `"at":"2023-11-30T09:00:00.`
	pool := definition.Pools[0]
	ticket := `"lines":[{"session":"` + pool.Session + `","category":"` + pool.Category + `","quantity":`
	for i, want := range []string{
		`{"last_seq":1,"kind":"definition",` + at + `000Z","sale":"paris2024","digest":"` + definition.Digest.String() + `",`,
		`{"last_seq":3,"kind":"clock",` + at + `500Z"}`,
		`{"last_seq":7,"kind":"reservation","at":"2023-11-30T09:00:02.000Z",` +
			`"id":"02000000-0000-0000-0000-000000000000","account":"bob",` +
			`"phase":"` + definition.Phases[s.phase] + `","state":"held",` + ticket + `1}],` +
			`"created_at":"2023-11-30T09:00:02.000Z",` +
			`"expires_at":"2023-11-30T09:00:03.000Z"}`,
		`{"seq":1,"kind":"definition",` + at + `000Z",`,
		`{"seq":2,"kind":"taken",` + at + `000Z","id":"01000000-0000-0000-0000-000000000000","account":"ann",`,
		`{"seq":3,"kind":"confirmed",` + at + `500Z","id":"01000000-0000-0000-0000-000000000000",` +
			`"confirmed_at":"2023-11-30T09:00:00.500Z"}`,
		`{"seq":4,"kind":"entry",` + at + `600Z","account":"ann","draw":"draw1","priority_group":"club"}`,
		`{"seq":5,"kind":"frozen",` + at + `700Z","draw":"draw1","entries":1,"root":"ab0000`,
	} {
		require.True(t, strings.HasPrefix(lines[i], want), "line %d: %s", i, lines[i])
	}

	var dumped struct{ Content dumpedContent }
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &dumped))
	c := dumped.Content
	require.Equal(t, dumpedProgramme{Programme: "olympic", AccountCap: 30}, c.Programmes[0])
	withholds := *s.sale
	withholds.Programmes = slices.Clone(withholds.Programmes)
	withholds.Programmes[1].WithholdReturned = true
	programmes := content(&record.Definition{Rules: &withholds}).Programmes
	require.Equal(t, []string{"", "withheld"}, []string{programmes[0].Returned, programmes[1].Returned})
	require.Len(t, c.Sessions, len(s.sale.Sessions))
	first := s.sale.Pools[0]
	require.Equal(t, dumpedPool{first.Category, first.Capacity, first.Withheld}, c.Sessions[first.Session].Pools[0])
	require.Equal(t, "draw1", c.Phases[0].Draw)
	require.Equal(t, s.sale.Phases[0].SlotCount(), c.Phases[0].Slots)
	require.Equal(t, "packs", c.Draws[0].Phase)

	broken := &writtenJournal{records: record.AppendTaken(nil, &held), count: 1}
	require.ErrorIs(t, Dump(broken, &out), record.ErrInvalid, "no definition comes before the record")
}
