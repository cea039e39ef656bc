package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/seathold/seathold/server/client"
)

// pausing are the flags of pause and resume.
type pausing struct {
	What   string `arg:"" placeholder:"WHAT" help:"A session, a phase, or sale for the whole sale. Where a session and a phase have the same id: session:ID or phase:ID."`
	To     string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

type pauseCommand struct {
	pausing
}

func (c *pauseCommand) Help() string {
	return `No new holds are given from then on. Holds stay, and everything else goes on: confirm, release, extend, reduce
and return. A pause outlives restarts and new definitions until it is resumed.`
}

// Run pauses.
func (c *pauseCommand) Run(p *process) error { return c.set(p, true) }

type resumeCommand struct {
	pausing
}

// Run lets what was paused go on.
func (c *resumeCommand) Run(p *process) error { return c.set(p, false) }

func (c *pausing) set(p *process, paused bool) error {
	operator, ctx, end, err := c.Remote.operator(p, "--to", c.To)
	if err != nil {
		return err
	}
	defer end()
	phase, session, err := c.named(ctx, operator)
	if err != nil {
		return err
	}
	if err := operator.SetPaused(ctx, phase, session, paused); err != nil {
		return err
	}
	sale, err := operator.Sale(ctx)
	if err != nil {
		return err
	}
	state := "not paused"
	if paused {
		state = "paused"
	}
	out := lines{w: p.stdout}
	out.printf("%s is %s", nameOf(phase, session), state)
	out.printf("paused now: %s", cmp.Or(
		describePaused(sale.Paused.Sale, sale.Paused.Phases, sale.Paused.Sessions), "nothing"))
	return out.err
}

// named returns what WHAT is: a phase, a session, or neither for the sale.
func (c *pausing) named(ctx context.Context, operator *client.Operator) (phase, session string, err error) {
	switch c.What {
	case "sale":
		return "", "", nil
	case "":
		return "", "", usagef("WHAT is empty: name a session, a phase, or sale")
	}
	if id, ok := strings.CutPrefix(c.What, "phase:"); ok && id != "" {
		return id, "", nil
	}
	if id, ok := strings.CutPrefix(c.What, "session:"); ok && id != "" {
		return "", id, nil
	}
	_, notPhase := operator.Paused(ctx, c.What, "")
	_, notSession := operator.Paused(ctx, "", c.What)
	for _, fault := range []error{notPhase, notSession} {
		refused, ok := asRefusal(fault)
		if fault != nil && !(ok && (refused.Code == "unknown_phase" || refused.Code == "session_not_found")) {
			return "", "", fault
		}
	}
	switch {
	case notPhase == nil && notSession == nil:
		return "", "", usagef("%s is both a session and a phase: write session:%[1]s or phase:%[1]s", c.What)
	case notPhase == nil:
		return c.What, "", nil
	case notSession == nil:
		return "", c.What, nil
	}
	return "", "", fmt.Errorf("the sale has no session and no phase %.70q", c.What)
}

func nameOf(phase, session string) string {
	switch {
	case phase != "":
		return "phase " + phase
	case session != "":
		return "session " + session
	}
	return "the sale"
}

// describePaused names everything that is paused; "" for nothing.
func describePaused(sale bool, phases, sessions []string) string {
	var all []string
	if sale {
		all = append(all, "the sale")
	}
	for _, phase := range phases {
		all = append(all, "phase "+phase)
	}
	for _, session := range sessions {
		all = append(all, "session "+session)
	}
	return strings.Join(all, ", ")
}
