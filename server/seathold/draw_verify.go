package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/server/client"
	"github.com/seathold/seathold/server/internal/drawfiles"
)

type verifyDrawCommand struct {
	Dir    string `arg:"" placeholder:"DIR" help:"The directory of the export."`
	Sale   string `default:"paris2024" env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"The sale definition that the draw belongs to (default: ${default})."`
	Root   string `placeholder:"HEX" help:"The root that was published when registration closed."`
	Server string `env:"SEATHOLD_SERVER" placeholder:"URL" help:"Compare the root with the one that this server's API publishes."`
	Remote remote `embed:""`
}

// Run verifies an export: its files against each other, their terms against the sale definition, their root against the
// published one, and the sale clock against the clock of the server's machine.
func (c *verifyDrawCommand) Run(p *process) error {
	sale, err := catalog.Load(c.Sale)
	if err != nil {
		return err
	}
	summary, err := drawfiles.Verify(c.Dir, sale)
	if err != nil {
		return err
	}
	compared, err := c.compareRoot(p, &summary)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	return printSummary(p.stdout, &summary, sale, compared)
}

func printSummary(w io.Writer, s *draw.Summary, sale *catalog.Sale, compared string) error {
	out := lines{w: w}
	out.printf("draw        %s, for the slots of %s", s.Terms.Draw, s.Terms.Phase)
	out.printf("entries     %s", count(s.Entries))
	out.printf("root        %s", s.Root)
	out.printf("            %s", compared)
	due := s.Timing.Due(&s.Terms)
	printTiming(&out, s, due)
	out.printf("beacon      round %d, due at %s, signed by the chain of the sale definition", s.Timing.Round(&s.Terms),
		due.Format(time.RFC3339))
	out.printf("seed        %s", s.Seed)
	out.printf("slots       %s", count(s.Slots))
	out.printf("winners     %s, of them %s in the slots of the priority group", count(s.Winners), count(s.Priority))
	out.printf("verified    every byte of the export follows from its entries, the beacon and the sale %s", sale.Name)
	if s.Terms.StandIn {
		out.printf("%s", standInWarning)
	} else {
		out.printf("%s", undatedWarning)
	}
	return out.err
}

// printTiming prints when the organiser says that the entries were frozen and the round postponed.
func printTiming(out *lines, s *draw.Summary, due time.Time) {
	if s.Format == 1 {
		out.printf("frozen      not stated: an export of format 1, with accounts in clear")
		return
	}
	const layout = "2006-01-02T15:04:05.000Z"
	frozen := s.Timing.Frozen.Sale
	margin := due.Sub(frozen).String() + " before the round was due"
	if s.Terms.StandIn {
		margin = "a stand-in decides"
	}
	out.printf("terms       %s", s.TermsDigest)
	out.printf("frozen      at %s by the organiser's clock; %s", frozen.Format(layout), margin)
	for _, p := range s.Timing.Postponed {
		out.printf("postponed   at %s to round %d, due at %s", p.At.Sale.Format(layout), p.Round,
			s.Terms.Chain.RoundTime(p.Round).Format(time.RFC3339))
	}
}

// compareRoot compares the root with the published one, and returns what it was compared with.
func (c *verifyDrawCommand) compareRoot(p *process, s *draw.Summary) (with string, err error) {
	root, with := strings.ToLower(c.Root), "is the one given with --root"
	switch {
	case root != "":
		if _, err := digest("--root", root); err != nil {
			return "", usageError{err}
		}
	case c.Server != "":
		if root, err = c.publishedRoot(p, s); err != nil {
			return "", err
		}
		with = "is the one that " + c.Server + " has published"
	default:
		return "compare it with what was published when registration closed, or pass that with --root", nil
	}
	if found := s.Root.String(); found != root {
		return "", fmt.Errorf("its entries have the root %s; published was %s", found, root)
	}
	return with, nil
}

// publishedRoot reads the root from the server, and compares the terms and the commitment that it publishes too.
func (c *verifyDrawCommand) publishedRoot(p *process, s *draw.Summary) (string, error) {
	api, err := c.Remote.api(p, "--server", client.Options{URL: c.Server})
	if err != nil {
		return "", err
	}
	defer api.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	published, err := api.Draw(ctx, s.Terms.Draw)
	switch {
	case err != nil:
		return "", err
	case published.Digest == "":
		return "", errors.New("the server has not published a root for this draw")
	case s.Format == 2 && published.Terms != s.TermsDigest.String():
		return "", fmt.Errorf("its terms have the digest %s; published was %s", s.TermsDigest, published.Terms)
	}
	return published.Digest, nil
}
