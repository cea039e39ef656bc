// Command openloop loads a server as its clients do: ordinary connections, plain or TLS, with one request at a time on
// each, kept or made anew for each request.
//
//	openloop run   --url http://127.0.0.1:8080 --connections 10000             each buyer comes again when served
//	openloop run   --url http://127.0.0.1:8080 --connections 10000 --rate 20000   buyers arrive by themselves
//	openloop sweep --url http://127.0.0.1:8080 --tls-url https://127.0.0.1:8443 --ca ca.pem --report sweep.json
//
// A buyer reserves a ticket and then confirms it. One that is refused with 503 waits for as long as Retry-After
// requires, plus up to half of it, and comes again with the same id until its patience ends.
//
// In a closed loop, each connection belongs to one buyer after the other. In an open loop, buyers arrive at random
// times (Poisson) whether or not the server keeps up. Every latency counts from the moment at which the request was
// due, so a server that stalls is charged with the waits of all who were due meanwhile (no coordinated omission).
//
// The output names the client that a figure is of. Pipelining, which no browser and no gateway does, needs --pipeline
// and is named too.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

type commands struct {
	Run         runCommand         `cmd:"" help:"Make one load and print the results."`
	Sweep       sweepCommand       `cmd:"" help:"Load the server from a tenth of its capacity to ten times it, with each kind of client."`
	Storm       stormCommand       `cmd:"" help:"Many connections come in one second and buy."`
	Greedy      greedyCommand      `cmd:"" help:"One caller with thousands of connections beside polite ones."`
	Slow        slowCommand        `cmd:"" help:"Slow senders and slow readers: the server's memory, and a buyer's time meanwhile."`
	Poll        pollCommand        `cmd:"" help:"Pollers of the session list beside buyers."`
	Table       tableCommand       `cmd:"" help:"Write the table and the picture of reports into a Markdown file."`
	Certificate certificateCommand `cmd:"" help:"Make an authority and a certificate for 127.0.0.1."`
	Beside      besideCommand      `cmd:"" hidden:"" help:"Load until the standard input ends. The other commands start it."`
}

func main() {
	debug.SetGCPercent(400) // the generator shares its processors with the server; its heap is small
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	command := kong.Parse(&commands{}, kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Description("Loads a Seathold server as its clients do."))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "openloop: "+err.Error())
		stop()
		os.Exit(1)
	}
}
