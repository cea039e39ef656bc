package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// begin is the time of the tests, at which most certificates are valid.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// folder has certificates in files NAME.pem and NAME.key.
type folder struct {
	t    *testing.T
	path string
	now  time.Time // crypto/tls verifies with the real clock, so tests of connections set it
}

func newFolder(t *testing.T) *folder { return &folder{t: t, path: t.TempDir(), now: begin} }

func (f *folder) file(name string) string { return filepath.Join(f.path, name) }

// issue writes a certificate for the name that is its own authority, and ends after so long.
func (f *folder) issue(name string, life time.Duration) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, NotBefore: f.now.Add(-time.Hour), NotAfter: f.now.Add(life),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(f.t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	require.NoError(f.t, err)
	f.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	f.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (f *folder) write(name string, text []byte) {
	require.NoError(f.t, os.WriteFile(f.file(name), text, 0o600))
}

// install makes a certificate that was issued the server's, or the clients' authority.
func (f *folder) install(from, to string) {
	for _, kind := range []string{".pem", ".key"} {
		text, err := os.ReadFile(f.file(from + kind))
		require.NoError(f.t, err)
		f.write(to+kind, text)
	}
}

func (f *folder) files() Files {
	return Files{Certificate: f.file("server.pem"), Key: f.file("server.key"), Authorities: f.file("ca.pem")}
}

func (f *folder) load() *Store {
	s, warnings, err := Load(f.files(), func() time.Time { return f.now })
	require.NoError(f.t, err)
	require.Empty(f.t, warnings)
	return s
}

const year = 365 * 24 * time.Hour

// A reload takes effect as a whole or not at all.
func TestReload(t *testing.T) {
	f := newFolder(t)
	f.issue("one.test", year)
	f.issue("two.test", 2*year)
	f.issue("ended.test", -time.Minute)
	f.issue("soon.test", 24*time.Hour)
	f.install("one.test", "server")
	f.install("one.test", "ca")
	s := f.load()
	require.Equal(t, "one.test until 2027-01-01T00:00:00Z; clients of one.test until 2027-01-01T00:00:00Z", s.String())
	require.Equal(t, map[string]time.Time{"server": begin.Add(year), "client_ca": begin.Add(year)}, s.Ends())
	refused := func(fault string) {
		t.Helper()
		before := s.String()
		change, _, err := s.Reload()
		require.ErrorContains(t, err, fault)
		require.Empty(t, change)
		require.Equal(t, before, s.String())
	}

	f.install("two.test", "server")
	change, warnings, err := s.Reload()
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Contains(t, change, "two.test until 2028-01-01T00:00:00Z; clients of one.test")
	require.Equal(t, begin.Add(2*year), s.Ends()["server"])
	change, _, err = s.Reload()
	require.NoError(t, err)
	require.Contains(t, change, "none: two.test")

	key, err := os.ReadFile(f.file("one.test.key"))
	require.NoError(t, err)
	f.write("server.key", key)
	refused("private key does not match public key")
	require.NoError(t, os.Remove(f.file("server.key")))
	refused("no such file")
	f.install("ended.test", "server")
	refused("the certificate of ended.test ended on 2025-12-31T23:59:00Z; the present files are valid")
	f.install("two.test", "server")
	f.write("ca.pem", []byte("no certificate"))
	refused("ca.pem has no certificate in PEM form")
	f.write("ca.pem", append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), key...))
	refused("ca.pem: certificate 1: x509")
	f.install("ended.test", "ca")
	refused("no authority of clients is valid: that of ended.test ended")
	f.install("one.test", "ca")

	f.install("soon.test", "server")
	_, warnings, err = s.Reload()
	require.NoError(t, err)
	require.Equal(t, []string{"the certificate of soon.test ends in 24h0m0s, on 2026-01-02T00:00:00Z"}, warnings)
}

// An invalid certificate does not keep a server from starting, and may replace another invalid one.
func TestInvalidCertificates(t *testing.T) {
	f := newFolder(t)
	f.issue("ended.test", -time.Minute)
	f.issue("one.test", year)
	f.install("ended.test", "server")
	f.install("one.test", "ca")
	s, warnings, err := Load(f.files(), func() time.Time { return f.now })
	require.NoError(t, err)
	require.Equal(t, []string{"the certificate of ended.test ended on 2025-12-31T23:59:00Z"}, warnings)
	f.now = begin.Add(-2 * time.Hour)
	f.install("one.test", "server")
	_, warnings, err = s.Reload()
	require.NoError(t, err)
	require.Contains(t, warnings, "the certificate of one.test begins only on 2025-12-31T23:00:00Z")
}

// session is a client that resumes its sessions.
type session struct {
	t      *testing.T
	config *tls.Config
}

// newSession makes a client of the version with a certificate, nil for none, which trusts a folder's servers.
func (f *folder) newSession(version uint16, own *tls.Certificate, servers ...string) *session {
	c := &session{t: f.t, config: &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "server.test", MaxVersion: version,
		ClientSessionCache: tls.NewLRUClientSessionCache(1)}}
	for _, name := range servers {
		all, err := Authorities(f.file(name + ".pem"))
		require.NoError(f.t, err)
		c.config.RootCAs.AddCert(all[0])
	}
	if own != nil {
		c.config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	return c
}

// connect exchanges a byte with a server, and reports whether the session was resumed.
func (c *session) connect(server *tls.Config) (resumed bool, chains int, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	defer ln.Close()
	served := make(chan int, 1)
	go func() {
		raw, err := ln.Accept()
		if err != nil {
			served <- 0
			return
		}
		s := tls.Server(raw, server)
		_, _ = s.Write([]byte{1}) // an error shows at the client
		served <- len(s.ConnectionState().VerifiedChains)
		_ = s.Close() // likewise
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(c.t, err)
	client := tls.Client(raw, c.config)
	_, err = io.ReadFull(client, make([]byte, 1))
	chains = <-served
	return client.ConnectionState().DidResume, chains, err
}

// Sessions are resumed across reloads. When the authority of a client is removed, it can neither resume nor connect.
func TestSessions(t *testing.T) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.now = time.Now()
			f.issue("server.test", year)
			f.install("server.test", "server")
			ours := f.issue("ours.test", year)
			f.issue("theirs.test", year)
			f.install("ours.test", "ca")
			s := f.load()
			strict, lenient := s.Strict(), s.Lenient()
			client := f.newSession(version, ours, "server.test")
			for _, want := range []bool{false, true, true} {
				resumed, chains, err := client.connect(strict)
				require.NoError(t, err)
				require.Equal(t, want, resumed)
				require.Equal(t, 1, chains)
				_, _, err = s.Reload()
				require.NoError(t, err)
			}
			stranger := f.newSession(version, nil, "server.test")
			_, _, err := stranger.connect(strict)
			require.Error(t, err)
			resumed, chains, err := stranger.connect(lenient)
			require.NoError(t, err)
			require.False(t, resumed)
			require.Zero(t, chains)

			f.install("theirs.test", "ca")
			_, _, err = s.Reload()
			require.NoError(t, err)
			for _, config := range []*tls.Config{strict, lenient} {
				_, _, err = client.connect(config)
				require.Error(t, err, "a removed authority's client")
			}
			f.install("ours.test", "ca")
			_, _, err = s.Reload()
			require.NoError(t, err)
			_, _, err = client.connect(strict)
			require.NoError(t, err)
		})
	}
}
