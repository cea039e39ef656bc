package rehearsal

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgressReportsAThousandTimesAStage(t *testing.T) {
	const total, callers = 1_000_000, 8
	reports, last := 0, 0
	p := &progress{report: func(stage string, done, of int, note string) {
		require.Equal(t, "draw1 entries", stage)
		require.Equal(t, total, of)
		require.Empty(t, note)
		require.GreaterOrEqual(t, done, last, "reports are made in order")
		reports, last = reports+1, done
	}}
	p.begin("draw1 entries", total)
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for range total / callers {
				p.one()
			}
		})
	}
	wait.Wait()
	require.Equal(t, total, last, "the end is reported")
	require.InDelta(t, 1000, reports, 1)

	last = 0
	p.begin("draw1 entries", total)
	p.one()
	require.Equal(t, 1, last, "a new stage starts at zero")
}
