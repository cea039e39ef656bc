package journaltest

import (
	"testing"

	"github.com/seathold/seathold/engine/journal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// ledger is the model: all groups that were appended, and the newest complete checkpoint.
type ledger struct {
	groups     []journal.Group
	checkpoint *completeCheckpoint
}

type completeCheckpoint struct {
	start, end uint64
	chunks     []byte
}

func (l *ledger) last() uint64 {
	if len(l.groups) == 0 {
		return 0
	}
	return l.groups[len(l.groups)-1].Last()
}

// require compares a recovery with the model.
func (l *ledger) require(t tester, got contents) {
	t.Helper()
	if l.checkpoint == nil {
		require.False(t, got.begun, "a checkpoint was delivered that was never committed")
		requireGroups(t, l.groups, got)
	} else {
		requireReplay(t, l.checkpoint.start, l.checkpoint.end, l.checkpoint.chunks, l.groups, got)
	}
	require.Equal(t, l.last(), got.sum.Last)
	require.Empty(t, got.sum.Notes)
}

// drawStart draws a start for a checkpoint: the end of a group, not before the start of the newest checkpoint.
func (l *ledger) drawStart(t *rapid.T) uint64 {
	ends := []uint64{l.last()}
	for _, g := range l.groups {
		if l.checkpoint == nil || g.Last() >= l.checkpoint.start {
			ends = append(ends, g.Last())
		}
	}
	return rapid.SampledFrom(ends).Draw(t, "start")
}

// model runs random operations on a backend and on the ledger. On a failure rapid prints the seed and the command to
// repeat it.
func model(t *testing.T, fresh func(t *testing.T) Store) {
	rapid.Check(t, func(rt *rapid.T) {
		store := fresh(t)
		b, got := open(rt, store)
		defer func() { b.Close() }()
		var l ledger
		l.require(rt, got)
		salt := uint64(0)
		appendSome := func(rt *rapid.T) {
			for _, count := range rapid.SliceOfN(rapid.IntRange(1, 50), 0, 4).Draw(rt, "counts") {
				l.groups = append(l.groups, appendGroups(rt, b, l.last(), count)...)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": appendSome,
			"checkpoint": func(rt *rapid.T) {
				if len(l.groups) == 0 {
					return
				}
				complete := completeCheckpoint{start: l.drawStart(rt)}
				c, err := b.Checkpoint(rt.Context(), complete.start)
				require.NoError(rt, err)
				for range rapid.IntRange(0, 3).Draw(rt, "chunks") {
					salt++
					run := chunk(salt, rapid.IntRange(1, 200).Draw(rt, "records"))
					require.NoError(rt, c.Write(run))
					complete.chunks = append(complete.chunks, run...)
					appendSome(rt)
				}
				switch rapid.SampledFrom([]string{"commit", "commit", "abort", "leave"}).Draw(rt, "ending") {
				case "commit":
					complete.end = l.last()
					require.NoError(rt, c.Commit(complete.end))
					l.checkpoint = &complete
				case "abort":
					c.Abort()
				case "leave":
					b, got = reopen(rt, store, b, true)
					l.require(rt, got)
				}
			},
			"reopen": func(rt *rapid.T) {
				b, got = reopen(rt, store, b, rapid.Bool().Draw(rt, "crash"))
				l.require(rt, got)
			},
		})
		b, got = reopen(rt, store, b, true)
		l.require(rt, got)
	})
}
