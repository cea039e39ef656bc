package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every line of a log in JSON is valid JSON, from the first to the last. The access log is in it, whatever the level.
func TestLogsInJSON(t *testing.T) {
	r := serve(t, t.TempDir(), "--durability", "none", "--log-format", "json", "--log-level", "error", "--access-log")
	request, err := http.NewRequest(http.MethodGet, r.url+"/v1/accounts/alice", nil)
	require.NoError(t, err)
	request.Header.Set("Request-Id", "r-1")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "r-1", response.Header.Get("Request-Id"))
	require.Equal(t, exitDone, r.end(syscall.SIGTERM))
	var requests int
	for line := range strings.Lines(r.stderr.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		if fields["msg"] == "request" {
			require.Equal(t, "r-1", fields["request_id"])
			requests++
			continue
		}
		require.Equal(t, "ERROR", fields["level"], line)
	}
	require.Equal(t, 1, requests, r.stderr)
}

// The environment's variables are those of the flags, and text is the default. Below --log-level nothing is logged.
func TestLogsInText(t *testing.T) {
	r := serve(t, t.TempDir(), "--durability", "none")
	require.Equal(t, exitDone, r.end(syscall.SIGTERM))
	require.Contains(t, r.stderr.String(), `level=INFO msg="shutting down`)
	t.Setenv("SEATHOLD_LOG_LEVEL", "warn")
	r = serve(t, t.TempDir(), "--durability", "none")
	require.Equal(t, exitDone, r.end(syscall.SIGTERM))
	require.NotContains(t, r.stderr.String(), "level=INFO")
}

// stallLog starts a server and fills its log, which is not read.
func stallLog(t *testing.T) (r *running, log *os.File) {
	log, writer, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() }) // only read
	r = serveLogging(t, t.TempDir(), writer, "--durability", "none", "--access-log", "--access-log-rate", "1000000")
	require.NoError(t, writer.Close())
	client := &http.Client{Timeout: 10 * time.Second}
	for i := range 1000 { // a quarter of a megabyte: a pipe has room for 64 KiB
		response, err := client.Get(r.url + fmt.Sprintf("/v1/sessions/ATH%02d", i))
		require.NoError(t, err, "request %d", i)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	client.CloseIdleConnections()
	return r, log
}

// A log whose reader has stalled stops no sale and no shutdown.
func TestStalledLog(t *testing.T) {
	r, log := stallLog(t)
	require.NoError(t, r.command.Process.Signal(syscall.SIGTERM))
	first := make([]byte, len("time="))
	_, err := io.ReadFull(log, first) // what the pipe had room for is there
	require.NoError(t, err)
	require.Equal(t, "time=", string(first))
	require.NoError(t, r.command.Wait(), "it ends although its log is not read")
}

// A second signal ends the server at once although the reason cannot be printed.
func TestStalledLogAndSecondSignal(t *testing.T) {
	r, _ := stallLog(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	defer c.Close() // the server has ended
	_, err = io.WriteString(c, "GET /v1/phases HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1)) // the server has accepted the connection
	require.NoError(t, err)
	_, err = io.WriteString(c, "POST /v1/reservations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
	require.NoError(t, err) // a request that a shutdown waits for
	ended := make(chan error, 1)
	go func() { ended <- r.command.Wait() }()
	patience := time.After(6 * time.Second) // less than the request's 10 s
	for {
		_ = r.command.Process.Signal(syscall.SIGTERM) // fails once it has ended
		select {
		case <-ended:
			require.Equal(t, exitFailed, r.command.ProcessState.ExitCode())
			return
		case <-patience:
			require.FailNow(t, "it does not end")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
