package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/draw"
)

// standIn is the beacon of the test sale's ballot.
func standIn(t testing.TB, f *fixture) draw.Beacon {
	d := &f.engine.Sale().Draws[0]
	b := draw.Beacon{Round: d.Beacon.Round}
	must(hex.Decode(b.Signature[:], []byte(d.Beacon.Signature)))(t)
	b.Randomness = sha256.Sum256(b.Signature[:])
	return b
}

// runDraw freezes the ballot and decides it.
func runDraw(t testing.TB, f *fixture) {
	must(f.engine.FreezeDraw(t.Context(), "ballot"))(t)
	must(f.engine.RunDraw(t.Context(), "ballot", standIn(t, f)))(t)
}

func digestOf(t testing.TB, text any) (d draw.Digest) {
	require.Equal(t, len(d), must(hex.Decode(d[:], []byte(text.(string))))(t))
	return d
}

// TestDraw plays one draw through the API, from its announcement to the proofs.
func TestDraw(t *testing.T) {
	noLeaks(t)
	f := startAt(t, "2023-12-31T23:59:59Z", nil)
	status := func(want string, entries int) map[string]any {
		a := f.get("/v1/draws/ballot")
		require.Equal(t, 200, a.status, "%s", a.body)
		require.Equal(t, want, a.json["status"])
		require.Equal(t, fmt.Sprint(entries), fmt.Sprint(a.json["entries"]))
		return a.json
	}
	status("announced", 0)
	early := f.post("/v1/draws/ballot/entries", `{"account":"a"}`)
	require.Equal(t, "registration_closed", early.code())
	require.Equal(t, "2024-01-01T00:00:00.000Z", early.json["opens_at"])

	f.clock.set(instantOf(t, "2024-01-01T00:00:00Z"))
	for i := range 120 {
		a := f.post("/v1/draws/ballot/entries", fmt.Sprintf(`{"account":"a@%d"}`, i))
		require.Equal(t, 201, a.status, "%s", a.body)
		require.Equal(t, fmt.Sprintf("/v1/draws/ballot/entries/a@%d", i), a.header.Get("Location"))
	}
	require.Equal(t, 200, f.post("/v1/draws/ballot/entries", `{"account":"a@0"}`).status)
	open := status("registration", 120)
	require.NotContains(t, open, "digest")
	require.NotContains(t, open, "frozen_at")
	require.Equal(t, "600", fmt.Sprint(open["publish_within_seconds"]))
	require.Equal(t, []any{}, open["postponed"])
	require.Equal(t, "draw_not_run", f.get("/v1/draws/ballot/entries/a@0").code())

	f.clock.set(instantOf(t, "2024-01-05T00:00:00Z"))
	status("closed", 120)
	require.Equal(t, "registration_closed", f.post("/v1/draws/ballot/entries", `{"account":"b"}`).code())
	require.Equal(t, 200, f.post("/v1/draws/ballot/entries", `{"account":"a@0"}`).status, "a repeat is the same entry")
	must(f.engine.FreezeDraw(t.Context(), "ballot"))(t)
	frozen := status("frozen", 120)
	digest := frozen["digest"]
	require.Equal(t, "2024-01-05T00:00:00.000Z", frozen["frozen_at"])
	require.Equal(t, open["secret_commitment"], frozen["secret_commitment"])
	digestOf(t, frozen["terms"])
	require.NotContains(t, status("frozen", 120), "seed")
	must(f.engine.RunDraw(t.Context(), "ballot", standIn(t, f)))(t)
	drawn := status("drawn", 120)
	require.Equal(t, digest, drawn["digest"])

	ranks, won := map[string]bool{}, 0
	for i := range 120 {
		account := fmt.Sprintf("a@%d", i)
		a := f.get("/v1/draws/ballot/entries/" + strings.ReplaceAll(account, "@", []string{"@", "%40"}[i%2]))
		require.Equal(t, 200, a.status, "%s", a.body)
		require.Equal(t, account, a.json["account"])
		require.Equal(t, drawn["seed"], a.json["seed"])
		rank := fmt.Sprint(a.json["rank"])
		require.False(t, ranks[rank])
		ranks[rank] = true
		proof := draw.Proof{}
		given := a.json["proof"].(map[string]any)
		_, err := fmt.Sscan(fmt.Sprint(given["leaf"], " ", given["size"]), &proof.Leaf, &proof.Size)
		require.NoError(t, err)
		for _, node := range given["path"].([]any) {
			proof.Path = append(proof.Path, digestOf(t, node))
		}
		handle := draw.HandleOf(digestOf(t, a.json["salt"]), account)
		require.Equal(t, handle.String(), a.json["handle"])
		require.True(t, proof.Verify(digestOf(t, digest), handle, ""))
		access := f.get("/v1/accounts/" + account).json["access"]
		if slot, has := a.json["slot"]; has {
			require.Equal(t, []any{slot}, access)
			won++
		} else {
			require.Empty(t, access)
		}
	}
	require.Equal(t, 90, won, "nine slots of ten places") // 15 to 25 January, a day apart, 48 hours long
}

// drawAnswers causes every response of the document for draws and filtered sessions.
func drawAnswers(t *testing.T) {
	f := startAt(t, "2024-01-02T00:00:00Z", nil)
	full := start(t, func(o *Options) { o.MaxInFlight = 1 })
	defer full.takeAllTurns()()
	locked := startAt(t, "2024-01-02T00:00:00Z", func(o *Options) {
		o.Keys = must(ParseKeys(strings.NewReader("read only-for-reading-1\nsell " + sellKey)))(t)
	})
	broken := start(t, nil)
	broken.server.current.Store(nil)
	defer func() { broken.server.current.Store(broken.engine) }()

	require.Equal(t, 201, f.post("/v1/draws/ballot/entries", `{"account":"a"}`).status)
	require.Equal(t, 200, f.post("/v1/draws/ballot/entries", `{"account":"a"}`).status)
	require.Equal(t, "draw_not_run", f.get("/v1/draws/ballot/entries/a").code())
	f.clock.set(instantOf(t, "2024-01-05T00:00:00Z"))
	require.Equal(t, "registration_closed", f.post("/v1/draws/ballot/entries", `{"account":"b"}`).code())
	runDraw(t, f)
	require.Equal(t, "entry_not_found", f.get("/v1/draws/ballot/entries/b").code())
	for _, o := range []operation{
		{"enter", "POST", "/v1/draws/ballot/entries", `{"account":"a"}`},
		{"readDraw", "GET", "/v1/draws/ballot", ""},
		{"readEntry", "GET", "/v1/draws/ballot/entries/a", ""},
	} {
		require.Equal(t, 200, f.call(o.method, o.path, o.body).status, o.name)
		require.Equal(t, "draw_not_found", f.call(o.method, strings.Replace(o.path, "ballot", "b%61llet", 1), o.body).code(),
			o.name)
		require.Equal(t, "payload_too_large", f.call(o.method, o.path, strings.Repeat(" ", maxBody+1)).code(), o.name)
		refusedOnTheWire(t, f, o)
		require.Equal(t, "overloaded", full.call(o.method, o.path, o.body).code(), o.name)
		require.Equal(t, "unauthenticated", locked.call(o.method, o.path, o.body).code(), o.name)
		require.Equal(t, "internal", broken.call(o.method, o.path, o.body).code(), o.name)
		wrong := map[string]string{"POST": "GET", "GET": "POST"}[o.method]
		require.Equal(t, "method_not_allowed", f.call(wrong, o.path, o.body).code(), o.name)
	}
	require.Equal(t, "forbidden", locked.call("POST", "/v1/draws/ballot/entries", `{"account":"a"}`, "Authorization",
		"Bearer only-for-reading-1").code())
	require.Equal(t, 201, locked.call("POST", "/v1/draws/ballot/entries", `{"account":"a"}`, "Authorization",
		"Bearer "+sellKey).status)
	require.Equal(t, 422, f.get("/v1/sessions?phase=gala").status)
	for _, path := range []string{"/v1/draws", "/v1/draws/", "/v1/draws//entries", "/v1/draws/ballot/",
		"/v1/draws/ballot/entries/", "/v1/draws/ballot/entries/a/b",
		"/v1/draws/ballot/freeze"} {
		require.Equal(t, "not_found", f.get(path).code(), path)
	}
	cut := f.raw("GET /v1/draws/ballot/entries/a%4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	require.Equal(t, "malformed_request", cut.on(operation{"readEntry", "GET", "/v1/draws/ballot/entries/a", ""}).code())
	for _, body := range []string{``, `{}`, `[]`, `{"account":1}`, `{"account":"a b"}`,
		`{"account":"a","priority_group":""}`, `{"account":"a","priority_group":"vip"}`,
		`{"account":"a","group":"club"}`, `{"account":"a","account":"a"}`, `{"account":"a"}x`,
		`{"account":"` + strings.Repeat("a", 65) + `"}`} {
		require.Equal(t, "malformed_request", f.post("/v1/draws/ballot/entries", body).code(), body)
	}
}

// TestSessionFilter checks the parameters of GET /v1/sessions.
func TestSessionFilter(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	listed := func(query string) string {
		a := f.get("/v1/sessions" + query)
		require.Equal(t, 200, a.status, "%s: %s", query, a.body)
		names := []string{}
		for _, session := range a.json["sessions"].([]any) {
			names = append(names, session.(map[string]any)["session"].(string))
		}
		return strings.Join(names, " ")
	}
	sale := f.engine.Sale()
	all, summer := []string{}, []string{}
	early, _ := sale.PhaseByID("early")
	for i := range sale.Sessions {
		all = append(all, sale.Sessions[i].ID)
		if sale.Phases[early].Sells(i) {
			summer = append(summer, sale.Sessions[i].ID)
		}
	}
	require.Equal(t, strings.Join(all, " "), listed(""))
	require.Equal(t, strings.Join(all, " "), listed("?"))
	require.Equal(t, strings.Join(summer, " "), listed("?phase=early"))
	require.Equal(t, listed("?phase=early"), listed("?phase=e%61rly"))
	require.Less(t, len(summer), len(all))

	// ATH01 has 9 tickets of A and 90 of B, every other session one category of 90.
	require.Equal(t, "ATH01", strings.Fields(listed("?phase=early&available=90"))[0])
	require.Equal(t, listed("?phase=early&available=90"), listed("?available=90&phase=early"))
	require.Equal(t, 201, f.post("/v1/reservations",
		`{"id":"`+someID+`","account":"a","lines":[{"session":"ATH01","category":"B","quantity":6}]}`).status)
	require.Equal(t, "ATH01", strings.Fields(listed("?phase=early&available=84"))[0])
	require.NotContains(t, listed("?phase=early&available=85"), "ATH01")
	require.Contains(t, listed("?phase=early&available=85"), "SWM01")
	require.Equal(t, "", listed("?phase=early&available=4095"))
	require.Equal(t, 200, f.post("/v1/reservations/"+someID+"/release", "").status)
	require.Contains(t, listed("?phase=early&available=90"), "ATH01")

	for _, query := range []string{"phase", "phase=", "available=", "available=0", "available=01", "available=+1",
		"available=-1", "available=1.0", "available=4096",
		"available=99999999999999999999", "phase=early&phase=early", "available=1&available=1", "available=1&",
		"&available=1x", "limit=1", "Phase=early",
		"phase=%", "phase=%zz", "available=1&limit=1", "%70hase=early"} {
		a := f.get("/v1/sessions?" + query)
		if query == "available=1&" { // nothing follows the ampersand
			require.Equal(t, 200, a.status)
			continue
		}
		require.Equal(t, 400, a.status, query)
		require.Equal(t, "malformed_request", a.code(), query)
	}
	require.Equal(t, http.StatusOK, f.get("/v1/phases?limit=1").status, "other paths ignore the query")
}

// TestAccessSlotsOverHTTP checks the rules of access slots as a client sees them.
func TestAccessSlotsOverHTTP(t *testing.T) {
	noLeaks(t)
	f := startAt(t, "2024-01-01T00:00:00Z", nil)
	require.Equal(t, 201, f.post("/v1/draws/ballot/entries", `{"account":"a"}`).status)
	f.clock.set(instantOf(t, "2024-01-05T00:00:00Z"))
	runDraw(t, f)
	reserve := func(account string) *answer {
		return f.post("/v1/reservations",
			`{"account":"`+account+`","phase":"drawn","lines":[{"session":"SWM01","category":"A","quantity":1}]}`)
	}
	opens := instantOf(t, "2024-01-15T00:00:00Z")
	f.clock.set(opens.Add(-time.Second))
	require.Equal(t, "phase_not_open", reserve("a").code())
	f.clock.set(opens)
	require.Equal(t, "no_access_slot", reserve("b").code())
	require.Equal(t, 201, reserve("a").status)
	f.clock.set(opens.Add(48*time.Hour - time.Second))
	held := reserve("a")
	require.Equal(t, 201, held.status)
	f.clock.set(opens.Add(48 * time.Hour))
	ended := reserve("a")
	require.Equal(t, "slot_ended", ended.code())
	require.Equal(t, "2024-01-17T00:00:00.000Z", ended.json["closed_at"])
	confirmed := f.post("/v1/reservations/"+held.json["id"].(string)+"/confirm", "")
	require.Equal(t, 200, confirmed.status, "a reservation of the slot may be confirmed after it")
	require.Equal(t, engine.Confirmed.String(), confirmed.json["state"])
}
