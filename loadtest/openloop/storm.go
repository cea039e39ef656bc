package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// stormCommand is the opening of a sale: many connections come in one second, each with a handshake, and buy.
type stormCommand struct {
	Target      target        `embed:""`
	Connections int           `default:"8000" help:"Connections that come."`
	Within      time.Duration `default:"1s" help:"Time in which they come, at random moments."`
	Seconds     int           `default:"10" help:"Count the sales of this many seconds."`
	Seed        uint64        `default:"1" help:"Seed of the moments."`
	Quick       bool          `help:"A tenth of the connections, for two seconds. A missed goal is no failure."`
	Report      string        `required:"" placeholder:"FILE" help:"Write the figures to this file, JSON."`
}

// The goals of a storm.
const (
	firstSaleGoal = 200 * time.Millisecond
	stormShare    = 0.5 // of the capacity, from the second second on
)

// Run lets the storm come.
func (c stormCommand) Run(ctx context.Context) error {
	if c.Quick {
		c.Connections, c.Seconds = max(1, c.Connections/10), 2
	}
	who := crowd{Connections: c.Connections, Patience: time.Minute, Pipeline: 1, Seed: c.Seed}
	capacity, err := capacityOf(ctx, &c.Target, who, time.Duration(c.Seconds)*time.Second/4)
	if err != nil {
		return err
	}
	f, err := newFleet(ctx, &c.Target, who)
	if err != nil {
		return err
	}
	defer f.close()
	l := f.begin(0, time.Duration(c.Seconds)*time.Second)
	l.serveAll(rush(c.Within))
	m, err := l.finish(ctx)
	if err != nil {
		return err
	}
	m.print(os.Stdout)
	total := l.total()
	return c.report(m, total, total.firstSale-l.window.from, capacity).conclude(c.Report, c.Quick)
}

// report compares the storm with its goals.
func (c stormCommand) report(m *measurement, total *counts, first time.Duration, capacity float64) *partReport {
	var seconds []string
	half := true
	for i, n := range total.sales {
		seconds = append(seconds, rounded(float64(n)))
		half = half && (i == 0 || float64(n) >= stormShare*capacity)
	}
	what := fmt.Sprintf("%s connections that come in %s and buy (%s)", humanize.Comma(int64(c.Connections)), c.Within,
		cmp.Or(m.Protocol, "plain"))
	figure := "none"
	if total.sold > 0 {
		figure = fmt.Sprintf("%.0f ms", float64(first.Microseconds())/1000)
	}
	return &partReport{Loads: map[string][]*measurement{"storm": {m}}, Rows: []row{
		{What: what + ": the first sale", Figure: figure, Goal: fmt.Sprintf("below %d ms", firstSaleGoal.Milliseconds()),
			Met: total.sold > 0 && first < firstSaleGoal},
		{What: "the same: sales in each second", Figure: strings.Join(seconds, ", "),
			Beside: fmt.Sprintf("the capacity, with %d connections: %s", capacityConnections, rounded(capacity)),
			Goal:   "half of the capacity from the second second on", Met: half},
	}}
}
