package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/certificates"
)

// callers are the flags about who may connect, and with which credentials.
type callers struct {
	Keys     string `env:"SEATHOLD_KEYS" placeholder:"FILE" help:"Callers' keys: lines 'role key name', role is sell, admin or read. Read again on SIGHUP. Without keys only loopback is served."`
	TLSCert  string `env:"SEATHOLD_TLS_CERT" placeholder:"FILE" help:"Certificate of the API and of the operator's port, PEM. Read again on SIGHUP, with its key and --client-ca."`
	TLSKey   string `env:"SEATHOLD_TLS_KEY" placeholder:"FILE" help:"Its key, PEM."`
	ClientCA string `env:"SEATHOLD_CLIENT_CA" placeholder:"FILE" help:"Require client certificates of these authorities, PEM, except for /healthz and /readyz."`
}

// keys loads the keys, which SIGHUP loads again; nil without a file.
func (c *callers) keys(again *reloads) (*server.Keys, error) {
	if c.Keys == "" {
		return nil, nil
	}
	keys, warning, err := server.LoadKeys(c.Keys)
	again.warn(warning)
	if err != nil {
		return nil, err
	}
	again.add("keys", func() (string, error) {
		change, warning, err := keys.Reload()
		again.warn(warning)
		return change.String(), err
	})
	return keys, nil
}

// certificates loads the certificates of both ports, which SIGHUP loads again; nil without any.
func (c *callers) certificates(again *reloads) (*certificates.Store, error) {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return nil, usagef("--tls-cert and --tls-key go together")
	case c.TLSCert == "" && c.ClientCA != "":
		return nil, usagef("--client-ca needs --tls-cert and --tls-key")
	case c.TLSCert == "":
		return nil, nil
	}
	flags := "--tls-cert, --tls-key"
	if c.ClientCA != "" {
		flags += ", --client-ca"
	}
	warn := func(warnings []string) {
		for _, w := range warnings {
			again.warn(w)
		}
	}
	store, warnings, err := certificates.Load(certificates.Files{Certificate: c.TLSCert, Key: c.TLSKey,
		Authorities: c.ClientCA}, time.Now)
	warn(warnings)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flags, err)
	}
	again.add("certificates", func() (string, error) {
		change, warnings, err := store.Reload()
		warn(warnings)
		return change, err
	})
	return store, nil
}

// listen binds the address of a flag. Without keys it must be a loopback address.
func listen(flag, address string, keys *server.Keys) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	if keys == nil && !resolved.IP.IsLoopback() {
		return nil, usagef("%s %s is reachable from other machines: require keys with --keys FILE, or bind to 127.0.0.1",
			flag, address)
	}
	ln, err := net.ListenTCP("tcp", resolved)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s %s is in use by another program", flag, address)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return ln, nil
}
