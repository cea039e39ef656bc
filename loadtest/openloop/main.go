// Command openloop loads a server at a rate that does not depend on its answers. Buyers do not wait for each other: the n-th
// one presses the button at start + n/rate, whether the server keeps up or not, and every latency is counted from that
// moment. So a server that stops for a second is seen to keep a second's worth of buyers waiting (no coordinated omission).
//
//	openloop run   --url http://127.0.0.1:8080 --rate 20000
//	openloop sweep --url http://127.0.0.1:8080 --report reports/sweep
//
// One goroutine writes what is due to a few connections, pipelined where more than one is due, and one goroutine a
// connection reads the answers, so that the generator spends less than the server.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/alecthomas/kong"
)

// target is where the load goes and what it consists of.
type target struct {
	URL         string  `required:"" placeholder:"URL" help:"The server's API, http://HOST:PORT."`
	Key         string  `env:"SEATHOLD_KEY" help:"The caller's key."`
	Connections int     `default:"64" help:"Connections for reservations and reads; four times as many carry confirmations and releases."`
	Quantity    int     `default:"1" help:"Tickets of a reservation."`
	Confirm     float64 `default:"1" help:"Share of the reservations made that are confirmed, as soon as they are answered."`
	Release     float64 `default:"0" help:"Share of the reservations made that are released."`
	Reads       float64 `default:"0" help:"Share of the arrivals that read an earlier reservation instead."`
	SoldOut     bool    `help:"Ask for a pool that is sold out, or make it so first."`
	ServerPID   int     `name:"server-pid" help:"The server's process, if it runs here: its processor time is reported too."`
}

type commands struct {
	Run   runCommand   `cmd:"" help:"Load at one rate and print what came of it."`
	Sweep sweepCommand `cmd:"" help:"Find the capacity, then load from a tenth of it to ten times as much."`
}

type runCommand struct {
	Target   target        `embed:""`
	Rate     float64       `required:"" help:"Arrivals a second."`
	Warmup   time.Duration `default:"1s" help:"How long to load before counting."`
	Duration time.Duration `default:"10s" help:"How long to count."`
	JSON     string        `placeholder:"FILE" help:"Write the figures there too."`
}

// Run loads at one rate.
func (c *runCommand) Run(ctx context.Context) error {
	g, err := newGenerator(ctx, &c.Target)
	if err != nil {
		return err
	}
	m, err := g.load(ctx, c.Rate, c.Warmup, c.Duration)
	if err != nil {
		return err
	}
	m.print(os.Stdout)
	if c.JSON == "" {
		return nil
	}
	return writeJSON(c.JSON, m)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	command := kong.Parse(&commands{}, kong.Description("Loads a Seathold server at a rate that does not depend on its answers."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "openloop: "+err.Error())
		stop()
		os.Exit(1)
	}
}
