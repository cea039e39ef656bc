package record

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// named is a record with its length, under the name that the golden files give it.
type named struct {
	name string
	run  []byte
}

const (
	goldenAt  = 1701334800123
	goldenSeq = 1 << 33
)

// golden is a record of each kind and shape, as testdata/records2.golden keeps it: a name, then the length and the
// bytes in hex. What the file contains must stay readable for ever; a changed body gets a kind of its own.
func golden(t testing.TB) []named {
	id := inventory.ID{0x01, 0x8f, 0x3a, 0x7e, 0x10, 0x20, 0x7d, 0xef, 0x8a, 0xbc, 1, 2, 3, 4, 5, 6}
	s := inventory.Snapshot{ID: id, Account: "ann", State: inventory.Held, Phase: 3, Flags: FlagPhaseGiven | FlagTTLGiven,
		Lines:     []inventory.Line{{Pool: 7, Quantity: 2}, {Pool: 4035, Quantity: 1}, {Pool: 200, Quantity: 4095}},
		CreatedMs: goldenAt, AtMs: goldenAt, ExpiresMs: goldenAt + 1_020_000, Seq: goldenSeq}
	long := s
	long.Account, long.Lines = strings.Repeat("x", inventory.MaxAccount), nil
	for i := range inventory.MaxLines {
		long.Lines = append(long.Lines, inventory.Line{Pool: uint32(59_000 + i), Quantity: 300})
	}
	ended := func(as inventory.State, atMs int64, reference string) *inventory.Snapshot {
		e := s
		e.State, e.AtMs, e.Reference = as, atMs, reference
		return &e
	}
	confirmed := ended(inventory.Confirmed, 1701334812345, "PAY-4711 ü")
	bare := ended(inventory.Confirmed, 1701334812345, "")
	released, expired := ended(inventory.Released, goldenAt+99, ""), ended(inventory.Expired, goldenAt+1_020_007, "")
	unknown := ended(inventory.Released, 0, "")
	unknown.Seq = 0
	sale := goldenSale(t)
	d, empty := DefinitionOf(sale), DefinitionOf(&catalog.Sale{Name: "s"})
	d.Above = Above{Programmes: []Most{{1, 31}}, Sessions: []Most{{0, 7}, {2, 4095}}}
	withholds := goldenSale(t)
	withholds.Programmes[1].WithholdReturned = true
	withheld := DefinitionOf(withholds)
	equals := goldenSale(t)
	equals.Phases[1].PackEqual = true
	equal := DefinitionOf(equals)
	ends := goldenSale(t)
	ends.Sessions[0].SalesEndAt, ends.Sessions[2].SalesEndAt = time.UnixMilli(goldenAt), time.UnixMilli(0)
	salesEnd := DefinitionOf(ends)
	entry := Draw{Index: 1, Account: "ann"}
	grouped := Draw{Index: 0, Group: 1, Account: "bob"}
	ranked := Draw{Index: 1, Group: 2, Account: "cat", Rank: 3_834_000, Slot: 639}
	frozen := Draw{Index: 1, Size: 4_000_000, MachineMs: goldenAt + 3}
	announced, postponed := Draw{Index: 1}, Draw{Index: 1, Round: 12_040_990, MachineMs: goldenAt + 4}
	drawn := Draw{Index: 1, Beacon: draw.Beacon{Round: 12_040_883}}
	for i := range frozen.Root {
		frozen.Root[i], frozen.Terms[i], drawn.Beacon.Randomness[i] = byte(i), byte(0x80+i), byte(0x40+i)
		announced.Secret[i] = byte(0x20 + i)
	}
	for i := range drawn.Beacon.Signature {
		drawn.Beacon.Signature[i] = byte(0xff - i)
	}
	unsealed := frozen
	unsealed.MachineMs = 0
	row := Stamp{AtMs: goldenAt, Seq: goldenSeq}
	all := []named{
		{"definition", d.Append(nil, goldenAt)},
		{"definition-empty", empty.Append(nil, goldenAt)},
		{"definition-row", d.AppendRow(nil, row)},
		{"definition-withheld", withheld.Append(nil, goldenAt)},
		{"definition-equal-packs", equal.Append(nil, goldenAt)},
		{"definition-sales-end", salesEnd.Append(nil, goldenAt)},
		{"clock", AppendClock(nil, goldenAt, goldenSeq)},
		{"taken", AppendTaken(nil, &s)},
		{"taken-long", AppendTaken(nil, &long)},
		{"confirmed", AppendEnd(nil, confirmed)},
		{"confirmed-bare", AppendEnd(nil, bare)},
		{"released", AppendEnd(nil, released)},
		{"expired", AppendEnd(nil, expired)},
		{"reservation-held", AppendReservation(nil, &s)},
		{"reservation-confirmed", AppendReservation(nil, confirmed)},
		{"reservation-released", AppendReservation(nil, released)},
		{"reservation-expired", AppendReservation(nil, expired)},
		{"reservation-unknown", AppendReservation(nil, unknown)},
		{"entry", entry.Append(nil, KindEntry, goldenAt)},
		{"entry-group", grouped.Append(nil, KindEntry, goldenAt)},
		{"entry-row", grouped.AppendRow(nil, KindEntry, Stamp{})},
		{"withdrawn", grouped.Append(nil, KindWithdrawn, goldenAt)},
		{"frozen", frozen.Append(nil, KindFrozen, goldenAt)},
		{"frozen-row", frozen.AppendRow(nil, KindFrozen, row)},
		{"drawn", drawn.Append(nil, KindDrawn, goldenAt)},
		{"drawn-row", drawn.AppendRow(nil, KindDrawn, row)},
		{"announced", announced.Append(nil, KindAnnounced, goldenAt)},
		{"announced-row", announced.AppendRow(nil, KindAnnounced, row)},
		{"postponed", postponed.Append(nil, KindPostponed, goldenAt)},
		{"postponed-row", postponed.AppendRow(nil, KindPostponed, row)},
		{"frozen-unsealed-row", unsealed.AppendRow(nil, KindFrozen, row)},
		{"ranked", ranked.AppendRow(nil, KindRanked, Stamp{})},
		{"paused-sale", Pause{Paused: true}.Append(nil, goldenAt)},
		{"paused-phase", Pause{Of: OnePhase, Index: 1, Paused: true}.Append(nil, goldenAt)},
		{"paused-session-row", Pause{Of: OneSession, Index: 3800, Paused: true}.AppendRow(nil, row)},
		{"paused-no-longer", Pause{Of: OneSession, Index: 2}.Append(nil, goldenAt)},
		{"stock", Stock{Pool: 4035, Capacity: 1<<31 - 1, Withheld: 300}.Append(nil, goldenAt)},
		{"stock-row", Stock{Capacity: 5, Withheld: 5}.AppendRow(nil, row)},
		{"stock-freed", Stock{Pool: 4035, Capacity: 90, Freed: 7}.Append(nil, goldenAt)},
		{"stock-freed-row", Stock{Capacity: 5, Withheld: 5, Freed: 120}.AppendRow(nil, row)},
	}
	return append(all, goldenChanges(&s)...)
}

// goldenSale is a sale that uses everything that a definition keeps.
func goldenSale(t testing.TB) *catalog.Sale {
	at := time.UnixMilli(1_700_000_040_000).UTC()
	s, err := catalog.Assemble(catalog.Sale{Name: "games",
		Programmes: []catalog.Programme{{ID: "olympic", AccountCap: 30}, {ID: "paralympic", AccountCap: 20}},
		Sessions: []catalog.Session{{ID: "ATH10", Limit: 6}, {ID: "SWM03", Programme: 1, Limit: 4},
			{ID: "ATH11", Limit: 200}},
		Pools: []catalog.Pool{{Session: 0, Category: "First", Capacity: 80_000, Withheld: 200},
			{Session: 0, Category: "A", Capacity: 1<<31 - 1}, {Session: 1, Category: "E+", Capacity: 3}},
		Groups: []catalog.Group{{ID: "club"}},
		Draws: []catalog.Draw{{ID: "draw1", RegistrationOpens: at, RegistrationCloses: at.Add(time.Hour),
			PublishWithin: 10 * time.Minute, Phase: 1,
			Beacon: catalog.Beacon{ChainHash: "52db", PublicKey: "83cf", Genesis: at, Period: 3 * time.Second, Round: 1000,
				StandIn: true}}},
		Phases: []catalog.Phase{
			{ID: "singles", Programme: 1, OpensAt: at, ClosesAt: at.AddDate(0, 0, 9), Draw: -1,
				Slots: catalog.SlotRule{Group: -1}},
			{ID: "packs", Kind: catalog.Pack, PackSessions: 3, OpensAt: at, ClosesAt: at.AddDate(0, 0, 9),
				Access: catalog.Slots, Slots: catalog.SlotRule{Length: 48 * time.Hour, Step: time.Hour, Places: 500,
					PriorityDays: 4}}},
	}, [][]bool{{false, true, false}, {true, false, true}})
	require.NoError(t, err)
	return s
}

const (
	golden1 = "testdata/records.golden"  // of version 1, which no encoder writes any more
	golden2 = "testdata/records2.golden" // of version 2

	goldenVersions = "testdata/version.golden" // of definitions, compressed
)

// goldenRecords returns the records of a golden file.
func goldenRecords(t testing.TB, file string) (all []named) {
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(kept)), "\n") {
		name, digits, _ := strings.Cut(line, " ")
		run, err := hex.DecodeString(digits)
		require.NoError(t, err)
		all = append(all, named{name, run})
	}
	return all
}

// The encoder writes the bytes of the golden file, and the decoder reads them.
func TestGoldenRecords(t *testing.T) {
	var text strings.Builder
	for _, g := range golden(t) {
		fmt.Fprintf(&text, "%s %s\n", g.name, hex.EncodeToString(g.run))
	}
	if os.Getenv("SEATHOLD_WRITE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden2, []byte(text.String()), 0o644))
	}
	kept, err := os.ReadFile(golden2)
	require.NoError(t, err)
	require.Equal(t, string(kept), text.String())
	for _, g := range goldenRecords(t, golden2) {
		b, rest, err := journal.Next(g.run)
		require.NoError(t, err)
		require.Empty(t, rest)
		var r Record
		require.NoError(t, r.Decode(b), g.name)
		require.EqualValues(t, 2, r.head>>versionShift+1)
		require.Equal(t, g.run, encode(&r), g.name)
		require.Equal(t, strings.HasSuffix(g.name, "-row") || !r.Kind.inJournal(), r.head&checkpointBit != 0)
		if unknown := g.name == "reservation-unknown" || g.name == "entry-row" || g.name == "ranked"; unknown {
			require.Zero(t, r.Stamp, g.name)
		} else {
			require.GreaterOrEqual(t, r.AtMs, int64(goldenAt), g.name)
		}
		requireFaults(t, g.name, b)
	}
}

// A record of version 1 means what the record of version 2 with its name means. Releases and expiries had no instant,
// nor had the records of draws, and a definition had names only.
func TestGoldenRecordsOfVersion1(t *testing.T) {
	now := map[string]Record{}
	for _, g := range goldenRecords(t, golden2) {
		b, _, err := journal.Next(g.run)
		require.NoError(t, err)
		var r Record
		require.NoError(t, r.Decode(b))
		now[g.name] = r
	}
	read := goldenRecords(t, golden1)
	require.Len(t, read, 17)
	for _, g := range read {
		b, rest, err := journal.Next(g.run)
		require.NoError(t, err)
		require.Empty(t, rest)
		var r Record
		require.NoError(t, r.Decode(b), g.name)
		requireFaults(t, g.name, b)
		want := now[g.name]
		want.head, want.Seq = r.head, 0
		switch r.Kind {
		case KindDefinition:
			require.Nil(t, r.Definition.Rules)
			require.Equal(t, 3*(1-strings.Count(g.name, "empty")), len(r.Definition.Pools))
			continue
		case KindReleased, KindExpired, KindEntry, KindFrozen, KindDrawn, KindRanked:
			want.AtMs, want.Draw.MachineMs = 0, 0
		case KindReservation:
			if r.State == inventory.Released || r.State == inventory.Expired {
				want.AtMs = 0
			}
		}
		require.Equal(t, want, r, g.name)
		require.Zero(t, r.head>>versionShift)
	}
}

// requireFaults checks that a record that is truncated anywhere, or has trailing bytes, is invalid. A stock without its
// freed places is one of a journal from before these.
func requireFaults(t *testing.T, name string, b []byte) {
	var r Record
	for n := range b {
		if strings.HasPrefix(name, "stock-freed") && n == len(b)-1 {
			require.NoError(t, r.Decode(b[:n]), name)
			require.Zero(t, r.Stock.Freed, name)
			continue
		}
		require.ErrorIs(t, r.Decode(b[:n]), ErrInvalid, "%s cut after byte %d", name, n)
	}
	require.ErrorIs(t, r.Decode(append(bytes.Clone(b), 0)), ErrInvalid, name)
}

// encode is the inverse of decode, in version 2.
func encode(r *Record) []byte {
	row := r.head&checkpointBit != 0
	switch {
	case r.Kind == KindClock:
		return AppendClock(nil, r.AtMs, r.Seq)
	case (r.Kind == KindDefinition || r.Kind == KindVersion) && row:
		return r.Definition.AppendRow(nil, r.Stamp)
	case r.Kind == KindDefinition || r.Kind == KindVersion:
		return r.Definition.Append(nil, r.AtMs)
	case r.Kind == KindPaused && row:
		return r.Pause.AppendRow(nil, r.Stamp)
	case r.Kind == KindPaused:
		return r.Pause.Append(nil, r.AtMs)
	case r.Kind == KindEarlier:
		return r.Earlier.AppendRow(nil, r.Stamp)
	case r.Kind == KindStock && row:
		return r.Stock.AppendRow(nil, r.Stamp)
	case r.Kind == KindStock:
		return r.Stock.Append(nil, r.AtMs)
	case r.Kind.OfMember() && row:
		return r.Member.AppendRow(nil, r.Stamp)
	case r.Kind.OfMember():
		return r.Member.Append(nil, r.Kind, r.AtMs)
	case r.Kind.ofDraw() && row:
		return r.Draw.AppendRow(nil, r.Kind, r.Stamp)
	case r.Kind.ofDraw():
		return r.Draw.Append(nil, r.Kind, r.AtMs)
	}
	s := inventory.Snapshot{ID: r.Request.ID, Account: r.Request.Account, State: r.State, Phase: r.Request.Phase,
		Flags: r.Request.Flags, Lines: r.Request.Lines, CreatedMs: r.Request.Created, ExpiresMs: r.Request.Expires,
		AtMs: r.AtMs, Reference: r.Reference, Seq: r.Seq}
	s.ConfirmedMs, s.Replaces, s.Origin = r.ConfirmedMs, r.Replaces, r.Origin()
	switch {
	case r.Kind == KindTaken:
		return AppendTaken(nil, &s)
	case r.Kind == KindReservation:
		return appendPlain(nil, &s)
	case r.Kind == KindChanged:
		return appendChanged(nil, &s)
	case r.Kind.ofChange():
		return AppendChange(nil, &s)
	}
	return AppendEnd(nil, &s)
}

// Decoding never panics, and every record of version 2 that it accepts is encoded to the same bytes again.
func FuzzRecord(f *testing.F) {
	all := append(golden(f), goldenRecords(f, golden1)...)
	for _, g := range append(all, goldenRecords(f, goldenVersions)...) {
		b, _, err := journal.Next(g.run)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if r.Decode(b) != nil || r.first() {
			return
		}
		again, rest, err := journal.Next(encode(&r))
		if err != nil || len(rest) > 0 || !bytes.Equal(b, again) {
			t.Fatalf("decoded to %+v, which is %x", r, again)
		}
	})
}

// A record is valid only where its kind occurs, and only in the versions that there are.
func TestHeads(t *testing.T) {
	for _, g := range golden(t) {
		b, _, err := journal.Next(g.run)
		require.NoError(t, err)
		var r Record
		require.NoError(t, r.Decode(b))
		at := len(binary.AppendUvarint(nil, uint64(r.AtMs)))
		body, stamp := b[1+at:], uint64(r.AtMs)
		if r.head&checkpointBit != 0 {
			body = body[len(binary.AppendUvarint(nil, r.Seq)):]
		}
		record := func(head byte, stamp ...uint64) []byte {
			made := []byte{head}
			for _, n := range stamp {
				made = binary.AppendUvarint(made, n)
			}
			return append(made, body...)
		}
		const second = (version - 1) << versionShift
		kind := byte(r.Kind)
		inJournal := r.Decode(record(second|kind, stamp)) == nil
		rows := []Kind{KindReservation, KindRanked, KindClock, KindChanged}
		require.Equal(t, !slices.Contains(rows, Kind(kind)), inJournal, g.name)
		inCheckpoint := r.Decode(record(second|checkpointBit|kind, stamp, 7)) == nil
		events := []Kind{KindTaken, KindConfirmed, KindReleased, KindExpired, KindExtended, KindReduced, KindReplaced,
			KindTakenAgain, KindReturned, KindWithdrawn}
		require.Equal(t, !slices.Contains(events, Kind(kind)), inCheckpoint, g.name)
		require.Error(t, r.Decode(record(checkpointBit|kind, stamp, 7)), "version 1 has no place")
		for _, later := range []byte{2, 3} {
			require.Error(t, r.Decode(record(later<<versionShift|kind, stamp)))
			require.Error(t, r.Decode(record(later<<versionShift|checkpointBit|kind, stamp, 7)))
		}
	}
	var r Record
	require.Error(t, r.Decode([]byte{byte(KindClock)}), "version 1 has no clock")
}

// Records of every size around those at which the length takes another byte.
func TestSeal(t *testing.T) {
	for _, size := range []int{0, 1, 126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 2_097_151, 2_097_152, 2_097_153} {
		before := []byte("what comes before")
		content := bytes.Repeat([]byte{0xa5}, size)
		for i := range content {
			content[i] = byte(i * 7)
		}
		run := append(bytes.Clone(before), 0)
		run = seal(append(run, content...), len(before))
		require.True(t, bytes.HasPrefix(run, before))
		require.Equal(t, journal.AppendRecord(nil, content), run[len(before):], "size %d", size)
	}
}
