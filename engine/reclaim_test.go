package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Where a table is filling up, passes of the reclaimer follow each other soon, but take at most a fifteenth of a
// processor: what fills a large table may be what does not end. Elsewhere there is one a minute at least.
func TestReclaimerLeavesTheProcessor(t *testing.T) {
	for _, one := range []struct {
		worked  time.Duration
		pressed bool
		after   time.Duration
	}{
		{0, false, time.Minute},
		{time.Second, false, time.Minute},
		{0, true, 100 * time.Millisecond},
		{7 * time.Millisecond, true, 100 * time.Millisecond},
		{300 * time.Millisecond, true, 4200 * time.Millisecond},
		{10 * time.Second, true, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := lastPass{began: time.Now(), worked: one.worked}
			time.Sleep(one.after - time.Nanosecond)
			require.False(t, p.due(one.pressed), one)
			time.Sleep(time.Nanosecond)
			require.True(t, p.due(one.pressed), one)
		})
	}
}
