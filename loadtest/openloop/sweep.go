package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// sweepCommand measures how goodput and latency depend on the offered load, for each kind of client.
type sweepCommand struct {
	Target       target        `embed:""`
	TLSURL       string        `name:"tls-url" required:"" placeholder:"URL" help:"The API of a second server, over TLS."`
	TLSServerPID int           `name:"tls-server-pid" help:"Process id of that server."`
	Connections  int           `default:"10000" help:"Connections of each client."`
	Clients      []string      `default:"kept,new,tls-kept,tls-new,tls-resumed" help:"The clients (default: ${default})."`
	Count        time.Duration `default:"3s" help:"Count each load for this long."`
	Seed         uint64        `default:"1" help:"Seed of arrivals and pauses."`
	Quick        bool          `help:"Few and short loads of a tenth of the connections. A missed goal is no failure."`
	Report       string        `required:"" placeholder:"FILE" help:"Write the figures to this file, JSON."`
}

// shares are the loads of a sweep, as multiples of the capacity.
var shares = []float64{0.1, 0.5, 1, 2, 5, 10}

// quicker is how many times shorter --quick makes each load.
const quicker = 5

// overload is the share at which a sweep is judged.
const overload = 10

// sweepReport is the result of a sweep. Its fields are those of the JSON report.
type sweepReport struct {
	Connections int
	Series      []*series
}

// series is the loads of one client in one loop.
type series struct {
	Name     string  // as in --clients
	Open     bool    // the loop
	Capacity float64 // sales a second with capacityConnections connections of the same kind, closed loop
	Shares   []float64
	Loads    []*measurement
}

// capacityConnections is the number of connections that the capacity is found with: enough to keep the server busy, too
// few to overload it.
const capacityConnections = 64

// Run sweeps.
func (c sweepCommand) Run(ctx context.Context) error {
	shares := shares
	if c.Quick {
		shares, c.Count = []float64{0.1, 1, overload}, c.Count/quicker
		c.Connections = max(1, c.Connections/10)
	}
	r := &sweepReport{Connections: c.Connections}
	for _, name := range c.Clients {
		both, err := c.client(ctx, name, shares)
		if err != nil {
			return fmt.Errorf("client %s: %w", name, err)
		}
		r.Series = append(r.Series, both...)
	}
	if err := writeJSON(c.Report, r); err != nil {
		return err
	}
	fmt.Println()
	for _, row := range r.rows() {
		fmt.Println(row)
	}
	return c.conclude(r)
}

// crowdOf returns the target and the buyers of a client.
func (c sweepCommand) crowdOf(name string) (*target, crowd, error) {
	t, who := c.Target, crowd{Connections: c.Connections, Patience: 10 * time.Second, Pipeline: 1, Seed: c.Seed}
	switch name {
	case "new", "tls-new":
		who.New = true
	case "tls-resumed":
		who.New, who.Resume = true, true
	case "kept", "tls-kept":
	default:
		return nil, who, errors.New("unknown")
	}
	if len(name) > 3 && name[:3] == "tls" {
		t.URL, t.ServerPID = c.TLSURL, c.TLSServerPID
	}
	return &t, who, nil
}

// client sweeps with one client, in a closed and in an open loop.
func (c sweepCommand) client(ctx context.Context, name string, shares []float64) ([]*series, error) {
	t, who, err := c.crowdOf(name)
	if err != nil {
		return nil, err
	}
	capacity, err := capacityOf(ctx, t, who, c.Count)
	if err != nil {
		return nil, err
	}
	fmt.Printf("\n%s: the capacity is %.0f sales a second, with %d connections\n", name, capacity, capacityConnections)
	f, err := newFleet(ctx, t, who)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err = f.connect(ctx); err != nil {
		return nil, err
	}
	var both []*series
	for _, open := range []bool{false, true} {
		s := &series{Name: name, Open: open, Capacity: capacity, Shares: shares}
		s.printHeader(os.Stdout)
		for _, share := range shares {
			m, err := f.offer(ctx, open, share*capacity, f.warmup(share, capacity, c.Count), c.Count)
			if err != nil {
				return nil, fmt.Errorf("at %g times the capacity: %w", share, err)
			}
			s.Loads = append(s.Loads, m)
			s.printLine(os.Stdout, len(s.Loads)-1)
		}
		both = append(both, s)
	}
	return both, nil
}

// capacityOf finds the capacity in sales a second.
func capacityOf(ctx context.Context, t *target, who crowd, count time.Duration) (float64, error) {
	who.Connections = min(capacityConnections, who.Connections)
	f, err := newFleet(ctx, t, who)
	if err != nil {
		return 0, err
	}
	defer f.close()
	if err = f.connect(ctx); err != nil {
		return 0, err
	}
	m, err := f.closedLoop(ctx, 0, count/3, count)
	if err == nil && m.Goodput == 0 {
		err = errNothingSold
	}
	return m.Goodput, err
}

var errNothingSold = errors.New("the server sold nothing")

// offer offers a number of buyers a second. In a closed loop, each connection pauses for as long as makes that rate if
// answers take no time.
func (f *fleet) offer(ctx context.Context, open bool, rate float64, warmup, count time.Duration) (*measurement, error) {
	if open {
		return f.openLoop(ctx, rate, warmup, count)
	}
	think := float64(f.crowd.Connections) / rate
	m, err := f.closedLoop(ctx, time.Duration(think*float64(time.Second)), warmup, count)
	m.Rate = rate
	return m, err
}

// warmup returns how long a load lasts before it is steady: until the requests of all connections could be answered
// once and a half, under overload by connections that are slow to make.
func (f *fleet) warmup(share, capacity float64, count time.Duration) time.Duration {
	least := count / 3
	if !f.crowd.New || share <= 1 {
		return least
	}
	const most = 8 * time.Second
	all := time.Duration(1.5 * float64(f.crowd.Connections) / (2 * capacity) * float64(time.Second))
	return min(max(least, all), most)
}

// peak is the highest goodput of the series' own loads, with its own connections.
func (s *series) peak() (peak float64) {
	for _, m := range s.Loads {
		peak = max(peak, m.Goodput)
	}
	return peak
}

// confirmsRefused counts the confirmations that were refused because of load, in all loads.
func (s *series) confirmsRefused() (n int) {
	for _, m := range s.Loads {
		n += m.ConfirmsRefused
	}
	return n
}

// most is the load at which the series is judged.
func (s *series) most() *measurement { return s.Loads[len(s.Loads)-1] }

func (s *series) printHeader(to io.Writer) {
	_, _ = fmt.Fprintf(to, "%s, %s\n%6s %9s %9s %9s %9s %8s %8s %8s %8s %8s %8s %7s %7s\n", s.Name, loopName(s.Open),
		"share", "offered/s", "sales/s", "refused/s", "no free/s", "res p50", "res p99", "con p50", "con p99", "con ref",
		"broken", "server", "client")
}

func (s *series) printLine(to io.Writer, i int) {
	m := s.Loads[i]
	r, c := m.Accepted[reserving.String()], m.Accepted[confirming.String()]
	_, _ = fmt.Fprintf(to, "%6g %9.0f %9.0f %9.0f %9.0f %8.1f %8.1f %8.1f %8.1f %8d %8d %7.2f %7.2f\n", s.Shares[i],
		m.Rate, m.Goodput, m.Overloads, float64(m.NoFree)/m.Seconds, r.P50, r.P99, c.P50, c.P99, m.ConfirmsRefused,
		m.broken(), m.ServerCPU, m.GeneratorCPU)
}

func loopName(open bool) string {
	if open {
		return "open loop"
	}
	return "closed loop"
}

// conclude returns an error if a goal was missed, unless the sweep is quick.
func (c sweepCommand) conclude(r *sweepReport) error {
	var missed []error
	for _, s := range r.Series {
		for _, g := range s.goals() {
			if !g.Met && !c.Quick {
				missed = append(missed, fmt.Errorf("%s, %s: a goal was missed: %s", s.Name, loopName(s.Open), g.Goal))
			}
		}
	}
	return errors.Join(missed...)
}

// goal is a goal and whether it was met.
type goal struct {
	Goal string
	Met  bool
}

// The goals of a sweep.
const (
	goodputShare = 0.9 // of the peak with as many connections, under overload, where connections are kept
	latencyGoal  = 300 // ms, the 99th percentile of what is accepted under overload
)

// goals compares a series with the goals that it has.
func (s *series) goals() []goal {
	goals := []goal{{"no confirmation is refused because of load", s.confirmsRefused() == 0}}
	if s.Name == "kept" || s.Name == "tls-kept" {
		worst := max(s.most().Accepted[reserving.String()].P99, s.most().Accepted[confirming.String()].P99)
		goals = append(goals, goal{fmt.Sprintf("goodput at %d times the capacity is at least %g of the peak", overload,
			goodputShare), s.most().Goodput > 0 && s.most().Goodput >= goodputShare*s.peak()},
			goal{fmt.Sprintf("the 99th percentile of what is accepted then is below %d ms", latencyGoal), worst < latencyGoal})
	}
	return goals
}
