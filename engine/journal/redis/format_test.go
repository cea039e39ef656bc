package redis

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// TestFormat writes a small journal and compares all its keys with the golden file. A difference needs a new version of
// the format.
func TestFormat(t *testing.T) {
	s := redistest.Start(t)
	l, err := newLink(Options{Address: s.URL(), Name: "golden"})
	require.NoError(t, err)
	j := &Journal{link: l, resend: resendBuffer{limit: 1 << 20}}
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	claim := &entry{leader: "http://leader.test:8080", nonce: "GOLDENNONCEGOLDENNONCEGOLD"}
	claim.at = position{id{1, 0}, claimSum(id{1, 0}, claim.leader, claim.nonce)}
	j.startLeading(newReader(l, discard(), retryReads), claim)
	j.boundaries.add(boundary{0, claim.at})
	require.NoError(t, j.put(t.Context(), claim))
	require.NoError(t, j.Append(t.Context(), testGroup(1, 2)))
	require.NoError(t, j.Beat(t.Context()))
	require.NoError(t, j.Append(t.Context(), testGroup(3, 1)))
	c, err := j.Checkpoint(t.Context(), 2)
	require.NoError(t, err)
	require.NoError(t, c.Write(testGroup(1, 2).Records))
	require.NoError(t, c.Commit(3))
	require.NoError(t, j.StepDown(t.Context()))

	var b strings.Builder
	for _, m := range messagesOf(t, l) {
		fmt.Fprintf(&b, "%v %q\n", m.id, m.fields)
	}
	for _, key := range []string{l.tail, l.leader} {
		fmt.Fprintf(&b, "%s %q\n", key, l.client.Get(t.Context(), key).Val())
	}
	fmt.Fprintf(&b, "%s %q\n", l.checkpoints, l.client.HGetAll(t.Context(), l.checkpoints).Val())
	piece := l.pieceKey("1-1", 0)
	fmt.Fprintf(&b, "%s %s\n", piece, hex.EncodeToString([]byte(l.client.Get(t.Context(), piece).Val())))

	const file = "testdata/format-1.txt"
	if os.Getenv("SEATHOLD_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// TestSumsCoverEverything requires that a change of any field of an entry or a manifest is detected.
func TestSumsCoverEverything(t *testing.T) {
	g := testGroup(7, 3)
	before := position{id{3, 4}, 0x0123456789abcdef}
	at := id{3, 5}
	whole := func() message {
		return message{at, []any{"type", groupType, "prev", before.String(), "first", "7", "count", "3",
			"sum", sumText(groupSum(at, before, g)), "records", string(g.Records)}}
	}
	e, err := whole().entry()
	require.NoError(t, err)
	require.Equal(t, entry{at: position{at, groupSum(at, before, g)}, previous: before, group: g}, e)
	changes := map[int]string{3: "3-4:0123456789abcdee", 5: "8", 7: "2", 9: "0", 11: string(g.Records) + " "}
	for i, value := range changes {
		m := whole()
		m.fields[i] = value
		_, err := m.entry()
		require.ErrorIs(t, err, journal.ErrDamaged, "%v", m.fields[i-1])
		require.Contains(t, err.Error(), "3-5")
		m.fields[i-1] = "other"
		_, err = m.entry()
		require.ErrorIs(t, err, journal.ErrDamaged)
	}
	moved := whole()
	moved.id.number++
	_, err = moved.entry()
	require.ErrorIs(t, err, journal.ErrDamaged)

	m := manifest{id: "2-1", start: 10, end: 12, base: boundary{10, before}, pieces: 3, bytes: 99, sum: 5}
	got, err := parseManifest(m.id, m.text())
	require.NoError(t, err)
	require.Equal(t, m, got)
	for i := len(manifestType) + 1; i < len(m.text()); i++ {
		text := []byte(m.text())
		text[i] ^= 1
		_, err := parseManifest(m.id, string(text))
		require.Error(t, err, "%s", text)
	}
	_, err = parseManifest("2-2", m.text())
	require.ErrorIs(t, err, journal.ErrDamaged)
}

// FuzzEntry parses arbitrary entries. The result is an error or an entry with the same content.
func FuzzEntry(f *testing.F) {
	g := testGroup(7, 3)
	at, before := id{3, 5}, position{id{3, 4}, 17}
	f.Add(at.String(), before.String(), "7", "3", sumText(groupSum(at, before, g)), g.Records)
	f.Add("1-0", "", "0", "0", "", []byte(nil))
	f.Fuzz(func(t *testing.T, at, prev, first, count, sum string, records []byte) {
		fields := []any{"type", groupType, "prev", prev, "first", first, "count", count, "sum", sum,
			"records", string(records)}
		messages, err := parseMessages([]any{[]any{at, fields}})
		if err != nil {
			return
		}
		e, err := messages[0].entry()
		if err != nil {
			require.ErrorIs(t, err, journal.ErrDamaged)
			return
		}
		require.Equal(t, groupSum(e.at.id, e.previous, e.group), e.at.sum)
		require.Equal(t, records, e.group.Records)
	})
}

// FuzzManifest parses arbitrary manifests.
func FuzzManifest(f *testing.F) {
	m := manifest{id: "2-1", start: 10, end: 12, base: boundary{10, position{id{1, 2}, 3}}, pieces: 3, bytes: 99,
		sum: xxhash.Sum64String("x")}
	f.Add(m.id, m.text())
	f.Add("", "checkpoint.1 a b c d e f g h")
	f.Fuzz(func(t *testing.T, id, text string) {
		if m, err := parseManifest(id, text); err == nil {
			require.Equal(t, text, m.text())
		}
	})
}
