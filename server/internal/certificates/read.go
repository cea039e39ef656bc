package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"

	"github.com/seathold/seathold/server/internal/secretfile"
)

// maxFile bounds the file of a private key, in bytes. Keys have a few kilobytes.
const maxFile = 1 << 20

// Pair reads a certificate, with intermediate ones after it, and its private key, PEM. A warning that is not empty says
// that other users of the machine can read or change the key; it may come with an error.
func Pair(certificate, key string) (pair tls.Certificate, warning string, err error) {
	chain, err := os.ReadFile(certificate)
	if err != nil {
		return pair, "", err
	}
	secret, warning, err := secretfile.Read(key, maxFile)
	if err != nil {
		return pair, warning, err
	}
	if pair, err = tls.X509KeyPair(chain, secret); err != nil {
		err = fmt.Errorf("%s with %s: %w", certificate, key, err)
	}
	return pair, warning, err
}

// Authorities reads a file of certificates, PEM. There is at least one. Unlike x509.CertPool it refuses a file with one
// that cannot be parsed: whoever relies on that authority would be refused later, without a reason.
func Authorities(path string) (all []*x509.Certificate, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", path, len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no certificate in PEM form", path)
	}
	return all, nil
}

// Pool returns the certificates as a pool.
func Pool(all []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool
}

// read reads all files. There may be warnings with an error.
func read(files Files, now time.Time) (l *loaded, warnings []string, err error) {
	pair, warning, err := Pair(files.Certificate, files.Key)
	if warning != "" {
		warnings = append(warnings, warning)
	}
	if err != nil {
		return nil, warnings, err
	}
	l = &loaded{strict: base()}
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, warnings, fmt.Errorf("%s: certificate %d: %w", files.Certificate, len(l.chain)+1, err)
		}
		l.chain = append(l.chain, c)
	}
	l.strict.Certificates = []tls.Certificate{pair}
	l.lenient = l.strict.Clone()
	if files.Authorities != "" {
		if l.authorities, err = Authorities(files.Authorities); err != nil {
			return nil, warnings, err
		}
		pool := Pool(l.authorities)
		l.strict.ClientCAs, l.strict.ClientAuth = pool, tls.RequireAndVerifyClientCert
		l.lenient.ClientCAs, l.lenient.ClientAuth = pool, tls.VerifyClientCertIfGiven
	}
	return l, append(warnings, l.warnings(now)...), nil
}
