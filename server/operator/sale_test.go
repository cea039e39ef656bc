package operator

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
)

// selling is the operator's port of an engine that sells the test sale.
type selling struct {
	t      *testing.T
	engine *engine.Engine
	port   http.Handler
	log    bytes.Buffer // audit lines
}

func sell(t *testing.T) *selling {
	sale, err := catalog.Load("../testdata/sale")
	require.NoError(t, err)
	return sellSale(t, sale)
}

func sellSale(t *testing.T, sale *catalog.Sale) *selling {
	now := time.Date(2024, 1, 10, 9, 0, 0, 0, time.UTC)
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Durability: engine.None,
		Clock: saleclock.Virtual(func() time.Time { return now })})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	keys, err := server.ParseKeys(strings.NewReader("read " + readKey + " dashboard\nadmin " + adminKey + " ops\n"))
	require.NoError(t, err)
	s := &selling{t: t, engine: e}
	s.port = New(Options{Keys: keys, Loopback: true, Ready: func() error { return nil }, Metrics: http.NotFoundHandler(),
		Audit: slog.New(slog.NewTextHandler(&s.log, nil)), Engine: func() *engine.Engine { return e }}).Handler
	return s
}

// reply is a response.
type reply struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

// call makes a call with an admin's key, and further headers.
func (s *selling) call(method, path, body string, header ...string) *reply {
	s.t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+adminKey)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	s.port.ServeHTTP(w, r)
	a := &reply{status: w.Code, header: w.Header(), body: w.Body.Bytes()}
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		require.NoError(s.t, json.Unmarshal(a.body, &a.json), "%s", a.body)
	}
	return a
}

// want makes a call and checks its status and, of a refusal, its code.
func (s *selling) want(status int, code, method, path, body string, header ...string) *reply {
	s.t.Helper()
	a := s.call(method, path, body, header...)
	require.Equal(s.t, status, a.status, "%s", a.body)
	got, _ := a.json["code"].(string)
	require.Equal(s.t, code, got, "%s", a.body)
	return a
}

// hold reserves tickets of category A of a session.
func (s *selling) hold(account, session string, quantity int) error {
	r := engine.Reservation{}
	return s.engine.Reserve(s.t.Context(), &engine.Request{Account: account,
		Lines: []engine.Line{{Session: session, Category: "A", Quantity: quantity}}}, &r)
}

// tarOf returns the test sale with replacements as a tar: file, old, new.
func tarOf(t *testing.T, changes ...[3]string) string {
	dir := filepath.Join(t.TempDir(), "sale")
	require.NoError(t, os.CopyFS(dir, os.DirFS("../testdata/sale")))
	for _, c := range changes {
		text, err := os.ReadFile(filepath.Join(dir, c[0]))
		require.NoError(t, err)
		require.Contains(t, string(text), c[1])
		changed := strings.Replace(string(text), c[1], c[2], 1)
		require.NoError(t, os.WriteFile(filepath.Join(dir, c[0]), []byte(changed), 0o600))
	}
	sale, err := catalog.Load(dir)
	require.NoError(t, err)
	return string(sale.Files.AppendTar(nil))
}

var withholdReturned = [3]string{"sale.yaml", "session_limit: 6}", "session_limit: 6, returned_tickets: withheld}"}

var lowerCap = [3]string{"sale.yaml", "account_cap: 10", "account_cap: 9"}

// TestSaleChanges shows, plans and applies definitions.
func TestSaleChanges(t *testing.T) {
	s := sell(t)
	first := s.want(200, "", "GET", "/admin/sale", "")
	digest := first.json["digest"].(string)
	require.Len(t, digest, 64)
	require.Equal(t, `"`+digest+`"`, first.header.Get("ETag"))
	require.Equal(t, "games", first.json["sale"])
	require.EqualValues(t, 1, first.json["version"])
	require.EqualValues(t, 7, first.json["sessions"])
	require.Equal(t, "2024-01-10T09:00:00.000Z", first.json["since"])
	require.Equal(t, map[string]any{"sale": false, "phases": []any{}, "sessions": []any{}}, first.json["paused"])

	files := s.want(200, "", "GET", "/admin/sale", "", "Accept", "text/html, application/x-tar;q=0.9")
	require.Equal(t, tarType, files.header.Get("Content-Type"))
	require.Equal(t, tarOf(t), string(files.body))
	same := s.want(200, "", "POST", "/admin/sale/plan", string(files.body))
	require.Equal(t, map[string]any{"digest": digest, "changes": []any{}, "objections": []any{}, "same": true,
		"next_version": 2.0}, same.json)

	other := tarOf(t, lowerCap)
	plan := s.want(200, "", "POST", "/admin/sale/plan", other)
	require.Equal(t, digest, plan.json["digest"])
	require.Len(t, plan.json["changes"], 1)
	require.Contains(t, plan.json["changes"].([]any)[0], "programme summer: ")
	require.Equal(t, false, plan.json["same"])
	require.EqualValues(t, 1, s.call("GET", "/admin/sale", "").json["version"])

	unknown := strings.Repeat("0", 64)
	for _, condition := range []string{"", "*", `W/"` + digest + `"`, `"` + unknown + `"`, `""`, `"` + digest} {
		refused := s.want(412, "precondition_failed", "POST", "/admin/sale/apply", other, "If-Match", condition)
		require.Equal(t, digest, refused.json["digest"], condition)
	}
	require.Empty(t, s.want(200, "", "POST", "/admin/sale/apply", tarOf(t), "If-Match", digest).json["changes"])
	done := s.want(200, "", "POST", "/admin/sale/apply", other, "If-Match", `"other", "`+digest+`"`)
	require.EqualValues(t, 2, done.json["version"])
	require.Equal(t, plan.json["changes"], done.json["changes"])
	require.Equal(t, `"`+done.json["digest"].(string)+`"`, done.header.Get("ETag"))
	require.Contains(t, s.log.String(), `key=ops role=admin method=POST path=/admin/sale/apply status=200 version=2 `+
		`change="programme summer: `)
	s.want(412, "precondition_failed", "POST", "/admin/sale/apply", other, "If-Match", `"`+digest+`"`)

	now := s.want(200, "", "GET", "/admin/sale", "")
	require.Equal(t, done.json["digest"], now.json["digest"])
	require.EqualValues(t, 2, now.json["version"])
	back := s.want(200, "", "POST", "/admin/sale/plan", tarOf(t))
	require.EqualValues(t, 1, back.json["earlier_version"])

	less := tarOf(t, [3]string{"sessions.csv", "JUD01,summer,Judo,Arena,Paris,2024-07-20,10:00,12:00,1,Heavy\n", ""},
		[3]string{"prices.csv", "JUD01,A,80,100\n", ""})
	s.want(200, "", "POST", "/admin/sale/apply", less, "If-Match", now.header.Get("ETag"))
	require.EqualValues(t, 6, s.call("GET", "/admin/sale", "").json["sessions"], "without the removed one")
	s.want(404, "session_not_found", "PUT", "/admin/sessions/JUD01/pools/A", `{"capacity":9}`)
}

// TestSaleChangesRefused lists what is not applied, and checks that nothing changes.
func TestSaleChangesRefused(t *testing.T) {
	s := sell(t)
	require.NoError(t, s.hold("a", "ATH01", 5))
	before := s.call("GET", "/admin/sale", "")
	match := []string{"If-Match", before.header.Get("ETag")}
	for _, call := range []string{"plan", "apply"} {
		path := "/admin/sale/" + call
		s.want(400, "malformed_request", "POST", path, "", match...)
		s.want(400, "malformed_request", "POST", path, strings.Repeat("x", 4096), match...)
		s.want(413, "payload_too_large", "POST", path, tarOf(t)[:512]+strings.Repeat("\x00", MaxDefinition), match...)
		s.want(415, "unsupported_media_type", "POST", path, "", append(match, "Content-Encoding", "gzip")...)
		faulty := strings.Replace(tarOf(t), "account_cap: 10", "account_cap: -1", 1)
		faults := s.want(422, "faulty_definition", "POST", path, faulty, match...).json["faults"]
		require.Len(t, faults, 1)
		require.Contains(t, faults.([]any)[0], "sale.yaml:7: programmes.summer.account_cap: ")
	}
	fewer := tarOf(t, [3]string{"prices.csv", "ATH01,A,170,10", "ATH01,A,170,4"})
	objections := s.want(200, "", "POST", "/admin/sale/plan", fewer).json["objections"]
	require.Len(t, objections, 1)
	require.Contains(t, objections.([]any)[0], "ATH01")
	refused := s.want(409, "change_refused", "POST", "/admin/sale/apply", fewer, match...)
	require.Equal(t, objections, refused.json["objections"])

	s.want(401, "unauthenticated", "POST", "/admin/sale/apply", fewer, "Authorization", "")
	s.want(403, "forbidden", "POST", "/admin/sale/apply", fewer, "Authorization", "Bearer "+readKey)
	s.want(403, "forbidden", "GET", "/admin/sale", "", "Authorization", "Bearer "+readKey)
	s.want(403, "forbidden", "POST", "/admin/sale/apply", fewer, "Sec-Fetch-Site", "cross-site")
	for _, method := range []string{"DELETE", "PATCH", "OPTIONS", "PUT"} {
		a := s.want(405, "method_not_allowed", method, "/admin/sale", "")
		require.Equal(t, "GET, HEAD", a.header.Get("Allow"))
	}
	s.want(405, "method_not_allowed", "GET", "/admin/sale/plan", "")
	s.want(404, "not_found", "GET", "/admin/none", "")
	require.Equal(t, before.body, s.call("GET", "/admin/sale", "").body)
}

// TestSlowUpload sends a definition that takes longer than other requests may: every read that comes after the head of
// the request is later than the port's time for a request.
func TestSlowUpload(t *testing.T) {
	s := sell(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := &http.Server{Handler: s.port, ReadHeaderTimeout: time.Minute, ReadTimeout: time.Nanosecond}
	ended := make(chan error)
	go func() { ended <- port.Serve(ln) }()
	send := func(path string) int {
		body := strings.NewReader(tarOf(t) + strings.Repeat("\x00", 1<<20))
		r, err := http.NewRequest(http.MethodPost, "http://"+ln.Addr().String()+path, body)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+adminKey)
		w, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, w.Body.Close())
		return w.StatusCode
	}
	require.Equal(t, 200, send("/admin/sale/plan"))
	require.NoError(t, port.Close())
	require.ErrorIs(t, <-ended, http.ErrServerClosed)
}

// TestPauses pauses and resumes everything that can be.
func TestPauses(t *testing.T) {
	s := sell(t)
	for _, path := range []string{"/admin/sale/paused", "/admin/phases/early/paused", "/admin/sessions/ATH01/paused"} {
		require.NoError(t, s.hold("before-"+path[7:9], "ATH01", 1))
		for _, wanted := range []string{"true", "true", "false", "true"} {
			a := s.want(200, "", "PUT", path, `{"paused": `+wanted+`}`)
			require.JSONEq(t, `{"paused": `+wanted+`}`, string(a.body))
			require.Equal(t, a.body, s.want(200, "", "GET", path, "").body)
			require.Contains(t, s.log.String(), "path="+path+" status=200 paused="+wanted)
		}
		refused, _ := s.hold("while-paused", "ATH01", 1).(*engine.Refusal)
		require.NotNil(t, refused)
		require.Equal(t, engine.Code("paused"), refused.Code)
		for _, body := range []string{"", "{}", "[]", `{"paused":null}`, `{"paused":1}`, `{"paused":true,"paused":true}`,
			`{"paused":true,"more":1}`, `{"paused":true}x`, `{"Paused":true}`} {
			s.want(400, "malformed_request", "PUT", path, body)
		}
		s.want(413, "payload_too_large", "PUT", path, strings.Repeat(" ", 5000))
		s.want(200, "", "PUT", path, `{"paused":false}`)
	}
	s.want(200, "", "PUT", "/admin/sessions/ATH01/paused", `{"paused":true}`)
	s.want(200, "", "PUT", "/admin/phases/snow/paused", `{"paused":true}`)
	require.Equal(t, map[string]any{"sale": false, "phases": []any{"snow"}, "sessions": []any{"ATH01"}},
		s.call("GET", "/admin/sale", "").json["paused"])
	for _, method := range []string{"GET", "PUT"} {
		s.want(422, "unknown_phase", method, "/admin/phases/none/paused", `{"paused":true}`)
		s.want(404, "session_not_found", method, "/admin/sessions/none/paused", `{"paused":true}`)
	}
}

// TestPoolStock sets the numbers of a pool.
func TestPoolStock(t *testing.T) {
	s := sell(t)
	const path = "/admin/sessions/ATH01/pools/A" // 10, of which 1 is withheld
	require.NoError(t, s.hold("a", "ATH01", 4))
	a := s.want(200, "", "PUT", path, `{"capacity": 20}`)
	require.JSONEq(t, `{"session":"ATH01","category":"A","capacity":20,"available":15,"held":4,"sold":0,"withheld":1}`,
		string(a.body))
	require.Contains(t, s.log.String(), "path="+path+" status=200 capacity=20 request_id=", "what was asked for")
	a = s.want(200, "", "PUT", path, `{"capacity": 6, "withheld": 2}`)
	require.EqualValues(t, 0, a.json["available"])
	refused := s.want(409, "stock_taken", "PUT", path, `{"withheld": 3}`)
	require.EqualValues(t, 4, refused.json["taken"])
	require.Equal(t, "ATH01", refused.json["session"])
	s.want(409, "stock_taken", "PUT", path, `{"capacity": 5}`)
	for _, body := range []string{`{"capacity": 1}`, `{"capacity": 0}`, `{"withheld": 7}`} { // 2 of 6 are withheld
		require.EqualValues(t, 4, s.want(409, "stock_taken", "PUT", path, body).json["taken"])
	}
	for _, body := range []string{"", "{}", `{"capacity":"9"}`, `{"capacity":1.5}`, `{"capacity":-1}`, `{"withheld":-1}`,
		`{"capacity":9,"price":1}`, `{"capacity":9,"withheld":10}`, `{"capacity":99999999999}`} {
		s.want(400, "malformed_request", "PUT", path, body)
	}
	s.want(404, "session_not_found", "PUT", "/admin/sessions/none/pools/A", `{"capacity":9}`)
	s.want(422, "unknown_category", "PUT", "/admin/sessions/ATH01/pools/none", `{"capacity":9}`)

	// The files in force have what was set.
	files := s.want(200, "", "GET", "/admin/sale", "", "Accept", tarType)
	read, err := catalog.ReadTar(bytes.NewReader(files.body))
	require.NoError(t, err)
	table, err := read.FS().Open("stock.csv")
	require.NoError(t, err)
	text, err := io.ReadAll(table)
	require.NoError(t, err)
	require.Equal(t, "session,category,capacity,withheld\nATH01,A,6,2\n", string(text))
	plan := s.want(200, "", "POST", "/admin/sale/plan", string(files.body))
	require.Empty(t, plan.json["changes"])
}

// TestWithheldPool sets what is withheld of a pool to which withheld tickets were returned. The call has the words of
// GET, so what is withheld afterwards is what was put. Returned places are on sale again if fewer are withheld.
func TestWithheldPool(t *testing.T) {
	read, err := catalog.ReadTar(strings.NewReader(tarOf(t, withholdReturned)))
	require.NoError(t, err)
	sale, err := catalog.LoadFS(read.FS())
	require.NoError(t, err)
	s := sellSale(t, sale)
	const path = "/admin/sessions/ATH01/pools/A" // 10, of which 1 is withheld
	put := func(body string, capacity, available, withheld int) {
		t.Helper()
		a := s.want(200, "", "PUT", path, body)
		require.Equal(t, []any{float64(capacity), float64(available), float64(withheld)},
			[]any{a.json["capacity"], a.json["available"], a.json["withheld"]}, "%s", a.body)
	}
	s.sellAndReturn("a", "ATH01", 3)
	put(`{"capacity": 10}`, 10, 6, 4)
	put(`{"withheld": 4}`, 10, 6, 4)
	put(`{"withheld": 5}`, 10, 5, 5)
	s.sellAndReturn("b", "ATH01", 2)
	put(`{"capacity": 10}`, 10, 3, 7)
	put(`{"withheld": 0}`, 10, 10, 0)
	require.Contains(t, s.log.String(), "path="+path+" status=200 withheld=0 request_id=")
	put(`{"capacity": 4, "withheld": 4}`, 4, 0, 4)
	require.EqualValues(t, 0, s.want(409, "stock_taken", "PUT", path, `{"capacity": 3}`).json["taken"])
	put(`{"withheld": 1}`, 4, 3, 1)
	require.NoError(t, s.hold("c", "ATH01", 3))
	refused := s.want(409, "stock_taken", "PUT", path, `{"withheld": 2}`)
	require.EqualValues(t, 3, refused.json["taken"])
	require.Equal(t, "session ATH01, category A: 3 tickets are taken, so a capacity of 4 less 2 withheld is too low",
		refused.json["detail"])

	// The files say nothing of returned places, and a definition leaves them as they are.
	files := s.want(200, "", "GET", "/admin/sale", "", "Accept", tarType)
	require.Empty(t, s.want(200, "", "POST", "/admin/sale/plan", string(files.body)).json["changes"])
	version := s.want(200, "", "POST", "/admin/sale/apply", string(files.body), "If-Match",
		s.call("GET", "/admin/sale", "").header.Get("ETag"))
	require.NotEmpty(t, version.json["version"])
	put(`{"withheld": 1}`, 4, 0, 1)
}

// sellAndReturn sells tickets of category A of a session, and returns them.
func (s *selling) sellAndReturn(account, session string, quantity int) {
	s.t.Helper()
	r := engine.Reservation{}
	id := engine.ID{15: account[0]}
	require.NoError(s.t, s.engine.Reserve(s.t.Context(), &engine.Request{ID: id, Account: account,
		Lines: []engine.Line{{Session: session, Category: "A", Quantity: quantity}}}, &r))
	require.NoError(s.t, s.engine.Confirm(s.t.Context(), id, "", &r))
	require.NoError(s.t, s.engine.Return(s.t.Context(), id, "", &r))
}

// TestDerivedStock sets the stock of a pool that the stock rule has filled: the files in force state it from then on,
// so a definition that begins with them changes nothing.
func TestDerivedStock(t *testing.T) {
	s := sellSale(t, catalog.Paris2024())
	s.want(200, "", "PUT", "/admin/sessions/ATH10/pools/A", `{"withheld": 40}`)
	files := s.want(200, "", "GET", "/admin/sale", "", "Accept", tarType)
	require.Empty(t, s.want(200, "", "POST", "/admin/sale/plan", string(files.body)).json["changes"])
}
