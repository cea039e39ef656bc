package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// sweepCommand measures and draws how goodput and latency depend on the offered load.
type sweepCommand struct {
	Target target        `embed:""`
	Report string        `required:"" placeholder:"PATH" help:"Write PATH.json and PATH.svg."`
	Passes int           `default:"8" help:"Measure all loads this many times; the results of each load are merged."`
	Count  time.Duration `default:"1s" help:"Count each load for this long in each pass."`
	Short  bool          `help:"Few and short loads; a missed target is no failure. For tests."`
}

// shares are the loads of a sweep, as multiples of the capacity.
var shares = []float64{0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2, 3, 5, 7, 10}

// sweepReport is the result of a sweep. Its fields are those of the JSON report.
type sweepReport struct {
	Capacity float64 // sales a second
	Shares   []float64
	Loads    []*measurement
	SoldOut  *measurement // requests of a sold-out pool

	SaleCost    float64 // µs of the server's processor time for a reservation and its confirmation
	RefusalCost float64 // likewise, for a refusal under overload
	SoldOutCost float64 // likewise, for a refusal of a sold-out pool without overload: mostly the cost of an HTTP request
	Verdicts    []verdict
}

// verdict is a target, the figure that was found and whether it meets the target.
type verdict struct {
	Target string
	Found  string
	Met    bool
}

// Run sweeps.
func (c *sweepCommand) Run(ctx context.Context) error {
	g, err := newGenerator(ctx, &c.Target)
	if err != nil {
		return err
	}
	passes, warmup, count, saturating := max(1, c.Passes), 400*time.Millisecond, c.Count, 6*time.Second
	r := &sweepReport{Shares: shares}
	if c.Short {
		passes, warmup, count, saturating = 1, 200*time.Millisecond, 800*time.Millisecond, 1500*time.Millisecond
		r.Shares = []float64{0.1, 0.5, 1, 2, 10}
	}
	if r.Capacity, err = g.saturate(ctx, saturating); err != nil {
		return err
	}
	fmt.Printf("capacity  %.0f sales a second, reservation and confirmation, over %d connections\n\n", r.Capacity,
		c.Target.Connections)
	if err := r.measure(ctx, g, passes, warmup, count); err != nil {
		return err
	}
	r.print()
	soldOut := c.Target
	soldOut.SoldOut = true
	if g, err = newGenerator(ctx, &soldOut); err != nil {
		return err
	}
	// A sale is two requests: at twice the rate the server receives as many requests as at its capacity.
	if r.SoldOut, err = g.load(ctx, 2*r.Capacity, warmup, count); err != nil {
		return err
	}
	r.judge()
	r.printVerdicts()
	if err := writeJSON(c.Report+".json", r); err != nil {
		return err
	}
	if err := os.WriteFile(c.Report+".svg", []byte(r.picture()), 0o644); err != nil {
		return err
	}
	return c.conclude(r)
}

// measure goes through all loads several times. The speed of the machine varies over time, and all loads that are
// compared must get their share of that.
func (r *sweepReport) measure(ctx context.Context, g *generator, passes int, warmup, count time.Duration) error {
	for pass := range passes {
		for i, share := range r.Shares {
			m, err := g.load(ctx, share*r.Capacity, warmup, count)
			if err != nil {
				return fmt.Errorf("at %g times the capacity: %w", share, err)
			}
			if pass == 0 {
				r.Loads = append(r.Loads, m)
			} else {
				r.Loads[i].add(m)
			}
		}
	}
	return nil
}

// print writes a table of all loads.
func (r *sweepReport) print() {
	fmt.Printf("%8s %9s %9s %9s %9s %9s %9s %8s %8s %8s\n", "share", "offered/s", "sales/s", "refused/s", "p50 ms",
		"p99 ms", "p99.9 ms", "lag p99", "server", "load")
	for i, m := range r.Loads {
		fmt.Printf("%8g %9.0f %9.0f %9.0f %9.2f %9.2f %9.2f %8.2f %8.2f %8.2f\n", r.Shares[i], float64(m.Offered)/m.Seconds,
			m.Goodput, float64(m.refusals())/m.Seconds, m.Accepted.P50, m.Accepted.P99, m.Accepted.P999, m.Lag.P99,
			m.ServerCPU, m.GeneratorCPU)
	}
}

func (r *sweepReport) printVerdicts() {
	for _, v := range r.Verdicts {
		fmt.Printf("\n%-4s %s: %s", map[bool]string{true: "met", false: "NOT"}[v.Met], v.Target, v.Found)
	}
	if r.SoldOutCost > 0 {
		fmt.Printf("\n     a refusal of a sold-out pool costs %.1f µs at %.0f a second, mostly the cost of an HTTP request",
			r.SoldOutCost, 2*r.Capacity)
	}
	fmt.Println()
}

// conclude returns an error if a target was missed, unless the sweep is short.
func (c *sweepCommand) conclude(r *sweepReport) error {
	for _, v := range r.Verdicts {
		if !v.Met && !c.Short {
			return fmt.Errorf("a target was missed: %s", v.Target)
		}
	}
	return nil
}

// at returns the load of a share.
func (r *sweepReport) at(share float64) *measurement {
	for i, s := range r.Shares {
		if s == share {
			return r.Loads[i]
		}
	}
	panic(fmt.Sprintf("BUG: no load of %g", share))
}

// judge compares the sweep with the targets.
func (r *sweepReport) judge() {
	half, most := r.at(0.5), r.at(10)
	peak := 0.0
	for _, m := range r.Loads {
		peak = max(peak, m.Goodput)
	}
	r.Verdicts = append(r.Verdicts,
		verdict{"goodput at ten times the capacity is at least 90 % of the peak",
			fmt.Sprintf("%.0f of %.0f sales a second, %.0f %%", most.Goodput, peak, 100*most.Goodput/peak),
			most.Goodput >= 0.9*peak},
		verdict{"the 99th percentile of accepted requests at ten times the capacity is at most five times that at half of it",
			fmt.Sprintf("%.2f ms and %.2f ms, %.1f times", most.Accepted.P99, half.Accepted.P99,
				most.Accepted.P99/half.Accepted.P99),
			most.Accepted.P99 <= 5*half.Accepted.P99},
		verdict{"the load was offered as intended",
			fmt.Sprintf("sent %.2f ms late at the 99th percentile, %d requests not sent", most.Lag.P99, most.Unsent),
			most.Unsent == 0 && most.Lag.P99 < 20})
	if half.ServerCPU == 0 || most.refusals() == 0 || r.SoldOut.refusals() == 0 {
		return
	}
	r.SaleCost, r.RefusalCost = r.costs()
	r.SoldOutCost = 1e6 * r.SoldOut.ServerCPU / (float64(r.SoldOut.refusals()) / r.SoldOut.Seconds)
	r.Verdicts = append(r.Verdicts, verdict{"a refusal under overload costs at most a fifth of a sale",
		fmt.Sprintf("%.2f µs and %.1f µs of the server's processor time, %.1f %%", r.RefusalCost, r.SaleCost,
			100*r.RefusalCost/r.SaleCost),
		r.RefusalCost <= r.SaleCost/5})
}

// costs returns the server's processor time in µs for a sale, at the load from the capacity on where it is cheapest,
// and for a refusal, computed at the highest load on the assumption that a sale costs as much there.
func (r *sweepReport) costs() (sale, refusal float64) {
	last := len(r.Loads) - 1
	for i, m := range r.Loads[:last] {
		if r.Shares[i] < 1 || m.Goodput == 0 {
			continue
		}
		if cost := 1e6 * m.ServerCPU / m.Goodput; sale == 0 || cost < sale {
			sale = cost
		}
	}
	most := r.Loads[last]
	return sale, max(0, (1e6*most.ServerCPU-most.Goodput*sale)/(float64(most.refusals())/most.Seconds))
}
