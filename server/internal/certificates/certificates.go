// Package certificates reads certificates and their keys, and keeps those of a server and the authorities of its
// clients, which can be read again while it runs.
//
// Sessions that clients resume survive a reload: the keys of the tickets belong to the configuration that a listener
// was given, which asks for the current files with each handshake. A client whose authority was removed cannot resume:
// crypto/tls verifies that the chain in its ticket still ends in an authority of the current configuration. Connections
// that are open when an authority is removed stay open.
package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// soon is how long before its end a certificate draws a warning. Of the alerts the first fires then.
const soon = 7 * 24 * time.Hour

// Files are the names of PEM files.
type Files struct {
	Certificate string // of the server, with intermediate ones after it
	Key         string // its private key
	Authorities string // of the certificates that clients must have; "" if they need none
}

// Store is the files as they were last read. It may be used by any number of goroutines; one at a time calls Reload.
type Store struct {
	files   Files
	now     func() time.Time
	current atomic.Pointer[loaded]
}

// Load reads the files. The warnings are for the operator's log: a certificate that has ended, or ends soon, and a key
// that other users can read. Now is the wall clock.
func Load(files Files, now func() time.Time) (s *Store, warnings []string, err error) {
	l, warnings, err := read(files, now())
	if err != nil {
		return nil, warnings, err
	}
	s = &Store{files: files, now: now}
	s.current.Store(l)
	return s, warnings, nil
}

// Reload reads the files again, for handshakes that begin from now on. If they are faulty it changes nothing and
// returns an error. So does a certificate that is not valid now, while the present one is. change describes what was
// read.
func (s *Store) Reload() (change string, warnings []string, err error) {
	next, warnings, err := read(s.files, s.now())
	if err != nil {
		return "", warnings, err
	}
	before := s.current.Load()
	if fault := next.invalid(s.now()); fault != "" && before.invalid(s.now()) == "" {
		return "", nil, fmt.Errorf("%s; the present files are valid", fault)
	}
	s.current.Store(next)
	change = next.String()
	if next.sameAs(before) {
		change = "none: " + change
	}
	return change, warnings, nil
}

// String describes what is in force: names, and until when.
func (s *Store) String() string { return s.current.Load().String() }

// RequiresClients reports whether clients need a certificate.
func (s *Store) RequiresClients() bool { return s.files.Authorities != "" }

// Strict returns the configuration of a listener all of whose clients need a certificate, if any do.
func (s *Store) Strict() *tls.Config {
	return config(func() *tls.Config { return s.current.Load().strict })
}

// Lenient returns the configuration of a listener that also serves clients without a certificate, such as probes. If a
// client sends one, it must be valid. The server finds it in the state of the connection.
func (s *Store) Lenient() *tls.Config {
	return config(func() *tls.Config { return s.current.Load().lenient })
}

// Ends returns the end of the server's certificate as "server", and the first end of an authority as "client_ca" if
// there are any. A chain is as old as its first certificate to end.
func (s *Store) Ends() map[string]time.Time {
	l := s.current.Load()
	ends := map[string]time.Time{"server": end(l.chain)}
	if len(l.authorities) > 0 {
		ends["client_ca"] = end(l.authorities)
	}
	return ends
}

// config returns a configuration that takes everything but the keys of tickets from the current one.
func config(current func() *tls.Config) *tls.Config {
	c := base()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return current(), nil }
	return c
}

// base has the versions and protocols of every listener. The curves are Go's, which prefer X25519MLKEM768 where the
// client has it: a record of today's traffic then stays secret when quantum computers exist.
func base() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

// loaded is what was read at one time.
type loaded struct {
	chain       []*x509.Certificate // the server's certificate first
	authorities []*x509.Certificate
	strict      *tls.Config
	lenient     *tls.Config
}

// invalid returns why a client or the server would refuse what was read; "" if neither would.
func (l *loaded) invalid(now time.Time) string {
	if fault := validity(l.chain[0], now); fault != "" {
		return "the certificate of " + names(l.chain[0]) + " " + fault
	}
	valid := len(l.authorities) == 0
	for _, a := range l.authorities {
		valid = valid || validity(a, now) == ""
	}
	if !valid {
		return "no authority of clients is valid: that of " + names(l.authorities[0]) + " " + validity(l.authorities[0], now)
	}
	return ""
}

// warnings returns what an operator should know about the periods of validity.
func (l *loaded) warnings(now time.Time) (all []string) {
	for _, c := range append(l.chain[:len(l.chain):len(l.chain)], l.authorities...) {
		fault := validity(c, now)
		if left := c.NotAfter.Sub(now); fault == "" && left < soon {
			fault = fmt.Sprintf("ends in %s, on %s", left.Round(time.Minute), c.NotAfter.UTC().Format(time.RFC3339))
		}
		if fault != "" {
			all = append(all, "the certificate of "+names(c)+" "+fault)
		}
	}
	return all
}

func (l *loaded) sameAs(other *loaded) bool {
	same := func(a, b []*x509.Certificate) bool {
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			if !a[i].Equal(b[i]) {
				return false
			}
		}
		return true
	}
	return same(l.chain, other.chain) && same(l.authorities, other.authorities)
}

// String names the certificate and the authorities, with their ends.
func (l *loaded) String() string {
	text := describe(l.chain[0])
	for i, a := range l.authorities {
		if i == 0 {
			text += "; clients of "
		} else {
			text += ", "
		}
		text += describe(a)
	}
	return text
}

func describe(c *x509.Certificate) string {
	return names(c) + " until " + c.NotAfter.UTC().Format(time.RFC3339)
}

// validity returns why a certificate is not valid at a time; "" if it is.
func validity(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "ended on " + c.NotAfter.UTC().Format(time.RFC3339)
	case now.Before(c.NotBefore):
		return "begins only on " + c.NotBefore.UTC().Format(time.RFC3339)
	}
	return ""
}

// end returns the first end of the certificates.
func end(all []*x509.Certificate) time.Time {
	first := all[0].NotAfter
	for _, c := range all[1:] {
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first
}

// names returns the hosts that a certificate is for, or its subject.
func names(c *x509.Certificate) string {
	all := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return c.Subject.String()
	}
	return strings.Join(all, ", ")
}
