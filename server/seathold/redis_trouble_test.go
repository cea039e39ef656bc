//go:build unix

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

const reserveOne = `{"id":%q,"account":"alice","lines":[{"session":"ATH10","category":"A","quantity":1}]}`

// lines counts the lines of the output that contain the text.
func (o *output) lines(text string) (n int) {
	for line := range strings.Lines(o.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// freeAddress returns an address that nothing listens on.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() // only its port is used
	return l.Addr().String()
}

func redisCLI(t *testing.T, r *redistest.Server, args ...string) {
	out, err := exec.Command("redis-cli", append([]string{"-e", "-p", fmt.Sprint(r.Port)}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestGuaranteeLostInASale changes the sync of a Redis under a running sale. Calls are refused with
// journal_unavailable and /readyz, /metrics and the log say why, until it is restored (I5).
func TestGuaranteeLostInASale(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := start(t, "--redis", r.URL())
	reserve := func(id string) answer {
		a, err := s.call(http.MethodPost, "/v1/reservations", fmt.Sprintf(reserveOne, id))
		require.NoError(t, err)
		return a
	}
	const first, second = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	require.Equal(t, http.StatusCreated, reserve(first).status)
	require.Equal(t, "ready\n", s.page("/readyz"))
	require.Contains(t, s.page("/metrics"), "\nseathold_journal_safe 1\n")

	redisCLI(t, r, "config", "set", "appendfsync", "no")
	s.await(func() bool { return !s.ready() })
	require.Equal(t, "not ready: the journal may lose what it acknowledges: appendfsync is no\n", s.page("/readyz"))
	require.Contains(t, s.page("/metrics"), "\nseathold_journal_safe 0\n")
	refused := reserve(second)
	require.Equal(t, http.StatusServiceUnavailable, refused.status)
	require.Equal(t, "journal_unavailable", refused.text("code"))

	redisCLI(t, r, "config", "set", "appendfsync", "always")
	s.await(s.ready)
	require.Equal(t, http.StatusCreated, reserve(second).status)
	require.Equal(t, "ready\n", s.page("/readyz"))
	require.Equal(t, 1, s.output.lines("nothing is acknowledged until it does"), s.output)
	require.Equal(t, 1, s.output.lines("guarantees again"), s.output)
	require.Equal(t, exitDone, s.stop())
}

// TestRiskAccepted serves from a Redis that is not safe, with --redis-may-lose. /readyz says what may be lost.
func TestRiskAccepted(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec")
	code, out := tool(t, "serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--redis", r.URL())
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "seathold: --redis "+r.URL()+" cannot meet --durability sync (appendfsync is everysec)")
	require.Contains(t, out, "--redis-may-lose")
	s := start(t, "--redis", r.URL(), "--redis-may-lose")
	require.Equal(t, "ready\nnote: the journal may lose what it acknowledges: appendfsync is everysec\n",
		s.page("/readyz"))
	require.Contains(t, s.page("/metrics"), "\nseathold_journal_safe 0\n")
	a, err := s.call(http.MethodPost, "/v1/reservations", fmt.Sprintf(reserveOne, "11111111-1111-4111-8111-111111111111"))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, a.status)
	require.Equal(t, exitDone, s.stop())
}

// TestRedisComesLate starts a server before its Redis. It waits, says so in one line and in /readyz, and serves when
// Redis has started.
func TestRedisComesLate(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	r.Kill()
	admin := freeAddress(t)
	s := begin(t, "--admin-addr", admin, "--redis", r.URL())
	s.operator = "http://" + admin
	s.await(func() bool { return s.output.lines("a call to Redis has failed and is retried") == 1 })
	text := s.page("/readyz")
	require.Contains(t, text, "not ready: the journal is being replayed\n")
	require.Contains(t, text, "note: calls to the journal are retried: dial tcp "+r.Addr())
	r.Restart()
	s.await(s.announced)
	s.await(s.ready)
	require.Equal(t, 2, s.output.lines("msg=\"a call")+s.output.lines("msg=\"calls"), s.output)
	require.Equal(t, 1, s.output.lines("calls to Redis succeed again"), s.output)
	require.Equal(t, 2, s.output.lines("redis="+r.URL()), s.output)
	require.Zero(t, s.output.lines("redis: "), "lines of the client")
	require.Equal(t, "ready\n", s.page("/readyz"))
	require.Equal(t, exitDone, s.stop())
}

// TestJournalNames serves two sales from one Redis, each under a name of its own.
func TestJournalNames(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	for _, name := range []string{"main", "spring"} {
		s := start(t, "--redis", r.URL(), "--redis-name", name)
		require.Contains(t, s.output.String(), "nothing: the journal is new")
		for i := range map[string]int{"main": 1, "spring": 2}[name] {
			a, err := s.call(http.MethodPost, "/v1/reservations",
				fmt.Sprintf(reserveOne, fmt.Sprintf("%d1111111-1111-4111-8111-111111111111", i)))
			require.NoError(t, err)
			require.Equal(t, http.StatusCreated, a.status)
		}
		require.Equal(t, exitDone, s.stop())
	}
	const one, two = "1 of 1 accounts", "2 of 1 accounts"
	for name, want := range map[string]string{"": one, "main": one, "spring": two} {
		args := []string{"verify", "--redis", r.URL()}
		if name != "" {
			args = append(args, "--redis-name", name)
		}
		code, out := tool(t, args...)
		require.Equal(t, exitDone, code, out)
		require.Contains(t, out, want)
		require.Equal(t, name == "spring", strings.Contains(out, r.URL()+" (spring)"), out)
	}
	code, out := tool(t, "journal", "dump", "--redis", r.URL(), "--redis-name", "spring")
	require.Equal(t, exitDone, code, out)
	require.Equal(t, 2, strings.Count(out, `"taken"`), out)
}

// secret is a mark that must not appear anywhere.
const secret = "hunter2SECRET"

// requirePublic requires that the mark is in none of the texts.
func requirePublic(t *testing.T, what string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		require.NotContains(t, text, secret, what)
		require.NotContains(t, text, secret[4:], what)
	}
}

// pages are those of the operator's port that could show an argument or the environment.
var pages = []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline",
	"/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/symbol"}

func (s *program) requirePublic() {
	for _, path := range pages {
		requirePublic(s.t, path, s.page(path))
	}
	requirePublic(s.t, "output", s.output.String())
}

// TestSecretsOfARunningServer serves from a Redis and a Sentinel with passwords, which are in the command line or in
// the environment. Nothing that the server or a command prints has them, also while Redis does not respond.
func TestSecretsOfARunningServer(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, append([]string{"--requirepass", secret}, redistest.Durable...)...)
	sentinel := startSentinelWithPassword(t, r)
	urls := []string{
		strings.Replace(r.URL(), "://", "://:"+secret+"@", 1),
		"redis+sentinel://:" + secret + "@" + sentinel + "/main?sentinel_password=" + secret,
	}
	var servers []*program
	for i, url := range urls {
		command := []string{"--redis", url, "--redis-may-lose", "--redis-name", fmt.Sprint("sale", i)}
		environment := []string(nil)
		if i == 0 {
			command, environment = command[2:], []string{"SEATHOLD_REDIS=" + url}
		}
		servers = append(servers, beginIn(t, environment, command...))
	}
	each := func(check func(s *program)) {
		for _, s := range servers {
			check(s)
			s.requirePublic()
		}
	}
	each(func(s *program) {
		s.await(s.announced)
		s.await(s.ready)
		require.Contains(t, s.page("/debug/pprof/cmdline"), "serve")
	})
	r.Stop()
	each(func(s *program) {
		s.await(func() bool { return !s.ready() || strings.Contains(s.page("/readyz"), "retried") })
	})
	r.Continue()
	each(func(s *program) { s.await(s.ready) })
	for i, s := range servers {
		require.Equal(t, exitDone, s.stop())
		requirePublic(t, "output", s.output.String())
		for _, args := range [][]string{{"verify"}, {"journal", "dump"}} {
			code, out := inProcess(append(args, "--redis", urls[i], "--redis-name", fmt.Sprint("sale", i))...)
			require.Equal(t, exitDone, code, out)
			requirePublic(t, args[0], out)
		}
	}
	redisCLI(t, r, "-a", secret, "--no-auth-warning", "config", "set", "appendfsync", "everysec")
	for _, url := range urls {
		code, out := inProcess("serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--redis", url)
		require.Equal(t, exitFailed, code, out)
		require.Contains(t, out, "cannot meet --durability sync")
		requirePublic(t, "a refused start", out)
	}
}

// startSentinelWithPassword starts a sentinel that watches the server under the name main, and returns its address.
func startSentinelWithPassword(t *testing.T, master *redistest.Server) string {
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	config := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nrequirepass %s\nsentinel monitor main 127.0.0.1 %d 1\n"+
		"sentinel auth-pass main %s\nsentinel down-after-milliseconds main 60000\n", port, filepath.Dir(file), secret,
		master.Port, secret)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	redistest.StartSentinel(t, file)
	return address
}

// TestSecretsInFailures gives addresses that are wrong in every place, with a mark where a password may be, to every
// command that has --redis.
func TestSecretsInFailures(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, append([]string{"--requirepass", "another"}, redistest.Durable...)...)
	for url, code := range map[string]int{
		"redis://:" + secret + "@" + r.Addr():                                                     exitFailed,
		"redis://" + secret + ":" + secret + "@" + r.Addr():                                       exitFailed,
		"redis://" + r.Addr() + "?password=" + secret:                                             exitUsage,
		"redis://" + r.Addr() + "?sentinel_password=" + secret:                                    exitUsage,
		"redis://user:12?" + secret + "@" + r.Addr():                                              exitUsage,
		"redis://user:1/" + secret + "@" + r.Addr() + "/x":                                        exitUsage,
		"redis://user:8443" + secret + ":x":                                                       exitUsage,
		"redis://host:" + secret:                                                                  exitUsage,
		"redis://:" + secret + "@host:70000":                                                      exitUsage,
		"redis://:" + secret + "%@host":                                                           exitUsage,
		"redis+sentinel://:" + secret + "@host":                                                   exitUsage,
		"redis+sentinel://:" + secret + "@host/main?sentinel_password=" + secret + "&x=" + secret: exitUsage,
		"redis+sentry://:" + secret + "@host":                                                     exitUsage,
		"unix://:" + secret + "@" + secret:                                                        exitUsage,
		secret:                                                                                    exitUsage,
		secret + "://host":                                                                        exitUsage,
		"http://:" + secret + "@host/":                                                            exitUsage,
	} {
		for _, command := range []string{"serve", "verify", "journal dump", "rehearse"} {
			args := append(strings.Fields(command), "--redis", url)
			if command == "serve" {
				args = append(args, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
			}
			got, out := inProcess(args...)
			require.Equal(t, code, got, "%s: %s", args, out)
			requirePublic(t, command, out)
			lines := strings.Count(out, "\n")
			require.Equal(t, 1, lines-strings.Count(out, "the journal is named"), "%s: %s", args, out)
			if code == exitFailed {
				require.Contains(t, out, "redis://"+r.Addr(), "it names the Redis")
			}
		}
	}
	for _, args := range [][]string{{"redis://:" + secret + "@host"}, {"verify", "redis://:" + secret + "@host"},
		{"--rediss=redis://:" + secret + "@host"}, {"--clock", "redis://:" + secret + "@host"}} {
		code, out := inProcess(args...)
		require.Equal(t, exitUsage, code, out)
		requirePublic(t, "an argument in the wrong place", out)
	}
}
