package table

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// chunksOf returns how many chunks of a ring are there.
func chunksOf(r *ring) (count int) {
	for i := range r.chunks {
		if r.chunks[i].Load() != nil {
			count++
		}
	}
	return count
}

// TestRingKeepsWhatIsFree: rows come out in the order in which they were put, and however many have gone through the
// ring, its memory is that of the free ones.
func TestRingKeepsWhatIsFree(t *testing.T) {
	const rows = 4*ChunkRows - 3
	var r ring
	r.init(rows)
	put, taken := uint32(0), uint32(0)
	for round := range 40 {
		free := []int{rows, ChunkRows + 5, 1, rows - 1, 3*ChunkRows + round}[round%5]
		for int(put-taken) > free {
			row, ok := r.take()
			require.True(t, ok)
			taken++
			require.Equal(t, taken, row)
		}
		for int(put-taken) < free {
			put++
			r.put(put)
		}
		require.Equal(t, free, r.count())
		require.LessOrEqual(t, chunksOf(&r), 7)
	}
	for range 20 * ChunkRows {
		put++
		r.put(put)
		for taken < put {
			row, ok := r.take()
			require.True(t, ok)
			taken++
			require.Equal(t, taken, row)
		}
	}
	require.LessOrEqual(t, chunksOf(&r), 2)
	_, ok := r.take()
	require.False(t, ok)
}

// TestTakersOfARing: many callers take while one goroutine puts what they took back. Nobody gets a row that another one
// has, although the chunks that they read are used again.
func TestTakersOfARing(t *testing.T) {
	const rows, takes = ChunkRows + 100, 20 * ChunkRows
	var r ring
	r.init(rows)
	owned := make([]atomic.Int32, rows+1)
	back := make(chan uint32, rows)
	for row := uint32(1); row <= rows; row++ {
		back <- row
	}
	var left atomic.Int64
	left.Store(takes)
	var takers sync.WaitGroup
	for range 4 {
		takers.Go(func() {
			for left.Add(-1) >= 0 {
				row, ok := r.take()
				if !ok {
					continue
				}
				if owned[row].Add(1) != 1 {
					t.Errorf("row %d was taken twice", row)
				}
				owned[row].Add(-1)
				back <- row
			}
		})
	}
	done := make(chan struct{})
	go func() { takers.Wait(); close(done) }()
	for {
		select {
		case row := <-back:
			r.put(row)
		case <-done:
			require.Equal(t, rows, r.count()+len(back))
			return
		}
	}
}
