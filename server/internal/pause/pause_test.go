package pause

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSleepEndsWithItsContext(t *testing.T) {
	require.NoError(t, Sleep(t.Context(), 0))
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	require.Equal(t, stopped, Sleep(ctx, time.Hour))
}
