package engine

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// golden is a record of each kind and shape, as it is kept in testdata/records.golden: a name and the bytes behind their
// length in hex. What stands there once must be read for ever; a changed body gets a kind of its own.
func golden() []struct {
	name string
	run  []byte
} {
	id := inventory.ID{0x01, 0x8f, 0x3a, 0x7e, 0x10, 0x20, 0x7d, 0xef, 0x8a, 0xbc, 1, 2, 3, 4, 5, 6}
	s := inventory.Snapshot{ID: id, Account: "ann", State: Held, Phase: 3, Flags: flagPhaseGiven | flagTTLGiven,
		Lines:     []inventory.Line{{Pool: 7, Quantity: 2}, {Pool: 4035, Quantity: 1}, {Pool: 200, Quantity: 4095}},
		CreatedMs: 1701334800123, ExpiresMs: 1701334800123 + 1_020_000}
	long := s
	long.Account, long.Lines = strings.Repeat("x", MaxAccount), nil
	for i := range MaxLines {
		long.Lines = append(long.Lines, inventory.Line{Pool: uint32(59_000 + i), Quantity: 300})
	}
	confirmed := s
	confirmed.State, confirmed.ConfirmedMs, confirmed.Reference = Confirmed, 1701334812345, "PAY-4711 ü"
	bare := confirmed
	bare.Reference = ""
	released, expired := s, s
	released.State, expired.State = Released, Expired
	d := definition{sale: "paris2024", phases: []string{"packs", "singles"}, draws: []string{"draw1"}, groups: []string{"club"},
		pools: []poolName{{"ATH10", "First"}, {"ATH10", "A"}, {"SWM03", "E+"}}}
	empty := definition{sale: "s"}
	entry := entryFields{draw: 1, account: "ann"}
	grouped := entryFields{draw: 0, group: 1, account: "bob"}
	ranked := entryFields{draw: 1, group: 2, account: "cat", rank: 3_834_000, slot: 639}
	frozen := entryFields{draw: 1, size: 4_000_000}
	drawn := entryFields{draw: 1, beacon: draw.Beacon{Round: 12_040_883}}
	for i := range frozen.root {
		frozen.root[i], frozen.terms[i], drawn.beacon.Randomness[i] = byte(i), byte(0x80+i), byte(0x40+i)
	}
	for i := range drawn.beacon.Signature {
		drawn.beacon.Signature[i] = byte(0xff - i)
	}
	return []struct {
		name string
		run  []byte
	}{
		{"definition", d.append(nil)},
		{"definition-empty", empty.append(nil)},
		{"taken", appendOutcome(nil, &s, takenRecord)},
		{"taken-long", appendOutcome(nil, &long, takenRecord)},
		{"confirmed", appendOutcome(nil, &confirmed, confirmedRecord)},
		{"confirmed-bare", appendOutcome(nil, &bare, confirmedRecord)},
		{"released", appendOutcome(nil, &released, releasedRecord)},
		{"expired", appendOutcome(nil, &expired, expiredRecord)},
		{"reservation-held", appendOutcome(nil, &s, reservationRecord)},
		{"reservation-confirmed", appendOutcome(nil, &confirmed, reservationRecord)},
		{"reservation-released", appendOutcome(nil, &released, reservationRecord)},
		{"reservation-expired", appendOutcome(nil, &expired, reservationRecord)},
		{"entry", entry.append(nil, entryRecord)},
		{"entry-group", grouped.append(nil, entryRecord)},
		{"frozen", frozen.append(nil, frozenRecord)},
		{"drawn", drawn.append(nil, drawnRecord)},
		{"ranked", ranked.append(nil, rankedRecord)},
	}
}

const goldenFile = "testdata/records.golden"

// TestGoldenRecords holds the encoder to the bytes of the first version, and the decoder to the same.
func TestGoldenRecords(t *testing.T) {
	var text strings.Builder
	for _, g := range golden() {
		fmt.Fprintf(&text, "%s %s\n", g.name, hex.EncodeToString(g.run))
	}
	if os.Getenv("SEATHOLD_WRITE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(goldenFile, []byte(text.String()), 0o644))
	}
	kept, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	require.Equal(t, string(kept), text.String())
	for _, line := range strings.Split(strings.TrimSpace(string(kept)), "\n") {
		name, digits, _ := strings.Cut(line, " ")
		run, err := hex.DecodeString(digits)
		require.NoError(t, err)
		b, rest, err := journal.Next(run)
		require.NoError(t, err)
		require.Empty(t, rest)
		var r record
		require.NoError(t, r.decode(b), name)
		require.Equal(t, run, encode(&r), name)
		requireFaults(t, name, b)
	}
}

// requireFaults: a record that is cut anywhere, or goes on, is none.
func requireFaults(t *testing.T, name string, b []byte) {
	var r record
	for n := range b {
		require.ErrorIs(t, r.decode(b[:n]), errRecord, "%s cut behind byte %d", name, n)
	}
	require.ErrorIs(t, r.decode(append(bytes.Clone(b), 0)), errRecord, name)
}

// encode is the inverse of decode.
func encode(r *record) []byte {
	switch r.kind {
	case definitionRecord:
		return r.definition.append(nil)
	case entryRecord, frozenRecord, drawnRecord, rankedRecord:
		return r.entry.append(nil, r.kind)
	}
	s := inventory.Snapshot{ID: r.request.ID, Account: r.request.Account, State: r.state, Phase: r.request.Phase, Flags: r.request.Flags,
		Lines: r.request.Lines, CreatedMs: r.request.Created, ExpiresMs: r.request.Expires, ConfirmedMs: r.confirmedMs, Reference: r.reference}
	return appendOutcome(nil, &s, r.kind)
}

// FuzzRecord: whatever the bytes, decoding does not panic; what it accepts has one spelling, the encoder's.
func FuzzRecord(f *testing.F) {
	for _, g := range golden() {
		b, _, err := journal.Next(g.run)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r record
		if r.decode(b) != nil {
			return
		}
		again, rest, err := journal.Next(encode(&r))
		if err != nil || len(rest) > 0 || !bytes.Equal(b, again) {
			t.Fatalf("decoded to %+v, which is %x", r, again)
		}
	})
}

// TestSealRecord: records of every length around those at which their length takes another byte.
func TestSealRecord(t *testing.T) {
	for _, size := range []int{0, 1, 126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 2_097_151, 2_097_152, 2_097_153} {
		before := []byte("what stands before")
		content := bytes.Repeat([]byte{0xa5}, size)
		for i := range content {
			content[i] = byte(i * 7)
		}
		run := append(bytes.Clone(before), 0)
		run = sealRecord(append(run, content...), len(before))
		require.True(t, bytes.HasPrefix(run, before))
		require.Equal(t, journal.AppendRecord(nil, content), run[len(before):], "size %d", size)
	}
}

// TestLargestDefinition: the largest sale the catalog accepts makes a record that the journal takes.
func TestLargestDefinition(t *testing.T) {
	d := definition{sale: strings.Repeat("s", 32)}
	for range 64 {
		d.phases = append(d.phases, strings.Repeat("p", 32))
	}
	for range 60_000 {
		d.pools = append(d.pools, poolName{strings.Repeat("S", 32), strings.Repeat("C", 32)})
	}
	run := d.append(nil)
	require.Less(t, len(run), journal.MaxRecord)
	b, _, err := journal.Next(run)
	require.NoError(t, err)
	var r record
	require.NoError(t, r.decode(b))
	require.Equal(t, d, r.definition)
}
