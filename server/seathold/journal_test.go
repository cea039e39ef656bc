package main

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/engine/record"
)

// busyLeader is the leader of a journal in Redis with a large checkpoint.
type busyLeader struct {
	t       *testing.T
	journal *redis.Journal
	row     []byte // the definition, as a checkpoint has it
	rows    int    // of the checkpoint, which is read in several calls
}

func newBusyLeader(t *testing.T, o redis.Options) *busyLeader {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	definition := record.DefinitionOf(sale)
	at := sale.Phases[0].OpensAt.UnixMilli()
	j, err := redis.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	ignore := func([]byte) error { return nil }
	_, err = j.Recover(journal.Recovery{Begin: func(journal.CheckpointInfo) error { return nil }, Chunk: ignore,
		Group: func(journal.Group) error { return nil }})
	require.NoError(t, err)
	require.NoError(t, j.Claim(t.Context(), "http://leader.test:8080"))
	require.NoError(t, j.Append(t.Context(), journal.Group{First: 1, Count: 1, Records: definition.Append(nil, at)}))
	l := &busyLeader{t: t, journal: j, row: definition.AppendRow(nil, record.Stamp{AtMs: at, Seq: 1})}
	l.rows = 5 << 20 / len(l.row)
	l.checkpoint()
	l.checkpoint()
	return l
}

// checkpoint writes a checkpoint of many rows.
func (l *busyLeader) checkpoint() {
	c, err := l.journal.Checkpoint(l.t.Context(), 1)
	require.NoError(l.t, err)
	for range l.rows {
		require.NoError(l.t, c.Write(l.row))
	}
	require.NoError(l.t, c.Commit(1))
}

// TestReadBesideLeader reads a journal whose leader writes two checkpoints meanwhile, so that the one that is being
// delivered is dropped. verify and journal dump start over.
func TestReadBesideLeader(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	proxy := redistest.NewProxy(t, r.Addr())
	leader := newBusyLeader(t, redis.Options{Address: r.URL()})
	size := leader.rows * len(leader.row)
	for _, command := range []string{"verify", "journal dump"} {
		var mu sync.Mutex
		dropped, delivered := false, 0
		proxy.Plan(func(p redistest.Piece) redistest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if p.ToServer || dropped {
				return redistest.Fault{}
			}
			// A checkpoint is read twice, and delivered the second time.
			if delivered += p.Bytes; delivered > size+size/4 {
				dropped = true
				leader.checkpoint()
				leader.checkpoint()
			}
			return redistest.Fault{}
		})
		code, out := inProcess(append(strings.Fields(command), "--redis", proxy.URL())...)
		require.Equal(t, exitDone, code, out)
		require.True(t, dropped)
		if command == "journal dump" {
			require.Equal(t, leader.rows, strings.Count(out, "\n"), "not one whole dump")
		} else {
			require.Contains(t, out, "hold after every record")
		}
	}
}

// TestReadingGivesUp reads a journal whose leader drops each time what is being read.
func TestReadingGivesUp(t *testing.T) {
	t.Parallel()
	reads := 0
	err := readWhole(func() error { reads++; return redis.ErrDiverged })
	require.ErrorIs(t, err, redis.ErrDiverged)
	require.ErrorContains(t, err, "fewer checkpoints")
	require.Equal(t, readAttempts, reads)
	other := errors.New("another error")
	require.Equal(t, other, readWhole(func() error { reads++; return other }))
	require.Equal(t, readAttempts+1, reads)
}
