package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// gate stands before a server's API and may refuse a request itself, by its number from 1.
type gate struct {
	url    string
	served atomic.Int64
	refuse atomic.Pointer[func(n int64, w http.ResponseWriter) bool]
}

func newGate(t *testing.T, api string) *gate {
	target, err := url.Parse(api)
	require.NoError(t, err)
	g := &gate{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	front := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := g.served.Add(1)
		if refuse := g.refuse.Load(); refuse != nil && (*refuse)(n, w) {
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	ended := make(chan error)
	go func() { ended <- front.Serve(ln) }()
	t.Cleanup(func() {
		require.NoError(t, front.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	g.url = "http://" + ln.Addr().String()
	return g
}

func (g *gate) refuseWhen(f func(n int64, w http.ResponseWriter) bool) {
	g.served.Store(0)
	g.refuse.Store(&f)
}

func read(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// Every line that is no entry is reported with its number and why, and stops nothing.
func TestRegisterReportsWhatIsNoEntry(t *testing.T) {
	s := newDrawServer(t, "")
	code, _ := s.call("POST", "/v1/draws/draw1/entries", `{"account":"known","priority_group":"club"}`)
	require.Equal(t, 201, code)
	long := strings.Repeat("x", 3<<20)
	roll := "\xef\xbb\xbf\"account\",priority_group\r\n" + // 1
		"alice,\r\n" + // 2
		"\"bob\",\"club\"\n" + // 3
		"\n" + // 4
		"alice,\n" + // 5
		"bob,\n" + // 6
		"carol\n" + // 7
		"carol,club,x\n" + // 8
		"\"carol,club\n" + // 9: a quote that never ends takes nothing with it
		"d\x00ve,\n" + // 10
		"d\xff\xfeve,\n" + // 11
		"päul,\n" + // 12
		long + "\n" + // 13
		"erin,vip\n" + // 14
		"frank,cl ub\n" + // 15
		"known,club\n" + // 16
		"known,\n" + // 17
		strings.Repeat("z", 64) + ",\n" + // 18
		strings.Repeat("z", 65) + ",\n" + // 19
		",\n" + // 20
		"last,club" // 21, without an end
	path := write(t, roll)
	require.Contains(t, done(t, "draw", "register", "--draw", "draw1", "--file", path, "--server", s.api, "--concurrency", "3"),
		"draw draw1: 4 entered, 1 had entered before, 14 lines refused")
	const account = "not an account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -"
	require.Equal(t, strings.Join([]string{
		`line,reason,text`,
		`5,the account stands in an earlier line,"alice,"`,
		`6,"the account stands in an earlier line, with the priority group club","bob,"`,
		`7,1 fields instead of 2,carol`,
		`8,3 fields instead of 2,"carol,club,x"`,
		`9,` + account + `,"\""carol,club"`,
		`10,` + account + `,"d\x00ve,"`,
		`11,` + account + `,"d\xff\xfeve,"`,
		`12,` + account + `,"p\u00e4ul,"`,
		`13,longer than 1024 bytes,` + long[:maxText] + `...`,
		`14,"priority_group: the sale has no group ""vip""","erin,vip"`,
		`15,not a priority group,"frank,cl ub"`,
		`17,"the account stands in an earlier line, with the priority group club","known,"`,
		`19,` + account + `,"` + strings.Repeat("z", 65) + `,"`,
		`20,` + account + `,","`,
	}, "\n")+"\n", read(t, path+".refused.csv"))

	served := s.entries()
	require.Equal(t, 5, served, "known, alice, bob, z… and last")
	require.Contains(t, done(t, "draw", "register", "--draw", "draw1", "--file", path, "--server", s.api), "14 lines refused", "nothing is left to do")
	require.NoError(t, os.WriteFile(path, []byte(roll+"\nmore,\n"), 0o600))
	refusedWith(t, "it has changed before line 21", "draw", "register", "--draw", "draw1", "--file", path, "--server", s.api)
	refusedWith(t, "was begun for the draw draw1", "draw", "register", "--draw", "draw2", "--file", path, "--server", s.api)
	for _, wrong := range []string{"", "alice\n", "account,group\n", "\xff\xfea\x00c\x00", strings.Repeat("account", 1000) + "\n"} {
		refusedWith(t, "the first line must be account or account,priority_group", "draw", "register", "--draw", "draw1", "--file", write(t, wrong),
			"--server", s.api)
	}
	refusedWith(t, "is no regular file", "draw", "register", "--draw", "draw1", "--file", t.TempDir(), "--server", s.api)
	status, err := s.engine.Draw("draw1")
	require.NoError(t, err)
	require.Equal(t, served, status.Entries)
}

func (s *drawServer) entries() int {
	status, err := s.engine.Draw("draw1")
	require.NoError(s.t, err)
	return status.Entries
}

// A run that is stopped, by a refusal or a signal, or killed, is gone on with; in the end everything is as after one run.
func TestRegisterGoesOn(t *testing.T) {
	s := newDrawServer(t, "")
	g := newGate(t, s.api)
	roll, report := "account\n", "line,reason,text\n"
	const lines = 2000
	for i := range lines {
		switch {
		case i%10 == 7:
			roll += fmt.Sprintf("no entry %d\n", i)
			report += fmt.Sprintf("%d,not an account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -,no entry %d\n", i+2, i)
		case i%10 == 9:
			roll += fmt.Sprintf("a%d\n", i-9)
			report += fmt.Sprintf("%d,the account stands in an earlier line,\"a%d,\"\n", i+2, i-9)
		default:
			roll += fmt.Sprintf("a%d\n", i)
		}
	}
	path := write(t, roll)
	args := []string{"draw", "register", "--draw", "draw1", "--file", path, "--server", g.url, "--concurrency", "5"}
	forbidden := func(w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"code":"forbidden","detail":"enough","status":403}`))
		return true
	}
	note := func() string { return read(t, path+".register.json") }

	g.refuseWhen(func(n int64, w http.ResponseWriter) bool { return n > 400 && forbidden(w) })
	code, _, stderr := command(args...)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "forbidden: enough; call it again to go on")
	first := note()

	// A kill leaves an older note, a report that goes on, and entries that the note does not count.
	g.refuseWhen(func(n int64, w http.ResponseWriter) bool { return n > 300 && forbidden(w) })
	code, _, stderr = command(args...)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "going on behind line")
	require.NotEqual(t, first, note())
	require.NoError(t, os.WriteFile(path+".register.json", []byte(first), 0o600))

	// A signal.
	signals := make(chan os.Signal, 1)
	g.refuseWhen(func(n int64, _ http.ResponseWriter) bool {
		if n == 500 {
			signals <- os.Interrupt
		}
		return false
	})
	var stdout, errs bytes.Buffer
	require.Equal(t, exitFailed, run(args, &process{stdout: &stdout, stderr: &errs, signals: signals}))
	require.Contains(t, errs.String(), "interrupted; call it again to go on")

	// Answers that say to come back later, and connections that break.
	g.refuseWhen(func(n int64, w http.ResponseWriter) bool {
		switch n % 20 {
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 4:
			panic(http.ErrAbortHandler)
		}
		return false
	})
	out := done(t, args...)
	require.Contains(t, out, "400 lines refused")
	require.Equal(t, report, read(t, path+".refused.csv"))
	require.Equal(t, lines*8/10, s.entries())

	g.refuseWhen(func(_ int64, w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true })
	refusedWith(t, "does not take entries", "draw", "register", "--draw", "draw1", "--file", write(t, "account\nx\n"), "--server", g.url, "--patience", "1ms")
}

// A million bad lines, and as many good ones, take no more memory than a few.
func TestRegisterKeepsNoLines(t *testing.T) {
	const bad = 1_000_000
	path := filepath.Join(t.TempDir(), "roll")
	require.NoError(t, os.WriteFile(path, append([]byte("account\n"), bytes.Repeat([]byte("!!\n"), bad)...), 0o600))
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		highest, tick := uint64(0), time.NewTicker(20*time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				most <- highest
				return
			case <-tick.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				highest = max(highest, now.HeapInuse)
			}
		}
	}()
	out := done(t, "draw", "register", "--draw", "draw1", "--file", path, "--server", "http://127.0.0.1:1")
	close(stop)
	require.Less(t, int64(<-most)-int64(before.HeapInuse), int64(32<<20))
	require.Contains(t, out, "0 entered, 0 had entered before, 1,000,000 lines refused")
	require.Equal(t, bad+1, strings.Count(read(t, path+".refused.csv"), "\n"))

	seen := newSeenAccounts()
	for i := range 300_000 {
		require.False(t, seen.note(fmt.Sprintf("account-%d", i)))
	}
	for i := range 300_000 {
		require.True(t, seen.note(fmt.Sprintf("account-%d", i)))
	}
	require.LessOrEqual(t, len(seen.slots)*8, 300_000*32)
}
