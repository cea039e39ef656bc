package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seathold/seathold/engine/catalog"
)

// drawCommand is all that is done with draws from the command line. But for verify, which needs nothing but the files,
// the commands talk to a running server.
type drawCommand struct {
	Register registerCommand   `cmd:"" help:"Enter the accounts of a CSV file for a draw."`
	Run      runDrawCommand    `cmd:"" help:"Decide a draw by the beacon of its round."`
	Export   exportCommand     `cmd:"" help:"Fetch the files with which anyone can check a draw."`
	Verify   verifyDrawCommand `cmd:"" help:"Recompute an exported draw and compare every byte."`
	Notify   notifyCommand     `cmd:"" help:"Send the winners of a draw their access slots by mail."`
}

// remote is a server to talk to.
type remote struct {
	Key    string `env:"SEATHOLD_KEY" placeholder:"KEY" help:"The caller's key; better in the environment, where other users cannot see it."`
	CACert string `env:"SEATHOLD_CA_CERT" placeholder:"FILE" help:"Trust the certificates of these authorities, PEM, for https."`
}

// tls returns the configuration for https.
func (c *remote) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CACert == "" {
		return config, nil
	}
	authorities, err := os.ReadFile(c.CACert)
	if err != nil {
		return nil, fmt.Errorf("--ca-cert: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("--ca-cert: %s has no certificate in PEM form", c.CACert)
	}
	return config, nil
}

// parseBase reads the URL of a server.
func parseBase(flag, text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || strings.Trim(base.Path, "/") != "" || base.RawQuery != "" {
		return nil, usagef("%s %q is not a URL such as http://127.0.0.1:8080", flag, text)
	}
	return base, nil
}

// problem is a refusal as the server wrote it.
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// problemOf reads a refusal.
func problemOf(status int, body []byte) *problem {
	p := &problem{}
	if err := json.Unmarshal(body, p); err != nil || p.Code == "" {
		return &problem{Status: status, Code: "no_answer", Detail: fmt.Sprintf("status %d and no problem to read; is this a Seathold server?", status)}
	}
	return p
}

// caller makes calls about draws.
type caller struct {
	draws  *url.URL // what the draws lie under
	key    string
	client *http.Client
}

// newCaller makes calls under a path of a server: /admin/draws on its operator's port, /v1/draws on its API.
func newCaller(flag, address, path string, c *remote) (*caller, error) {
	base, err := parseBase(flag, address)
	if err != nil {
		return nil, err
	}
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	return &caller{draws: base.JoinPath(path), key: c.Key, client: &http.Client{Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment}}}, nil
}

// call returns the answer of a call about a draw, whose body the caller closes. A refusal is a *problem.
func (c *caller) call(ctx context.Context, method, draw, action string, body io.Reader) (io.ReadCloser, error) {
	target := c.draws.JoinPath(url.PathEscape(draw))
	if action != "" {
		target = target.JoinPath(action)
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	return nil, errors.Join(problemOf(response.StatusCode, text), err, response.Body.Close())
}

// publishedDraw is what the server says of a draw.
type publishedDraw struct {
	Draw    string `json:"draw"`
	Status  string `json:"status"`
	Entries int    `json:"entries"`
	Beacon  struct {
		Round   uint64 `json:"round"`
		StandIn bool   `json:"stand_in"`
	} `json:"beacon"`
	Digest string `json:"digest"`
	Seed   string `json:"seed"`
}

// published makes a call that answers with the draw.
func (c *caller) published(ctx context.Context, method, draw, action string, body io.Reader) (d publishedDraw, err error) {
	answer, err := c.call(ctx, method, draw, action, body)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, answer.Close()) }()
	text, err := io.ReadAll(io.LimitReader(answer, 1<<16))
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(text, &d)
}

// drawOf returns a draw of a sale definition.
func drawOf(definition, id string) (*catalog.Sale, int, error) {
	sale, err := catalog.Load(definition)
	if err != nil {
		return nil, 0, err
	}
	i, ok := sale.DrawByID(id)
	if !ok {
		return nil, 0, fmt.Errorf("the sale %s has no draw %q", sale.Name, id)
	}
	return sale, i, nil
}

// errInterrupted ends a command that can be called again to go on.
var errInterrupted = errors.New("interrupted")

// untilSignal returns a context that a request to end cancels, with errInterrupted as its cause.
func (p *process) untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		select {
		case <-p.signals:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// adminPath and apiPath are where draws lie on a server's two ports.
const (
	adminPath = "/admin/draws"
	apiPath   = "/v1/draws"
)

// standInWarning is said wherever a draw that a stand-in decides is run, exported or verified.
const standInWarning = "STAND-IN: the deciding round was known before this draw was defined. It shows how the result follows from the " +
	"round, not that nobody could foresee it."

// longCall is how long a call may take that freezes, runs or exports millions of entries.
const longCall = 10 * time.Minute
