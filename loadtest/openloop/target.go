package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/seathold/seathold/server/client"
)

// target is the server, and what is bought there.
type target struct {
	URL       string `required:"" placeholder:"URL" help:"The server's API, http:// or https://HOST:PORT."`
	Key       string `env:"SEATHOLD_KEY" help:"The caller's key."`
	CA        string `name:"ca" placeholder:"FILE" help:"For https: the authority of the server's certificate, PEM."`
	Sources   int    `default:"1" help:"Connect from this many addresses, 127.0.1.1 and up; 1 leaves the choice to the system. Linux only."`
	Quantity  int    `default:"1" help:"Tickets of each reservation."`
	ServerPID int    `name:"server-pid" help:"Process id of a server on this machine: its processor time and memory are reported too."`
}

// maxSources limits --sources: 250 in each of the networks 127.0.1 to 127.0.250.
const maxSources = 250 * 250

// endpoint is a target that connections can be made to.
type endpoint struct {
	host    string
	tls     *tls.Config // nil without TLS
	sources int
	header  string // Host and Authorization
}

func newEndpoint(t *target) (*endpoint, error) {
	at, err := url.Parse(t.URL)
	if err != nil || (at.Scheme != "http" && at.Scheme != "https") || at.Host == "" || at.Port() == "" {
		return nil, fmt.Errorf("--url %s: need an address like http://127.0.0.1:8080", t.URL)
	}
	if t.Sources < 1 || t.Sources > maxSources {
		return nil, fmt.Errorf("--sources %d: need 1 to %d", t.Sources, maxSources)
	}
	e := &endpoint{host: at.Host, sources: t.Sources, header: "Host: " + at.Host + "\r\n"}
	if t.Key != "" {
		e.header += "Authorization: Bearer " + t.Key + "\r\n"
	}
	if at.Scheme == "https" {
		e.tls, err = clientTLS(at.Hostname(), t.CA)
	}
	return e, err
}

// clientTLS returns the configuration of a client that trusts the authorities in a file.
func clientTLS(name, ca string) (*tls.Config, error) {
	if ca == "" {
		return nil, errors.New("--ca: an https server needs the authority of its certificate")
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca %s has no certificate in PEM", ca)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name, RootCAs: roots,
		NextProtos: []string{"http/1.1"}}, nil
}

// source returns the local address of the i-th connection, nil for the system's choice.
func (e *endpoint) source(i int) *net.TCPAddr {
	if e.sources == 1 {
		return nil
	}
	i %= e.sources
	return &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i/250), byte(1+i%250))}
}

// lot is a pool that an open phase sells, with its available tickets.
type lot struct {
	session, category string
	available         int
}

// stockOf lists the pools that a phase sells now to every account, the smallest first.
func stockOf(ctx context.Context, t *target, e *endpoint) ([]lot, error) {
	c, err := client.New(client.Options{URL: t.URL, Key: t.Key, TLS: e.tls, Attempts: 3, Patience: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	phases, err := c.Phases(ctx)
	if err != nil {
		return nil, err
	}
	nothing := errors.New("the server has no tickets on sale now in a phase that is open to every account")
	open := slices.IndexFunc(phases, func(p client.Phase) bool { return p.Open && p.Access == "open" })
	if open < 0 {
		return nil, nothing
	}
	list, err := c.Sessions(ctx, client.Filter{Phase: phases[open].Phase}, nil)
	if err != nil {
		return nil, err
	}
	var lots []lot
	for _, s := range list.Sessions {
		for _, p := range s.Pools {
			if s.OnSale && p.Available > 0 {
				lots = append(lots, lot{session: s.Session, category: p.Category, available: p.Available})
			}
		}
	}
	if len(lots) == 0 {
		return nil, nothing
	}
	slices.SortFunc(lots, func(a, b lot) int { return a.available - b.available })
	return lots, nil
}
