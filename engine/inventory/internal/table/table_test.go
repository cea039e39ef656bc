package table

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func each(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// TestIndexGrows (I9): callers insert the same keys at once while the table grows ten times over. Every key has one
// winner, every insertion returns it, and each key is found from the moment of its insertion on.
func TestIndexGrows(t *testing.T) {
	const keys, callers = 60_000, 8
	for _, bits := range []int{32, 6} { // with 6 bits nearly all keys collide
		t.Run(fmt.Sprintf("hash=%dbits", bits), func(t *testing.T) {
			n := uint64(keys)
			if bits < 32 {
				n = 2500
			}
			var x Index
			x.Init(0)
			hash := func(key uint64) uint32 { return uint32(key*0x9e3779b97f4a7c15>>32) >> (32 - bits) << (32 - bits) }
			// There are n rows of each caller, one for each key.
			keyOf := func(row uint32) uint64 { return uint64(row-1) % n }
			var population atomic.Uint64
			winners := make([]atomic.Uint32, n)
			each(callers, func(i int) {
				random := rand.New(rand.NewPCG(uint64(i), 1))
				start := random.Uint64N(n)
				if i%2 == 0 {
					start = 0 // these callers insert in the same order
				}
				for k := range n {
					key := (start + k) % n
					row := uint32(uint64(i)*n+key) + 1
					same := func(other uint32) bool { return keyOf(other) == key }
					winner := x.Insert(hash(key), row, population.Add(1)/callers, same)
					if winner == 0 {
						winner = row
						if !winners[key].CompareAndSwap(0, row) {
							t.Errorf("key %d has two winners, %d and %d", key, winners[key].Load(), row)
						}
					}
					if found := x.Find(hash(key), same); found != winner {
						t.Errorf("key %d is found in row %d, its winner is %d", key, found, winner)
					}
				}
			})
			for key := range n {
				same := func(other uint32) bool { return keyOf(other) == key }
				require.Equal(t, winners[key].Load(), x.Find(hash(key), same))
				require.NotZero(t, winners[key].Load())
			}
			require.Zero(t, x.Find(hash(n+1), func(uint32) bool { return false }))
			require.Greater(t, len(x.root.Load().slots), minSlots, "the table did not grow")
		})
	}
}

// TestSlab: each row is handed out once, is zero, and keeps what is written. The slab has chunks and regions of
// chunks, and the last region is not whole. Past the limit claims fail.
func TestSlab(t *testing.T) {
	const rows, callers = (2*regionChunks+3)*ChunkRows + 5, 8
	var s Slab[uint64]
	s.Init(rows)
	var claimed atomic.Int64
	each(callers, func(i int) {
		for {
			row, ok := s.Claim()
			if !ok {
				return
			}
			claimed.Add(1)
			if *s.At(row) != 0 || row == 0 {
				t.Errorf("row %d holds %d", row, *s.At(row))
			}
			*s.At(row) = uint64(i)<<32 | uint64(row)
		}
	})
	require.EqualValues(t, rows, claimed.Load())
	require.EqualValues(t, rows+1, s.End())
	for row := uint32(1); row < s.End(); row++ {
		if *s.At(row)<<32>>32 != uint64(row) {
			require.Equal(t, row, uint32(*s.At(row)))
		}
	}
	_, ok := s.Claim()
	require.False(t, ok)
	require.EqualValues(t, rows+1, s.End())
}

// TestArena: texts stay as they were, across chunks, and there is room for as many bytes as were asked for. The empty
// text takes no room.
func TestArena(t *testing.T) {
	var a Arena
	const room = 3*ArenaChunk + 1
	a.Init(room)
	var left atomic.Int64
	left.Store(room)
	type kept struct {
		ref  Ref
		text string
	}
	all := make([][]kept, 8)
	each(len(all), func(i int) {
		random := rand.New(rand.NewPCG(uint64(i), 2))
		for {
			text := strings.Repeat(string(rune('a'+i)), 1+random.IntN(LongestText))
			if left.Add(-int64(len(text))) < 0 {
				return
			}
			all[i] = append(all[i], kept{a.Put(text), text})
		}
	})
	bytes := 0
	for _, of := range all {
		for _, k := range of {
			require.Equal(t, k.text, a.Text(k.ref))
			bytes += len(k.text)
		}
	}
	require.Greater(t, bytes, room-len(all)*LongestText)
	require.Empty(t, a.Text(a.Put("")))
	require.Panics(t, func() {
		for range ArenaChunk {
			a.Put("more than there can be")
		}
	})
}
