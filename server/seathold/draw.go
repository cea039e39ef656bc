package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/seathold/seathold/server/client"
)

// drawCommand is everything that is done with draws from the command line. All commands but verify, check and notify
// call a running server.
type drawCommand struct {
	Register registerCommand   `cmd:"" help:"Enter the accounts of a CSV file for a draw."`
	Postpone postponeCommand   `cmd:"" help:"Name a later round to decide a draw, before the present one is due."`
	Run      runDrawCommand    `cmd:"" help:"Decide a draw by the beacon of its round."`
	Export   exportCommand     `cmd:"" help:"Fetch the files with which anyone can verify a draw."`
	Verify   verifyDrawCommand `cmd:"" help:"Recompute an exported draw and compare every byte."`
	Check    checkEntryCommand `cmd:"" help:"Check one's own entry against the published root and the export."`
	Notify   notifyCommand     `cmd:"" help:"Mail the winners of a draw their access slots."`
}

// remote is how to call a server.
type remote struct {
	Key    string `env:"SEATHOLD_KEY" placeholder:"KEY" help:"The caller's key, an admin's for the operator's port. Prefer the environment, where other users cannot see it."`
	CACert string `env:"SEATHOLD_CA_CERT" placeholder:"FILE" help:"Trust the certificates of these authorities, PEM, for https."`
}

// explained adds to the refusal of a server's call how the commands send a key. All of them that call a server embed
// remote.
func explained(err error) error {
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusUnauthorized {
		return fmt.Errorf("%w; set SEATHOLD_KEY, or --key, to a key in the server's --keys file", err)
	}
	return err
}

// api returns a client of the API at o.URL, which a flag gave.
func (c *remote) api(flag string, o client.Options) (api *client.Client, err error) {
	o.Key = c.Key
	if o.TLS, err = trusting(c.CACert); err != nil {
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
	config, err := trusting(c.CACert)
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
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %s has no certificate in PEM form", flag, file)
	}
	return pool, nil
}

// untilSignal returns a context that ends with the first signal. Its cause then names the signal.
func (p *process) untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		select {
		case s := <-p.signals:
			cancel(fmt.Errorf("ended by a signal: %s", s))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// standInWarning is printed wherever a draw that a stand-in decides is run, exported or verified.
const standInWarning = "STAND-IN: the deciding round was known before this draw was defined. This shows how " +
	"the result follows from the round, not that nobody could foresee it."

// undatedWarning is printed where an export is verified: the dates in it are the organiser's.
const undatedWarning = "Nothing in an export shows when its root was published. The root proves a fair draw to " +
	"whoever received it from the organiser, or from somebody they trust, before the round was due."
