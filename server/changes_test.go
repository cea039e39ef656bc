package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// Where the programme withholds what is returned, the places of a return are withheld and not available, in every
// answer that shows stock. Those of a reduction are available again, and so is the room under the cap.
func TestReturnedTicketsAreWithheld(t *testing.T) {
	noLeaks(t)
	folder := t.TempDir()
	require.NoError(t, os.CopyFS(folder, os.DirFS("testdata/sale")))
	rules := filepath.Join(folder, "sale.yaml")
	text := string(must(os.ReadFile(rules))(t))
	changed := strings.Replace(text, "account_cap: 4, session_limit: 4}",
		"account_cap: 4, session_limit: 4, returned_tickets: withheld}", 1)
	require.NotEqual(t, text, changed)
	require.NoError(t, os.WriteFile(rules, []byte(changed), 0o600))
	clock := clockAt(instantOf(t, early))
	f := startWith(t, clock, newEngine(t, clock, func(o *engine.Options) { o.Sale = must(catalog.Load(folder))(t) }), nil)

	stock := func(available, held, sold, withheld string) {
		t.Helper()
		a := f.get("/v1/sessions/SKI01")
		require.Equal(t, []string{available, held, sold, withheld}, []string{member(a.json, "pools.0.available"),
			member(a.json, "pools.0.held"), member(a.json, "pools.0.sold"), member(a.json, "pools.0.withheld")})
		until(t, func() bool { // a list may lag by a tenth of a second
			listed := member(f.get("/v1/sessions?programme=winter").json, "sessions.0.pools.0.withheld")
			short := member(f.get("/v1/stock?programme=winter").json, "stock.SKI01.A")
			return listed == withheld && short == available
		}, "the lists show the same stock")
	}
	stock("90", "0", "0", "10")
	require.Equal(t, 201, f.reserveOne(otherID(1), "a", "SKI01", "4").status)
	require.Equal(t, 200, f.post("/v1/reservations/"+otherID(1)+"/confirm", "").status)
	stock("86", "0", "4", "10")
	require.Equal(t, 200, f.post("/v1/reservations/"+otherID(1)+"/reduce",
		`{"lines":[{"session":"SKI01","category":"A","quantity":3}]}`).status)
	stock("87", "0", "3", "10")
	for range 2 {
		require.Equal(t, "returned", f.post("/v1/reservations/"+otherID(1)+"/return", "").json["state"])
		stock("87", "0", "0", "13")
	}
	require.Equal(t, 201, f.reserveOne(otherID(2), "a", "SKI01", "4").status)
	stock("83", "4", "0", "13")
}
