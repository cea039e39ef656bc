package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// slowRedis answers the scripts of a leader without a network: it executes one at a time, moves bytesPerSecond, and
// syncs after each that writes. It is for tests in virtual time.
type slowRedis struct {
	sync           time.Duration
	bytesPerSecond float64

	busy   chan struct{} // a semaphore; a goroutine that waits for a mutex would stop virtual time
	pieces []int         // bytes of each piece
	calls  int           // pieces stored by a call of their own
}

func (s *slowRedis) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }
}

func (s *slowRedis) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *slowRedis) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		reply := cmd.(*redis.Cmd)
		args := cmd.Args()
		switch args[0] {
		case "hgetall":
			reply.SetVal([]any{})
			return nil
		case "exists":
			reply.SetVal(int64(0))
			return nil
		}
		s.busy <- struct{}{}
		defer func() { <-s.busy }()
		bytes := 0
		for _, a := range args {
			if b, ok := a.([]byte); ok {
				bytes += len(b)
			}
		}
		if args[1] == restoreScript.Hash() { // it writes nothing
			reply.SetVal(int64(1))
			return nil
		}
		select {
		case <-time.After(s.sync + time.Duration(float64(bytes)/s.bytesPerSecond*float64(time.Second))):
		case <-ctx.Done():
			reply.SetErr(ctx.Err())
			return ctx.Err()
		}
		reply.SetVal(int64(1))
		switch hash, keys := args[1], args[2]; {
		case hash == pieceScript.Hash():
			s.calls++
			s.pieces = append(s.pieces, len(args[len(args)-1].([]byte)))
		case hash == appendScript.Hash() && keys == 4:
			reply.SetVal(int64(2))
			s.pieces = append(s.pieces, len(args[len(args)-1].([]byte)))
		}
		return nil
	}
}

// leaderOf returns the leader of a journal in a slowRedis.
func leaderOf(t *testing.T, s *slowRedis) *Journal {
	t.Helper()
	s.busy = make(chan struct{}, 1)
	j, err := Open(Options{Address: "redis://127.0.0.1:1"})
	require.NoError(t, err)
	j.link.client.AddHook(s)
	claim := &entry{at: position{id: id{1, 0}}, leader: "http://leader.test:8080"}
	j.startLeading(newReader(j.link, discard(), retryReads), claim)
	return j
}

// callers are concurrent callers of a journal in virtual time. Each waits for its group, and then a while.
type callers struct {
	mu      sync.Mutex
	waiting []chan struct{}
	latency []time.Duration
	stop    chan struct{}
	running sync.WaitGroup
}

// start starts the callers and the goroutine that appends what they have placed.
func (c *callers) start(t *testing.T, j *Journal, count int, pause time.Duration) {
	c.stop = make(chan struct{})
	wake := make(chan struct{}, 1)
	for i := range count {
		c.running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for {
				select {
				case <-c.stop:
					return
				case <-time.After(time.Duration(r.Float64() * 2 * float64(pause))):
				}
				began, durable := time.Now(), make(chan struct{})
				c.mu.Lock()
				c.waiting = append(c.waiting, durable)
				c.mu.Unlock()
				select {
				case wake <- struct{}{}:
				default:
				}
				<-durable
				c.mu.Lock()
				c.latency = append(c.latency, time.Since(began))
				c.mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	go func() { c.running.Wait(); close(done) }()
	go func() {
		for {
			select {
			case <-wake:
			case <-done:
				return
			}
			c.mu.Lock()
			group := c.waiting
			c.waiting = nil
			c.mu.Unlock()
			if len(group) == 0 {
				continue
			}
			if err := j.Append(t.Context(), testGroup(j.last+1, len(group))); err != nil {
				t.Error(err)
			}
			for _, durable := range group {
				close(durable)
			}
		}
	}()
}

// take returns the 99th percentile of the latencies since the last take.
func (c *callers) take() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.latency)
	p99 := c.latency[len(c.latency)*99/100]
	c.latency = nil
	return p99
}

// TestCheckpointPace writes a quarter of a checkpoint of three million reservations as the engine does, in virtual
// time. The whole one must take less than two minutes even where a sync takes 10 ms, and the callers' 99th percentile
// at most half more than without it. A single caller a second finds pieces that could not wait for it, and may wait
// for the sync of one.
func TestCheckpointPace(t *testing.T) {
	for name, c := range map[string]struct {
		sync    time.Duration
		callers int
		pause   time.Duration
		least   int     // average bytes of a piece
		factor  float64 // of the 99th percentile
	}{
		"10 ms, busy":       {10 * time.Millisecond, 64, 5 * time.Millisecond, pieceBytes / 2, 1.5},
		"10 ms, one":        {10 * time.Millisecond, 1, 100 * time.Microsecond, pieceBytes / 2, 1.5},
		"10 ms, few":        {10 * time.Millisecond, 4, 100 * time.Millisecond, pieceBytes / 2, 1.5},
		"10 ms, idle":       {10 * time.Millisecond, 0, 0, pieceBytes / 2, 1.5},
		"0.25 ms, busy":     {250 * time.Microsecond, 64, time.Millisecond, leastPiece, 1.5},
		"0.25 ms, one":      {250 * time.Microsecond, 1, 20 * time.Microsecond, leastPiece, 1.5},
		"100 ms, busy":      {100 * time.Millisecond, 64, 5 * time.Millisecond, pieceBytes / 2, 1.7},
		"10 ms, 1 caller/s": {10 * time.Millisecond, 1, time.Second, pieceBytes / 2, 2.1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const part, records, recordBytes, chunk = 4, 3_000_000, 60, 32 << 10
				s := &slowRedis{sync: c.sync, bytesPerSecond: 300e6}
				j := leaderOf(t, s)
				var load callers
				load.start(t, j, c.callers, c.pause)
				defer func() {
					close(load.stop)
					load.running.Wait()
					require.NoError(t, j.Close())
				}()
				time.Sleep(1000 * c.sync)
				quiet := time.Duration(0)
				if c.callers > 0 {
					quiet = load.take()
				}
				began := time.Now()
				checkpoint, err := j.Checkpoint(t.Context(), 0)
				require.NoError(t, err)
				run := make([]byte, chunk)
				for range records * recordBytes / part / chunk {
					const encoding = 100 * time.Microsecond
					before := time.Now()
					time.Sleep(encoding)
					took := time.Since(before)
					require.NoError(t, checkpoint.Write(run))
					if p, ok := checkpoint.(journal.Pacer); !ok || !p.PacesItself() {
						took = time.Since(before)
					}
					time.Sleep(14 * took)
				}
				took := part * time.Since(began)
				t.Logf("the whole checkpoint: %v, in pieces of %d bytes, %d of %d by calls of their own", took,
					sum(s.pieces)/len(s.pieces), s.calls, len(s.pieces))
				require.Less(t, took, 2*time.Minute)
				require.GreaterOrEqual(t, sum(s.pieces)/len(s.pieces), c.least)
				require.LessOrEqual(t, slices.Max(s.pieces), pieceBytes+pieceHeaderBytes)
				if c.callers > 0 {
					busy := load.take()
					t.Logf("99th percentile: %v, without a checkpoint %v", busy, quiet)
					require.LessOrEqual(t, float64(busy), c.factor*float64(quiet))
				}
				checkpoint.Abort()
			})
		})
	}
}

func sum(list []int) (total int) {
	for _, n := range list {
		total += n
	}
	return total
}

// TestCarriedPieces writes checkpoints while groups are appended through a network with faults. Groups carry most
// pieces, the checkpoints are read back byte for byte, and every group is there once.
func TestCarriedPieces(t *testing.T) {
	r := seeded(t)
	s := redistest.Start(t)
	for _, lossy := range []bool{false, true} {
		proxy := redistest.NewProxy(t, s.Addr())
		o := Options{Address: proxy.URL(), Name: freshName(), Timeout: faultyTimeout}
		j := claimed(t, o)
		if lossy {
			plan := rand.New(rand.NewPCG(r.Uint64(), 0))
			proxy.Plan(func(p redistest.Piece) redistest.Fault {
				return redistest.Fault{Lose: strikes(plan, p, 10)}
			})
		}
		a := startAppender(j, r.Uint64())
		a.wait(t, 5)
		var want []byte
		start := uint64(0)
		for i := range uint64(3) {
			a.wait(t, 1)
			start, want = j.Status().Last, nil
			c, err := j.Checkpoint(t.Context(), start)
			require.NoError(t, err)
			for n := range uint64(40) {
				run := testGroup(i<<32+n<<16, 1+r.IntN(3000)).Records
				want = append(want, run...)
				require.NoError(t, c.Write(run))
			}
			require.NoError(t, c.Commit(start))
		}
		a.wait(t, 2)
		groups := a.finish(t)
		proxy.Plan(nil)
		got := contentsOf(t, o)
		require.Equal(t, want, got.chunks)
		require.Equal(t, start, got.recovered.Checkpoint.Start)
		require.NotEmpty(t, got.groups)
		require.Equal(t, groups[len(groups)-len(got.groups):], got.groups)
	}
}

// TestPieceThatTimesOut offers a piece that the connection does not move within the timeout. The group is delayed by
// one timeout, and the next pieces are as small as possible, so that they delay no group as long again.
func TestPieceThatTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowRedis{sync: 10 * time.Millisecond, bytesPerSecond: 100 << 10}
		j := leaderOf(t, s)
		defer j.Close()
		last := uint64(0)
		add := func() time.Duration {
			last++
			began := time.Now()
			require.NoError(t, j.Append(t.Context(), testGroup(last, 1)))
			return time.Since(began)
		}
		add()
		for i := range 6 {
			size := j.pace.size()
			require.Equal(t, i == 0, size == pieceBytes, size)
			p := &piece{keys: []string{j.link.checkpoints, j.link.pieceKey("1-1", i)}, checkpoint: "1-1",
				bytes: make([]byte, size), carried: make(chan bool, 1)}
			j.offered.Store(p)
			took := add()
			require.Equal(t, i > 0, <-p.carried)
			require.Equal(t, i == 0, took > j.link.options.Timeout, took)
			add()
		}
		require.Equal(t, leastPiece, j.pace.size())
	})
}

// TestPieceDoesNotHarmItsGroup damages the hash of checkpoints, drops the checkpoint, or denies the piece its commands
// while it waits for a group. The group is appended, whatever becomes of the piece.
func TestPieceDoesNotHarmItsGroup(t *testing.T) {
	s := redistest.Start(t)
	for name, c := range map[string]struct {
		command string
		stored  bool
	}{
		"the hash is a list":        {"redis.call('DEL', KEYS[1]) redis.call('LPUSH', KEYS[1], 'x')", true},
		"the hash is removed":       {"redis.call('DEL', KEYS[1])", true},
		"the checkpoint is dropped": {"redis.call('HSET', KEYS[1], '1-1', 'dropped')", false},
		"HGET is denied":            {"", false},
	} {
		o := Options{Address: s.URL(), Name: freshName()}
		j := claimed(t, o)
		unfinished, err := j.Checkpoint(t.Context(), 0)
		require.NoError(t, err)
		l := j.link
		require.NoError(t, l.client.Eval(t.Context(), c.command+" return 1", []string{l.checkpoints}).Err())
		if c.command == "" {
			require.NoError(t, l.client.Do(t.Context(), "acl", "setuser", "default", "-hget").Err())
		}
		p := unfinished.(*checkpoint).newPiece([]byte("a header and a piece"))
		j.offered.Store(p)
		j.restoredAt = time.Now()
		require.NoError(t, j.Append(t.Context(), testGroup(1, 3)), name)
		require.NoError(t, l.client.Do(t.Context(), "acl", "setuser", "default", "+hget").Err())
		require.Equal(t, c.stored, <-p.carried, name)
		require.Equal(t, c.stored, l.client.Exists(t.Context(), p.keys[1]).Val() == 1, name)
		require.Len(t, contentsOf(t, o).groups, 1, name)
		if c.stored {
			require.Equal(t, "writing", l.client.HGet(t.Context(), l.checkpoints, "1-1").Val(), name)
		}
	}
}
