package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/server/operator"
)

type runDrawCommand struct {
	Draw   string `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	Beacon string `placeholder:"FILE|URL" help:"The beacon of the deciding round as a drand relay gives it, for example https://api.drand.sh/CHAIN_HASH/public/ROUND. Without it, only a draw marked as a stand-in can run: by the signature in the sale definition."`
	Sale   string `default:"paris2024" env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"The sale definition with the stand-in's signature (default: ${default})."`
	Admin  string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

// Run decides the draw.
func (c *runDrawCommand) Run(p *process) error {
	o, err := newCaller("--admin", c.Admin, adminPath, &c.Remote)
	if err != nil {
		return err
	}
	defer o.client.CloseIdleConnections()
	interrupted, stop := p.untilSignal()
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, longCall)
	defer cancel()
	out := lines{w: p.stdout}
	beacon, err := c.beacon(ctx, &out)
	if err != nil {
		return err
	}
	drawn, err := o.published(ctx, http.MethodPost, c.Draw, "run", bytes.NewReader(beacon))
	if err != nil {
		return fmt.Errorf("draw %s: %w", c.Draw, err)
	}
	out.say("draw      %s", drawn.Draw)
	out.say("entries   %s", count(drawn.Entries))
	out.say("root      %s", drawn.Digest)
	out.say("round     %d", drawn.Beacon.Round)
	out.say("seed      %s", drawn.Seed)
	if drawn.Beacon.StandIn {
		out.say("%s", standInWarning)
	}
	return out.err
}

// beacon returns the beacon as JSON, checked only for its form: whether it decides this draw is the server's to say.
func (c *runDrawCommand) beacon(ctx context.Context, out *lines) ([]byte, error) {
	if c.Beacon == "" {
		return c.standIn(out)
	}
	read := readFile
	if strings.HasPrefix(c.Beacon, "http://") || strings.HasPrefix(c.Beacon, "https://") {
		read = fetch
	}
	data, err := read(ctx, c.Beacon)
	if err != nil {
		return nil, fmt.Errorf("--beacon: %w", err)
	}
	if _, err := draw.ParseBeacon(data); err != nil {
		return nil, fmt.Errorf("--beacon %s: %w", c.Beacon, err)
	}
	return data, nil
}

// standIn makes the beacon of a stand-in from its signature.
func (c *runDrawCommand) standIn(out *lines) ([]byte, error) {
	sale, i, err := drawOf(c.Sale, c.Draw)
	if err != nil {
		return nil, err
	}
	b := &sale.Draws[i].Beacon
	if !b.StandIn || b.Signature == "" {
		return nil, usagef("draw %s is decided by round %d of %s, published at %s: give it with --beacon", c.Draw, b.Round, b.Chain,
			b.PublishedAt().Format(time.RFC3339))
	}
	signature, err := hex.DecodeString(b.Signature)
	if err != nil {
		return nil, fmt.Errorf("the signature of draw %s in the sale definition: %w", c.Draw, err)
	}
	out.say("no --beacon: round %d of %s is a stand-in, its signature is the one in the sale definition %s", b.Round, b.Chain, sale.Name)
	return fmt.Appendf(nil, `{"round":%d,"randomness":"%x","signature":"%s"}`, b.Round, sha256.Sum256(signature), b.Signature), nil
}

func readFile(_ context.Context, name string) (data []byte, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, operator.MaxBeacon+1))
}

func fetch(ctx context.Context, address string) (data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, operator.MaxBeacon+1))
}
