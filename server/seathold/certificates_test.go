//go:build unix

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
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

// secureServer starts a real server with TLS, client certificates and keys, and returns a client with a certificate.
func secureServer(t *testing.T, a *authority) (*program, *http.Client) {
	a.issueServer("server")
	a.issue("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	require.NoError(t, os.WriteFile(a.path("keys"), []byte("admin "+adminKey+" ops\n"), 0o600))
	ours, err := tls.LoadX509KeyPair(a.path("client.pem"), a.path("client.key"))
	require.NoError(t, err)
	s := begin(t, "--durability", "none", "--keys", a.path("keys"),
		"--tls-cert", a.path("server.pem"), "--tls-key", a.path("server.key"), "--client-ca", a.path("ca.pem"))
	s.client = a.client() // a probe, which has no certificate
	s.await(s.announced)
	s.await(s.ready)
	return s, a.client(ours)
}

const adminKey = "admin-0123456789abcdef"

// issueServer writes a certificate for a server on loopback.
func (a *authority) issueServer(name string) {
	a.issue(name, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// client trusts the authority, makes a connection for each request, and resumes its sessions.
func (a *authority) client(own ...tls.Certificate) *http.Client {
	config := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: own,
		ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	config.RootCAs.AddCert(a.certificate)
	return &http.Client{Timeout: 30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

// status makes a request with an admin's key.
func status(t *testing.T, c *http.Client, url string) (status int, state *tls.ConnectionState) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+adminKey)
	response, err := c.Do(request)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	return response.StatusCode, response.TLS
}

// TestOperatorOverTLS checks that the operator's port has the TLS of the API: it requires a client certificate for
// everything but the probes of health, and the commands can send one.
func TestOperatorOverTLS(t *testing.T) {
	a := newAuthority(t)
	s, ours := secureServer(t, a)
	require.Contains(t, s.operator, "https://")
	for path, without := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 403,
		"/debug/pprof/cmdline": 403, "/admin/draws/draw1": 403, "/nothing": 403} {
		code, _ := status(t, s.client, s.operator+path)
		require.Equal(t, without, code, path)
		want := http.StatusOK
		if path == "/nothing" {
			want = http.StatusNotFound
		}
		code, _ = status(t, ours, s.operator+path)
		require.Equal(t, want, code, path)
	}
	plain := strings.Replace(s.operator, "https", "http", 1)
	code, _ := status(t, s.client, plain+"/healthz")
	require.Equal(t, http.StatusBadRequest, code)

	t.Setenv("SEATHOLD_KEY", adminKey)
	rescue := []string{"journal", "rescue", "--to", a.path("to"), "--from", s.operator}
	ca := append(rescue, "--ca-cert", a.path("ca.pem"))
	refusedWith(t, "; --ca-cert FILE trusts another authority", rescue...)
	refusedWith(t, "; --client-cert and --client-key set a client certificate", ca...)
	ca = append(ca, "--client-cert", a.path("client.pem"))
	code, out := inProcess(ca...)
	require.Equal(t, exitUsage, code, out)
	refusedWith(t, "journal_works", append(ca, "--client-key", a.path("client.key"))...)
	refusedWith(t, "Client sent an HTTP request to an HTTPS server", "journal", "rescue", "--to", a.path("to"),
		"--from", plain)
	require.Equal(t, exitDone, s.stop())
}

// TestReloadCertificates checks that SIGHUP replaces the certificates of both ports for new connections, that sessions
// are resumed across it, and that faulty files change nothing.
func TestReloadCertificates(t *testing.T) {
	a := newAuthority(t)
	s, ours := secureServer(t, a)
	urls := []string{s.api + "/v1/phases", s.operator + "/metrics"}
	certificate := func(url string) *x509.Certificate {
		code, state := status(t, a.client(ours.Transport.(*http.Transport).TLSClientConfig.Certificates...), url)
		require.Equal(t, 200, code)
		return state.PeerCertificates[0]
	}
	serial := func(url string) string { return certificate(url).SerialNumber.String() }
	first := serial(urls[0])
	status(t, ours, urls[0])
	reloads := 0
	reload := func() (line string) {
		require.NoError(t, s.command.Process.Signal(syscall.SIGHUP))
		reloads++
		s.await(func() bool {
			lines := strings.SplitAfter(s.output.String(), `msg="SIGHUP: the certificates`)
			line, _, _ = strings.Cut(lines[len(lines)-1], "\n")
			return len(lines) == reloads+1
		})
		return line
	}

	a.issueServer("other") // whose key the server's file does not have
	text, err := os.ReadFile(a.path("other.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(a.path("server.pem"), text, 0o600))
	require.Contains(t, reload(), "private key does not match public key")
	for _, url := range urls {
		require.Equal(t, first, serial(url))
	}

	a.issueServer("server")
	line := reload()
	require.Contains(t, line, "127.0.0.1 until "+certificate(urls[0]).NotAfter.UTC().Format(time.RFC3339))
	require.NotContains(t, line, "none: ")
	for _, url := range urls {
		require.NotEqual(t, first, serial(url))
	}
	code, state := status(t, ours, urls[0])
	require.Equal(t, 200, code)
	require.True(t, state.DidResume, "the session was not resumed")

	stranger := newAuthority(t)
	text, err = os.ReadFile(stranger.path("ca.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(a.path("ca.pem"), text, 0o600))
	require.Contains(t, reload(), "clients of CN=ca until")
	_, err = ours.Get(urls[0]) //nolint:bodyclose // there is no response
	require.Error(t, err)
	require.True(t, s.ready())
	require.Equal(t, exitDone, s.stop())
}
