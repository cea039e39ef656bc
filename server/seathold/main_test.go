package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWrongUsageAndFailures checks that a fault ends the program with its exit code and one line about it.
func TestWrongUsageAndFailures(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close() // only its port is used
	foreign, keys, badKeys := t.TempDir(), filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(filepath.Join(foreign, "holiday.jpg"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(keys, []byte("admin 0123456789abcdef"), 0o600))
	require.NoError(t, os.WriteFile(badKeys, []byte("admin 123"), 0o600))
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "unknown flag --port", []string{"--port", "1"}},
		{exitUsage, "unexpected argument bid", []string{"bid"}},
		{exitUsage, `--clock: "tomorrow" is neither "real" nor an instant`, []string{"--clock", "tomorrow"}},
		{exitUsage, "--durability must be one of", []string{"--durability", "maybe"}},
		{exitUsage, "--ttl", []string{"--ttl", "soon"}},
		{exitUsage, "--ttl 1.5s is not a whole number of seconds", []string{"--ttl", "1500ms"}},
		{exitUsage, "--ttl -1s is not", []string{"--ttl=-1s"}},
		{exitUsage, "--max-hold", []string{"--max-hold", "long"}},
		{exitUsage, "--max-hold 1h0m0.5s is not a whole number of seconds", []string{"--max-hold", "60m500ms"}},
		{exitUsage, "--max-hold 16m59s is shorter than --ttl 17m0s, the time of every hold", []string{"--max-hold", "1019s"}},
		{exitUsage, "--max-hold 0s is shorter than --ttl 2h0m0s", []string{"--max-hold", "0s", "--ttl", "2h"}},
		{exitUsage, "--max-hold -1s is shorter", []string{"--max-hold=-1s"}},
		{exitFailed, "a hold of 8785h0m0s at most: use whole seconds from 17m0s, the time of every hold, to 8784h0m0s",
			[]string{"--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--durability", "none", "--max-hold", "8785h"}},
		{exitUsage, "--log-format must be one of", []string{"--log-format", "xml"}},
		{exitUsage, `--log-level: slog: level string "loud"`, []string{"--log-level", "loud"}},
		{exitUsage, "--access-log-rate 0 is not between", []string{"--access-log", "--access-log-rate", "0"}},
		{exitUsage, "--access-log-slow 0s is not positive", []string{"--access-log-slow", "0s"}},
		{exitUsage, "--forget 0s is shorter than a second; use more than clients retry", []string{"--forget", "0s"}},
		{exitUsage, "--forget 999ms is shorter than a second", []string{"--forget", "999ms"}},
		{exitUsage, "--forget -1h0m0s is shorter than a second", []string{"--forget=-1h"}},
		{exitUsage, "--max-reservations 0 is not from 1 to 1073741823", []string{"--max-reservations", "0"}},
		{exitUsage, "--max-accounts 2147483648 is not from 1 to 2147483647", []string{"--max-accounts", "2147483648"}},
		{exitUsage, "--addr 0.0.0.0:0 is reachable from other machines", []string{"--addr", "0.0.0.0:0"}},
		{exitUsage, "--addr :0 is reachable from other machines", []string{"--addr", ":0"}},
		{exitUsage, "--addr [::]:0 is reachable from other machines", []string{"--addr", "[::]:0"}},
		{exitUsage, "--admin-addr 0.0.0.0:0 is reachable from other machines",
			[]string{"--addr", "127.0.0.1:0", "--admin-addr", "0.0.0.0:0"}},
		{exitUsage, "--addr: address nowhere: missing port", []string{"--addr", "nowhere"}},
		{exitUsage, "--tls-cert and --tls-key go together", []string{"--tls-cert", "x"}},
		{exitUsage, "--client-ca needs", []string{"--client-ca", "x"}},
		{exitUsage, "--data and --redis exclude each other", []string{"--data", "x", "--redis", "redis://127.0.0.1:1"}},
		{exitUsage, "--redis-name, --redis-ca, --redis-cert and --redis-key need --redis", []string{"--redis-name", "x"}},
		{exitUsage, "--redis-cert and --redis-key go together", []string{"--redis", "rediss://a", "--redis-cert", "x"}},
		{exitUsage, "need --redis with TLS", []string{"--redis", "redis://127.0.0.1:1", "--redis-ca", "x"}},
		{exitUsage, "the journal's name", []string{"verify", "--redis", "redis://127.0.0.1:1", "--redis-name", "a b"}},
		{exitFailed, "--redis-ca: open x: no such file", []string{"verify", "--redis", "rediss://a", "--redis-ca", "x"}},
		{exitFailed, "--redis-cert, --redis-key: open x: no such file",
			[]string{"verify", "--redis", "rediss://a", "--redis-cert", "x", "--redis-key", "y"}},
		{exitFailed, "no such file", []string{"--tls-cert", "x", "--tls-key", "y"}},
		{exitFailed, "no such file", []string{"--keys", "x"}},
		{exitFailed, "line 1: the key has 3 characters", []string{"--keys", badKeys}},
		{exitFailed, "sale definition", []string{"--sale", "/nowhere"}},
		{exitFailed, "is in use by another program", []string{"--addr", taken.Addr().String()}},
		{exitFailed, "--admin-addr " + taken.Addr().String(),
			[]string{"--addr", "127.0.0.1:0", "--admin-addr", taken.Addr().String()}},
		{exitFailed, "not a journal that this program reads",
			[]string{"--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data", foreign}},
		{exitFailed, "not a journal that this program reads", []string{"verify", "--data", foreign}},
		{exitFailed, "no such file", []string{"verify", "--data", "/nowhere"}},
		{exitFailed, "no such file", []string{"journal", "dump", "--data", "/nowhere"}},
		{exitUsage, "", []string{"journal"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, c.code, run(c.args, &process{stdout: &stdout, stderr: &stderr}), "%s", stderr.String())
			require.Contains(t, stderr.String(), c.want)
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
			require.True(t, strings.HasPrefix(stderr.String(), "seathold: "))
			require.Empty(t, stdout.String())
		})
	}
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"verify", "--help"}, {"journal", "dump", "--help"},
		{"version"}, {"--version"}} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitDone, run(args, &process{stdout: &stdout, stderr: &stderr}), args)
		require.Contains(t, stdout.String(), "seathold")
		require.Empty(t, stderr.String())
	}
}

// running is a server in a process of its own.
type running struct {
	t       *testing.T
	command *exec.Cmd
	banner  string
	url     string
	admin   string
	stderr  *bytes.Buffer
}

var (
	apiLine   = regexp.MustCompile(`API +(https?://\S+)\s`)
	adminLine = regexp.MustCompile(`operator +(https?://\S+)\s`)
	curlLine  = regexp.MustCompile(`(?m)^  (curl .*)$`)
)

// serve starts the program and reads its banner. With no addresses in args it takes free ports.
func serve(t *testing.T, dir string, args ...string) *running {
	stderr := &bytes.Buffer{}
	r := serveLogging(t, dir, stderr, args...)
	r.stderr = stderr
	return r
}

// serveLogging is serve with the reader of the log.
func serveLogging(t *testing.T, dir string, stderr io.Writer, args ...string) *running {
	r := &running{t: t}
	path, err := binary()
	require.NoError(t, err)
	r.command = exec.Command(path, append([]string{"--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, args...)...)
	r.command.Dir, r.command.Stderr = dir, stderr
	stdout, err := r.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.command.Start())
	t.Cleanup(func() { _ = r.command.Process.Kill() }) // in case the test has failed
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		r.banner += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "/confirm") || strings.Contains(lines.Text(), "No open phase") {
			break
		}
	}
	require.Regexp(t, apiLine, r.banner, "no banner: %s", stderr)
	r.url, r.admin = apiLine.FindStringSubmatch(r.banner)[1], adminLine.FindStringSubmatch(r.banner)[1]
	return r
}

// end sends the signal and returns the exit code.
func (r *running) end(signal os.Signal) int {
	require.NoError(r.t, r.command.Process.Signal(signal))
	var failed *exec.ExitError
	if err := r.command.Wait(); !errors.As(err, &failed) {
		require.NoError(r.t, err)
	}
	return r.command.ProcessState.ExitCode()
}

// shell runs a line in a shell and parses the JSON that it prints.
func shell(t *testing.T, line string) map[string]any {
	var stderr bytes.Buffer
	command := exec.Command("sh", "-c", line)
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, "%s: %s", line, stderr.String())
	var answer map[string]any
	require.NoError(t, json.Unmarshal(out, &answer), "%s: %s", line, out)
	return answer
}

func body(t *testing.T, url string) (status int, text string) {
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close() // read to its end
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

// TestFirstSale is the first minute with the program: it starts with no arguments but its ports, the calls in the
// banner work as printed until the limit, and what they sold is still sold after kill -9 (I5).
func TestFirstSale(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir)
	for _, words := range []string{"Paris 2024 (paris2024): 1,026 sessions", "derived",
		"simulated from 2023-11-30T09:00:00Z", "all-venues (All venues",
		"./seathold-data, sync: acknowledged outcomes are on disk", "the journal is new", "17m0s"} {
		require.Contains(t, r.banner, words)
	}
	curl := curlLine.FindAllStringSubmatch(r.banner, -1)
	require.Len(t, curl, 2)
	var ids []string
	for {
		answer := shell(t, curl[0][1])
		if answer["code"] != nil {
			require.Equal(t, "session_limit_exceeded", answer["code"])
			break
		}
		require.Equal(t, "held", answer["state"])
		ids = append(ids, answer["id"].(string))
	}
	require.Len(t, ids, 2, "two tickets each, four in all: it is a ceremony")
	confirmed := shell(t, strings.Replace(curl[1][1], "/ID/", "/"+ids[0]+"/", 1))
	require.Equal(t, "confirmed", confirmed["state"])
	status, ready := body(t, r.admin+"/readyz")
	require.Equal(t, 200, status, ready)
	status, metrics := body(t, r.admin+"/metrics")
	require.Equal(t, 200, status)
	require.Contains(t, metrics, "seathold_build_info{")
	require.Contains(t, metrics, "process_resident_memory_bytes")

	var stdout, stderr bytes.Buffer
	journal := filepath.Join(dir, "seathold-data")
	second := run([]string{"--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data", journal},
		&process{stdout: &stdout, stderr: &stderr})
	require.Equal(t, exitFailed, second)
	require.Contains(t, stderr.String(), "in use by another process")

	require.Equal(t, -1, r.end(syscall.SIGKILL))
	r = serve(t, dir)
	require.Contains(t, r.banner, "2 reservations of 1 accounts")
	require.Equal(t, confirmed, shell(t, "curl -sS "+r.url+"/v1/reservations/"+ids[0]))
	require.Equal(t, "held", shell(t, "curl -sS "+r.url+"/v1/reservations/"+ids[1])["state"])
	require.Equal(t, "held", shell(t, curlLine.FindStringSubmatch(r.banner)[1])["state"],
		"the banner suggests another account, since alice is at the limit")
	require.Equal(t, exitDone, r.end(syscall.SIGTERM))

	stdout.Reset()
	require.Equal(t, exitDone, run([]string{"verify", "--data", journal}, &process{stdout: &stdout, stderr: &stderr}))
	require.Contains(t, stdout.String(), "3 of 2 accounts: 2 held, 1 confirmed, 0 released, 0 returned, 0 expired")
	require.Contains(t, stdout.String(), "4 held, 2 confirmed, 0 returned (0 of them withheld)")
	stdout.Reset()
	require.Equal(t, exitDone, run([]string{"journal", "dump", "--data", journal},
		&process{stdout: &stdout, stderr: &stderr}))
	require.Contains(t, stdout.String(), `"id":"`+ids[0]+`"`)
	for _, line := range strings.Split(strings.TrimSpace(stdout.String()), "\n") {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

// TestOtherSales checks the other forms of the banner.
func TestOtherSales(t *testing.T) {
	r := serve(t, t.TempDir(), "--sale", absolute(t, "../testdata/sale"), "--durability", "async")
	require.Contains(t, r.banner, "Games (games): 7 sessions")
	require.NotContains(t, r.banner, "derived")
	require.Contains(t, r.banner, "wall time")
	require.Contains(t, r.banner, "async: answers do not wait")
	require.Contains(t, r.banner, "No open phase")
	require.Equal(t, exitDone, r.end(os.Interrupt))

	t.Setenv("SEATHOLD_SALE", absolute(t, "../testdata/sale"))
	t.Setenv("SEATHOLD_CLOCK", "2024-01-10T09:00:00Z")
	t.Setenv("SEATHOLD_DURABILITY", "none")
	t.Setenv("SEATHOLD_TTL", "1m")
	t.Setenv("SEATHOLD_MAX_HOLD", "5m")
	t.Setenv("SEATHOLD_MAX_RESERVATIONS", "1")
	dir := t.TempDir()
	r = serve(t, dir)
	require.Contains(t, r.banner, "early (Early")
	require.Contains(t, r.banner, "all outcomes are lost")
	require.Contains(t, r.banner, "last 1m0s unless the request asks for less, and 5m0s at most when they are extended")
	held := shell(t, curlLine.FindStringSubmatch(r.banner)[1])
	require.Equal(t, "held", held["state"])
	created, err := time.Parse(time.RFC3339Nano, held["created_at"].(string))
	require.NoError(t, err)
	late := shell(t, fmt.Sprintf(`curl -sS %s/v1/reservations/%s/extend -d '{"expires_at":"%s"}'`, r.url, held["id"],
		created.Add(6*time.Minute).Format(time.RFC3339Nano)))
	require.Equal(t, "hold_limit_exceeded", late["code"])
	latest, err := time.Parse(time.RFC3339Nano, late["max_expires_at"].(string))
	require.NoError(t, err)
	require.Equal(t, created.Add(5*time.Minute), latest)
	require.Equal(t, "full", shell(t, curlLine.FindStringSubmatch(r.banner)[1])["code"])
	require.Equal(t, exitDone, r.end(syscall.SIGTERM))
	require.Empty(t, entries(t, dir), "no journal, no directory")
}

func absolute(t *testing.T, path string) string {
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	return path
}

func entries(t *testing.T, dir string) []os.DirEntry {
	found, err := os.ReadDir(dir)
	require.NoError(t, err)
	return found
}

// TestSecondSignal checks that a server is not ready while it waits for a slow request, and that a second signal ends
// the wait.
func TestSecondSignal(t *testing.T) {
	r := serve(t, t.TempDir(), "--durability", "none")
	slow, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	defer func() { require.NoError(t, slow.Close()) }()
	_, err = io.WriteString(slow, "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/ph")
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(slow), nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	_, err = io.WriteString(slow, "ases")
	require.NoError(t, err)
	require.NoError(t, r.command.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool {
		status, text := body(t, r.admin+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "shutting down")
	}, 5*time.Second, time.Millisecond)
	began := time.Now()
	require.Equal(t, exitFailed, r.end(syscall.SIGTERM))
	require.Less(t, time.Since(began), 5*time.Second)
	require.Contains(t, r.stderr.String(), "second signal")
}
