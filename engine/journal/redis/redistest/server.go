// Package redistest starts real redis-server processes for tests, which can kill and restart them, and proxies that
// inject network faults.
package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Server is a redis-server process with its own directory and port, which restarts preserve. It may be used by one
// goroutine at a time.
type Server struct {
	Dir  string
	Port int

	t       testing.TB
	args    []string
	tls     *Certificates // nil without TLS
	process *exec.Cmd
	exited  chan struct{}
}

// Durable are the arguments with which Redis keeps what it acknowledges.
var Durable = []string{"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"}

// Start starts a server with the given arguments, or Durable if there are none, and stops it at the end of the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if len(args) == 0 {
		args = Durable
	}
	return (&Server{t: t, args: args}).startFirst()
}

// Certificates are files in PEM: those of an authority, and a certificate with its key.
type Certificates struct{ CA, Cert, Key string }

// StartTLS is Start for a server that accepts only connections with TLS and a client certificate of the authority.
func StartTLS(t testing.TB, c Certificates, args ...string) *Server {
	t.Helper()
	return (&Server{t: t, args: append(Durable[:len(Durable):len(Durable)], args...), tls: &c}).startFirst()
}

// startFirst starts a server on a free port.
func (s *Server) startFirst() *Server {
	t := s.t
	t.Helper()
	s.Dir = t.TempDir()
	t.Cleanup(s.Kill)
	for range 10 { // another process may take the port before it is used
		s.Port = freePort(t)
		if s.start() == nil {
			return s
		}
	}
	require.NoError(t, s.start())
	return s
}

// freePort finds a port for a server that is killed and restarted. It is below the ephemeral ports, because a client
// could otherwise take it between the two.
func freePort(t testing.TB) int {
	t.Helper()
	const from, to = 10_000, 32_768 // net.ipv4.ip_local_port_range begins at 32,768 by default
	for {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", from+rand.IntN(to-from)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		require.NoError(t, err)
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
}

// Addr returns the server's host:port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// URL returns the server's address in the form that a journal accepts.
func (s *Server) URL() string {
	if s.tls != nil {
		return "rediss://" + s.Addr()
	}
	return "redis://" + s.Addr()
}

// Socket returns the path of the server's unix socket, in the server's directory.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "redis.sock") }

// start starts the process and returns when it is ready.
func (s *Server) start() error {
	args := []string{"--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--unixsocket", s.Socket(), "--daemonize", "no"}
	if s.tls == nil {
		args = append(args, "--port", fmt.Sprint(s.Port))
	} else {
		args = append(args, "--port", "0", "--tls-port", fmt.Sprint(s.Port), "--tls-ca-cert-file", s.tls.CA,
			"--tls-cert-file", s.tls.Cert, "--tls-key-file", s.tls.Key, "--tls-cluster", "yes", "--tls-replication", "yes")
	}
	return s.run(exec.Command("redis-server", append(args, s.args...)...), "Ready to accept connections")
}

// run starts a process and waits for a line of output that contains ready.
func (s *Server) run(process *exec.Cmd, ready string) error {
	out, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	process.Stderr = process.Stdout
	up, exited := make(chan struct{}), make(chan struct{})
	s.process, s.exited = process, exited
	if err := process.Start(); err != nil {
		return err
	}
	var log []string // the last lines of output
	go func() {
		defer close(exited)
		waiting := true
		for lines := bufio.NewScanner(out); lines.Scan(); {
			log = append(log[max(0, len(log)-49):], lines.Text())
			if waiting && strings.Contains(lines.Text(), ready) {
				waiting = false
				close(up)
			}
		}
		process.Wait() // the status of a killed process has no information
	}()
	select {
	case <-up:
		return nil
	case <-exited:
		return fmt.Errorf("redis-server ended:\n%s", strings.Join(log, "\n"))
	}
}

// Kill kills the process with SIGKILL, even if it is stopped, and waits for its end. It may be called again.
func (s *Server) Kill() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	s.process.Process.Kill() // an error means that it has already ended
	<-s.exited
}

// Restart starts the killed process again with the data in its directory, and returns when that is loaded. Arguments,
// if given, replace those of Start.
func (s *Server) Restart(args ...string) {
	s.t.Helper()
	if len(args) > 0 {
		s.args = args
	}
	require.NoError(s.t, s.start())
}

// StartSentinel starts a sentinel with a configuration file, in a directory that it may write to, and stops it at the
// end of the test.
func StartSentinel(t testing.TB, file string) {
	t.Helper()
	s := &Server{Dir: filepath.Dir(file), t: t}
	t.Cleanup(s.Kill)
	require.NoError(t, s.run(exec.Command("redis-server", file, "--sentinel"), "+monitor master"))
}
