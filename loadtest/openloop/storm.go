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

// stormCommand is the opening of a sale: many connections come in one second, each with a handshake, and buy. Their
// ClientHellos are computed before, as on the buyers' own machines. Otherwise this process would take most of the
// first seconds for them.
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
	if err = f.prepare(ctx); err != nil {
		return err
	}
	l := f.begin(0, time.Duration(c.Seconds)*time.Second)
	course := l.watch()
	l.serveAll(rush(c.Within))
	m, err := l.finish(ctx)
	if err != nil {
		return err
	}
	total := l.total()
	m.Prepared, m.Course = f.to.tls != nil, course(total.sales)
	m.print(os.Stdout)
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

// second is one second of a storm.
type second struct {
	Sales, Handshakes       int
	ServerCPU, GeneratorCPU float64 // processor seconds
}

// watch counts handshakes and processor time second by second. The function that it returns is called after the end of
// the load, with the sales.
func (l *load) watch() func(sales []int) []second {
	course := make([]second, len(l.own.sales))
	done := make(chan struct{})
	go func() {
		defer close(done)
		times, made := l.processorTimes(), 0
		for i := range course {
			select {
			case <-time.After(l.window.from + time.Duration(i+1)*time.Second - l.now()):
			case <-l.ended:
			}
			now, sum := l.processorTimes(), l.handshakes()
			course[i] = second{Handshakes: sum - made, ServerCPU: now.server - times.server,
				GeneratorCPU: now.generator - times.generator}
			times, made = now, sum
		}
	}()
	return func(sales []int) []second {
		<-done
		for i, n := range sales {
			course[i].Sales = n
		}
		return course
	}
}
