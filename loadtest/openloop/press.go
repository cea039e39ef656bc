package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// batchBytes is what a slow sender announces: the largest batch that a server accepts.
const batchBytes = 512 << 10

// press is clients that do not buy: slow senders, slow readers, pollers.
type press struct {
	command *besideCommand
	to      *endpoint

	mu     sync.Mutex
	report *besideReport
}

// press runs one client on each connection until the context ends.
func (c *besideCommand) press(ctx context.Context, report *besideReport) error {
	to, err := newEndpoint(&c.Target)
	if err != nil {
		return err
	}
	p := &press{command: c, to: to, report: report}
	act := map[string]func(context.Context, *presser) string{"send": p.send, "read": p.read, "poll": p.poll}[c.Kind]
	// The load is on when all have connected, or have failed to.
	var connected, all sync.WaitGroup
	turn := make(chan struct{}, 64)
	for i := range c.Crowd.Connections {
		connected.Add(1)
		all.Go(func() {
			conn := newConnection(to, i, false, &tally{counts: newCounts(window{})})
			if c.Kind == "read" {
				conn.dialer.Control = smallWindow
			}
			conn.in.keepETag = true
			turn <- struct{}{}
			err := conn.connect(time.Now().Add(connectTime))
			<-turn
			connected.Done()
			p.serve(ctx, &presser{connection: conn}, act, err)
		})
	}
	connected.Wait()
	fmt.Println(readyLine)
	all.Wait()
	return nil
}

// presser is one of the clients.
type presser struct {
	*connection
	etag string // of the last answer, as far as it polls
}

// serve has a client act again and again.
func (p *press) serve(ctx context.Context, c *presser, act func(context.Context, *presser) string, failed error) {
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	defer c.close()
	var pause time.Duration
	if p.command.Kind == "poll" {
		pause = time.Duration(rand.Float64() * float64(p.command.Every)) // so that not all poll in the same moment
	}
	for wait(ctx, pause) {
		code := "not connected"
		if failed == nil && c.conn == nil {
			failed = c.connect(time.Now().Add(connectTime))
		}
		if ctx.Err() != nil {
			return // cut may have come before the connection
		}
		if failed == nil {
			code = act(ctx, c)
		}
		if ctx.Err() != nil {
			code = untilTheEnd
		}
		failed = nil
		p.mu.Lock()
		p.report.Results[code]++
		p.mu.Unlock()
		pause = p.command.Every
	}
}

// wait waits; it returns false if the context ends.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// untilTheEnd is the result of a client that was busy when the load ended.
const untilTheEnd = "busy until the end"

// send announces a batch, sends a byte of it and waits for what the server does.
func (p *press) send(_ context.Context, c *presser) string {
	defer c.close()
	c.out = fmt.Appendf(c.out[:0], "POST /v1/batch HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n{", p.to.header, batchBytes)
	a, err := c.send(c.out)
	if err != nil {
		return "connection lost"
	}
	return codeOf(a)
}

// read requests a long answer and reads a byte a second.
func (p *press) read(ctx context.Context, c *presser) string {
	defer c.close()
	c.out = append(append(append(c.out[:0], "GET "+p.command.Path+" HTTP/1.1\r\n"...), p.to.header...), "\r\n"...)
	if _, err := c.conn.Write(c.out); err != nil {
		return "connection lost"
	}
	var one [1]byte
	for wait(ctx, time.Second) {
		if _, err := io.ReadFull(c.conn, one[:]); err != nil {
			return "connection lost"
		}
	}
	return untilTheEnd
}

// poll requests the path, with the tag of the last answer.
func (p *press) poll(_ context.Context, c *presser) string {
	c.out = append(append(append(c.out[:0], "GET "+p.command.Path+" HTTP/1.1\r\n"...), p.to.header...),
		"Accept-Encoding: gzip\r\n"...)
	if c.etag != "" {
		c.out = append(append(append(c.out, "If-None-Match: "...), c.etag...), "\r\n"...)
	}
	a, err := c.exchange(append(c.out, "\r\n"...), time.Now().Add(connectTime))
	if err != nil {
		return "connection lost"
	}
	if a.etag != "" {
		c.etag = a.etag
	}
	p.mu.Lock()
	p.report.Bytes += a.size
	p.mu.Unlock()
	if a.status == 304 {
		return "not modified"
	}
	return codeOf(a)
}
