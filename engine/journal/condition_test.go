package journal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// withholding is a backend that withholds its acknowledgements while reason is set.
type withholding struct {
	scripted
	reason *error
}

func (w withholding) Condition() Condition { return Condition{} }

func (w withholding) Withheld() error { return *w.reason }

// TestWithheld (I5): while a backend withholds its acknowledgements, the writer reports why, so that new calls are
// refused. A caller that waits already still learns of its outcome, or that the journal has stalled. A writer that ends
// meanwhile has lost nothing.
func TestWithheld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, reason := newHeld(), error(nil)
		f := newFeeding(t, withholding{scripted{append: disk.append}, &reason}, 0)
		require.NoError(t, f.w.Err())
		waiting := f.waits(t.Context(), f.place([]byte("a")))
		<-disk.given
		reason = fmt.Errorf("%w: no sync", ErrUnsafe)
		require.ErrorIs(t, f.w.Err(), ErrUnsafe)
		late := f.waits(t.Context(), 1)
		requireWaiting(t, waiting, late)
		disk.results <- nil
		require.NoError(t, <-waiting)
		require.NoError(t, <-late)
		require.NoError(t, f.w.Wait(t.Context(), 1))

		stalling := f.waits(t.Context(), f.place([]byte("b")))
		<-disk.given
		time.Sleep(timeout)
		require.ErrorIs(t, <-stalling, ErrStalled)
		require.ErrorIs(t, f.w.Err(), ErrUnsafe, "the reason is better than that it stalls")
		disk.results <- nil
		synctest.Wait()
		f.close()

		broken := errors.New("broken")
		f = newFeeding(t, withholding{scripted{append: func(context.Context, Group) error { return broken }}, &reason}, 0)
		require.ErrorIs(t, f.w.Wait(t.Context(), f.place([]byte("c"))), broken)
		require.ErrorIs(t, f.w.Err(), broken, "a failure is final, so it comes first")
		require.ErrorIs(t, f.w.Close(context.Background()), broken)
	})
}
