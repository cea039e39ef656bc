package redis

import (
	"bytes"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/internal/journaltest"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	SilenceClient()
	goleak.VerifyTestMain(m)
}

// rounds returns how many rounds a random test runs: the given number times SEATHOLD_ROUNDS.
func rounds(t testing.TB, n int) int {
	t.Helper()
	if s := os.Getenv("SEATHOLD_ROUNDS"); s != "" {
		factor, err := strconv.Atoi(s)
		require.NoError(t, err, "SEATHOLD_ROUNDS")
		return n * factor
	}
	return n
}

// seeded returns a generator. Its seed is printed if the test fails or is verbose.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("SEATHOLD_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err, "SEATHOLD_SEED")
	}
	t.Logf("SEATHOLD_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

var journals atomic.Int64

// freshName names a journal that no test has used.
func freshName() string { return fmt.Sprintf("test-%d", journals.Add(1)) }

// TestSuite runs the conformance suite of all backends. A crash is the end of the program: its connections are closed
// without any cleanup.
func TestSuite(t *testing.T) {
	s := redistest.Start(t)
	fewerChecks(t, 25)
	journaltest.Run(t, func(t *testing.T) journaltest.Store {
		p := placeIn(t, s, s.URL(), freshName(), 0)
		p.Crash = func(b journal.Backend) { abandon(b.(claiming).Journal) }
		return p
	})
}

// TestSharedSuite runs the conformance suite of all backends that several processes share.
func TestSharedSuite(t *testing.T) {
	s := redistest.Start(t)
	journaltest.RunShared(t, func(*testing.T) journaltest.SharedStore {
		o := Options{Address: s.URL(), Name: freshName()}
		return journaltest.SharedStore{
			Open: func() (journal.Shared, error) { return Open(o) }, Silence: 300 * time.Millisecond,
		}
	})
}

// claiming is a journal that claims as soon as it has recovered: the suite expects a backend of a single program.
type claiming struct {
	*Journal
}

func (c claiming) Recover(to journal.Recovery) (journal.Recovered, error) {
	recovered, err := c.Journal.Recover(to)
	for err == nil {
		if err = c.Claim(c.link.ctx, "http://leader.test:8080"); !errors.Is(err, journal.ErrNotSilent) {
			break
		}
		recovered, err = c.Follow(c.link.ctx, to, 0, func(string) {}) // an append of the program before arrived late
	}
	return recovered, err
}

// abandon ends a journal as a crash of its process would.
func abandon(j *Journal) { j.link.close() }

// placeIn returns the suite's access to a journal in a server, with backends that connect to the given URL.
func placeIn(t testing.TB, s *redistest.Server, url, name string, timeout time.Duration) journaltest.Store {
	return journaltest.Store{
		Open: func() (journal.Backend, error) {
			j, err := Open(Options{Address: url, Name: name, Timeout: timeout})
			return claiming{j}, err
		},
		Kept: func() (journaltest.Kept, error) {
			l, err := newLink(Options{Address: s.URL(), Name: name})
			require.NoError(t, err)
			defer l.close()
			return inspect(t, l), nil
		},
		SpoilCheckpoint: func() error {
			l, err := newLink(Options{Address: s.URL(), Name: name})
			require.NoError(t, err)
			defer l.close()
			newest := manifestsOf(t, l)
			m := newest[len(newest)-1]
			return flipByte(t, l, l.pieceKey(m.id, m.pieces/2), 12)
		},
	}
}

// inspect returns what a journal keeps.
func inspect(t testing.TB, l *link) (kept journaltest.Kept) {
	for _, m := range messagesOf(t, l) {
		if m.kind() != groupType {
			continue
		}
		e, err := m.entry()
		require.NoError(t, err)
		if kept.OldestRecord == 0 {
			kept.OldestRecord = e.group.First
		}
		kept.NewestRecord = e.group.Last()
	}
	kept.Checkpoints = len(manifestsOf(t, l))
	return kept
}

func messagesOf(t testing.TB, l *link) []message {
	reply, err := l.read(t.Context(), retryReads, "xrange", l.stream, "-", "+")
	require.NoError(t, err)
	messages, err := parseMessages(reply)
	require.NoError(t, err)
	return messages
}

func manifestsOf(t testing.TB, l *link) []manifest {
	found, err := l.manifests(t.Context(), retryReads)
	require.NoError(t, err)
	return found
}

// flipByte inverts one byte of a string in Redis.
func flipByte(t testing.TB, l *link, key string, offset int) error {
	value, err := l.client.Get(t.Context(), key).Bytes()
	if err != nil {
		return err
	}
	value[min(offset, len(value)-1)] ^= 0xff
	return l.client.Set(t.Context(), key, value, 0).Err()
}

// claimed opens a journal and makes it the leader, even beside a leader that is alive.
func claimed(t testing.TB, o Options) *Journal {
	t.Helper()
	j, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	_, err = j.Recover(discard())
	require.NoError(t, err)
	seize(t, j, "http://leader.test:8080")
	return j
}

// seizeScript is claimScript without its conditions. It returns the position that the claim follows.
var seizeScript = redis.NewScript(`
local own = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if own and own[2][10] == ARGV[2] then return own[2][4] end
local tail = redis.call('GET', KEYS[2]) or ''
redis.call('XADD', KEYS[1], ARGV[1], 'type', '` + claimType + `', 'prev', tail,
  'leader', ARGV[3], 'nonce', ARGV[4], 'sum', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1] .. ':' .. ARGV[2])
redis.call('SET', KEYS[3], ARGV[1] .. ':' .. ARGV[2] .. ' ' .. ARGV[3])
return tail`)

// seize claims a journal that was recovered, wherever it ends.
func seize(t testing.TB, j *Journal, address string) {
	t.Helper()
	l, r := j.link, j.reader
	end, err := l.streamEnd(t.Context(), retryReads)
	require.NoError(t, err)
	at := id{epoch: max(r.epoch, end.newest.epoch) + 1}
	claim := &entry{leader: address, nonce: crand.Text()}
	claim.at = position{at, claimSum(at, claim.leader, claim.nonce)}
	reply, err := l.script(t.Context(), retryReads, seizeScript, []string{l.stream, l.tail, l.leader}, at.String(),
		sumText(claim.at.sum), claim.leader, claim.nonce)
	require.NoError(t, err)
	claim.previous, err = parsePosition(reply.(string))
	require.NoError(t, err)
	require.NoError(t, r.resume(t.Context(), func(string) {}))
	require.Equal(t, claim.at, r.at)
	j.startLeading(r, claim)
}

// discard is a recovery that keeps nothing.
func discard() journal.Recovery {
	return journal.Recovery{
		Begin: func(journal.CheckpointInfo) error { return nil },
		Chunk: func([]byte) error { return nil },
		Group: func(journal.Group) error { return nil },
	}
}

// testGroup returns a group whose records contain their sequence.
func testGroup(first uint64, count int) journal.Group {
	g := journal.Group{First: first, Count: count}
	for i := range uint64(count) {
		g.Records = journal.AppendRecord(g.Records, fmt.Appendf(nil, "record %d", first+i))
	}
	return g
}

// contents is what a journal contains.
type contents struct {
	recovered journal.Recovered
	chunks    []byte
	groups    []journal.Group
}

func (c *contents) into() journal.Recovery {
	return journal.Recovery{
		Begin: func(journal.CheckpointInfo) error { return nil },
		Chunk: func(run []byte) error { c.chunks = append(c.chunks, run...); return nil },
		Group: func(g journal.Group) error {
			g.Records = bytes.Clone(g.Records)
			c.groups = append(c.groups, g)
			return nil
		},
	}
}

// contentsOf reads everything that a journal contains.
func contentsOf(t testing.TB, o Options) contents {
	t.Helper()
	c, err := readAll(t, o)
	require.NoError(t, err)
	return c
}

func readAll(t testing.TB, o Options) (c contents, err error) {
	t.Helper()
	r, err := OpenReadOnly(o)
	require.NoError(t, err)
	defer r.Close()
	c.recovered, err = r.Recover(c.into())
	return c, err
}
