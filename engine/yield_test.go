package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Background work leaves the processors to callers for fourteen times as long as it took, in virtual time.
func TestYieldAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{stop: make(chan struct{})}
		began := time.Now()
		require.NoError(t, e.yieldAfter(t.Context(), 2*time.Millisecond))
		require.Equal(t, 28*time.Millisecond, time.Since(began))
	})
}
