package main

import (
	"context"
	"fmt"
	"os"
)

// pass passes signals on to what awaits them. A signal that nothing awaits ends the process at once: no command, and
// no part of one, is deaf to it.
func (p *process) pass(signals <-chan os.Signal, awaited chan<- os.Signal) {
	for s := range signals {
		if p.awaiting.Load() == 0 {
			os.Exit(p.fail(exitFailed, endedBy(s)))
		}
		select {
		case awaited <- s:
		default: // there are two already
		}
	}
}

func endedBy(s os.Signal) error { return fmt.Errorf("ended by a signal: %s", s) }

// await has signals go to p.signals until done is called.
func (p *process) await() (done func()) {
	p.awaiting.Add(1)
	return func() { p.awaiting.Add(-1) }
}

// untilSignal returns a context that ends with the first signal. Its cause then names the signal. A second signal ends
// the process, whatever the command waits for.
func (p *process) untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done, ended := p.await(), make(chan struct{})
	go func() {
		defer close(ended)
		defer done()
		select {
		case s := <-p.signals:
			cancel(endedBy(s))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}
