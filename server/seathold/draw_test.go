package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/operator"
)

// drawServer is both ports of a server with a journal, and a sale clock that the test moves.
type drawServer struct {
	t        *testing.T
	sale     *catalog.Sale
	now      atomic.Pointer[time.Time]
	machine  func() time.Time // nil for the real one
	engine   *engine.Engine
	api      string
	admin    string
	shutdown []func()
}

// newDrawServer serves the Paris 2024 sale. It freezes draws by itself, as a server does.
func newDrawServer(t *testing.T, keys string) *drawServer {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	s := &drawServer{t: t, sale: sale}
	s.at("2022-12-01T00:00:00Z")
	s.start(t.TempDir(), keys)
	t.Cleanup(s.stop)
	return s
}

func (s *drawServer) at(instant string) {
	now, err := time.Parse(time.RFC3339, instant)
	require.NoError(s.t, err)
	s.now.Store(&now)
}

func (s *drawServer) start(dir, keys string) {
	j, err := embedded.Open(dir, embedded.Options{})
	require.NoError(s.t, err)
	s.engine, err = engine.Open(s.t.Context(), engine.Options{Sale: s.sale, Journal: j, MaxAccounts: 1 << 20,
		Clock: saleclock.Virtual(func() time.Time { return *s.now.Load() }), MachineClock: s.machine})
	require.NoError(s.t, err)
	o := server.Options{Engine: s.engine}
	if keys != "" {
		o.Keys, err = server.ParseKeys(strings.NewReader(keys))
		require.NoError(s.t, err)
	}
	api, err := server.New(context.Background(), o)
	require.NoError(s.t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	served, operated := make(chan error, 1), make(chan error, 1)
	go func() { served <- api.Serve(ln) }()
	port := operator.New(operator.Options{Ready: api.Ready, Metrics: http.NotFoundHandler(), Engine: api.Engine,
		Keys: o.Keys})
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	go func() { operated <- port.Serve(admin) }()
	s.api, s.admin = "http://"+ln.Addr().String(), "http://"+admin.Addr().String()
	s.shutdown = append(s.shutdown, func() {
		require.NoError(s.t, port.Close())
		require.NoError(s.t, api.Shutdown(context.Background()))
		require.ErrorIs(s.t, <-operated, http.ErrServerClosed)
		require.NoError(s.t, <-served)
		require.NoError(s.t, s.engine.Close())
	})
}

func (s *drawServer) stop() {
	for _, end := range s.shutdown {
		end()
	}
	s.shutdown = nil
}

// call makes a request to the API.
func (s *drawServer) call(method, path, body string) (status int, answer map[string]any) {
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.api+path, strings.NewReader(body))
	require.NoError(s.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, response.Body.Close()) }()
	require.NoError(s.t, json.NewDecoder(response.Body).Decode(&answer))
	return response.StatusCode, answer
}

// text returns the body of an answer.
func (s *drawServer) text(path string) string {
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.api+path, nil)
	require.NoError(s.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Body.Close())
	return string(body)
}

// command runs a command line in this process.
func command(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &process{stdout: &out, stderr: &errs})
	return code, out.String(), errs.String()
}

// done runs a command that must succeed.
func done(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := command(args...)
	require.Equal(t, exitDone, code, "%s\n%s", stdout, stderr)
	return stdout
}

// refusedWith runs a command that must fail with one line, which contains want.
func refusedWith(t *testing.T, want string, args ...string) {
	t.Helper()
	code, _, stderr := command(args...)
	require.Equal(t, exitFailed, code, stderr)
	require.Contains(t, stderr, want)
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	require.True(t, strings.HasPrefix(stderr, "seathold: "), stderr)
}

func write(t *testing.T, content string) (path string) {
	path = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// await waits until draw1 has the status.
func (s *drawServer) await(status string) {
	for deadline := time.Now().Add(30 * time.Second); ; {
		code, draw := s.call("GET", "/v1/draws/draw1", "")
		require.Equal(s.t, 200, code)
		if draw["status"] == status {
			return
		}
		require.True(s.t, time.Now().Before(deadline), "the draw is still %v", draw["status"])
	}
}

const goodBeacon = `{"round":1000,"randomness":"fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",` +
	`"signature":"b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"}`

// One draw of the first sale from registration to the slots, on a real server.
func TestDrawFromRegistrationToSlots(t *testing.T) {
	s := newDrawServer(t, "")
	roll := "account,priority_group\n"
	for i := range 40 {
		roll += fmt.Sprintf("buyer-%02d,%s\n", i, []string{"", "", "", "club"}[i%4])
	}
	require.Contains(t, done(t, "draw", "register", "--draw", "draw1", "--file", write(t, roll), "--server", s.api,
		"--concurrency", "8"), "40 entered, 0 had entered before, 0 lines refused")

	refusedWith(t, "registration_open", "draw", "run", "--draw", "draw1", "--admin", s.admin)
	s.at("2023-01-31T23:00:00Z") // midnight in Paris
	s.await("frozen")
	code, late := s.call("POST", "/v1/draws/draw1/entries", `{"account":"late"}`)
	require.Equal(t, 409, code, late)
	_, frozen := s.call("GET", "/v1/draws/draw1", "")

	wrong := strings.Replace(goodBeacon, `"round":1000`, `"round":1001`, 1)
	forged := strings.Replace(goodBeacon, "fe290b", "fe290c", 1)
	runWith := func(beacon string) []string {
		return []string{"draw", "run", "--draw", "draw1", "--admin", s.admin, "--beacon", beacon}
	}
	refusedWith(t, "beacon of another round: 1001 instead of 1000", runWith(write(t, wrong))...)
	refusedWith(t, "randomness is not the SHA-256", runWith(write(t, forged))...)
	refusedWith(t, "not a drand beacon", runWith(write(t, goodBeacon+"x"))...)
	early := filepath.Join(t.TempDir(), "early")
	refusedWith(t, "draw_not_run", "draw", "export", "--draw", "draw1", "--admin", s.admin, early)
	_, still := s.call("GET", "/v1/draws/draw1", "")
	require.Equal(t, frozen, still, "nothing has changed")

	out := done(t, runWith(newRelay(t, goodBeacon))...)
	require.Contains(t, out, frozen["digest"])
	require.Contains(t, out, "STAND-IN")
	refusedWith(t, "already_drawn", "draw", "run", "--draw", "draw1", "--admin", s.admin)

	s.checkSlots()
	dir := filepath.Join(t.TempDir(), "draw1")
	out = done(t, "draw", "export", "--draw", "draw1", "--admin", s.admin, dir)
	require.Contains(t, out, "40 entries, 40 winners")
	refusedWith(t, "exists already", "draw", "export", "--draw", "draw1", "--admin", s.admin, dir)
	private, err := os.Stat(dir + ".winners.csv")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), private.Mode().Perm())
	require.Contains(t, read(t, dir+".winners.csv"), ",buyer-07,")
	require.NotContains(t, read(t, filepath.Join(dir, "result.csv")), "buyer-07")
	s.checkVerify(dir, frozen["digest"].(string))
}

// newRelay starts a drand relay with one beacon.
func newRelay(t *testing.T, beacon string) (address string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, beacon) })
	relay := &http.Server{ReadHeaderTimeout: time.Second, Handler: answer}
	ended := make(chan error)
	go func() { ended <- relay.Serve(ln) }()
	t.Cleanup(func() {
		require.NoError(t, relay.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return "http://" + ln.Addr().String() + "/public/1000"
}

// checkSlots lets a winner of the Club and one without a group buy before, in and after their slots.
func (s *drawServer) checkSlots() {
	t := s.t
	pack := ""
	phase, _ := s.sale.PhaseByID("packs")
	for i, taken := 0, 0; taken < 3; i++ {
		if s.sale.Phases[phase].Sells(i) {
			taken++
			session := &s.sale.Sessions[i]
			category := s.sale.Pools[session.Pools[0]].Category
			pack += fmt.Sprintf(`,{"session":"%s","category":"%s","quantity":2}`, session.ID, category)
		}
	}
	reserve := func(account string) (int, map[string]any) {
		return s.call("POST", "/v1/reservations", fmt.Sprintf(`{"account":"%s","lines":[%s]}`, account, pack[1:]))
	}
	slots := map[string]map[string]any{}
	for account, priority := range map[string]bool{"buyer-03": true, "buyer-02": false} {
		code, entry := s.call("GET", "/v1/draws/draw1/entries/"+account, "")
		require.Equal(t, 200, code)
		slots[account] = entry["slot"].(map[string]any)
		require.Equal(t, priority, slots[account]["priority"])
		_, ledger := s.call("GET", "/v1/accounts/"+account, "")
		require.Equal(t, []any{entry["slot"]}, ledger["access"])
	}
	require.Equal(t, "2023-02-15T09:00:00.000Z", slots["buyer-03"]["opens_at"], "the first slot is reserved for the Club")
	require.Equal(t, "2023-02-19T09:00:00.000Z", slots["buyer-02"]["opens_at"], "the slots for all begin four days later")

	s.at("2023-02-15T09:00:00Z")
	code, answer := reserve("buyer-03")
	require.Equal(t, 201, code, answer)
	code, answer = reserve("buyer-02")
	require.Equal(t, 403, code)
	require.Equal(t, "slot_not_open", answer["code"])
	require.Equal(t, slots["buyer-02"]["opens_at"], answer["opens_at"])
	code, answer = reserve("stranger")
	require.Equal(t, 403, code)
	require.Equal(t, "no_access_slot", answer["code"])
	s.at("2023-02-17T08:59:59Z")
	code, held := reserve("buyer-03")
	require.Equal(t, 201, code, held)
	s.at("2023-02-17T09:00:00Z")
	code, answer = reserve("buyer-03")
	require.Equal(t, 403, code)
	require.Equal(t, "slot_ended", answer["code"])
	s.at("2023-02-17T09:16:58Z")
	code, answer = s.call("POST", "/v1/reservations/"+held["id"].(string)+"/confirm", "")
	require.Equal(t, 200, code, "a hold made within the slot can be confirmed until it expires: %v", answer)
}

// checkVerify verifies an export as anyone can, and then with a byte changed.
func (s *drawServer) checkVerify(dir, root string) {
	t := s.t
	out := done(t, "draw", "verify", dir)
	require.Contains(t, out, "STAND-IN")
	require.Contains(t, out, "compare it with what was published")
	require.Contains(t, done(t, "draw", "verify", dir, "--root", strings.ToUpper(root)), "is the one given")
	require.Contains(t, done(t, "draw", "verify", dir, "--server", s.api), "is the one that "+s.api)
	refusedWith(t, "published was "+strings.Repeat("0", 64), "draw", "verify", dir, "--root", strings.Repeat("0", 64))
	code, _, stderr := command("draw", "verify", dir, "--root", "12")
	require.Equal(t, exitUsage, code, stderr)

	other := filepath.Join(t.TempDir(), "sale")
	require.NoError(t, os.CopyFS(other, os.DirFS("../../engine/catalog/paris2024")))
	definition, err := os.ReadFile(filepath.Join(other, "sale.yaml"))
	require.NoError(t, err)
	for from, to := range map[string]string{"places: 6000": "places: 5999", "priority_days: 4": "priority_days: 3"} {
		changed := strings.Replace(string(definition), from, to, 1)
		require.NotEqual(t, string(definition), changed)
		require.NoError(t, os.WriteFile(filepath.Join(other, "sale.yaml"), []byte(changed), 0o600))
		refusedWith(t, "is not the draw of the sale paris2024", "draw", "verify", dir, "--sale", other)
	}

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 6)
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		good, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, at := range []int{0, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			refusedWith(t, "refused", "draw", "verify", dir)
		}
		require.NoError(t, os.WriteFile(path, good, 0o600))
	}
	done(t, "draw", "verify", dir)
}

// The operator's calls require an admin's key if there are keys, and refuse cross-origin requests.
func TestDrawCallsNeedAnOperator(t *testing.T) {
	const sell, admin = "for-selling-tickets", "for-the-operator-1"
	s := newDrawServer(t, "sell "+sell+"\nadmin "+admin)
	roll := write(t, "account\nalice\n")
	register := func(draw, file string, key ...string) []string {
		return append([]string{"draw", "register", "--draw", draw, "--file", file, "--server", s.api}, key...)
	}
	refusedWith(t, "unauthenticated", register("draw1", roll)...)
	require.Contains(t, done(t, register("draw1", roll, "--key", sell)...), "1 entered")
	refusedWith(t, "draw_not_found", register("draw7", write(t, "account\nalice\n"), "--key", sell)...)
	s.at("2023-02-01T00:00:00Z")
	refusedWith(t, "registration_closed", register("draw1", write(t, "account\nbob\n"), "--key", sell)...)
	refusedWith(t, "; set SEATHOLD_KEY, or --key, to a key in the server's --keys file", "draw", "run", "--draw", "draw1",
		"--admin", s.admin)
	refusedWith(t, "forbidden: this call requires a key with the role admin", "draw", "run", "--draw", "draw1",
		"--admin", s.admin, "--key", sell)
	refusedWith(t, "draw_not_found", "draw", "export", "--draw", "draw9", "--admin", s.admin, "--key", admin,
		filepath.Join(t.TempDir(), "x"))

	post := func(path, body string, header ...string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.admin+path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+admin)
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode, string(text)
	}
	code, _ := post("/admin/draws/draw1/freeze", "", "Origin", "https://elsewhere.example")
	require.Equal(t, 403, code)
	code, text := post("/admin/draws/draw1/freeze", "")
	require.Equal(t, 200, code, text)
	require.Contains(t, text, `"status":"frozen"`)
	code, text = post("/admin/draws/draw1/run", strings.Repeat(" ", operator.MaxBeacon+1))
	require.Equal(t, 413, code, text)
	code, text = post("/admin/draws/draw1/run", "{}")
	require.Equal(t, 400, code, text)
	require.Contains(t, text, "malformed_request")
	code, _ = post("/admin/draws/draw1/export", "")
	require.Equal(t, 405, code)
	done(t, "draw", "run", "--draw", "draw1", "--admin", s.admin, "--key", admin)
	done(t, "draw", "export", "--draw", "draw1", "--admin", s.admin, "--key", admin, filepath.Join(t.TempDir(), "x"))
	refusedWith(t, "connection refused", "draw", "run", "--draw", "draw1", "--admin", "http://127.0.0.1:1")
	code, _, _ = command("draw", "run", "--draw", "draw1", "--admin", "127.0.0.1")
	require.Equal(t, exitUsage, code)
}

// A file is registered in two runs: a signal ends the first one.
func TestRegisterContinuesAfterASignal(t *testing.T) {
	s := newDrawServer(t, "")
	path := write(t, "account\nalice\n!!\nbob\n")
	args := []string{"draw", "register", "--draw", "draw1", "--file", path, "--server", s.api}
	signals := make(chan os.Signal, 1)
	var out, errs bytes.Buffer
	p := &process{stdout: &out, stderr: &errs, signals: signals}
	unreachable := append(args[:len(args)-1:len(args)-1], "http://127.0.0.1:1")
	signals <- os.Interrupt
	require.Equal(t, exitFailed, run(unreachable, p))
	require.Contains(t, errs.String(),
		"stopped after line 0 of "+path+": ended by a signal: interrupt; run it again to continue")
	require.NoError(t, os.Remove(path+".register.json")) // it names the other server
	require.Equal(t, "draw draw1: 2 entered, 0 had entered before, 1 lines refused\n"+
		"refused lines and why: "+path+".refused.csv\n", done(t, args...))
	note := strings.Replace(read(t, path+".register.json"), `"line": 4`, `"line": 3`, 1)
	require.NoError(t, os.WriteFile(path+".register.json", []byte(note), 0o600))
	code, _, complaints := command(args...)
	require.Equal(t, exitDone, code)
	require.Contains(t, complaints, "continuing after line 3 of "+path)
	code, _, complaints = command(append(args, "--concurrency", "0")...)
	require.Equal(t, exitUsage, code)
	require.Contains(t, complaints, "--concurrency 0 is not from 1 to 4096")
}

func read(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
