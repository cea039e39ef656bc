//go:build linux

package processtime

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOf: a process that works has used more afterwards, and one that is not there is an error.
func TestOf(t *testing.T) {
	before, err := Of(os.Getpid())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		for began := time.Now(); time.Since(began) < time.Millisecond; {
		}
		after, err := Of(os.Getpid())
		return err == nil && after > before
	}, time.Minute, time.Microsecond)
	_, err = Of(0)
	require.ErrorIs(t, err, os.ErrNotExist)
}
