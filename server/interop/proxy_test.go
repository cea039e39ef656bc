package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxies are the configurations of proxies that keep connections to the server: DIR is a directory for their files,
// LISTEN their address, SERVER the server's.
var proxies = map[string]string{
	"nginx": `
daemon off; master_process off; pid DIR/pid; error_log stderr notice;
events {}
http {
  access_log off; client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi; client_body_buffer_size 1m;
  upstream seathold { server SERVER; keepalive 4; }
  server {
    listen LISTEN;
    location / { proxy_pass http://seathold; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`,
	"haproxy": `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend api
  bind LISTEN
  default_backend seathold
backend seathold
  server seathold SERVER
`,
}

// startProxy starts a proxy in front of a server. log returns what it has printed.
func startProxy(t *testing.T, name, upstream string) (log func() string, address string) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address = free.Addr().String()
	dir := t.TempDir()
	path := filepath.Join(dir, "conf")
	text := strings.NewReplacer("DIR", dir, "LISTEN", address, "SERVER", upstream).Replace(proxies[name])
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	arguments := map[string][]string{"nginx": {"-c", path, "-p", dir}, "haproxy": {"-db", "-f", path}}
	command := exec.Command(name, arguments[name]...)
	printed := &transcript{}
	command.Stdout, command.Stderr = printed, printed
	require.NoError(t, free.Close())
	require.NoError(t, command.Start())
	ended := make(chan struct{})
	go func() { _ = command.Wait(); close(ended) }() // it is killed
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
	})
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			require.NoError(t, c.Close())
			return printed.String, address
		}
		select {
		case <-ended:
			require.FailNow(t, name+" has ended", printed.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// transcript collects what a process prints.
type transcript struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// certificate makes a certificate for 127.0.0.1 that is its own authority, and writes that to a file.
func certificate(t *testing.T) (authority string, config *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "seathold"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	authority = filepath.Join(t.TempDir(), "authority.pem")
	require.NoError(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return authority, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

// pool has the authority in a file.
func pool(t *testing.T, authority string) *x509.CertPool {
	text, err := os.ReadFile(authority)
	require.NoError(t, err)
	p := x509.NewCertPool()
	require.True(t, p.AppendCertsFromPEM(text), fmt.Sprint(authority))
	return p
}
