package record

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

// golden is a record of each kind and shape, as testdata/records.golden keeps it: a name, then the length and the bytes
// in hex. What the file contains must stay readable for ever; a changed body gets a kind of its own.
func golden() []struct {
	name string
	run  []byte
} {
	id := inventory.ID{0x01, 0x8f, 0x3a, 0x7e, 0x10, 0x20, 0x7d, 0xef, 0x8a, 0xbc, 1, 2, 3, 4, 5, 6}
	s := inventory.Snapshot{ID: id, Account: "ann", State: inventory.Held, Phase: 3, Flags: FlagPhaseGiven | FlagTTLGiven,
		Lines:     []inventory.Line{{Pool: 7, Quantity: 2}, {Pool: 4035, Quantity: 1}, {Pool: 200, Quantity: 4095}},
		CreatedMs: 1701334800123, ExpiresMs: 1701334800123 + 1_020_000}
	long := s
	long.Account, long.Lines = strings.Repeat("x", inventory.MaxAccount), nil
	for i := range inventory.MaxLines {
		long.Lines = append(long.Lines, inventory.Line{Pool: uint32(59_000 + i), Quantity: 300})
	}
	confirmed := s
	confirmed.State, confirmed.ConfirmedMs, confirmed.Reference = inventory.Confirmed, 1701334812345, "PAY-4711 ü"
	bare := confirmed
	bare.Reference = ""
	released, expired := s, s
	released.State, expired.State = inventory.Released, inventory.Expired
	d := Definition{Sale: "paris2024", Phases: []string{"packs", "singles"}, Draws: []string{"draw1"},
		Groups: []string{"club"},
		Pools:  []Pool{{"ATH10", "First"}, {"ATH10", "A"}, {"SWM03", "E+"}}}
	empty := Definition{Sale: "s"}
	entry := Draw{Index: 1, Account: "ann"}
	grouped := Draw{Index: 0, Group: 1, Account: "bob"}
	ranked := Draw{Index: 1, Group: 2, Account: "cat", Rank: 3_834_000, Slot: 639}
	frozen := Draw{Index: 1, Size: 4_000_000}
	drawn := Draw{Index: 1, Beacon: draw.Beacon{Round: 12_040_883}}
	for i := range frozen.Root {
		frozen.Root[i], frozen.Terms[i], drawn.Beacon.Randomness[i] = byte(i), byte(0x80+i), byte(0x40+i)
	}
	for i := range drawn.Beacon.Signature {
		drawn.Beacon.Signature[i] = byte(0xff - i)
	}
	return []struct {
		name string
		run  []byte
	}{
		{"definition", d.Append(nil)},
		{"definition-empty", empty.Append(nil)},
		{"taken", appendOutcome(nil, &s, KindTaken)},
		{"taken-long", appendOutcome(nil, &long, KindTaken)},
		{"confirmed", appendOutcome(nil, &confirmed, KindConfirmed)},
		{"confirmed-bare", appendOutcome(nil, &bare, KindConfirmed)},
		{"released", appendOutcome(nil, &released, KindReleased)},
		{"expired", appendOutcome(nil, &expired, KindExpired)},
		{"reservation-held", appendOutcome(nil, &s, KindReservation)},
		{"reservation-confirmed", appendOutcome(nil, &confirmed, KindReservation)},
		{"reservation-released", appendOutcome(nil, &released, KindReservation)},
		{"reservation-expired", appendOutcome(nil, &expired, KindReservation)},
		{"entry", entry.Append(nil, KindEntry)},
		{"entry-group", grouped.Append(nil, KindEntry)},
		{"frozen", frozen.Append(nil, KindFrozen)},
		{"drawn", drawn.Append(nil, KindDrawn)},
		{"ranked", ranked.Append(nil, KindRanked)},
	}
}

const goldenFile = "testdata/records.golden"

// The encoder writes the bytes of the first version, and the decoder reads them.
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
		var r Record
		require.NoError(t, r.Decode(b), name)
		require.Equal(t, run, encode(&r), name)
		requireFaults(t, name, b)
	}
}

// requireFaults checks that a record that is truncated anywhere, or has trailing bytes, is invalid.
func requireFaults(t *testing.T, name string, b []byte) {
	var r Record
	for n := range b {
		require.ErrorIs(t, r.Decode(b[:n]), ErrInvalid, "%s cut after byte %d", name, n)
	}
	require.ErrorIs(t, r.Decode(append(bytes.Clone(b), 0)), ErrInvalid, name)
}

// encode is the inverse of decode.
func encode(r *Record) []byte {
	switch r.Kind {
	case KindDefinition:
		return r.Definition.Append(nil)
	case KindEntry, KindFrozen, KindDrawn, KindRanked:
		return r.Draw.Append(nil, r.Kind)
	}
	s := inventory.Snapshot{ID: r.Request.ID, Account: r.Request.Account, State: r.State, Phase: r.Request.Phase,
		Flags: r.Request.Flags,
		Lines: r.Request.Lines, CreatedMs: r.Request.Created, ExpiresMs: r.Request.Expires, ConfirmedMs: r.ConfirmedMs,
		Reference: r.Reference}
	return appendOutcome(nil, &s, r.Kind)
}

// Decoding never panics, and every record that it accepts is encoded to the same bytes again.
func FuzzRecord(f *testing.F) {
	for _, g := range golden() {
		b, _, err := journal.Next(g.run)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if r.Decode(b) != nil {
			return
		}
		again, rest, err := journal.Next(encode(&r))
		if err != nil || len(rest) > 0 || !bytes.Equal(b, again) {
			t.Fatalf("decoded to %+v, which is %x", r, again)
		}
	})
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

// The definition of the largest sale that the catalog accepts fits into a record of the journal.
func TestLargestDefinition(t *testing.T) {
	d := Definition{Sale: strings.Repeat("s", 32)}
	for range 64 {
		d.Phases = append(d.Phases, strings.Repeat("p", 32))
	}
	for range 60_000 {
		d.Pools = append(d.Pools, Pool{strings.Repeat("S", 32), strings.Repeat("C", 32)})
	}
	run := d.Append(nil)
	require.Less(t, len(run), journal.MaxRecord)
	b, _, err := journal.Next(run)
	require.NoError(t, err)
	var r Record
	require.NoError(t, r.Decode(b))
	require.Equal(t, d, r.Definition)
}
