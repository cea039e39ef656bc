// Command openloop loads a server at a rate that does not depend on its answers. Buyers do not wait for each other:
// buyer n sends its request at start + n/rate whether or not the server keeps up, and every latency is counted from
// that scheduled time. A server that stalls for a second is thus charged with the waits of all buyers due in that
// second (no coordinated omission).
//
//	openloop run   --url http://127.0.0.1:8080 --rate 20000
//	openloop sweep --url http://127.0.0.1:8080 --report reports/sweep
//
// One goroutine writes the requests that are due to a few connections, pipelined where several are due on one, and one
// goroutine per connection reads the answers. So the generator uses less processor time than the server.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/alecthomas/kong"
)

// target is the server and the mix of requests that it gets.
type target struct {
	URL         string  `required:"" placeholder:"URL" help:"The server's API, http://HOST:PORT."`
	Key         string  `env:"SEATHOLD_KEY" help:"The caller's key."`
	Connections int     `default:"64" help:"Connections for reservations and reads; four times as many carry confirmations and releases."`
	Quantity    int     `default:"1" help:"Tickets of each reservation."`
	Confirm     float64 `default:"1" help:"Share of successful reservations that are confirmed at once."`
	Release     float64 `default:"0" help:"Share of successful reservations that are released at once."`
	Reads       float64 `default:"0" help:"Share of arrivals that read an earlier reservation instead."`
	SoldOut     bool    `help:"Request a sold-out pool; it is sold out first if necessary."`
	ServerPID   int     `name:"server-pid" help:"Process id of a server on this machine: its processor time is reported too."`
}

type commands struct {
	Run   runCommand   `cmd:"" help:"Load the server at one rate and print the results."`
	Sweep sweepCommand `cmd:"" help:"Find the capacity, then load the server from a tenth of it to ten times as much."`
}

type runCommand struct {
	Target   target        `embed:""`
	Rate     float64       `required:"" help:"Arrivals a second."`
	Warmup   time.Duration `default:"1s" help:"Load for this long before counting."`
	Duration time.Duration `default:"10s" help:"Count for this long."`
	JSON     string        `placeholder:"FILE" help:"Also write the figures to FILE."`
}

// Run loads the server at one rate.
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
	command := kong.Parse(&commands{}, kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Description("Loads a Seathold server at a rate that does not depend on its answers."))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "openloop: "+err.Error())
		stop()
		os.Exit(1)
	}
}
