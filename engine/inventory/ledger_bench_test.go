package inventory

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// longLedger returns an inventory with an account of so many live reservations of one ticket in 1,000 sessions, whose
// rows are spread over those of other accounts, and its cap.
func longLedger(tb testing.TB, live, accountCap int) (v *Inventory, rows []uint32) {
	c := Config{Caps: []int{accountCap}, MaxReservations: 1 << 24, MaxAccounts: 1 << 21, Pause: yieldingPause(1 << 20)}
	for i := range 1000 {
		c.Sessions = append(c.Sessions, SessionConfig{Limit: accountCap})
		c.Pools = append(c.Pools, PoolConfig{Session: uint32(i), Units: 1 << 30})
	}
	v, err := New(c)
	require.NoError(tb, err)
	for n := range live {
		for i := range 20 {
			v.Reserve(&Request{ID: idOf(uint64(n*20+i) | 1<<40), Account: fmt.Sprint(n*20 + i), Expires: 1,
				Lines: []Line{{Pool: 7, Quantity: 1}}})
		}
		rows = append(rows, reserveIn(tb, v, uint64(n)|1<<41, n%1000))
	}
	return v, rows
}

func reserveIn(tb testing.TB, v *Inventory, n uint64, session int) uint32 {
	res := v.Reserve(&Request{ID: idOf(n), Account: "gateway", Expires: 1 << 50,
		Lines: []Line{{Pool: uint32(session), Quantity: 1}}})
	if res.Verdict != Done {
		tb.Fatalf("reservation %d has the verdict %d", n, res.Verdict)
	}
	return res.Row
}

// BenchmarkLedger measures a reservation and the end of one, in an account with so many live ones: of the newest or of
// a random one, with room for 95 tickets below the cap.
func BenchmarkLedger(b *testing.B) {
	for _, ends := range []string{"newest", "random"} {
		for _, live := range []int{1, 30, 1000, 4000} {
			b.Run(fmt.Sprintf("ends=%s/live=%d", ends, live), func(b *testing.B) {
				v, rows := longLedger(b, live, live+95)
				random := rand.New(rand.NewPCG(1, 2))
				b.ReportAllocs()
				b.ResetTimer()
				for n := range b.N {
					row := reserveIn(b, v, uint64(n)|1<<42, n%1000)
					if ends == "random" {
						at := random.IntN(live)
						rows[at], row = row, rows[at]
					}
					v.Release(row, 0, nil)
				}
			})
		}
	}
}
