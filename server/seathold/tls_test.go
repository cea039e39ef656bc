package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority makes certificates for a test.
type authority struct {
	t           *testing.T
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.certificate, a.key = a.issue("ca", &x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		BasicConstraintsValid: true})
	return a
}

// issue writes NAME.pem and NAME.key.
func (a *authority) issue(name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "EC PRIVATE KEY", secret)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return certificate, key
}

func (a *authority) write(name, kind string, der []byte) {
	require.NoError(a.t, os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// TestTLS checks a server that other machines can reach: with keys, TLS 1.2 or later, and client certificates.
func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	a.issue("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	stranger := newAuthority(t)
	stranger.issue("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	keys := a.path("keys")
	require.NoError(t, os.WriteFile(keys, []byte("sell 0123456789abcdef\n"), 0o644))
	require.NoError(t, os.Chmod(a.path("server.key"), 0o640))
	r := serve(t, t.TempDir(), "--addr", "0.0.0.0:0", "--durability", "none", "--keys", keys,
		"--tls-cert", a.path("server.pem"), "--tls-key", a.path("server.key"), "--client-ca", a.path("ca.pem"))
	require.Contains(t, r.banner, "TLS with client certificates")
	line := curlLine.FindStringSubmatch(r.banner)[1]
	line = strings.NewReplacer("CERT", a.path("client.pem"), "--key KEY", "--key "+a.path("client.key"),
		"Bearer KEY", "Bearer 0123456789abcdef", a.path("server.pem"), a.path("ca.pem")).Replace(line)
	require.Equal(t, "held", shell(t, line)["state"])

	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	address := strings.TrimPrefix(r.url, "https://")
	status := func(config *tls.Config) (int, error) {
		config.RootCAs = roots
		client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		response, err := client.Get("https://" + address + "/v1/phases")
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	ours, err := tls.LoadX509KeyPair(a.path("client.pem"), a.path("client.key"))
	require.NoError(t, err)
	theirs, err := tls.LoadX509KeyPair(stranger.path("client.pem"), stranger.path("client.key"))
	require.NoError(t, err)
	code, err := status(&tls.Config{Certificates: []tls.Certificate{ours}})
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, code, "a certificate is not a key")
	for _, refused := range []*tls.Config{{}, {Certificates: []tls.Certificate{theirs}},
		{Certificates: []tls.Certificate{ours}, MaxVersion: tls.VersionTLS11}} {
		_, err = status(refused)
		require.Error(t, err)
	}
	require.Equal(t, exitDone, r.end(syscall.SIGTERM))
	require.Contains(t, r.stderr.String(), keys+" can be read by all users of this machine")
	require.Contains(t, r.stderr.String(), a.path("server.key")+" can be read by its group")
}
