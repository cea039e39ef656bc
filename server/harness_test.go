package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server/internal/encode"
)

// noLeaks fails the test if it leaks goroutines, except those of fasthttp that end by themselves or never.
func noLeaks(t *testing.T) {
	known := []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // sleeps out its ten seconds
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),    // one per process
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp/stackless.funcWorker"),      // compress; one per processor
		goleak.IgnoreCurrent(),
	}
	t.Cleanup(func() { goleak.VerifyNone(t, known...) })
}

// handClock is a sale clock that the test moves. It does not go back: the engine freezes the entries of a draw as soon
// as it reads an instant after the end of their registration.
type handClock struct{ now atomic.Pointer[time.Time] }

func clockAt(t time.Time) *handClock {
	c := &handClock{}
	c.set(t)
	return c
}

func (c *handClock) set(t time.Time) {
	if before := c.now.Swap(&t); before != nil && t.Before(*before) {
		panic("a sale clock does not go back")
	}
}

func (c *handClock) advance(d time.Duration)        { c.set(c.read().Add(d)) }
func (c *handClock) read() time.Time                { return *c.now.Load() }
func instantOf(t testing.TB, text string) time.Time { return must(time.Parse(time.RFC3339, text))(t) }
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		require.NoError(t, err)
		return value
	}
}

// fixture is a server on a real socket with a real engine, and a client that validates every exchange with the
// document.
type fixture struct {
	t       testing.TB
	clock   *handClock
	engine  *engine.Engine
	server  *Server
	address string
	client  *http.Client
	log     *safeBuffer
	served  chan error
	secure  *tls.Config // of a client, when dial uses TLS
}

// early is an instant at which one phase of each programme of the test sale is open.
const early = "2024-01-10T09:00:00Z"

func newEngine(t testing.TB, clock *handClock, change func(*engine.Options)) *engine.Engine {
	o := engine.Options{Sale: must(catalog.Load("testdata/sale"))(t), Durability: engine.None,
		Clock: saleclock.Virtual(clock.read)}
	if change != nil {
		change(&o)
	}
	return must(engine.Open(t.Context(), o))(t)
}

func start(t testing.TB, change func(*Options)) *fixture { return startAt(t, early, change) }

// startAt starts a server whose sale clock is at the instant.
func startAt(t testing.TB, instant string, change func(*Options)) *fixture {
	clock := clockAt(instantOf(t, instant))
	return startWith(t, clock, newEngine(t, clock, nil), change)
}

func startWith(t testing.TB, clock *handClock, e *engine.Engine, change func(*Options)) *fixture {
	f := &fixture{t: t, clock: clock, engine: e, log: &safeBuffer{}, served: make(chan error, 1),
		client: &http.Client{Transport: &http.Transport{}}}
	o := Options{Engine: e, Log: slog.New(slog.NewTextHandler(f.log, nil))}
	if change != nil {
		change(&o)
	}
	f.server = must(New(context.Background(), o))(t)
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	f.address = ln.Addr().String()
	go func() { f.served <- f.server.Serve(ln) }()
	t.Cleanup(f.stop)
	return f
}

// takeAllTurns takes all turns, and makes others wait for no more than a moment, each time. The result leaves them.
func (f *fixture) takeAllTurns() (leave func()) {
	f.server.turns.longest, f.server.turns.hold = time.Millisecond, 0
	// So that their number stays.
	require.Eventually(f.t, func() bool { return f.server.turns.paced.CompareAndSwap(false, true) }, patience,
		time.Millisecond)
	all := f.server.turns.free.Swap(0)
	return func() {
		f.server.turns.paced.Store(false)
		f.server.turns.give(all)
	}
}

// overTLS adds a listener with TLS, and returns the fixture of its clients.
func (f *fixture) overTLS() *fixture {
	donor := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate for 127.0.0.1
	f.t.Cleanup(donor.Close)
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(f.t)
	served := make(chan error, 1)
	go func() {
		served <- f.server.ServeTLS(ln, donor.TLS)
	}()
	f.t.Cleanup(func() {
		f.stop()
		require.NoError(f.t, <-served)
	})
	secure := *f
	secure.address = ln.Addr().String()
	secure.secure = donor.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	secure.secure.ServerName = "127.0.0.1"
	return &secure
}

func (f *fixture) stop() {
	f.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	require.NoError(f.t, f.server.Shutdown(ctx))
	require.NoError(f.t, <-f.served)
	f.served <- nil // stop may be called again
	require.NoError(f.t, f.engine.Close())
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   []byte // decoded
	sent   int    // length of the body as it was sent
	json   map[string]any
	last   bool // the connection is closed after it
}

func (a *answer) code() string { code, _ := a.json["code"].(string); return code }

// call sends a request, and validates it and the response with the document.
func (f *fixture) call(method, path, body string, header ...string) *answer {
	f.t.Helper()
	request := must(http.NewRequest(method, "http://"+f.address+path, strings.NewReader(body)))(f.t)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := f.client.Do(request)
	require.NoError(f.t, err)
	content := must(io.ReadAll(response.Body))(f.t)
	require.NoError(f.t, response.Body.Close())
	a := &answer{status: response.StatusCode, header: response.Header, sent: len(content),
		body: decoded(f.t, response.Header.Get("Content-Encoding"), content)}
	if strings.Contains(response.Header.Get("Content-Type"), "json") && method != http.MethodHead {
		decoder := json.NewDecoder(bytes.NewReader(a.body))
		decoder.UseNumber()
		require.NoError(f.t, decoder.Decode(&a.json), "%s", a.body)
	}
	require.NotEmpty(f.t, a.header.Get("Request-Id"))
	contract.check(f.t, request, body, a)
	return a
}

func (f *fixture) post(path, body string) *answer { f.t.Helper(); return f.call("POST", path, body) }
func (f *fixture) get(path string) *answer        { f.t.Helper(); return f.call("GET", path, "") }

// reserveOne reserves tickets of category A of a session.
func (f *fixture) reserveOne(id, account, session, quantity string) *answer {
	f.t.Helper()
	return f.post("/v1/reservations",
		`{"id":"`+id+`","account":"`+account+`","lines":[{"session":"`+session+`","category":"A","quantity":`+quantity+`}]}`)
}

// contract is the document, and the responses that were seen.
var contract = &documented{}

type documented struct {
	once   sync.Once
	doc    *openapi3.T
	router routers.Router

	mu       sync.Mutex
	answered map[string]bool // `reserve 201`
	codes    map[string]bool
}

func (d *documented) load(t testing.TB) {
	d.once.Do(func() {
		d.answered, d.codes = map[string]bool{}, map[string]bool{}
		d.doc = must(openapi3.NewLoader().LoadFromData([]byte(document)))(t)
		d.router = must(gorillamux.NewRouter(d.doc))(t)
	})
}

func (d *documented) check(t testing.TB, request *http.Request, body string, a *answer) {
	t.Helper()
	d.load(t)
	if a.status >= 400 {
		require.Equal(t, encode.ProblemType, a.header.Get("Content-Type"))
		if request.Method != http.MethodHead {
			d.note(a.code(), &d.codes)
		}
	}
	// The router has the document's paths, without a host.
	relative := request.Clone(t.Context())
	relative.URL.Scheme, relative.URL.Host, relative.Host = "", "", ""
	route, params, err := d.router.FindRoute(relative)
	if err != nil {
		d.checkElsewhere(t, request, a)
		return
	}
	d.note(route.Operation.OperationID+" "+http.StatusText(a.status), &d.answered)
	for name, value := range params {
		params[name] = must(url.PathUnescape(value))(t)
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	input := &openapi3filter.RequestValidationInput{Request: relative, PathParams: params, Route: route, Options: options}
	if d.checkResults(t, a); a.status < 400 && !bytes.Contains(a.body, []byte(`"problem":`)) {
		relative.Body = io.NopCloser(strings.NewReader(body))
		if body != "" {
			relative.Header.Set("Content-Type", "application/json")
		}
		require.NoError(t, openapi3filter.ValidateRequest(t.Context(), input),
			"the document refuses what the server accepted")
	}
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: a.status, Header: a.header,
		Body: io.NopCloser(bytes.NewReader(a.body)), Options: input.Options}
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), response), "%d %s", a.status, a.body)
}

// checkResults validates the problems of a batch with the schemas of their codes.
func (d *documented) checkResults(t testing.TB, a *answer) {
	t.Helper()
	results, _ := a.json["results"].([]any)
	for _, result := range results {
		result := result.(map[string]any)
		problem, refused := result["problem"].(map[string]any)
		if !refused {
			continue
		}
		require.Equal(t, result["status"], problem["status"])
		d.checkProblem(t, problem["code"].(string), must(json.Marshal(problem))(t))
	}
}

// checkElsewhere checks what the document describes in words about other paths and methods.
func (d *documented) checkElsewhere(t testing.TB, request *http.Request, a *answer) {
	t.Helper()
	if request.Method == http.MethodHead || a.status == http.StatusNoContent {
		require.Empty(t, a.body)
		return
	}
	require.GreaterOrEqual(t, a.status, 400, "a response that is not in the document")
	d.checkProblem(t, a.code(), a.body)
}

// checkProblem validates a problem with the schema of its code.
func (d *documented) checkProblem(t testing.TB, code string, body []byte) {
	t.Helper()
	d.load(t)
	name := problemSchema(code)
	schema := d.doc.Components.Schemas[name]
	require.NotNil(t, schema, "the document has no schema %s", name)
	var value any
	require.NoError(t, json.Unmarshal(body, &value))
	require.NoError(t, schema.Value.VisitJSON(value, openapi3.EnableJSONSchema2020()), "%s", body)
}

// problemSchema is the name of the schema of a code: SoldOutProblem for sold_out.
func problemSchema(code string) string {
	name := ""
	for _, word := range strings.Split(code, "_") {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name + "Problem"
}

func (d *documented) note(what string, in *map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	(*in)[what] = true
}

func (d *documented) seen(what string, in *map[string]bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return (*in)[what]
}

// safeBuffer is a buffer that many goroutines write.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
