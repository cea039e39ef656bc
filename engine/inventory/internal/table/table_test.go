package table

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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
			var population atomic.Uint64
			x.Init(0, func() int { return int(population.Load() / callers) })
			hash := func(key uint64) uint32 { return uint32(key*0x9e3779b97f4a7c15>>32) >> (32 - bits) << (32 - bits) }
			// There are n rows of each caller, one for each key.
			keyOf := func(row uint32) uint64 { return uint64(row-1) % n }
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

// TestFreeRows: rows that are given back are handed out again, each once, the oldest first, and before new ones.
func TestFreeRows(t *testing.T) {
	const rows, callers, claims = 1000, 4, 30_000
	var s Slab[atomic.Uint32] // the claimer of the row, 0 if it is free
	s.Init(rows)
	for row := uint32(1); row <= 20; row++ {
		got, ok := s.Claim()
		require.True(t, ok)
		require.Equal(t, row, got)
	}
	for _, row := range []uint32{7, 3, 19} {
		s.Free(row)
	}
	require.Equal(t, 17, s.InUse())
	for _, row := range []uint32{7, 3, 19, 21} {
		got, ok := s.Claim()
		require.True(t, ok)
		require.Equal(t, row, got)
	}
	require.Equal(t, 21, s.InUse())
	require.EqualValues(t, 24, s.Claims())
	back := make(chan uint32, rows)
	var giver sync.WaitGroup
	giver.Go(func() {
		for row := range back {
			if s.At(row).Swap(0) == 0 {
				t.Errorf("row %d was free", row)
			}
			s.Free(row)
		}
	})
	each(callers, func(i int) {
		for range claims {
			row, ok := s.Claim()
			if !ok {
				runtime.Gosched()
				continue
			}
			if !s.At(row).CompareAndSwap(0, uint32(i)+1) {
				t.Errorf("row %d has two owners", row)
			}
			back <- row
		}
	})
	close(back)
	giver.Wait()
	require.Equal(t, 21, s.InUse())
	require.LessOrEqual(t, s.End(), uint32(rows+1))
}

// TestClaimsOfTheLastRows: each of three callers has one of three rows at most, so a claim always finds a free row, and
// the number of rows in use is from 0 to 3. With the build tag seathold_yield the callers interleave at each access.
func TestClaimsOfTheLastRows(t *testing.T) {
	const callers, slabs, claims = 3, 2000, 4
	for range slabs {
		var s Slab[uint64]
		s.Init(callers)
		var giver sync.Mutex
		each(callers, func(int) {
			for range claims {
				row, ok := s.Claim()
				if !ok {
					t.Error("no row is free")
					return
				}
				if n := s.InUse(); n < 1 || n > callers {
					t.Errorf("%d rows are in use", n)
				}
				giver.Lock()
				s.Free(row)
				giver.Unlock()
			}
		})
		require.Zero(t, s.InUse())
	}
}

// TestTexts: texts of every length stay as they were until they are freed, and their cells are used again.
func TestTexts(t *testing.T) {
	var texts Texts
	const room = 2*ChunkRows + 5
	texts.Init(room)
	text := func(n int) string { return strings.Repeat(string(rune('a'+n%26)), 1+n%LongestText) }
	for round := range 3 {
		refs := make([]Ref, room)
		for n := range room {
			refs[n] = texts.Put(text(n + round))
		}
		require.Equal(t, room, texts.InUse())
		for n, ref := range refs {
			require.Equal(t, text(n+round), texts.Text(ref))
			texts.Free(ref)
		}
		require.Zero(t, texts.InUse())
	}
	require.Zero(t, texts.Put(""))
	require.Empty(t, texts.Text(0))
	texts.Free(0)
	require.Panics(t, func() {
		for range room + 1 {
			texts.Put("more than there can be")
		}
	})
}

// TestIndexForgets (I10): keys are removed or led to other rows while others are inserted and the entries move. What
// was removed is not found, also after later moves; the others are; and the table stays as small as the keys allow,
// however many there were.
func TestIndexForgets(t *testing.T) {
	const alive, keys = 3000, 300_000
	var x Index
	x.Init(0, func() int { return alive + 1 })
	hash := func(key uint64) uint32 { return uint32(key * 0x9e3779b97f4a7c15 >> 32) }
	is := func(key uint64) func(uint32) bool { return func(row uint32) bool { return uint64(row) == key } }
	moves, last := 0, x.Root()
	for key := uint64(1); key <= keys; key++ {
		require.Zero(t, x.Insert(hash(key), uint32(key), key, is(key)))
		if key <= alive {
			continue
		}
		for x.MoveOn() {
		}
		if root := x.Root(); root != last {
			last = root
			moves++
			present, ok := x.Change(hash(key), uint32(key), 0, Root{})
			require.True(t, present)
			require.False(t, ok, "the root has changed since")
		}
		old := key - alive
		present, ok := x.Change(hash(old), uint32(old), 0, x.Root())
		require.True(t, present && ok)
		require.Zero(t, x.Find(hash(old), is(old)))
		present, ok = x.Change(hash(old), uint32(old), 0, x.Root())
		require.True(t, !present && ok)
	}
	for key := uint64(keys - alive + 1); key <= keys; key++ {
		require.EqualValues(t, key, x.Find(hash(key), is(key)))
	}
	require.Greater(t, moves, 10)
	require.Equal(t, slotsFor(4*(alive+1)), len(x.root.Load().slots))
	// An entry is led to another row with the same key.
	present, ok := x.Change(hash(keys), keys, 7, x.Root())
	require.True(t, present && ok)
	require.EqualValues(t, 7, x.Find(hash(keys), is(7)))
	require.Zero(t, x.Find(hash(keys), is(keys)))
}

// TestSizesOfTables: a table has the room that is asked for and little more, in whole stripes, and twice the room is a
// size too.
func TestSizesOfTables(t *testing.T) {
	for least := 1; least < 1<<32; least += 1 + least/50 {
		slots := slotsFor(least)
		require.Zero(t, slots%stripe, least)
		require.GreaterOrEqual(t, slots, min(max(least, minSlots), mostSlots))
		require.LessOrEqual(t, slots, max(minSlots, least+max(least/8, stripe)), least)
		require.Equal(t, min(2*slots, mostSlots), slotsFor(2*slots))
	}
}

// TestExpectedKeysHaveRoom: no other table is made before there are more keys than were expected.
func TestExpectedKeysHaveRoom(t *testing.T) {
	for _, expected := range []int{0, 1, 2000, 4096, 30_000, 61_440, 200_000} {
		var x Index
		x.Init(expected, func() int { return expected })
		x.Prepare(uint64(expected))
		require.Nil(t, x.root.Load().next.Load(), expected)
		require.LessOrEqual(t, len(x.root.Load().slots), max(minSlots, 5*expected/2+stripe))
	}
}

// TestLateCallerIsNotElected: a caller that has counted the claims before the table was made does not make another one.
func TestLateCallerIsNotElected(t *testing.T) {
	var x Index
	x.Init(1, func() int { return 1 })
	x.root.Load().from = 1000
	require.Zero(t, x.Insert(7, 1, 999, func(uint32) bool { return false }))
	require.True(t, x.root.Load().next.Load() == nil)
}

// TestFrozenEntriesStay: an entry that moves is not changed.
func TestFrozenEntriesStay(t *testing.T) {
	var x Index
	x.Init(0, func() int { return 0 })
	never := func(uint32) bool { return false }
	x.Insert(5, 1, 1, never)
	old, since := x.root.Load(), x.Root()
	require.False(t, x.MoveOn())
	x.makeNext(old, 1)
	require.NotZero(t, old.freeze(old.home(5)))
	present, ok := x.Change(5, 1, 0, since)
	require.True(t, present)
	require.False(t, ok)
	require.EqualValues(t, 1, x.Find(5, func(row uint32) bool { return row == 1 }))
	for x.MoveOn() {
	}
	require.EqualValues(t, 1, x.Find(5, func(row uint32) bool { return row == 1 }))
	present, ok = x.Change(5, 1, 0, x.Root())
	require.True(t, present && ok)
}

// TestPreparedTables: where the next table is prepared in time, no caller makes one, however often entries come and go.
func TestPreparedTables(t *testing.T) {
	const rows, rounds = 20_000, 20
	var x Index
	x.Init(0, func() int { return rows })
	inserting, prepared := false, 0
	x.make = func(slots int) *table {
		require.False(t, inserting, "a caller makes a table of %d slots", slots)
		prepared++
		return newTable(slots)
	}
	hash := func(row uint32) uint32 { return row * 2654435769 }
	for row := uint32(1); row < rows*rounds; row++ {
		x.Prepare(uint64(row))
		for x.MoveOn() {
		}
		inserting = true
		require.Zero(t, x.Insert(hash(row), row, uint64(row), func(other uint32) bool { return other == row }))
		inserting = false
		if row > rows {
			present, ok := x.Change(hash(row-rows), row-rows, 0, x.Root())
			require.True(t, present && ok)
		}
	}
	require.Greater(t, prepared, rounds/2)
}
