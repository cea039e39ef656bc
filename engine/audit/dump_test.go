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
	pool0 := dumpedPool{Category: first.Category, Capacity: first.Capacity, Withheld: first.Withheld}
	require.Equal(t, pool0, c.Sessions[first.Session].Pools[0])
	require.Equal(t, "draw1", c.Phases[0].Draw)
	require.Equal(t, s.sale.Phases[0].SlotCount(), c.Phases[0].Slots)
	require.Equal(t, "packs", c.Draws[0].Phase)

	broken := &writtenJournal{records: record.AppendTaken(nil, &held), count: 1}
	require.ErrorIs(t, Dump(broken, &out), record.ErrInvalid, "no definition comes before the record")
}

// The line of a change has the whole reservation, and what only changes have.
func TestDumpOfChanges(t *testing.T) {
	s := newStory(t)
	sold := func(r *inventory.Snapshot) { r.Reference = "PAY-1" }
	chained := func(r *inventory.Snapshot) { r.Flags, r.Replaces = r.Flags|inventory.FlagReplaces, inventory.ID{1} }
	s.take(1, "ann", 3).change(extend, 300, s.of(3)).change(reduce, 400, s.of(2))
	s.change(replace, 500, s.reservation(2, "ann", 2, 0)).change(reduceSold, 600, s.of(1), sold, chained)
	s.change(again, 2000, s.of(2), sold).change(giveBack, 3000, s.of(2), sold, withheld)
	row := s.of(2)
	row.State, row.Flags, row.AtMs, row.ConfirmedMs, row.Seq = inventory.Returned, inventory.FlagWithheld|
		inventory.FlagReplaces, s.at+3000, s.at+2000, 8
	definition := record.DefinitionOf(s.sale)
	s.checkpoint = record.AppendReservation(definition.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1}), &row)
	var out bytes.Buffer
	require.NoError(t, Dump(s, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2+s.count)
	pool := definition.Pools[0]
	line := func(seq, kind string, at string, state string, quantity, created, expires string, more string) string {
		return `{` + seq + `,"kind":"` + kind + `","at":"2023-11-30T09:00:0` + at + `00Z",` +
			`"id":"01000000-0000-0000-0000-000000000000","account":"ann","phase":"` + definition.Phases[s.phase] + `",` +
			state + `"lines":[{"session":"` + pool.Session + `","category":"` + pool.Category + `","quantity":` + quantity +
			`}],"created_at":"2023-11-30T09:00:0` + created + `00Z","expires_at":"2023-11-30T09:00:0` + expires + `00Z"` +
			more + `}`
	}
	confirmed := func(at string) string { return `,"confirmed_at":"2023-11-30T09:00:0` + at + `00Z"` }
	const replaces = `,"replaces":"01000000-0000-0000-0000-000000000000"`
	for i, want := range map[int]string{
		1: line(`"last_seq":8`, "changed", "3.0", `"state":"returned",`, "2", "0.0", "1.0",
			confirmed("2.0")+`,"withheld":true`),
		4: line(`"seq":3`, "extended", "0.3", "", "3", "0.0", "2.0", ""),
		5: line(`"seq":4`, "reduced", "0.4", `"state":"held",`, "2", "0.0", "1.0", ""),
		6: strings.Replace(line(`"seq":5`, "replaced", "0.5", "", "2", "0.5", "1.5", replaces), `"id":"01`, `"id":"02`, 1),
		7: line(`"seq":6`, "reduced", "0.6", `"state":"confirmed",`, "1", "0.0", "1.0",
			confirmed("0.5")+`,"reference":"PAY-1"`+replaces),
		8: line(`"seq":7`, "taken_again", "2.0", "", "2", "0.0", "1.0", confirmed("2.0")+`,"reference":"PAY-1"`),
		9: line(`"seq":8`, "returned", "3.0", "", "2", "0.0", "1.0",
			confirmed("0.5")+`,"reference":"PAY-1","withheld":true`),
	} {
		require.Equal(t, want, lines[i])
	}
}

// A dump has when sales of sessions end, and nothing of a session without an end.
func TestDumpHasSalesEnds(t *testing.T) {
	sale := catalog.Paris2024()
	sale.Sessions[1].SalesEndAt = time.Time{}
	d := record.DefinitionOf(sale)
	sessions := content(&d).Sessions
	require.Equal(t, sale.Sessions[0].StartsAt.Format(time.RFC3339), sessions[0].SalesEnd)
	require.Empty(t, sessions[1].SalesEnd)
}
