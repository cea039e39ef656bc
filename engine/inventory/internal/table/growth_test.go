package table

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// makers are the callers that make a part of a table. Each stalls there until resume.
type makers struct {
	stalled chan struct{} // receives one value for each that stalls
	resumed chan struct{}
	calls   sync.WaitGroup
	count   int // that have stalled
}

func newMakers() *makers { return &makers{stalled: make(chan struct{}), resumed: make(chan struct{})} }

// stall is called by a caller that makes something.
func (m *makers) stall() {
	select {
	case m.stalled <- struct{}{}:
		<-m.resumed
	case <-m.resumed:
	}
}

// one makes a call, and returns when the call has returned or is stalled.
func (m *makers) one(call func()) {
	returned := make(chan struct{})
	m.calls.Go(func() { call(); close(returned) })
	select {
	case <-returned:
	case <-m.stalled:
		m.count++
	}
}

// many makes n calls from 64 goroutines. None of them may stall.
func (m *makers) many(t *testing.T, n int, call func()) {
	var next atomic.Int64
	done := make(chan struct{})
	go func() {
		each(64, func(int) {
			for next.Add(1) <= int64(n) {
				call()
			}
		})
		close(done)
	}()
	select {
	case <-m.stalled:
		close(m.resumed)
		<-done
		t.Fatal("several callers make the same thing")
	case <-done:
	}
}

func (m *makers) resume() {
	close(m.resumed)
	m.calls.Wait()
}

// growing is a table that many callers fill.
type growing struct {
	fill func()       // takes one more place
	half int          // places in use when the first caller is elected
	room int          // places left then
	make func(func()) // sets what is called when something is made
	more func(n int)  // checks the table after n places were taken
}

// TestOneCallerGrowsATable (I10): while the caller that makes the next part of a table is stalled, 64 others continue
// in the present one, and make nothing. If each caller that is elected stalls, one is elected each time half of the
// room is used up. All continue when those return.
func TestOneCallerGrowsATable(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) growing{"index": growingIndex, "slab": growingSlab,
		"regions of a slab": growingRegions} {
		t.Run(name, func(t *testing.T) {
			g, m := start(t), newMakers()
			g.make(m.stall)
			for range g.half - 1 {
				g.fill()
			}
			m.one(g.fill)
			require.Equal(t, 1, m.count, "nobody is elected when half of the room is used up")
			m.many(t, g.room/2-1, g.fill)
			taken, halvings := g.half+g.room/2-1, 1
			for left := g.room / 2; left > 8; left /= 2 {
				for range left - left/2 {
					m.one(g.fill)
				}
				taken += left - left/2
				halvings++
				require.LessOrEqual(t, m.count, halvings, "%d places are left", left/2)
			}
			require.Greater(t, m.count, 3, "no other caller is elected while the first ones are stalled")
			m.resume()
			g.make(func() {})
			m.many(t, 2*g.half, g.fill)
			g.more(taken + 2*g.half)
		})
	}
}

func growingIndex(t *testing.T) growing {
	var x Index
	var population atomic.Uint64
	x.Init(1<<12, func() int { return int(population.Load()) })
	slots := len(x.root.Load().slots)
	hash := func(k uint64) uint32 { return uint32(k * 0x9e3779b97f4a7c15 >> 32) }
	return growing{half: slots/2 + 1, room: slots/2 - 1,
		fill: func() {
			k := population.Add(1)
			x.Insert(hash(k), uint32(k), k, func(uint32) bool { return false })
		},
		make: func(before func()) {
			x.make = func(slots int) *table { before(); return newTable(slots) }
		},
		more: func(n int) {
			for k := range uint64(n) {
				same := func(row uint32) bool { return row == uint32(k+1) }
				require.EqualValues(t, k+1, x.Find(hash(k+1), same))
			}
		}}
}

func growingSlab(t *testing.T) growing {
	var s Slab[uint64]
	s.Init(1 << 20)
	return growingRows(t, &s, ChunkRows)
}

func growingRegions(t *testing.T) growing {
	var s Slab[uint64]
	s.Init(1 << 20)
	g := growingRows(t, &s, regionChunks*ChunkRows)
	for range regionChunks * ChunkRows {
		g.fill()
	}
	return g
}

func growingRows(t *testing.T, s *Slab[uint64], piece int) growing {
	return growing{half: piece / 2, room: piece / 2,
		fill: func() {
			row, ok := s.Claim()
			if !ok || *s.At(row) != 0 {
				t.Error("no row, or one that is in use")
			}
			*s.At(row) = uint64(row)
		},
		make: func(before func()) {
			s.make = func(chunks int) [][ChunkRows]uint64 { before(); return makeChunks[uint64](chunks) }
		},
		more: func(int) {
			for row := uint32(1); row < s.End(); row++ {
				if *s.At(row) != uint64(row) {
					require.EqualValues(t, row, *s.At(row))
				}
			}
		}}
}
