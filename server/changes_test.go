package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

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

// A change allocates nothing, from its body to its answer.
func TestChangesDoNotAllocate(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	require.Equal(t, 201, f.reserveOne(otherID(1), "a", "SWM01", "2").status)
	require.Equal(t, 201, f.reserveOne(otherID(2), "a", "SWM01", "2").status)
	x := &exchange{server: f.server, engine: f.engine, ctx: &fasthttp.RequestCtx{}, seen: &observation{},
		workspace: &workspace{}}
	call := func(n int, answer func(*exchange), bodies ...string) {
		t.Helper()
		x.param = []byte(otherID(n))
		sent := 0
		require.Zero(t, testing.AllocsPerRun(100, func() {
			x.ctx.Request.SetBodyString(bodies[sent%len(bodies)])
			sent++
			if answer(x); x.ctx.Response.StatusCode() != 200 {
				panic(string(x.ctx.Response.Body()))
			}
		}), bodies[0])
	}
	call(1, (*exchange).extend, `{"expires_at":"2024-01-10T09:30:00Z"}`, `{"expires_at":"2024-01-10T15:01:00+05:30"}`)
	call(1, (*exchange).reduce, `{"lines":[{"session":"SWM01","category":"A","quantity":1}]}`)
	call(1, (*exchange).confirm, `{"reference":"pay","again":true}`)
	call(1, (*exchange).returnTickets, `{"reference":"refund"}`)
	call(2, (*exchange).release, ``)
}

// The detail of a pack that would become uneven says so: the number of its sessions is right.
func TestUnevenPackIsExplained(t *testing.T) {
	noLeaks(t)
	f := startAt(t, "2024-01-02T00:00:00Z", nil)
	lines := func(quantities ...any) string {
		return fmt.Sprintf(`"lines":[{"session":"SWM01","category":"A","quantity":%d},`+
			`{"session":"JUD01","category":"A","quantity":%d},{"session":"GYM01","category":"A","quantity":%d}]`, quantities...)
	}
	require.Equal(t, 201, f.post("/v1/reservations", `{"id":"`+someID+`","account":"p",`+lines(3, 3, 3)+`}`).status)
	refused := f.post("/v1/reservations/"+someID+"/reduce", `{`+lines(3, 3, 2)+`}`)
	require.Equal(t, "pack_shape", refused.code())
	require.Equal(t, "the pack has equally many tickets for each of its 3 sessions, and must keep equally many",
		refused.json["detail"])
}
