package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

type verifyDrawCommand struct {
	Dir    string `arg:"" placeholder:"DIR" help:"The directory of the export."`
	Sale   string `default:"paris2024" env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"The sale definition that the draw belongs to (default: ${default})."`
	Root   string `placeholder:"HEX" help:"The root that was published when registration closed."`
	Server string `env:"SEATHOLD_SERVER" placeholder:"URL" help:"Compare the root with the one that this server's API publishes."`
	Remote remote `embed:""`
}

// Run verifies an export: its files against one another, their terms against the sale definition, their root against the
// published one.
func (c *verifyDrawCommand) Run(p *process) error {
	if _, err := os.Stat(c.Dir); err != nil {
		return err
	}
	summary, err := draw.Verify(os.DirFS(c.Dir))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	sale, i, err := drawOf(c.Sale, summary.Terms.Draw)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	if err := compareTerms(summary.Terms, record.DrawTerms(sale, i)); err != nil {
		return fmt.Errorf("%s is not the draw of the sale %s: %w", c.Dir, sale.Name, err)
	}
	compared, err := c.compareRoot(&summary)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Dir, err)
	}
	out := lines{w: p.stdout}
	out.say("draw        %s, for the slots of %s", summary.Terms.Draw, summary.Terms.Phase)
	out.say("entries     %s", count(summary.Entries))
	out.say("root        %s", summary.Root)
	out.say("            %s", compared)
	out.say("beacon      round %d, due at %s, signed by the chain of the sale definition", summary.Terms.Round,
		summary.Terms.Chain.RoundTime(summary.Terms.Round).Format(time.RFC3339))
	out.say("seed        %s", summary.Seed)
	out.say("slots       %s", count(summary.Slots))
	out.say("winners     %s, of them %s in the slots of the priority group", count(summary.Winners), count(summary.Priority))
	out.say("verified    every byte of the export follows from its entries, the beacon and the sale %s", sale.Name)
	if summary.Terms.StandIn {
		out.say("%s", standInWarning)
	}
	return out.err
}

// compareTerms compares what an export claims to have been fixed in advance with the sale definition.
func compareTerms(export, sale draw.Terms) error {
	instant := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	for _, of := range []struct {
		what         string
		export, sale any
	}{
		{"registration closes at", instant(export.ClosesAt), instant(sale.ClosesAt)},
		{"the beacon chain is", export.Chain.Hash, sale.Chain.Hash},
		{"the chain's public key is", export.Chain.PublicKey, sale.Chain.PublicKey},
		{"the chain's genesis is", instant(export.Chain.Genesis), instant(sale.Chain.Genesis)},
		{"the chain's period is", export.Chain.Period, sale.Chain.Period},
		{"the deciding round is", export.Round, sale.Round},
		{"its being a stand-in is", export.StandIn, sale.StandIn},
		{"the phase is", export.Phase, sale.Phase},
		{"the phase opens at", instant(export.Slots.OpensAt), instant(sale.Slots.OpensAt)},
		{"the phase closes at", instant(export.Slots.ClosesAt), instant(sale.Slots.ClosesAt)},
		{"a slot's length is", export.Slots.Length, sale.Slots.Length},
		{"the slots' step is", export.Slots.Step, sale.Slots.Step},
		{"a slot's places are", export.Slots.Places, sale.Slots.Places},
		{"the priority days are", export.Slots.PriorityDays, sale.Slots.PriorityDays},
		{"the priority group is", export.Slots.Group, sale.Slots.Group},
	} {
		if of.export != of.sale {
			return fmt.Errorf("%s %v there and %v in the definition", of.what, of.export, of.sale)
		}
	}
	return nil
}

// compareRoot compares the root with the published one, and says what it was compared with.
func (c *verifyDrawCommand) compareRoot(s *draw.Summary) (with string, err error) {
	root, with := strings.ToLower(c.Root), "is the one given with --root"
	switch {
	case root != "":
		if digits, err := hex.DecodeString(root); err != nil || len(digits) != len(s.Root) {
			return "", usagef("--root %q is not 64 hexadecimal digits", root)
		}
	case c.Server != "":
		o, err := newCaller("--server", c.Server, apiPath, &c.Remote)
		if err != nil {
			return "", err
		}
		defer o.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		published, err := o.published(ctx, http.MethodGet, s.Terms.Draw, "", nil)
		if err != nil {
			return "", err
		}
		if published.Digest == "" {
			return "", errors.New("the server has not published a root for this draw")
		}
		root, with = published.Digest, "is the one that "+c.Server+" has published"
	default:
		return "compare it with what was published when registration closed, or give that with --root", nil
	}
	if given := s.Root.String(); given != root {
		return "", fmt.Errorf("its entries have the root %s; published was %s", given, root)
	}
	return with, nil
}
