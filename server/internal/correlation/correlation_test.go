package correlation

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestIDs(t *testing.T) {
	for _, id := range []string{"a", "018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77", "Root=1-67891233-abcdef012345678912345678",
		"shop/42:7@eu.west_1~x+y#z", strings.Repeat("x", MaxRequestID)} {
		require.True(t, Good([]byte(id)), id)
	}
	for _, id := range []string{"", " ", "a b", "a\tb", "a\"b", `a\b`, "a\nb", "a,b", "é", "a\x00", "<b>", "$(x)",
		strings.Repeat("x", MaxRequestID+1)} {
		require.False(t, Good([]byte(id)), "%q", id)
	}
}

// New ids are good ones, and differ.
func TestNewRequestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		id := AppendNew(nil)
		require.Len(t, id, NewSize)
		require.True(t, Good(id), "%q", id)
		require.False(t, seen[string(id)], "%q twice", id)
		seen[string(id)] = true
	}
	room := make([]byte, 0, NewSize)
	require.Zero(t, testing.AllocsPerRun(100, func() { room = AppendNew(room[:0]) }))
}

// The examples of the specification and every way to be invalid.
func TestTraceParents(t *testing.T) {
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	valid := "00-" + trace + "-" + span + "-01"
	for _, header := range []string{valid, valid[:53] + "00", "01" + valid[2:],
		"cc" + valid[2:] + "-what-the-future-has"} {
		gotTrace, gotSpan, ok := Trace([]byte(header))
		require.True(t, ok, header)
		require.Equal(t, trace, string(gotTrace))
		require.Equal(t, span, string(gotSpan))
	}
	for _, header := range []string{"", "00", valid[:54], valid + "-x", valid + "x", "ff" + valid[2:],
		"01" + valid[2:] + "x",
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01", "00-" + trace + "-" + strings.Repeat("0", 16) + "-01",
		"00-" + strings.ToUpper(trace) + "-" + span + "-01", "00_" + valid[3:], valid[:35] + "_" + valid[36:],
		valid[:52] + "_" + valid[53:], "0x" + valid[2:], valid[:53] + "0g",
		valid[:36] + strings.Repeat(" ", 16) + valid[52:]} {
		_, _, ok := Trace([]byte(header))
		require.False(t, ok, "%q", header)
	}
}
