//go:build linux

package peers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

// TestMain lets a client process be this program.
func TestMain(m *testing.M) {
	ServeClient()
	os.Exit(m.Run())
}

func idOf(n int) (id ID) {
	copy(id[:], fmt.Sprintf("%016d", n))
	return id
}

func packOf(pools [3]int, quantity int) []Line {
	return []Line{{uint32(pools[0]), uint32(quantity)}, {uint32(pools[1]), uint32(quantity)}, {uint32(pools[2]), uint32(quantity)}}
}

func samePlaces(n int) (places []uint32) {
	for range n {
		places = append(places, RulePlaces)
	}
	return places
}

func TestBaselineKeepsTheRules(t *testing.T) {
	sessions := RuleSessions()
	s := NewBaseline(sessions, samePlaces(len(sessions)))
	require.NoError(t, CheckRules(Peer{
		Reserve: func(id int, account string, quantity int, pools [3]int, ttl int) (Verdict, error) {
			return s.Reserve(idOf(id), account, packOf(pools, quantity), int64(1000+ttl)), nil
		},
		Confirm: func(id int) (Verdict, error) { return s.Confirm(idOf(id), 1000), nil },
		Left:    func(pool int) (int, error) { return s.Available(pool), nil },
	}))
}

func TestScriptsKeepTheRules(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	p, err := RulesOfLua(t.Context(), s.Addr())
	require.NoError(t, err)
	require.NoError(t, CheckRules(p))
}

// coreConfig is a sale of pools, each with its session and its places, for the core.
func coreConfig(sessions, places []uint32) inventory.Config {
	c := inventory.Config{Caps: []int{AccountCap}, Pause: func(int) bool { return true }}
	last := uint32(0)
	for i, session := range sessions {
		last = max(last, session)
		c.Pools = append(c.Pools, inventory.PoolConfig{Session: session, Units: places[i]})
	}
	for range last + 1 {
		c.Sessions = append(c.Sessions, inventory.SessionConfig{Limit: SessionLimit})
	}
	return c
}

func verdictOf(v inventory.Verdict) Verdict {
	return map[inventory.Verdict]Verdict{inventory.Done: Done, inventory.AlreadyDone: Repeated, inventory.NotFound: NotFound,
		inventory.SessionLimitExceeded: LimitExceeded, inventory.AccountCapExceeded: CapExceeded, inventory.SoldOut: SoldOut,
		inventory.WasExpired: Expired}[v]
}

// TestBaselineAgreesWithTheCore plays random packs on both: what one refuses the other refuses for the same reason.
func TestBaselineAgreesWithTheCore(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	var sessions, places []uint32
	for i := range 30 {
		sessions, places = append(sessions, uint32(i/2)), append(places, uint32(20+80*(i%2))) // some sell out, some never do
	}
	baseline := NewBaseline(sessions, places)
	core, err := inventory.New(coreConfig(sessions, places))
	require.NoError(t, err)
	seen := map[Verdict]int{}
	for n := range 4000 {
		account := fmt.Sprint(dice.IntN(40))
		lines := packOf([3]int{dice.IntN(10), 10 + dice.IntN(10), 20 + dice.IntN(10)}, 1+dice.IntN(4))
		q := inventory.Request{ID: inventory.ID(idOf(n)), Account: account, Created: 1, Expires: 2 + int64(dice.IntN(2))}
		for _, l := range lines {
			q.Lines = append(q.Lines, inventory.Line(l))
		}
		got := baseline.Reserve(idOf(n), account, lines, q.Expires)
		require.Equal(t, verdictOf(core.Reserve(&q).Verdict), got)
		seen[got]++
		other := dice.IntN(n + 1)
		if row := core.Find(inventory.ID(idOf(other))); dice.IntN(2) == 0 && row != 0 {
			got := baseline.Confirm(idOf(other), 2)
			require.Equal(t, verdictOf(core.Confirm(row, 2, "").Verdict), got)
			seen[got]++
		}
	}
	for _, v := range []Verdict{Done, Repeated, CapExceeded, LimitExceeded, SoldOut, Expired} {
		require.NotZero(t, seen[v], v)
	}
}

// TestClientScripts is that a client process sends the scripts what they understand, pipelined too, and counts the answers.
func TestClientScripts(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "no")
	places := make([]int, len(Places(Sale())))
	for i := range places {
		places[i] = 1 << 30
	}
	l, err := NewLua(t.Context(), s.Addr(), places)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	o := &Order{Client: Client{Address: s.Addr(), Connections: 3, Depth: 5}, For: 50 * time.Millisecond, Say: TalkScript, Wants: Spread, Crowd: 1000, Script: l.Scripts()}
	for range 2 {
		answered, err := o.Place()
		require.NoError(t, err)
		require.NotZero(t, answered.Operations)
	}
	reservations, err := l.client.Keys(t.Context(), "reservation:*").Result()
	require.NoError(t, err)
	require.Len(t, reservations, int(o.First)-1)
}

// TestClientFaults is that a client takes no answer for another.
func TestClientFaults(t *testing.T) {
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
				_, _ = c.Read(make([]byte, 1000)) // what comes of it, the client tells
				_, _ = c.Write([]byte(answer))
				_ = c.Close()
			}
		}()
		places := Places(Sale())
		_, err = Client{Address: ln.Addr().String(), Connections: 1, Depth: 1}.Run(time.Second, newSingles(NewCrowd(10, len(places), Hot), places, 1, 1, "201"))
		require.Error(t, err, name)
		require.NoError(t, ln.Close())
	}
}

// TestCrowd is that the requests of a crowd are of different ids and sessions, and spread as they should.
func TestCrowd(t *testing.T) {
	sale := Sale()
	places := Places(sale)
	require.GreaterOrEqual(t, len(places)-1, 3*975, "as many as postgres/spread.sql asks for")
	for _, wants := range []Wants{Hot, Spread, Zipf} {
		c := NewCrowd(1000, len(places), wants)
		ids, asked, accounts := map[ID]bool{}, map[int]int{}, map[int]int{}
		const n = 20_000
		for i := range uint64(n) {
			ids[c.ID(i)] = true
			accounts[c.Account(i)]++
			asked[c.Place(i, 0)]++
			a, b, d := sale.Pools[places[c.Place(i, 0)].Pool], sale.Pools[places[c.Place(i, 1)].Pool], sale.Pools[places[c.Place(i, 2)].Pool]
			require.Less(t, a.Session, b.Session)
			require.Less(t, b.Session, d.Session)
			require.Less(t, c.Place(i, 2), len(places)-1)
		}
		require.Len(t, ids, n)
		require.Len(t, accounts, 1000)
		for account, turns := range accounts {
			require.Equal(t, n/1000, turns)
			require.Equal(t, fmt.Sprintf("buyer-%08d", account), NewNames(1000).Of(account))
		}
		most := 0
		for _, times := range asked {
			most = max(most, times)
		}
		switch wants {
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
