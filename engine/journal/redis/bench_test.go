package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// benchRecord is as long as the record of a reservation of three lines.
const benchRecord = 57

// queue collects the records of concurrent callers for a journal.Writer. Unlike the engine's lists it uses a mutex,
// which is enough here.
type queue struct {
	mu    sync.Mutex
	run   []byte
	count int
	last  uint64
}

func (q *queue) add(record []byte) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.run = journal.AppendRecord(q.run, record)
	q.count++
	q.last++
	return q.last
}

func (q *queue) fill(run []byte) ([]byte, int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	run = append(run, q.run...)
	count := q.count
	q.run, q.count = q.run[:0], 0
	return run, count
}

// BenchmarkRecords measures records that journal.Writer makes durable while each caller awaits its own. The baseline is
// reservations made by a Lua script in the same Redis in the same run: one at a time per caller, and 16 in a pipeline.
func BenchmarkRecords(b *testing.B) {
	for _, fsync := range []string{"always", "everysec"} {
		s := redistest.Start(b, "--appendonly", "yes", "--appendfsync", fsync, "--auto-aof-rewrite-percentage", "0")
		for _, callers := range []int{1, 64, 1024} {
			name := fmt.Sprintf("fsync=%s/callers=%d/", fsync, callers)
			b.Run(name+"journal", func(b *testing.B) { benchmarkJournal(b, s, callers) })
			b.Run(name+"script", func(b *testing.B) { benchmarkScript(b, s, callers, 1) })
			b.Run(name+"script-pipelined-16", func(b *testing.B) { benchmarkScript(b, s, callers, 16) })
		}
	}
}

// share runs b.N operations on concurrent callers, each of which takes the next one until none is left.
func share(b *testing.B, callers, atOnce int, do func(r *rand.Rand)) {
	var taken atomic.Int64
	var running sync.WaitGroup
	b.ResetTimer()
	for c := range callers {
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 0))
			for taken.Add(int64(atOnce)) <= int64(b.N+atOnce-1) {
				do(r)
			}
		})
	}
	running.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(0, "ns/op")
}

func benchmarkJournal(b *testing.B, s *redistest.Server, callers int) {
	j := claimed(b, Options{Address: s.URL(), Name: freshName()})
	var q queue
	groups := 0
	w := journal.NewWriter(j, journal.Feed{Fill: q.fill, Durable: func(journal.Group) { groups++ }}, 0, time.Minute)
	var failed atomic.Pointer[error]
	share(b, callers, 1, func(r *rand.Rand) {
		var record [benchRecord]byte
		for i := range len(record) / 8 {
			binary.LittleEndian.PutUint64(record[8*i:], r.Uint64())
		}
		seq := q.add(record[:])
		w.Wake()
		if err := w.Wait(context.Background(), seq); err != nil {
			failed.Store(&err)
		}
	})
	require.Nil(b, failed.Load())
	require.NoError(b, w.Close(b.Context()))
	b.ReportMetric(float64(b.N)/float64(groups), "records/group")
}

// reserveScript reserves a pack in Redis alone: three pools, the account's cap of 30, the limit of six tickets per
// session, and the hold with its expiry.
//
// KEYS three pools, account, hold. ARGV quantity, expiry in seconds, three sessions.
var reserveScript = redis.NewScript(`
local n = tonumber(ARGV[1])
for i = 1, 3 do
  if tonumber(redis.call('GET', KEYS[i]) or '1000000000') < n then return 'sold_out' end
end
local held = redis.call('HMGET', KEYS[4], 'total', ARGV[3], ARGV[4], ARGV[5])
if tonumber(held[1] or '0') + 3 * n > 30 then return 'account_cap_exceeded' end
for i = 2, 4 do
  if tonumber(held[i] or '0') + n > 6 then return 'session_limit_exceeded' end
end
for i = 1, 3 do
  redis.call('DECRBY', KEYS[i], n)
  redis.call('HINCRBY', KEYS[4], ARGV[i + 2], n)
end
redis.call('HINCRBY', KEYS[4], 'total', 3 * n)
redis.call('SET', KEYS[5], KEYS[4] .. ' ' .. n, 'EX', ARGV[2])
return 'held'`)

func benchmarkScript(b *testing.B, s *redistest.Server, callers, atOnce int) {
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), PoolSize: min(callers, 128), MaxRetries: -1,
		PoolTimeout: time.Minute, PipelinePoolSize: -1})
	defer client.Close()
	require.NoError(b, client.FlushAll(b.Context()).Err())
	sessions := [...]string{"ATH10", "SWM03", "GAR05", "JUD02", "BK307", "CTR01"}
	for i, session := range sessions {
		require.NoError(b, client.Set(b.Context(), "pool:"+session+":A", 1<<40+i, 0).Err())
	}
	require.NoError(b, reserveScript.Load(b.Context(), client).Err())
	var serial atomic.Uint64
	var failed atomic.Pointer[error]
	one := func(c redis.Cmdable, r *rand.Rand) *redis.Cmd {
		first := r.IntN(len(sessions))
		id := strconv.FormatUint(serial.Add(1), 16)
		at := func(i int) string { return sessions[(first+i)%len(sessions)] }
		pool := func(i int) string { return "pool:" + at(i) + ":A" }
		keys := []string{pool(0), pool(1), pool(2), "account:" + id, "hold:" + id}
		return reserveScript.EvalSha(context.Background(), c, keys, 2, 1020, at(0), at(1), at(2))
	}
	share(b, callers, atOnce, func(r *rand.Rand) {
		var err error
		if atOnce == 1 {
			err = one(client, r).Err()
		} else {
			_, err = client.Pipelined(context.Background(), func(p redis.Pipeliner) error {
				for range atOnce {
					one(p, r)
				}
				return nil
			})
		}
		if err != nil {
			failed.Store(&err)
		}
	})
	require.Nil(b, failed.Load())
}

// BenchmarkAppend measures one group at a time, with `appendfsync always` and without a file. The baseline is a bare
// XADD of the same fields.
func BenchmarkAppend(b *testing.B) {
	for _, fsync := range []string{"always", "none"} {
		args := []string{"--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"}
		if fsync == "none" {
			args = []string{"--appendonly", "no"}
		}
		s := redistest.Start(b, args...)
		for _, records := range []int{1, 100, 1000} {
			var run []byte
			for range records {
				run = journal.AppendRecord(run, make([]byte, benchRecord))
			}
			b.Run(fmt.Sprintf("fsync=%s/records=%d/journal", fsync, records), func(b *testing.B) {
				j := claimed(b, Options{Address: s.URL(), Name: freshName()})
				last := uint64(0)
				b.ReportAllocs()
				for b.Loop() {
					require.NoError(b, j.Append(b.Context(), journal.Group{First: last + 1, Count: records, Records: run}))
					last += uint64(records)
				}
			})
			b.Run(fmt.Sprintf("fsync=%s/records=%d/xadd", fsync, records), func(b *testing.B) {
				l, err := newLink(Options{Address: s.URL(), Name: freshName()})
				require.NoError(b, err)
				defer l.close()
				at := id{epoch: 1}
				b.ReportAllocs()
				for b.Loop() {
					at.number++
					require.NoError(b, l.client.Do(b.Context(), "xadd", l.stream, at.String(), "type", groupType,
						"prev", "1-1:0123456789abcdef", "first", 1, "count", records, "sum", "0123456789abcdef",
						"records", run).Err())
				}
			})
		}
	}
}

// BenchmarkRecover reads a checkpoint of three million records and a tail of 100 groups, and discards them.
func BenchmarkRecover(b *testing.B) {
	const records, chunk, tail = 3_000_000, 4_600, 100
	s := redistest.Start(b, "--appendonly", "no")
	o := Options{Address: s.URL(), Name: freshName()}
	j := claimed(b, o)
	var run []byte
	for range chunk {
		run = journal.AppendRecord(run, make([]byte, benchRecord))
	}
	c, err := j.Checkpoint(b.Context(), 0)
	require.NoError(b, err)
	for range records / chunk {
		require.NoError(b, c.Write(run))
	}
	require.NoError(b, c.Commit(0))
	for i := range uint64(tail) {
		require.NoError(b, j.Append(b.Context(), journal.Group{First: i*chunk + 1, Count: chunk, Records: run}))
	}
	for b.Loop() {
		r, err := OpenReadOnly(o)
		require.NoError(b, err)
		recovered, err := r.Recover(discard())
		require.NoError(b, err)
		require.Equal(b, tail, recovered.Groups)
		require.NoError(b, r.Close())
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/recovery")
}
