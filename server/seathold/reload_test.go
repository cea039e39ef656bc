//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keyFile is the key file of a running server.
type keyFile struct {
	*program
	path    string
	reloads int // log lines about them
}

// keyed starts a server with keys.
func keyed(t *testing.T, keys string, args ...string) *keyFile {
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, []byte(keys), 0o600))
	return &keyFile{program: start(t, append(args, "--durability", "none", "--keys", path)...), path: path}
}

// replace writes the file, sends SIGHUP, and returns the log line about the reload.
func (f *keyFile) replace(keys string) (line string) {
	require.NoError(f.t, os.WriteFile(f.path, []byte(keys), 0o600))
	require.NoError(f.t, f.command.Process.Signal(syscall.SIGHUP))
	f.reloads++
	f.await(func() bool {
		lines := strings.SplitAfter(f.output.String(), `msg="SIGHUP: the keys`)
		line, _, _ = strings.Cut(lines[len(lines)-1], "\n")
		return len(lines) == f.reloads+1
	})
	return line
}

// as makes a request with a key, and reports whether it went over a connection that was kept.
func (f *keyFile) as(client *http.Client, key, method, path, body string) (status int, kept bool, err error) {
	request, err := http.NewRequest(method, f.api+path, strings.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { kept = c.Reused }}))
	response, err := client.Do(request)
	if err != nil {
		return 0, false, err
	}
	_, err = io.Copy(io.Discard, response.Body) // a connection is kept once its response was read
	return response.StatusCode, kept, errors.Join(err, response.Body.Close())
}

// TestReloadUnderLoad reads the keys again many times, faulty ones among them, while clients sell. No request of a key
// that stays in the file fails.
func TestReloadUnderLoad(t *testing.T) {
	const stays, turns, ops = "stays-0123456789abcdef", "turns-0123456789abcdef", "admin-0123456789abcdef"
	f := keyed(t, "sell "+stays+" shop\nsell "+turns+" other\nadmin "+ops+" ops\n")
	var made, failed atomic.Int64
	var over atomic.Bool
	var all sync.WaitGroup
	for c := range 8 {
		client := &http.Client{Transport: &http.Transport{}} // one connection
		t.Cleanup(client.CloseIdleConnections)
		all.Go(func() {
			for n := 0; !over.Load(); n++ {
				status, _, err := f.as(client, stays, "POST", "/v1/reservations", fmt.Sprintf(
					`{"account":"a%d-%d","lines":[{"session":"ATH10","category":"A","quantity":1}]}`, c, n))
				if made.Add(1); err != nil || status != http.StatusCreated && status != http.StatusConflict {
					failed.Add(1)
					t.Errorf("status %d, %v", status, err)
					return
				}
			}
		})
	}
	for n := range 9 {
		before := made.Load()
		switch n % 3 {
		case 0:
			require.Contains(t, f.replace("admin "+ops+" ops\nsell "+stays+" shop\n"), "removed other")
		case 1:
			require.Contains(t, f.replace("sell "+stays+" shop\nsell SECRET\n"), "line 2: the key has 6 characters")
			require.Zero(t, f.gauge(`seathold_reload_successful{files="keys"}`))
		default:
			require.Contains(t, f.replace("sell "+stays+" shop\nsell "+turns+" other\nadmin "+ops+" ops\n"), "added other")
			require.EqualValues(t, 1, f.gauge(`seathold_reload_successful{files="keys"}`))
		}
		f.await(func() bool { return made.Load() > before+8 || failed.Load() > 0 })
	}
	over.Store(true)
	all.Wait()
	require.NotContains(t, f.output.String(), "SECRET")
	require.Equal(t, exitDone, f.stop())
}

// TestReload checks what a reload changes for connections that are open: a removed key is refused on its next request,
// a role is the new one, and faulty files change nothing.
func TestReload(t *testing.T) {
	const noReservation = "018c1f6e-0000-7000-8000-000000000001"
	const shop, next, reader = "shop-0123456789abcdef", "next-0123456789abcdef", "read-0123456789abcdef"
	f := keyed(t, "sell "+shop+" shop\nread "+reader+" dashboard\n", "--log-level", "error")
	want := func(status int, key, method string) {
		t.Helper()
		path := map[string]string{"GET": "/v1/phases", "POST": "/v1/reservations/" + noReservation + "/confirm"}[method]
		got, kept, err := f.as(f.client, key, method, path, "")
		require.NoError(t, err)
		require.Equal(t, status, got)
		require.True(t, kept, "the client has connected anew")
	}
	_, _, err := f.as(f.client, shop, "GET", "/v1/phases", "")
	require.NoError(t, err)
	want(200, shop, "GET")
	want(404, shop, "POST")
	want(401, next, "GET")

	read := f.gauge(`seathold_reload_last_success_timestamp_seconds{files="keys"}`)
	require.Contains(t, f.replace(""), "the former ones stay in force")
	want(200, shop, "GET")
	require.Equal(t, read, f.gauge(`seathold_reload_last_success_timestamp_seconds{files="keys"}`))

	line := f.replace("sell " + next + " shop\nread " + shop + " dashboard\n")
	require.Contains(t, line, `change="rotated dashboard, shop"`)
	want(200, next, "GET")
	want(200, shop, "GET")
	want(403, shop, "POST")
	want(401, reader, "GET")
	require.Less(t, read, f.gauge(`seathold_reload_last_success_timestamp_seconds{files="keys"}`))

	require.NoError(t, os.Chmod(f.path, 0o644))
	line = f.replace("sell " + shop + " dashboard\n")
	require.Contains(t, line, `change="removed shop; role changed dashboard: read to sell"`)
	require.Contains(t, f.output.String(), "level=WARN msg=\""+f.path+" can be read by all users of this machine")
	want(404, shop, "POST")
	want(401, next, "GET")
	require.NotContains(t, f.output.String(), "0123456789abcdef", "a key is in the log")
}

// TestHangupWithoutFiles checks that SIGHUP does not end a server that has nothing to read again.
func TestHangupWithoutFiles(t *testing.T) {
	s := start(t, "--durability", "none")
	require.NoError(t, s.command.Process.Signal(syscall.SIGHUP))
	s.await(func() bool { return strings.Contains(s.output.String(), "SIGHUP: there is nothing to read again") })
	require.True(t, s.ready())
	require.Equal(t, exitDone, s.stop())
}

// TestLogReaderGone checks that a server survives the end of the program that reads its log.
func TestLogReaderGone(t *testing.T) {
	reader, log, err := os.Pipe()
	require.NoError(t, err)
	s := beginLogging(t, &output{}, log, nil, "--durability", "none")
	require.NoError(t, log.Close())
	s.await(s.announced)
	require.NoError(t, reader.Close())
	status := func() int {
		response, err := s.client.Post(s.operator+"/admin/draws/draw1/run", "", nil) // leaves an audit line
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusBadRequest, status())
	require.Equal(t, http.StatusBadRequest, status(), "a line has been written by now")
	require.Equal(t, exitDone, s.stop())
}

// TestShutdownWhileReloading checks that a file that cannot be read to its end does not keep the server from ending.
func TestShutdownWhileReloading(t *testing.T) {
	f := keyed(t, "sell shop-0123456789abcdef shop\n")
	require.NoError(t, os.Remove(f.path))
	require.NoError(t, syscall.Mkfifo(f.path, 0o600))
	require.NoError(t, f.command.Process.Signal(syscall.SIGHUP))
	f.await(func() bool { // the server is its reader
		writer, err := os.OpenFile(f.path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			t.Cleanup(func() { require.NoError(t, writer.Close()) })
		}
		return err == nil
	})
	require.NoError(t, f.command.Process.Signal(syscall.SIGTERM))
	select {
	case <-f.exited:
		require.Equal(t, exitDone, f.command.ProcessState.ExitCode())
	case <-time.After(20 * time.Second):
		require.FailNow(t, "it does not end", f.output.String())
	}
}
