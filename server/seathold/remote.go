package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seathold/seathold/server/client"
	"github.com/seathold/seathold/server/internal/certificates"
)

// remote is how to call a server. All commands that call one embed it.
type remote struct {
	Key        string `env:"SEATHOLD_KEY" placeholder:"KEY" help:"The caller's key, an admin's for the operator's port. Prefer the environment, where other users cannot see it."`
	CACert     string `env:"SEATHOLD_CA_CERT" placeholder:"FILE" help:"Trust the certificates of these authorities, PEM, for https."`
	ClientCert string `env:"SEATHOLD_CLIENT_CERT" placeholder:"FILE" help:"The client certificate, PEM, for a server with --client-ca."`
	ClientKey  string `env:"SEATHOLD_CLIENT_KEY" placeholder:"FILE" help:"Its key, PEM."`
}

// explained adds to the error of a call how the commands send a key and a certificate.
func explained(err error) error {
	refused, ok := errors.AsType[*client.Error](err)
	switch {
	case ok && refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w; set SEATHOLD_KEY, or --key, to a key in the server's --keys file", err)
	case ok && strings.Contains(refused.Detail, "client certificate"):
		return fmt.Errorf("%w%s", err, needsCertificate("--client-cert and --client-key"))
	}
	if _, ok := errors.AsType[*url.Error](err); ok { // the request of an HTTP client failed
		if hint := hintTLS(err, "--ca-cert", "--client-cert and --client-key"); hint != "" {
			return fmt.Errorf("%w%s", err, hint)
		}
	}
	return err
}

// hintTLS returns which of the flags helps against an error of TLS.
func hintTLS(err error, authorities, certificate string) string {
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &authority):
		return "; " + authorities + " FILE trusts another authority"
	case strings.Contains(err.Error(), "tls: certificate required"):
		return needsCertificate(certificate)
	}
	return ""
}

func needsCertificate(flags string) string { return "; " + flags + " set a client certificate" }

// api returns a client of the API at o.URL, which a flag gave.
func (c *remote) api(p *process, flag string, o client.Options) (api *client.Client, err error) {
	o.Key = c.Key
	if o.TLS, err = c.tls(p); err != nil {
		return nil, err
	}
	if api, err = client.New(o); err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	return api, nil
}

// operator returns a client of the operator's port, and a context for a call that may take long. The caller ends both.
func (c *remote) operator(p *process, flag, url string) (
	o *client.Operator, ctx context.Context, end func(), err error) {
	config, err := c.tls(p)
	if err != nil {
		return nil, nil, nil, err
	}
	if o, err = client.NewOperator(client.Options{URL: url, Key: c.Key, TLS: config}); err != nil {
		return nil, nil, nil, usagef("%s: %w", flag, err)
	}
	interrupted, stop := p.untilSignal()
	ctx, cancel := context.WithTimeout(interrupted, longCall)
	return o, ctx, func() { cancel(); stop(); o.Close() }, nil
}

// longCall bounds calls that freeze, run or export millions of entries.
const longCall = 10 * time.Minute

// tls returns the settings of connections.
func (c *remote) tls(p *process) (*tls.Config, error) {
	config, err := trusting(c.CACert)
	if err != nil || c.ClientCert == "" && c.ClientKey == "" {
		return config, err
	}
	if c.ClientCert == "" || c.ClientKey == "" {
		return nil, usagef("--client-cert and --client-key go together")
	}
	pair, warning, err := certificates.Pair(c.ClientCert, c.ClientKey)
	if warning != "" {
		p.logger().Warn(warning)
	}
	if err != nil {
		return nil, fmt.Errorf("--client-cert, --client-key: %w", err)
	}
	// Unlike one in Certificates, it is also sent to a server that lists other authorities, whose refusal says so.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return config, nil
}

// trusting returns a TLS configuration that trusts the authorities in a file, or the system's if that is "".
func trusting(file string) (*tls.Config, error) {
	authorities, err := readAuthorities("--ca-cert", file)
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}, err
}

// readAuthorities reads the certificates in the file of a flag; nil if the flag is not set.
func readAuthorities(flag, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	all, err := certificates.Authorities(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return certificates.Pool(all), nil
}
