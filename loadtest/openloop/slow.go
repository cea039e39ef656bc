package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// slowCommand measures the server's memory, and a buyer's time, while very many clients send or read slowly.
type slowCommand struct {
	Kind        string        `arg:"" enum:"senders,readers" help:"senders announce a batch and send a byte of it; readers read the list of sessions a byte a second."`
	Target      target        `embed:""`
	Connections int           `default:"16200" help:"Slow clients. The server and they have one limit of connections, and this process has one of file descriptors."`
	Buyers      int           `default:"20" help:"Buyers meanwhile, whose connections were made before."`
	Think       time.Duration `default:"100ms" help:"How long a buyer waits on average before its next reservation."`
	Count       time.Duration `default:"12s" help:"Count for this long: longer than the server's timeouts, so that slow clients come again."`
	MaxBuffered int           `default:"256" placeholder:"MIB" help:"The server's --max-buffered. Its memory may grow by that and 48 KiB for each connection."`
	Seed        uint64        `default:"1" help:"Seed of pauses."`
	Quick       bool          `help:"A tenth of the connections, for a short time. A missed goal is no failure."`
	Report      string        `required:"" placeholder:"FILE" help:"Write the figures to this file, JSON."`
}

// buyerGoal is the 99th percentile of a buyer's requests beside slow clients, in ms.
const buyerGoal = 50

// perConnection is how much memory a connection may take beside --max-buffered, in KiB (server/README.md, Memory).
const perConnection = 48

// slowKinds are the kinds of slow clients: as startBeside has them, and in words.
var slowKinds = map[string][2]string{
	"senders": {"send", "that announce a batch and send a byte of it"},
	"readers": {"read", "that read the list of sessions a byte a second"},
}

// Run measures beside slow clients.
func (c slowCommand) Run(ctx context.Context) error {
	if c.Quick {
		c.Connections, c.Count = max(1, c.Connections/10), c.Count/quicker
	}
	buyers := c.Target
	buyers.Sources = 1
	kind := slowKinds[c.Kind]
	p := &pair{target: &buyers, think: c.Think, count: c.Count, rounds: 1,
		crowd: crowd{Connections: c.Buyers, Patience: time.Minute, Pipeline: 1, Seed: c.Seed},
		start: func() (*beside, error) {
			return startBeside(ctx, kind[0], &c.Target, crowd{Connections: c.Connections})
		}}
	memory := watchMemory(c.Target.ServerPID)
	err := p.run(ctx)
	before, peak := memory.end()
	if err != nil {
		return err
	}
	alone, beside, _ := p.figures()
	growth, budget := (peak-before)>>20, c.MaxBuffered+c.Connections*perConnection>>10
	r := &partReport{Loads: map[string][]*measurement{"alone": p.alone, "beside": p.beside},
		Beside: map[string]besideReport{c.Kind: p.other}, Rows: []row{
			{What: fmt.Sprintf("%s clients %s: the server's memory grows by", humanize.Comma(int64(c.Connections)), kind[1]),
				Figure: fmt.Sprintf("%d MiB", growth), Beside: fmt.Sprintf("before: %d MiB", before>>20),
				Goal: fmt.Sprintf("at most %s MiB: `--max-buffered`, %d MiB, and %d KiB for each connection",
					humanize.Comma(int64(budget)), c.MaxBuffered, perConnection), Met: growth <= budget},
			{What: "the same: 99th percentile of a buyer", Figure: rounded(beside) + " ms",
				Beside: "alone: " + rounded(alone) + " ms", Goal: fmt.Sprintf("below %d ms", buyerGoal), Met: beside < buyerGoal}}}
	return r.conclude(c.Report, c.Quick)
}

// memoryWatch samples the resident memory of a process.
type memoryWatch struct {
	pid          int
	stop         chan struct{}
	done         chan struct{}
	before, peak int // bytes
}

func watchMemory(pid int) *memoryWatch {
	w := &memoryWatch{pid: pid, stop: make(chan struct{}), done: make(chan struct{})}
	w.before = resident(pid)
	w.peak = w.before
	go w.run()
	return w
}

func (w *memoryWatch) run() {
	defer close(w.done)
	const every = 50 * time.Millisecond
	clock := time.NewTicker(every)
	defer clock.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-clock.C:
			w.peak = max(w.peak, resident(w.pid))
		}
	}
}

// end returns the memory at the beginning and the most since, in bytes.
func (w *memoryWatch) end() (before, peak int) {
	close(w.stop)
	<-w.done
	return w.before, max(w.peak, resident(w.pid))
}

// resident returns the resident memory of a process in bytes; 0 if it is not known.
func resident(pid int) int {
	s := stat(pid)
	return s.ResidentMemory()
}
