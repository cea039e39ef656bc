package registration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/client"
	"github.com/seathold/seathold/server/internal/lines"
)

// fixture is a real server during the registration for draw1, behind a proxy that may answer a request itself, by its
// number from 1.
type fixture struct {
	engine *engine.Engine
	url    string
	served atomic.Int64
	answer atomic.Pointer[func(n int64, w http.ResponseWriter) bool]
}

func start(t *testing.T) *fixture {
	now := time.Date(2022, 12, 1, 0, 0, 0, 0, time.UTC)
	e, err := engine.Open(t.Context(), engine.Options{Sale: catalog.Paris2024(), Durability: engine.None,
		MaxAccounts: 1 << 20, Clock: saleclock.Virtual(func() time.Time { return now })})
	require.NoError(t, err)
	api, err := server.New(context.Background(), server.Options{Engine: e})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- api.Serve(ln) }()
	f := &fixture{engine: e}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: ln.Addr().String()})
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := f.served.Add(1)
		if answer := f.answer.Load(); answer != nil && (*answer)(n, w) {
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	f.url = front.URL
	t.Cleanup(func() {
		front.Close()
		require.NoError(t, api.Shutdown(context.Background()))
		require.NoError(t, <-served)
		require.NoError(t, e.Close())
	})
	return f
}

func (f *fixture) answerWith(answer func(n int64, w http.ResponseWriter) bool) {
	f.served.Store(0)
	f.answer.Store(&answer)
}

func (f *fixture) entries(t *testing.T) int {
	status, err := f.engine.Draw("draw1")
	require.NoError(t, err)
	return status.Entries
}

// options are those of a run over the file, whose client retries until its patience ends.
func options(t *testing.T, url, file string, patience time.Duration) Options {
	c, err := client.New(client.Options{URL: url, Attempts: math.MaxInt, Patience: patience})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return Options{Draw: "draw1", File: file, Server: url, Client: c, Concurrency: 5}
}

func write(t *testing.T, content string) (path string) {
	path = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func read(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestRefusedLinesAreReportedAndStopNothing(t *testing.T) {
	f := start(t)
	_, err := f.engine.Enter(t.Context(), "draw1", "known", "club")
	require.NoError(t, err)
	long := strings.Repeat("x", 3<<20)
	roll := "\xef\xbb\xbf\"account\",priority_group\r\n" + // 1
		"alice,\r\n" + // 2
		"\"bob\",\"club\"\n" + // 3
		"\n" + // 4
		"alice,\n" + // 5
		"bob,\n" + // 6
		"carol\n" + // 7
		"carol,club,x\n" + // 8
		"\"carol,club\n" + // 9: a quote that never ends affects no other line
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
	o := options(t, f.url, path, time.Minute)
	report, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, int64(21), report.Line)
	require.Equal(t, "4 entered, 1 had entered before, 14 lines refused", report.String())
	const account = "not an account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -"
	require.Equal(t, strings.Join([]string{
		`line,reason,text`,
		`5,the account is in an earlier line,"alice,"`,
		`6,"the account is in an earlier line, with the priority group club","bob,"`,
		`7,1 fields instead of 2,carol`,
		`8,3 fields instead of 2,"carol,club,x"`,
		`9,` + account + `,"\""carol,club"`,
		`10,` + account + `,"d\x00ve,"`,
		`11,` + account + `,"d\xff\xfeve,"`,
		`12,` + account + `,"p\u00e4ul,"`,
		`13,longer than 1024 bytes,` + long[:lines.MaxText] + `...`,
		`14,"priority_group: the sale has no group ""vip""","erin,vip"`,
		`15,not a priority group,"frank,cl ub"`,
		`17,"the account is in an earlier line, with the priority group club","known,"`,
		`19,` + account + `,"` + strings.Repeat("z", 65) + `,"`,
		`20,` + account + `,","`,
	}, "\n")+"\n", read(t, path+".refused.csv"))
	require.Equal(t, 5, f.entries(t), "known, alice, bob, z… and last")
	f.served.Store(0)
	again, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, report, again)
	require.Zero(t, f.served.Load(), "nothing is left to do")
	require.Equal(t, 5, f.entries(t))
}

// Files that were concatenated have their headers in the middle. Spreadsheets write them with quotes or a byte order
// mark.
func TestRepeatedHeadersAreSkipped(t *testing.T) {
	f := start(t)
	for i, roll := range []string{
		"account\nalice\naccount\r\nbob\n\"account\"\n\xef\xbb\xbfaccount\ncarol\naccount",
		"account,priority_group\ndave,club\naccount,priority_group\nerin,\n\"account\",\"priority_group\"\n" +
			"\xef\xbb\xbf\"account\",priority_group\nfrank,\naccount,priority_group\n",
	} {
		path := write(t, roll)
		o := options(t, f.url, path, time.Minute)
		report, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, "3 entered, 0 had entered before, 0 lines refused, 4 repeated headers skipped", report.String())
		require.Equal(t, 3*(i+1), f.entries(t))
		require.Equal(t, refusedHeader, read(t, path+".refused.csv"))
		again, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, report, again)
	}
}

// The report is opened in spreadsheets, and its texts are those of strangers.
func TestReportHasNoFormulas(t *testing.T) {
	f := start(t)
	path := write(t, "account\n=cmd|' /C calc'!A0\n+1\n@x y\n\t=1\nx;=1+1\n'=1\n")
	_, err := Run(t.Context(), options(t, f.url, path, time.Minute))
	require.NoError(t, err)
	const account = "not an account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -"
	require.Equal(t, refusedHeader+
		"2,"+account+",'=cmd|' /C calc'!A0\n"+
		"3,"+account+",'+1\n"+
		"4,"+account+",'@x y\n"+
		"5,"+account+`,\t=1`+"\n"+
		"6,"+account+",x;'=1+1\n"+
		"7,"+account+",''=1\n", read(t, path+".refused.csv"))
}

func TestOtherFilesAreRefused(t *testing.T) {
	f := start(t)
	path := write(t, "account\nalice\n!!\nbob")
	o := options(t, f.url, path, time.Minute)
	_, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("account\nalice\n!!\nbobby\n"), 0o600))
	_, err = Run(t.Context(), o)
	require.ErrorContains(t, err, "it has changed before line 4")
	o.Draw = "draw2"
	_, err = Run(t.Context(), o)
	require.ErrorContains(t, err, "was begun for the draw draw1")
	for _, wrong := range []string{"", "alice\n", "account,group\n", "\xff\xfea\x00c\x00",
		strings.Repeat("account", 1000) + "\n"} {
		_, err = Run(t.Context(), options(t, f.url, write(t, wrong), time.Minute))
		require.ErrorContains(t, err, "the first line must be account or account,priority_group")
	}
	_, err = Run(t.Context(), options(t, f.url, t.TempDir(), time.Minute))
	require.ErrorContains(t, err, "is not a regular file")
	require.Equal(t, 2, f.entries(t))
}

// A run that is stopped by a refusal or its context, or killed, is continued. In the end everything is as after one
// run.
func TestStoppedRunsAreContinued(t *testing.T) {
	f := start(t)
	roll, report := "account\n", "line,reason,text\n"
	const count = 2000
	for i := range count {
		switch {
		case i%10 == 7:
			roll += fmt.Sprintf("no entry %d\n", i)
			report += fmt.Sprintf("%d,not an account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -,no entry %d\n", i+2, i)
		case i%10 == 9:
			roll += fmt.Sprintf("a%d\n", i-9)
			report += fmt.Sprintf("%d,the account is in an earlier line,\"a%d,\"\n", i+2, i-9)
		default:
			roll += fmt.Sprintf("a%d\n", i)
		}
	}
	path := write(t, roll)
	resumed, o := int64(0), options(t, f.url, path, time.Minute)
	o.Resumed = func(line int64) { resumed = line }
	forbidden := func(w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"code":"forbidden","detail":"enough","status":403}`))
		return true
	}
	note := func() string { return read(t, path+".register.json") }

	f.answerWith(func(n int64, w http.ResponseWriter) bool { return n > 400 && forbidden(w) })
	stopped, err := Run(t.Context(), o)
	require.ErrorContains(t, err, "forbidden: enough (request ")
	require.ErrorContains(t, err, "; run it again to continue")
	require.Zero(t, resumed)
	first := note()

	// A kill leaves an older note, a longer report, and entries that the note does not count.
	f.answerWith(func(n int64, w http.ResponseWriter) bool { return n > 300 && forbidden(w) })
	_, err = Run(t.Context(), o)
	require.ErrorContains(t, err, "forbidden")
	require.Equal(t, stopped.Line, resumed)
	require.NotEqual(t, first, note())
	require.NoError(t, os.WriteFile(path+".register.json", []byte(first), 0o600))

	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	f.answerWith(func(n int64, _ http.ResponseWriter) bool {
		if n == 500 {
			cancel(interrupted)
		}
		return false
	})
	_, err = Run(ctx, o)
	require.ErrorIs(t, err, interrupted)
	require.ErrorContains(t, err, "interrupted; run it again to continue")

	// Refusals for now, and connections that break.
	f.answerWith(func(n int64, w http.ResponseWriter) bool {
		switch n % 20 {
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 4:
			panic(http.ErrAbortHandler)
		}
		return false
	})
	shown, last := 0, 0
	o.Progress = func(stage string, done, total int, note string) {
		require.Equal(t, "register", stage)
		require.Equal(t, len(roll), total)
		require.Contains(t, note, " entered, ")
		shown, last = shown+1, done
	}
	whole, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, int64(count/5), whole.Refused)
	require.Positive(t, shown)
	require.Equal(t, len(roll), last)
	require.Equal(t, report, read(t, path+".refused.csv"))
	require.Equal(t, count*8/10, f.entries(t))
}

func TestRunEndsWithoutServerOrLock(t *testing.T) {
	f := start(t)
	f.answerWith(func(_ int64, w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true })
	path := write(t, "account\nx\n")
	_, err := Run(t.Context(), options(t, f.url, path, time.Millisecond))
	require.ErrorContains(t, err, "does not accept entries")
	book, err := openBook(path, "draw1", f.url)
	require.NoError(t, err)
	_, err = Run(t.Context(), options(t, f.url, path, time.Minute))
	require.ErrorContains(t, err, "in use by another process")
	require.NoError(t, book.refused.Close())
}

// liveBytes returns how much of the heap the last collection found alive. Garbage, of which a busy machine has more,
// does not count.
func liveBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// A million bad lines, and many good ones, take no more memory than a few.
func TestLinesAreNotKept(t *testing.T) {
	const bad = 1_000_000
	path := filepath.Join(t.TempDir(), "roll")
	require.NoError(t, os.WriteFile(path, append([]byte("account\n"), bytes.Repeat([]byte("!!\n"), bad)...), 0o600))
	runtime.GC()
	before := liveBytes()
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
				highest = max(highest, liveBytes())
			}
		}
	}()
	report, err := Run(t.Context(), options(t, "http://127.0.0.1:1", path, time.Minute))
	close(stop)
	require.NoError(t, err)
	grown := int64(<-most) - int64(before)
	t.Logf("%d KiB more were alive", grown>>10)
	require.Less(t, grown, int64(8<<20))
	require.Equal(t, int64(bad+1), report.Line)
	require.Equal(t, "0 entered, 0 had entered before, 1,000,000 lines refused", report.String())
	require.Equal(t, bad+1, strings.Count(read(t, path+".refused.csv"), "\n"))

	seen := newAccountSet()
	for i := range 300_000 {
		_, found := seen.note(fmt.Sprintf("account-%d", i))
		require.False(t, found)
	}
	for i := range 300_000 {
		_, found := seen.note(fmt.Sprintf("account-%d", i))
		require.True(t, found)
	}
	require.LessOrEqual(t, len(seen.slots)*8, 300_000*32)
}
