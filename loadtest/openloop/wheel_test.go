package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The wheel yields every buyer once, never before it is due and at the first call after its tick.
func TestWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "start"))
		w := wheel{at: start}
		due := map[uint64]time.Duration{}
		now, n := start, uint64(0)
		for range rapid.IntRange(1, 50).Draw(t, "calls") {
			for range rapid.IntRange(0, 5).Draw(t, "added") {
				n++
				b := buyer{n: n, due: now + time.Duration(rapid.Int64Range(-int64(tick), int64(20*tick)).Draw(t, "wait"))}
				w.add(b)
				due[n] = b.due
			}
			now += time.Duration(rapid.Int64Range(0, int64(5*tick)).Draw(t, "step"))
			for out := range w.until(now) {
				for _, b := range out.buyers {
					at, ok := due[b.n]
					require.True(t, ok, "once")
					require.LessOrEqual(t, at, now)
					delete(due, b.n)
				}
			}
			for _, at := range due {
				require.Greater(t, at, now-2*tick, "late")
			}
		}
		for out := range w.until(now + 30*tick) {
			for _, b := range out.buyers {
				delete(due, b.n)
			}
		}
		require.Empty(t, due)
	})
}
