package engine

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
	for pacesItself, want := range map[bool]time.Duration{true: 14 * 2, false: 14 * 12} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			e := &Engine{stop: make(chan struct{})}
			w := checkpointWriter{e: e, pause: func(took time.Duration) error { return e.yieldAfter(t.Context(), took) },
				to: slowCheckpoint{pacesItself}, report: &CheckpointReport{}, run: make([]byte, chunkBytes), began: began}
			time.Sleep(2 * time.Millisecond) // the engine's own work
			require.NoError(t, w.flush(1))
			require.Equal(t, (12+want)*time.Millisecond, time.Since(began))
		})
	}
}
