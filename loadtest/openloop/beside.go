package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// besideCommand is another client in a process of its own: it has file descriptors of its own, and its work delays the
// buyers of the first process no more than that of a client on another machine would, but for the processors.
type besideCommand struct {
	Kind   string        `arg:"" enum:"buy,send,read,poll"`
	Target target        `embed:""`
	Crowd  crowd         `embed:""`
	Path   string        `default:"/v1/sessions"`
	Every  time.Duration `default:"1s"`
}

// besideReport is what the other client prints at its end.
type besideReport struct {
	Results map[string]int // number of answers by code
	Bytes   int64          // of the bodies that were read
}

// readyLine is printed once the load is on.
const readyLine = "ready"

// Run loads until the standard input ends.
func (c *besideCommand) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends, the load ends
		stop()
	}()
	report := besideReport{Results: map[string]int{}}
	var err error
	if c.Kind == "buy" {
		err = c.buy(ctx, &report)
	} else {
		err = c.press(ctx, &report)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// buy has buyers come in a closed loop.
func (c *besideCommand) buy(ctx context.Context, report *besideReport) error {
	f, err := newFleet(ctx, &c.Target, c.Crowd)
	if err != nil {
		return err
	}
	defer f.close()
	if err = f.connect(ctx); err != nil {
		return err
	}
	const longEnough = time.Hour
	l := f.begin(0, longEnough)
	l.serveAll(steady(c.Crowd.Think))
	for again := time.NewTicker(tick); !f.answered(); <-again.C {
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Println(readyLine)
	m, err := l.finish(ctx)
	if !errors.Is(err, context.Canceled) {
		return errors.Join(errors.New("the load ended by itself"), err)
	}
	for call, results := range m.Results {
		for code, n := range results {
			report.Results[call+" "+code] += n
		}
	}
	return nil
}

// beside is a client in another process.
type beside struct {
	command *exec.Cmd
	input   io.Closer
	output  *bufio.Reader
}

// startBeside starts another client, and returns when its load is on.
func startBeside(ctx context.Context, kind string, t *target, c crowd, flags ...string) (*beside, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"beside", kind, "--url", t.URL, "--sources", strconv.Itoa(t.Sources),
		"--connections", strconv.Itoa(c.Connections), "--impolite", fmt.Sprint(c.Impolite), "--think", c.Think.String()}
	if t.CA != "" {
		args = append(args, "--ca", t.CA)
	}
	b := &beside{command: exec.CommandContext(ctx, program, append(args, flags...)...)}
	b.command.Stderr = os.Stderr
	b.command.Env = append(os.Environ(), asCommand+"=1", "SEATHOLD_KEY="+t.Key)
	if b.input, err = b.command.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := b.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	b.output = bufio.NewReader(output)
	if err := b.command.Start(); err != nil {
		return nil, err
	}
	if line, err := b.output.ReadString('\n'); line != readyLine+"\n" {
		return nil, errors.Join(fmt.Errorf("the client beside did not start: %q", line), err, b.input.Close(),
			b.command.Wait())
	}
	return b, nil
}

// asCommand is the variable that makes the test program the command.
const asCommand = "OPENLOOP_AS_COMMAND"

// end ends the other client and returns what it did.
func (b *beside) end() (besideReport, error) {
	err := b.input.Close()
	var report besideReport
	decoded := json.NewDecoder(b.output).Decode(&report)
	return report, errors.Join(err, decoded, b.command.Wait())
}

// row is a line of the table of what is measured beside the sweep.
type row struct {
	What, Figure, Beside, Goal string
	Met                        bool
}

// partReport is the result of one of these measurements. Its fields are those of the JSON report.
type partReport struct {
	Rows   []row
	Loads  map[string][]*measurement `json:",omitempty"`
	Beside map[string]besideReport   `json:",omitempty"`
}

// conclude prints and writes a report. It returns an error if a goal was missed, unless the measurement is quick.
func (r *partReport) conclude(path string, quick bool) error {
	var missed []error
	for _, row := range r.Rows {
		fmt.Println(row.String())
		if !row.Met && !quick {
			missed = append(missed, fmt.Errorf("%s: %s; the goal is %s", row.What, row.Figure, row.Goal))
		}
	}
	return errors.Join(append(missed, writeJSON(path, r))...)
}

// String returns the row in Markdown.
func (r row) String() string {
	verdict := "reached"
	switch {
	case r.Goal == "":
		verdict = ""
	case !r.Met:
		verdict = "not reached"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |", r.What, r.Figure, r.Beside, r.Goal, verdict)
}
