// Package logpipe writes a log without ever making its callers wait: a log whose reader has stalled, for example a full
// pipe to a collector, must not stop a sale.
package logpipe

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// Pipe passes lines on to a writer from a goroutine of its own. Lines that do not fit into its buffer, and those that
// the writer does not accept, are dropped and counted. Write may be called by any number of goroutines.
type Pipe struct {
	out   io.Writer
	limit int
	// dropped returns a line that reports how many lines were dropped.
	dropped func(n uint64) []byte

	mu      sync.Mutex
	pending []byte
	lost    uint64 // lines dropped since the last report
	failed  uint64 // lines that out has not accepted, since the last report
	total   uint64 // both in all
	closed  bool
	wake    chan struct{} // has a token while there is work
	ended   chan struct{} // closed when the goroutine has ended
}

// New starts a pipe to a writer. It buffers at most limit bytes, in addition to those that are being written. dropped
// makes the line that reports lost lines, once out accepts lines again.
func New(out io.Writer, limit int, dropped func(n uint64) []byte) *Pipe {
	p := &Pipe{out: out, limit: limit, dropped: dropped, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go p.run()
	return p
}

// Write takes one line, or drops it if the buffer is full. It never waits and never fails. A line that is longer than
// the whole buffer is always dropped. After Close it writes directly.
func (p *Pipe) Write(line []byte) (int, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return p.out.Write(line)
	}
	if len(p.pending)+len(line) > p.limit {
		p.lost++
		p.total++
	} else {
		p.pending = append(p.pending, line...)
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return len(line), nil
}

// Dropped returns how many lines were dropped so far, also because the writer has failed.
func (p *Pipe) Dropped() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// Close writes what is buffered and ends the pipe. It waits for the writer for at most patience; what is not written by
// then is lost. It returns whether everything was written.
func (p *Pipe) Close(patience time.Duration) (complete bool) {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	p.mu.Unlock()
	if !already {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-p.ended:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.total == 0
	case <-timeout.C:
		return false
	}
}

// run writes until the pipe is closed and empty. It swaps two buffers, so callers add lines while it writes.
func (p *Pipe) run() {
	defer close(p.ended)
	var lines []byte
	for {
		<-p.wake
		for {
			p.mu.Lock()
			if len(p.pending) == 0 && p.lost == 0 { // a report of failed writes alone would fail again
				closed := p.closed
				p.mu.Unlock()
				if closed {
					return
				}
				break
			}
			lines, p.pending = p.pending, lines[:0]
			lost, failed := p.lost, p.failed
			p.lost, p.failed = 0, 0
			p.mu.Unlock()
			if lost > 0 { // they were dropped after the buffered lines
				lines = append(lines, p.dropped(lost)...)
			}
			p.write(lines, failed)
		}
	}
}

// write writes lines, and before them the report of those that could not be written.
func (p *Pipe) write(lines []byte, failed uint64) {
	if failed > 0 {
		if _, err := p.out.Write(p.dropped(failed)); err != nil {
			p.fail(lines, failed)
			return
		}
	}
	if n, err := p.out.Write(lines); err != nil {
		p.fail(lines[min(max(n, 0), len(lines)):], 0)
	}
}

// fail counts lines that could not be written. earlier ones are counted already, and still to be reported.
func (p *Pipe) fail(lines []byte, earlier uint64) {
	n := uint64(bytes.Count(lines, []byte("\n")))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total += n
	p.failed += n + earlier
}
