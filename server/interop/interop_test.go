// Package interop has the clients and proxies that others use make the calls of a sale. Each sends the requests of
// cycle_test.go to a server of its own. A client that is a program reads the requests from its standard input, a JSON
// array of objects with method, url, headers and body, and writes an array of the responses: status, headers with names
// in lower case, and body.
package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/npm"
)

const key = "interop-0123456789abcdef"

// request and response are what the programs read and write.
type request struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

type response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// client sends requests one after the other, on one connection if it can.
type client struct {
	send    func(t *testing.T, requests []request, authority string) []response
	lacks   string // a header that it cannot send
	decodes bool   // it removes Content-Encoding when it decodes a body
}

var clients = map[string]client{
	"curl":            {send: curl},
	"fetch":           {send: program("node", "cycle.mjs", "fetch"), lacks: "Expect"},
	"axios":           {send: program("node", "cycle.mjs", "axios"), decodes: true},
	"Python requests": {send: program("/usr/bin/python3", "cycle.py")},
	"Go net/http":     {send: goClient, decodes: true},
	"k6":              {send: k6},
}

// TestMain installs axios, and lets the tests find k6, which scripts/test installs, and the proxies, which may not be
// on a user's path.
func TestMain(m *testing.M) {
	tools, err := filepath.Abs("../../.tools")
	if err = errors.Join(err, os.Setenv("PATH", tools+":"+os.Getenv("PATH")+":/usr/sbin"), npm.Install()); err != nil {
		log.Fatal(err)
	}
	m.Run()
}

// TestClients has each client make the cycle, on few connections: a request in it ends one, and fetch ends one after a
// HEAD.
func TestClients(t *testing.T) {
	for name, c := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, nil)
			c.cycle(t, "http://"+s.address, "")
			require.LessOrEqual(t, s.accepted.Load(), int64(5), "connections of %d requests", len(cycle()))
		})
	}
}

// TestClientsOverTLS has clients with a certificate authority of their own make the cycle.
func TestClientsOverTLS(t *testing.T) {
	authority, config := certificate(t)
	for _, name := range []string{"curl", "fetch", "Python requests", "Go net/http"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, config)
			clients[name].cycle(t, "https://"+s.address, authority)
			require.LessOrEqual(t, s.accepted.Load(), int64(5))
		})
	}
}

// TestProxies has a client make the cycle through a proxy that keeps its connections to the server, several times. The
// proxy must not see a connection end that it wants to use.
func TestProxies(t *testing.T) {
	for proxy, c := range map[string]client{"nginx": clients["curl"], "haproxy": clients["Python requests"]} {
		t.Run(proxy, func(t *testing.T) {
			t.Parallel()
			s := start(t, nil)
			log, address := startProxy(t, proxy, s.address)
			c.cycle(t, "http://"+address, "")
			for range 3 {
				for _, a := range c.send(t, reads("http://"+address, 40), "") {
					require.Equal(t, 200, a.Status, a.Body)
				}
			}
			require.LessOrEqual(t, s.accepted.Load(), int64(8))
			require.NotRegexp(t, `(?i)error|reset|prematurely|warn`, log())
		})
	}
}

// cycle makes the cycle and checks the responses.
func (c client) cycle(t *testing.T, base, authority string) {
	steps := cycle()
	requests := make([]request, len(steps))
	for i, s := range steps {
		requests[i] = s.request
		requests[i].URL = base + s.URL
		delete(requests[i].Headers, c.lacks)
	}
	responses := c.send(t, requests, authority)
	require.Len(t, responses, len(steps))
	for i, s := range steps {
		a := responses[i]
		what := fmt.Sprintf("%s %s: %d %.400s", s.Method, s.URL, a.Status, a.Body)
		require.Equal(t, s.status, a.Status, what)
		for name, value := range s.headers {
			if name != "content-encoding" || !c.decodes {
				require.Contains(t, strings.Split(value, "|"), a.Headers[name], "%s: %s", what, name)
			}
		}
		require.Contains(t, a.Body, s.contains, what)
		require.Equal(t, s.Method == http.MethodHead || s.status == 204, a.Body == "", what)
	}
}

// fixture is a server with a new sale.
type fixture struct {
	net.Listener
	address  string
	accepted atomic.Int64
}

func (f *fixture) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err == nil {
		f.accepted.Add(1)
	}
	return c, err
}

// start starts a server whose table of accounts is full after those of the cycle.
func start(t *testing.T, config *tls.Config) *fixture {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	opening := time.Date(2023, 11, 30, 12, 0, 0, 0, time.UTC)
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Durability: engine.None, MaxAccounts: accounts,
		MaxReservations: 1 << 10,
		Clock:           saleclock.Virtual(func() time.Time { return opening })})
	require.NoError(t, err)
	keys, err := server.ParseKeys(strings.NewReader("sell " + key + " shop"))
	require.NoError(t, err)
	s, err := server.New(context.Background(), server.Options{Engine: e, Keys: keys})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &fixture{Listener: ln, address: ln.Addr().String()}
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(f, config) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
		require.NoError(t, <-served)
		require.NoError(t, e.Close())
	})
	return f
}

// program is a client that is a program with arguments.
func program(name string, arguments ...string) func(*testing.T, []request, string) []response {
	return func(t *testing.T, requests []request, authority string) (responses []response) {
		input, err := json.Marshal(requests)
		require.NoError(t, err)
		command := exec.CommandContext(t.Context(), name, arguments...)
		command.Stdin = bytes.NewReader(input)
		command.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authority, "REQUESTS_CA_BUNDLE="+authority)
		return decode(t, output(t, command))
	}
}

// k6 writes what its script logs.
func k6(t *testing.T, requests []request, _ string) []response {
	input, err := json.Marshal(requests)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "requests.json")
	require.NoError(t, os.WriteFile(path, input, 0o600))
	console := filepath.Join(t.TempDir(), "responses.json")
	output(t, exec.CommandContext(t.Context(), "k6", "run", "--quiet", "--no-usage-report", "--no-summary", "--log-format",
		"raw", "--console-output", console, "--env", "REQUESTS="+path, "cycle.k6.js"))
	text, err := os.ReadFile(console)
	require.NoError(t, err)
	return decode(t, text)
}

// curl is one process for all requests, so that it can keep its connection.
func curl(t *testing.T, requests []request, authority string) []response {
	dir := t.TempDir()
	var config strings.Builder
	for i, r := range requests {
		if i > 0 {
			config.WriteString("next\n")
		}
		fmt.Fprintf(&config, "silent\nshow-error\ncompressed\nmax-time = 20\nurl = %q\nrequest = %q\n"+
			"output = \"%s/%d.body\"\ndump-header = \"%s/%d.head\"\n", r.URL, r.Method, dir, i, dir, i)
		if authority != "" {
			fmt.Fprintf(&config, "cacert = %q\n", authority)
		}
		if r.Method == http.MethodHead {
			config.WriteString("head\n")
		}
		for name, value := range r.Headers {
			fmt.Fprintf(&config, "header = %q\n", name+": "+value)
		}
		if r.Body != "" {
			body := filepath.Join(dir, fmt.Sprintf("%d.request", i))
			require.NoError(t, os.WriteFile(body, []byte(r.Body), 0o600))
			fmt.Fprintf(&config, "data-binary = \"@%s\"\n", body)
		}
	}
	command := exec.CommandContext(t.Context(), "curl", "--config", "-")
	command.Stdin = strings.NewReader(config.String())
	output(t, command)
	responses := make([]response, len(requests))
	for i, r := range requests {
		responses[i] = curlResponse(t, filepath.Join(dir, fmt.Sprint(i)), r.Method)
	}
	return responses
}

// curlResponse reads the response that curl wrote.
func curlResponse(t *testing.T, path, method string) response {
	head, err := os.ReadFile(path + ".head")
	require.NoError(t, err)
	head = bytes.TrimPrefix(head, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
	lines := strings.Split(strings.TrimSpace(string(head)), "\r\n")
	r := response{Headers: map[string]string{}}
	_, err = fmt.Sscanf(lines[0], "HTTP/1.1 %d", &r.Status)
	require.NoError(t, err, "%s", head)
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Headers[strings.ToLower(name)] = value
	}
	body, err := os.ReadFile(path + ".body")
	if method == http.MethodHead || os.IsNotExist(err) { // curl writes the header of a HEAD as its body
		return r
	}
	require.NoError(t, err)
	r.Body = string(body)
	return r
}

// goClient is net/http.
func goClient(t *testing.T, requests []request, authority string) []response {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	if authority != "" {
		transport.TLSClientConfig = &tls.Config{RootCAs: pool(t, authority)}
	}
	caller := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	responses := make([]response, len(requests))
	for i, r := range requests {
		q, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL, strings.NewReader(r.Body))
		require.NoError(t, err)
		for name, value := range r.Headers {
			q.Header.Set(name, value)
		}
		a, err := caller.Do(q)
		require.NoError(t, err)
		body, err := io.ReadAll(a.Body)
		require.NoError(t, err)
		require.NoError(t, a.Body.Close())
		responses[i] = response{Status: a.StatusCode, Headers: map[string]string{}, Body: string(body)}
		for name := range a.Header {
			responses[i].Headers[strings.ToLower(name)] = a.Header.Get(name)
		}
	}
	return responses
}

// output runs a command and returns what it prints.
func output(t *testing.T, command *exec.Cmd) []byte {
	var faults bytes.Buffer
	command.Stderr = &faults
	out, err := command.Output()
	require.NoError(t, err, "%s: %s%s", command, out, faults.Bytes())
	return out
}

func decode(t *testing.T, text []byte) (responses []response) {
	require.NoError(t, json.Unmarshal(text, &responses), "%s", text)
	return responses
}
