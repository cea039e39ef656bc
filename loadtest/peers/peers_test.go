package peers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

// TestMain makes this program a client process where it is started as one.
func TestMain(m *testing.M) {
	ServeClient()
	os.Exit(m.Run())
}

func idOf(n int) (id inventory.ID) {
	copy(id[:], fmt.Sprintf("%016d", n))
	return id
}

func packOf(pools [3]int, quantity int) (lines []inventory.Line) {
	for _, pool := range pools {
		lines = append(lines, inventory.Line{Pool: uint32(pool), Quantity: uint32(quantity)})
	}
	return lines
}

func TestBaselineFollowsTheRules(t *testing.T) {
	sessions := ruleSessions()
	s := newBaseline(sessions, slices.Repeat([]uint32{ruleTickets}, len(sessions)))
	require.NoError(t, checkRules(peer{
		reserve: func(id int, account string, quantity int, pools [3]int, ttl int) (verdict, error) {
			return s.reserve(idOf(id), account, packOf(pools, quantity), int64(1000+ttl)), nil
		},
		confirm:   func(id int) (verdict, error) { return s.confirm(idOf(id), 1000), nil },
		available: func(pool int) (int, error) { return int(s.available[pool]), nil },
	}))
}

// coreConfig is a sale of pools, each with its session and tickets, for the core.
func coreConfig(sessions, tickets []uint32) inventory.Config {
	c := inventory.Config{Caps: []int{accountCap}, Pause: yielding}
	last := uint32(0)
	for i, session := range sessions {
		last = max(last, session)
		c.Pools = append(c.Pools, inventory.PoolConfig{Session: session, Units: tickets[i]})
	}
	for range last + 1 {
		c.Sessions = append(c.Sessions, inventory.SessionConfig{Limit: sessionLimit})
	}
	return c
}

func verdictOf(v inventory.Verdict) verdict {
	return map[inventory.Verdict]verdict{inventory.Done: done, inventory.AlreadyDone: repeated,
		inventory.NotFound: notFound, inventory.SessionLimitExceeded: limitExceeded,
		inventory.AccountCapExceeded: capExceeded, inventory.SoldOut: soldOut,
		inventory.WasExpired: expired}[v]
}

// TestBaselineAgreesWithTheCore plays random packs on both, which must give the same verdicts.
func TestBaselineAgreesWithTheCore(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	var sessions, tickets []uint32
	for i := range 30 {
		sessions, tickets = append(sessions, uint32(i/2)), append(tickets, uint32(20+80*(i%2))) // half of them sell out
	}
	baseline := newBaseline(sessions, tickets)
	core, err := inventory.New(coreConfig(sessions, tickets))
	require.NoError(t, err)
	seen := map[verdict]int{}
	for n := range 4000 {
		account := fmt.Sprint(dice.IntN(40))
		lines := packOf([3]int{dice.IntN(10), 10 + dice.IntN(10), 20 + dice.IntN(10)}, 1+dice.IntN(4))
		q := inventory.Request{ID: idOf(n), Account: account, Created: 1, Expires: 2 + int64(dice.IntN(2)), Lines: lines}
		got := baseline.reserve(idOf(n), account, lines, q.Expires)
		require.Equal(t, verdictOf(core.Reserve(&q).Verdict), got)
		seen[got]++
		other := dice.IntN(n + 1)
		if row := core.Find(idOf(other)); dice.IntN(2) == 0 && row != 0 {
			got := baseline.confirm(idOf(other), 2)
			require.Equal(t, verdictOf(core.Confirm(row, 2, "", nil).Verdict), got)
			seen[got]++
		}
	}
	for _, v := range []verdict{done, repeated, capExceeded, limitExceeded, soldOut, expired} {
		require.NotZero(t, seen[v], v)
	}
}

// TestJournalsAreEmptied: a journal that was used is empty for the next measurement.
func TestJournalsAreEmptied(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	for _, k := range []Journal{{Name: "none"}, {Name: "embedded"}, {Name: "redis-always", Where: s.Addr()}} {
		names := NewNames(1 << 10)
		for range 2 {
			k, err := k.Empty(t.Context(), t.TempDir())
			require.NoError(t, err)
			s, err := k.Open(t.Context(), 1<<10)
			require.NoError(t, err, k.Name)
			crowd := NewCrowd(1<<10, len(s.Pools), Spread)
			require.NoError(t, s.Reservations(t.Context(), crowd, names, 0, 64, 8, 1), k.Name)
			require.NoError(t, s.Close())
		}
	}
}

// needsLinux skips a test that needs a client.
func needsLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip(errNeedsLinux)
	}
}

// TestScripts: the scripts follow the rules, and a client process calls them correctly, also pipelined, and counts the
// answers.
func TestScripts(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	l, err := OpenLua(t.Context(), s.Addr()) // it checks the rules
	require.NoError(t, err)
	needsLinux(t)
	defer func() { require.NoError(t, l.Close()) }()
	j := &Job{Client: Client{Address: s.Addr(), Connections: 3, Depth: 5}, For: 50 * time.Millisecond,
		Workload: WorkloadScript, Demand: Spread, Crowd: 1000, Scripts: l.Scripts()}
	for range 2 {
		result, err := j.Measure(0, &Spent{})
		require.NoError(t, err)
		require.NotZero(t, result.Operations)
	}
	reservations, err := l.client.Keys(t.Context(), "reservation:*").Result()
	require.NoError(t, err)
	require.Len(t, reservations, int(j.First)-1)
}

// TestClientFaults: a client reports answers that it does not expect.
func TestClientFaults(t *testing.T) {
	needsLinux(t)
	for name, answer := range map[string]string{
		"another status": "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"an end":         "HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n",
		"no length":      "HTTP/1.1 201 Created\r\n\r\n",
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() {
			c, err := ln.Accept()
			if err == nil {
				_, _ = c.Read(make([]byte, 1000)) // the client reports the outcome
				_, _ = c.Write([]byte(answer))
				_ = c.Close()
			}
		}()
		pools := Pools(Sale())
		_, err = Client{Address: ln.Addr().String(), Connections: 1, Depth: 1}.run(time.Second,
			newSingles(NewCrowd(10, len(pools), Hot), pools, 1, 1, "201"))
		require.Error(t, err, name)
		require.NoError(t, ln.Close())
	}
}

// TestCrowd: the requests of a crowd have different ids and sessions, and follow the demand.
func TestCrowd(t *testing.T) {
	sale := Sale()
	pools := Pools(sale)
	require.GreaterOrEqual(t, len(pools)-1, 3*975, "the pools of postgres/spread.sql")
	for _, demand := range []Demand{Hot, Spread, Zipf} {
		c := NewCrowd(1000, len(pools), demand)
		ids, wanted, accounts := map[inventory.ID]bool{}, map[int]int{}, map[int]int{}
		const n = 20_000
		for i := range uint64(n) {
			ids[c.id(i)] = true
			accounts[c.account(i)]++
			wanted[c.pool(i, 0)]++
			session := func(line int) int { return sale.Pools[pools[c.pool(i, line)].Index].Session }
			require.Less(t, session(0), session(1))
			require.Less(t, session(1), session(2))
			require.Less(t, c.pool(i, 2), len(pools)-1)
		}
		require.Len(t, ids, n)
		require.Len(t, accounts, 1000)
		for account, turns := range accounts {
			require.Equal(t, n/1000, turns)
			require.Equal(t, fmt.Sprintf("buyer-%08d", account), NewNames(1000).of(account))
		}
		most := 0
		for _, times := range wanted {
			most = max(most, times)
		}
		switch demand {
		case Hot:
			require.Equal(t, n, most)
		case Spread:
			require.Less(t, most, 100)
		case Zipf:
			require.Greater(t, most, n/20)
			require.Less(t, most, n/4)
		}
	}
}
