package main

import (
	"crypto/tls"
	"os"

	"github.com/seathold/seathold/server/internal/secretfile"
)

// maxPEM bounds the file of a certificate or a private key. Chains have a few kilobytes.
const maxPEM = 1 << 20

// keyPair reads a certificate and its private key, PEM. A warning that is not empty says that other users of the
// machine can read or change the key.
func keyPair(certificate, key string) (pair tls.Certificate, warning string, err error) {
	chain, err := os.ReadFile(certificate)
	if err != nil {
		return pair, "", err
	}
	secret, warning, err := secretfile.Read(key, maxPEM)
	if err != nil {
		return pair, warning, err
	}
	pair, err = tls.X509KeyPair(chain, secret)
	return pair, warning, err
}
