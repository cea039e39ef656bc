package inventory

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// drained is what a drainer has visited. It checks that the sequences have no gap.
type drained struct {
	t     *testing.T
	v     *Inventory
	last  uint64
	notes []Note
}

func (d *drained) drain() int {
	n := 0
	last := d.v.Drain(func(o Outcome) {
		n++
		if o.Kind == Noted {
			d.notes = append(d.notes, d.v.NoteAt(o.Index))
		}
	})
	if last != d.last+uint64(n) || d.v.placed.Drained.Load() != last {
		d.t.Errorf("drained %d outcomes after %d, and the last is %d", n, d.last, last)
	}
	d.last = last
	return n
}

// TestDrain: one goroutine drains while callers push. Nothing is lost or doubled. Each caller's outcomes come in the
// order of its pushes, each at the sequence that the push returned. The count of pushes passes 2^32 on the way.
func TestDrain(t *testing.T) {
	for _, start := range []uint64{0, 1<<32 - 5, 1<<32 + 7, 1<<40 - 3, math.MaxUint64>>1 - 3000} {
		v := testInventory(t, 1, 1, true)
		v.Resume(start)
		require.Equal(t, start, v.Placed())
		const callers, pushes = 8, 1500
		returned := make([][]uint64, callers)
		var wakes, running atomic.Int64
		v.wake = func() { wakes.Add(1) }
		running.Store(callers)
		d := &drained{t: t, v: v, last: start}
		var drainer sync.WaitGroup
		drainer.Go(func() {
			for running.Load() > 0 || v.Placed() > d.last {
				d.drain()
			}
		})
		each(callers, func(i int) {
			for n := range pushes {
				seq, ok := v.Note(Note{Subject: uint32(n), What: uint16(i), AtMs: 1<<48 - 1 - int64(i*pushes+n)})
				if !ok {
					t.Error("the table is full")
				}
				returned[i] = append(returned[i], seq)
			}
			running.Add(-1)
		})
		drainer.Wait()
		require.Zero(t, d.drain())
		require.Equal(t, start+callers*pushes, d.last)
		require.Len(t, d.notes, callers*pushes)
		require.Positive(t, wakes.Load())
		var next [callers]int
		for n, note := range d.notes {
			i, at := note.What, int(note.Subject)
			require.EqualValues(t, 1<<48-1-(int(i)*pushes+at), note.AtMs)
			require.Equal(t, next[i], at, "the order of one caller")
			require.Equal(t, start+uint64(n)+1, returned[i][at], "the sequence that its push returned")
			next[i]++
		}
	}
}

// TestSequences: sequences are right on both sides of 2^32, whether or not the outcomes before were drained.
func TestSequences(t *testing.T) {
	const start = 1<<32 - 5
	v := testInventory(t, 2, 100, true)
	v.Resume(start)
	d := &drained{t: t, v: v, last: start}
	for n := range uint64(12) {
		res := v.Reserve(&Request{ID: idOf(n), Account: "ann", Lines: lines(0, 1, 1, 1), Expires: 10})
		require.Equal(t, Done, res.Verdict)
		require.Equal(t, start+2*n+1, res.Seq)
		if n%3 == 0 {
			d.drain()
		}
		res = v.Release(res.Row, 0, nil)
		require.Equal(t, start+2*n+2, res.Seq)
		require.Equal(t, res.Seq, v.Placed())
	}
	d.drain()
	require.EqualValues(t, start+24, d.last)
}

// TestWake: only an outcome that is placed on an empty stack wakes the drainer.
func TestWake(t *testing.T) {
	v := testInventory(t, 1, 100, true)
	wakes := 0
	v.wake = func() { wakes++ }
	d := &drained{t: t, v: v}
	for round := range 3 {
		for n := range 4 {
			v.Note(Note{Subject: uint32(n)})
		}
		require.Equal(t, round+1, wakes)
		require.Equal(t, 4, d.drain())
	}
}

// TestLogged: ReadLogged shows what was drained, with its sequence and its instant, whatever has happened since.
func TestLogged(t *testing.T) {
	v := testInventory(t, 1, 100, true)
	var s Snapshot
	row := v.Reserve(&Request{ID: idOf(1), Account: "ann", Lines: lines(0, 2), Expires: 10}).Row
	require.False(t, v.ReadLogged(row, &s))
	d := &drained{t: t, v: v}
	d.drain()
	require.Equal(t, Done, v.Confirm(row, 3, "ref", nil).Verdict)
	require.True(t, v.ReadLogged(row, &s))
	require.Equal(t, Held, s.State)
	require.Empty(t, s.Reference)
	require.EqualValues(t, 1, s.Seq)
	require.EqualValues(t, 0, s.AtMs)
	d.drain()
	require.True(t, v.ReadLogged(row, &s))
	require.Equal(t, Confirmed, s.State)
	require.Equal(t, "ref", s.Reference)
	require.EqualValues(t, 3, s.AtMs)
	require.EqualValues(t, 2, s.Seq)
	released := v.Reserve(&Request{ID: idOf(2), Account: "ann", Lines: lines(0, 2), Created: 1, Expires: 10}).Row
	expired := v.Reserve(&Request{ID: idOf(3), Account: "bob", Lines: lines(0, 2), Created: 2, Expires: 10}).Row
	late := v.Reserve(&Request{ID: idOf(4), Account: "cat", Lines: lines(0, 2), Created: 2, Expires: 10}).Row
	require.Equal(t, Done, v.Release(released, 9, nil).Verdict)
	require.True(t, v.Expire(expired, 12))
	require.Equal(t, WasExpired, v.Confirm(late, 13, "ref", nil).Verdict)
	v.details.At(expired).seq.Store(0) // as if its caller were stalled between placing and setSequence
	d.drain()
	for i, want := range []Snapshot{{State: Released, AtMs: 9}, {State: Expired, AtMs: 12}, {State: Expired, AtMs: 13}} {
		require.True(t, v.ReadLogged(released+uint32(i), &s))
		require.Equal(t, want.State, s.State)
		require.Equal(t, want.AtMs, s.AtMs)
		require.EqualValues(t, 6+i, s.Seq)
		require.Empty(t, s.Reference)
		require.True(t, v.Read(released+uint32(i), &s))
		require.Equal(t, want.AtMs, s.AtMs)
	}
	require.False(t, v.ReadLogged(v.Rows(), &s), "a row that is not claimed")
}
