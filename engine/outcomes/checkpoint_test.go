package outcomes

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slowCheckpoint takes ten milliseconds for a chunk.
type slowCheckpoint struct{ pacesItself bool }

func (slowCheckpoint) Write([]byte) error {
	time.Sleep(10 * time.Millisecond)
	return nil
}

func (slowCheckpoint) Commit(uint64) error { return nil }
func (slowCheckpoint) Abort()              {}

func (c slowCheckpoint) PacesItself() bool { return c.pacesItself }

// TestCheckpointPauses writes a chunk in virtual time. The pause after it is for the time in which the journal wrote,
// unless the checkpoint has paced itself.
func TestCheckpointPauses(t *testing.T) {
	for pacesItself, want := range map[bool]time.Duration{true: 2, false: 12} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var paused time.Duration
			pause := func(took time.Duration) error { paused = took; return nil }
			w := checkpointWriter{to: slowCheckpoint{pacesItself}, pause: pause, run: make([]byte, chunkBytes), began: began}
			time.Sleep(2 * time.Millisecond) // the engine's own work
			require.NoError(t, w.flush(1))
			require.Equal(t, 12*time.Millisecond, time.Since(began))
			require.Equal(t, want*time.Millisecond, paused)
		})
	}
}
