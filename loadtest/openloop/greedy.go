package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
)

// greedyCommand measures polite buyers alone and beside one caller with very many connections.
type greedyCommand struct {
	Target      target        `embed:""`
	Polite      int           `default:"200" help:"Polite buyers, each with one connection from an address of its own."`
	Think       time.Duration `default:"0s" help:"How long a polite buyer waits on average before its next reservation."`
	Connections int           `default:"5000" help:"Connections of the greedy caller, from one address. It ignores Retry-After."`
	GreedyKey   string        `name:"greedy-key" help:"Key of the greedy caller; default: that of the polite ones."`
	Rounds      int           `default:"3" help:"Measure alone and beside so many times in turn. The ratio is the median."`
	Count       time.Duration `default:"3s" help:"Count each load for this long."`
	Seed        uint64        `default:"1" help:"Seed of pauses."`
	Quick       bool          `help:"A tenth of the connections, one short round. A missed goal is no failure."`
	Report      string        `required:"" placeholder:"FILE" help:"Write the figures to this file, JSON."`
}

// politeGoal is how many times as long the polite buyers' 99th percentile may be beside a greedy caller.
const politeGoal = 2

// Run measures in turn.
func (c greedyCommand) Run(ctx context.Context) error {
	if c.Quick {
		c.Polite, c.Connections, c.Rounds = max(1, c.Polite/10), max(1, c.Connections/10), 1
		c.Count /= quicker
	}
	polite, greedy := c.Target, c.Target
	polite.Sources, greedy.Sources = c.Polite, 1
	if c.GreedyKey != "" {
		greedy.Key = c.GreedyKey
	}
	p := &pair{target: &polite, think: c.Think, count: c.Count, rounds: c.Rounds,
		crowd: crowd{Connections: c.Polite, Patience: time.Minute, Pipeline: 1, Seed: c.Seed},
		start: func() (*beside, error) {
			return startBeside(ctx, "buy", &greedy, crowd{Connections: c.Connections, Impolite: 1})
		}}
	if err := p.run(ctx); err != nil {
		return err
	}
	alone, beside, ratio := p.figures()
	r := &partReport{Loads: map[string][]*measurement{"alone": p.alone, "beside": p.beside},
		Beside: map[string]besideReport{"greedy": p.other}}
	r.Rows = []row{{What: fmt.Sprintf("99th percentile of %d polite buyers beside one caller with %s connections",
		c.Polite, humanize.Comma(int64(c.Connections))), Figure: fmt.Sprintf("%s ms, %.2f ×", rounded(beside), ratio),
		Beside: fmt.Sprintf("alone: %s ms", rounded(alone)), Goal: fmt.Sprintf("at most %d ×", politeGoal),
		Met: ratio <= politeGoal}}
	return r.conclude(c.Report, c.Quick)
}

// pair measures buyers alone and beside another client, in turn.
type pair struct {
	target *target
	crowd  crowd
	think  time.Duration
	count  time.Duration
	rounds int
	start  func() (*beside, error)

	alone, beside []*measurement
	other         besideReport // of the last round
}

func (p *pair) run(ctx context.Context) error {
	f, err := newFleet(ctx, p.target, p.crowd)
	if err != nil {
		return err
	}
	defer f.close()
	if err = f.connect(ctx); err != nil {
		return err
	}
	for range p.rounds {
		m, err := f.closedLoop(ctx, p.think, p.count/3, p.count)
		if err != nil {
			return err
		}
		p.alone = append(p.alone, m)
		other, err := p.start()
		if err != nil {
			return err
		}
		m, err = f.closedLoop(ctx, p.think, p.count/3, p.count)
		var ended error
		if p.other, ended = other.end(); err != nil || ended != nil {
			return errors.Join(err, ended)
		}
		p.beside = append(p.beside, m)
		alone := p.alone[len(p.alone)-1]
		fmt.Printf("alone p99 %.1f ms, %.0f sales a second; beside p99 %.1f ms, %.0f sales a second; the other had %v\n",
			alone.p99(), alone.Goodput, m.p99(), m.Goodput, p.other.Results)
	}
	return nil
}

// figures returns the medians of the rounds: both 99th percentiles in ms, and their ratio.
func (p *pair) figures() (alone, beside, ratio float64) {
	var as, bs, ratios []float64
	for i := range p.alone {
		a, b := p.alone[i].p99(), p.beside[i].p99()
		as, bs, ratios = append(as, a), append(bs, b), append(ratios, b/a)
	}
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	return median(as), median(bs), median(ratios)
}

// p99 is the 99th percentile of the accepted requests in ms, of the slower call.
func (m *measurement) p99() float64 {
	return max(m.Accepted[reserving.String()].P99, m.Accepted[confirming.String()].P99)
}
