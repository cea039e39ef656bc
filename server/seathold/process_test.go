package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// binary is the real program, built once with the race detector.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "seathold-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "seathold")
	out, err := exec.Command("go", "build", "-race", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// program is a running process of the real program.
type program struct {
	t        *testing.T
	command  *exec.Cmd
	output   *output
	api      string // base URL
	operator string
	exited   chan struct{}
	client   *http.Client
}

// output collects what a process prints. It may be read while the process runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// begin starts the program on ports that the system picks.
func begin(t *testing.T, args ...string) *program { return beginIn(t, nil, args...) }

// beginIn is begin with more variables in the environment.
func beginIn(t *testing.T, environment []string, args ...string) *program {
	out := &output{}
	return beginLogging(t, out, out, environment, args...)
}

// beginLogging is beginIn with the log elsewhere than in the output.
func beginLogging(t *testing.T, out *output, log io.Writer, environment []string, args ...string) *program {
	path, err := binary()
	require.NoError(t, err)
	s := &program{t: t, output: out, exited: make(chan struct{}),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	args = append([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, args...)
	s.command = exec.Command(path, args...)
	s.command.Stdout, s.command.Stderr = out, log
	s.command.Env = append(withoutDelay(), environment...)
	require.NoError(t, s.command.Start())
	go func() {
		_ = s.command.Wait() // a killed process has no good exit status
		close(s.exited)
	}()
	t.Cleanup(func() { s.kill() })
	return s
}

// announced reports whether the banner has printed the addresses, and notes them.
func (s *program) announced() bool {
	banner := s.output.String()
	api, operator := apiLine.FindStringSubmatch(banner), adminLine.FindStringSubmatch(banner)
	if api == nil || operator == nil {
		return false
	}
	s.api, s.operator = api[1], operator[1]
	return true
}

// launch starts the program and returns when its banner has printed its addresses. A standby may not be ready then.
func launch(t *testing.T, args ...string) *program {
	s := begin(t, args...)
	s.await(s.announced)
	return s
}

// start starts the program and waits until it is ready.
func start(t *testing.T, args ...string) *program {
	s := launch(t, args...)
	s.await(func() bool { return s.ready() })
	return s
}

// await polls until the condition holds. The test fails if that takes too long or the process ends.
func (s *program) await(holds func() bool) {
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-s.exited:
			require.FailNow(s.t, "the server has ended", s.output.String())
		case <-deadline:
			require.FailNow(s.t, "the condition does not hold in time", s.output.String())
		case <-tick.C:
		}
	}
}

func (s *program) ready() bool {
	r, err := s.client.Get(s.operator + "/readyz")
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, r.Body)
	return r.Body.Close() == nil && r.StatusCode == http.StatusOK
}

// gauge reads a metric without labels.
func (s *program) gauge(name string) float64 {
	r, err := s.client.Get(s.operator + "/metrics")
	require.NoError(s.t, err)
	page, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, r.Body.Close())
	require.Equal(s.t, http.StatusOK, r.StatusCode)
	for line := range strings.Lines(string(page)) {
		if text, found := strings.CutPrefix(line, name+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			require.NoError(s.t, err)
			return value
		}
	}
	require.FailNow(s.t, "no metric "+name, "%s", page)
	return 0
}

// page returns what the operator's port has at a path.
func (s *program) page(path string) string {
	r, err := s.client.Get(s.operator + path)
	require.NoError(s.t, err)
	defer func() { _ = r.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	return string(text)
}

// kill ends the process with SIGKILL.
func (s *program) kill() {
	_ = s.command.Process.Signal(syscall.SIGKILL) // it may have ended already
	<-s.exited
	s.client.CloseIdleConnections()
}

// stop ends the process with SIGTERM and returns its exit code.
func (s *program) stop() int {
	require.NoError(s.t, s.command.Process.Signal(syscall.SIGTERM))
	<-s.exited
	return s.command.ProcessState.ExitCode()
}

// answer is a response of the API.
type answer struct {
	status int
	body   map[string]any
}

func (a answer) text(field string) string { s, _ := a.body[field].(string); return s }

// call makes one request. An error means that the outcome is unknown.
func (s *program) call(method, path, body string) (answer, error) {
	request, err := http.NewRequest(method, s.api+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	a := answer{status: response.StatusCode}
	return a, json.NewDecoder(response.Body).Decode(&a.body)
}

// withoutDelay is the environment in which the race detector does not wait a second at the end.
func withoutDelay() []string { return append(os.Environ(), "GORACE=atexit_sleep_ms=0") }

// tool runs another command of the program and returns its exit code and output.
func tool(t *testing.T, args ...string) (code int, output string) {
	path, err := binary()
	require.NoError(t, err)
	command := exec.Command(path, args...)
	command.Env = withoutDelay()
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		require.NoError(t, err)
	}
	return command.ProcessState.ExitCode(), string(out)
}

// inProcess runs a command in this process and returns its exit code and output.
func inProcess(args ...string) (code int, out string) {
	var text output
	code = run(args, &process{stdout: &text, stderr: &text})
	return code, text.String()
}
