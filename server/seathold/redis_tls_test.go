//go:build unix

package main

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

// secured is an authority with certificates for Redis and its clients, and the flags that use them.
type secured struct {
	*authority
	flags []string
}

func newSecured(t *testing.T) secured {
	redis.SilenceClient()
	a := newAuthority(t)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	a.issue("redis", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: both})
	a.issue("client", &x509.Certificate{ExtKeyUsage: both[1:]})
	return secured{a, []string{"--redis-ca", a.path("ca.pem"), "--redis-cert", a.path("client.pem"),
		"--redis-key", a.path("client.key")}}
}

func (s secured) certificates() redistest.Certificates {
	return redistest.Certificates{CA: s.path("ca.pem"), Cert: s.path("redis.pem"), Key: s.path("redis.key")}
}

// check connects to a Redis and checks it.
func (s secured) check(t *testing.T, url string) (redis.Report, error) {
	f := redisFlags{URL: url, CA: s.path("ca.pem"), Cert: s.path("client.pem"), Key: s.path("client.key")}
	require.NoError(t, f.check())
	o, err := f.options("tls")
	require.NoError(t, err)
	j, err := redis.Open(o)
	require.NoError(t, err)
	defer j.Close()
	return j.Check(t.Context())
}

// TestRedisOverTLS serves from a Redis that requires client certificates, and verifies the journal. What is wrong with
// the certificates ends a start at once, with one line that names the Redis and the flag.
func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	s, stranger := newSecured(t), newSecured(t)
	r := redistest.StartTLS(t, s.certificates())
	require.NoError(t, os.Chmod(s.path("client.key"), 0o644))
	server := start(t, append(s.flags, "--redis", r.URL())...)
	require.Contains(t, server.output.String(), s.path("client.key")+" can be read by all users of this machine")
	body := fmt.Sprintf(reserveOne, "11111111-1111-4111-8111-111111111111")
	a, err := server.call(http.MethodPost, "/v1/reservations", body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, a.status)
	require.Equal(t, exitDone, server.stop())
	code, out := inProcess(append([]string{"verify", "--redis", r.URL()}, s.flags...)...)
	require.Equal(t, exitDone, code, out)
	require.Contains(t, out, "1 held")

	ca, other := s.flags[:2:2], append(s.flags[2:6:6], "--redis-ca", stranger.path("ca.pem"))
	for want, args := range map[string][]string{
		"unknown authority; --redis-ca FILE trusts another authority": nil,
		"candidate authority certificate":                             other,
		"certificate required; --redis-cert and --redis-key":          ca,
		"remote error: tls: ": append(ca, "--redis-cert", stranger.path("client.pem"), "--redis-key",
			stranger.path("client.key")),
		"match localhost": append(ca, "--redis", strings.Replace(r.URL(), "127.0.0.1", "localhost", 1)),
	} {
		code, out := inProcess(append([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
			"--redis", r.URL()}, args...)...)
		require.Equal(t, exitFailed, code, out)
		require.Contains(t, out, want)
		require.Contains(t, out, "seathold: --redis rediss://")
	}
}

// TestSentinelOverTLS finds the master through a Sentinel that requires client certificates, too.
func TestSentinelOverTLS(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	r := redistest.StartTLS(t, s.certificates())
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	config := fmt.Sprintf("port 0\ntls-port %s\nbind 127.0.0.1\ndir %s\ntls-ca-cert-file %s\ntls-cert-file %s\n"+
		"tls-key-file %s\ntls-replication yes\nsentinel monitor main 127.0.0.1 %d 1\n", port, filepath.Dir(file),
		s.path("ca.pem"), s.path("redis.pem"), s.path("redis.key"), r.Port)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	redistest.StartSentinel(t, file)
	report, err := s.check(t, "rediss+sentinel://"+address+"/main")
	require.NoError(t, err)
	require.False(t, report.Safe)
}

// TestClusterOverTLS uses a cluster of one server that requires client certificates.
func TestClusterOverTLS(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	r := redistest.StartTLS(t, s.certificates(), "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1")
	tls := []string{"--tls", "--cacert", s.path("ca.pem"), "--cert", s.path("client.pem"), "--key", s.path("client.key")}
	redisCLI(t, r, append(tls, "cluster", "addslotsrange", "0", "16383")...)
	report, err := s.check(t, "rediss+cluster://"+r.Addr())
	require.NoError(t, err)
	require.Contains(t, report.Lines[0], "cluster")
	require.True(t, report.Safe, report)
}
