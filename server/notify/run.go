package notify

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"net/mail"
	"strconv"
	"strings"
	"time"
)

// Options say what to send to whom. All are required but those with a default.
type Options struct {
	Draw      string                               // id
	Root      string                               // of the entries; draws of the same id have different ones
	Winners   func(yield func(Winner) error) error // in the order of their ranks; called once a round
	Addresses *Addresses
	Letter    *Letter
	From      string // an address, perhaps with a name: Tickets <tickets@example.org>
	Server    Server
	Log       string    // path of the file that notes what has been done
	Failures  io.Writer // CSV: rank,account,address,reason

	Rate    float64       // mails a second, at most; default 10
	Retries int           // rounds through those whose error may pass; default 4. -1: none
	Backoff time.Duration // before the first of these rounds and between attempts to connect, then twice as long; default 10 s

	RetryFailed bool // send again what the server had refused for good in an earlier run

	Progress func(Report)                                     // called now and then; default: nobody
	Now      func() time.Time                                 // default: time.Now
	Sleep    func(ctx context.Context, d time.Duration) error // default: a timer; returns ctx's cause when that ends first
}

// Report counts what has been done.
type Report struct {
	Winners  int // looked at in the first round
	Sent     int // in this run
	Before   int // sent in earlier runs
	Failed   int // winners who get no mail: no address, or refused for good, now or in an earlier run
	Deferred int // winners whose mail met an error that may pass
	InFlight int // mails whose run had ended before the server's answer was noted: sent again, with the same Message-ID
}

// ErrServer ends a run when the server cannot be reached, or refuses every mail. What was sent is noted.
var ErrServer = errors.New("SMTP server")

const (
	maxBackoff     = 10 * time.Minute
	maxConnections = 6 // attempts to hand over one mail through connections that break
)

func (o *Options) check() (*mail.Address, error) {
	from, err := mail.ParseAddress(o.From)
	if err != nil {
		return nil, fmt.Errorf("the sender %q: %w", o.From, err)
	}
	if err := checkAddress(from.Address); err != nil {
		return nil, fmt.Errorf("the sender %q: %w", o.From, err)
	}
	if strings.ContainsAny(from.Name, "\r\n") {
		return nil, fmt.Errorf("the sender's name has more than one line")
	}
	if o.Rate == 0 {
		o.Rate = 10
	}
	if !(o.Rate >= 0.001 && o.Rate <= 10_000) {
		return nil, fmt.Errorf("a rate of %g mails a second is not from 0.001 to 10000", o.Rate)
	}
	switch {
	case o.Retries == 0:
		o.Retries = 4
	case o.Retries < 0:
		o.Retries = 0
	}
	if o.Backoff == 0 {
		o.Backoff = 10 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(Report) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return from, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run sends what has not been sent. It returns when every winner was sent a mail or is among the failures, or with the
// error that ended it: ErrServer, a log, ErrLetter, or ctx's cause; another run then goes on where this one ended.
func Run(ctx context.Context, o Options) (report Report, err error) {
	from, err := o.check()
	if err != nil {
		return report, err
	}
	log, err := openLog(o.Log, o.Draw, o.Root)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	p, err := newPost(&o.Server, from)
	if err != nil {
		return report, err
	}
	defer p.close()
	r := &round{o: &o, from: from, log: log, post: p, failures: csv.NewWriter(o.Failures), waiting: &bitset{}}
	r.report.Before = log.count
	if log.tried != 0 {
		r.report.InFlight = 1
	}
	err = errors.Join(r.failures.Write([]string{"rank", "account", "address", "reason"}), r.all(ctx))
	r.failures.Flush()
	return r.report, errors.Join(err, r.failures.Error())
}

// round is one walk through the winners: the first through all, the later ones through those that wait.
type round struct {
	o        *Options
	from     *mail.Address
	log      *sentLog
	post     *post
	failures *csv.Writer
	report   Report

	number  int
	waiting *bitset // ranks whose error may pass
	next    time.Time
}

func (r *round) all(ctx context.Context) error {
	for wait := r.o.Backoff; ; wait = min(2*wait, maxBackoff) {
		if err := r.o.Winners(func(w Winner) error { return r.winner(ctx, &w) }); err != nil {
			return err
		}
		if r.number++; r.report.Deferred == 0 || r.number > r.o.Retries {
			return nil
		}
		if err := r.o.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// winner does what this round has to do for a winner.
func (r *round) winner(ctx context.Context, w *Winner) error {
	first := r.number == 0
	if first {
		r.report.Winners++
		defer func() { r.o.Progress(r.report) }()
	}
	if r.log.sent.has(w.Rank) || !first && !r.waiting.has(w.Rank) {
		return nil
	}
	address, err := r.o.Addresses.of(w.Account)
	if err != nil {
		return r.fail(w, "", err.Error())
	}
	if why, failed := r.log.failed[w.Rank]; failed && !r.o.RetryFailed {
		return r.fail(w, address, why+" (in an earlier run)")
	}
	subject, body, err := r.o.Letter.Render(w)
	if err != nil {
		return err
	}
	return r.send(ctx, w, &envelope{to: address, subject: subject, body: body,
		messageID: messageIDOf(r.o.Draw, r.o.Root, w.Account, r.from)})
}

// send hands over one mail, through as many connections as it takes, within bounds.
func (r *round) send(ctx context.Context, w *Winner, e *envelope) error {
	for attempt, wait := 1, r.o.Backoff; ; attempt++ {
		f, why, err := r.try(ctx, w, e)
		if err != nil {
			return err
		}
		if f != broken {
			return r.settle(w, e, f, why)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if attempt == maxConnections {
			return fmt.Errorf("%w: %w", ErrServer, why)
		}
		if attempt > 1 { // a server may have closed an idle connection: the first new one is made at once
			if err := r.o.Sleep(ctx, wait); err != nil {
				return err
			}
			wait = min(2*wait, maxBackoff)
		}
	}
}

// try makes one attempt. Until there is a connection nothing can have been accepted, so nothing is noted.
func (r *round) try(ctx context.Context, w *Winner, e *envelope) (f fate, why, err error) {
	if err := r.pace(ctx); err != nil {
		return 0, nil, err
	}
	if f, why := r.post.connect(ctx); why != nil {
		return f, why, nil
	}
	if err := r.log.noteTry(w); err != nil {
		return 0, nil, err
	}
	f, why = r.post.send(e)
	return f, why, nil
}

// settle notes what became of a mail.
func (r *round) settle(w *Winner, e *envelope, f fate, why error) error {
	if f != deferred && r.waiting.has(w.Rank) {
		r.waiting.clear(w.Rank)
		r.report.Deferred--
	}
	switch f {
	case delivered:
		r.report.Sent++
		return r.log.noteSent(w)
	case refused:
		text := oneLine(why)
		return errors.Join(r.log.noteFailed(w, text), r.fail(w, e.to, text))
	case deferred:
		if r.waiting.set(w.Rank) {
			r.report.Deferred++
		}
		err := r.log.noteDeferred(w)
		if r.number >= r.o.Retries {
			err = errors.Join(err, r.write(w, e.to, oneLine(why)+" (may pass: run again)"))
		}
		return err
	}
	return errors.Join(fmt.Errorf("%w: it takes no mail from us: %s", ErrServer, oneLine(why)), r.log.noteDeferred(w))
}

// pace waits until the next mail may go. Mails are a fixed time apart: a pause earns nothing, there are no bursts.
func (r *round) pace(ctx context.Context) error {
	now := r.o.Now()
	if r.next.After(now) {
		if err := r.o.Sleep(ctx, r.next.Sub(now)); err != nil {
			return err
		}
		now = r.o.Now()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if r.next.Before(now) {
		r.next = now
	}
	r.next = r.next.Add(time.Duration(math.Ceil(float64(time.Second) / r.o.Rate)))
	return nil
}

// fail lists a winner who gets no mail.
func (r *round) fail(w *Winner, address, why string) error {
	r.report.Failed++
	return r.write(w, address, why)
}

func (r *round) write(w *Winner, address, why string) error {
	return r.failures.Write([]string{strconv.FormatUint(uint64(w.Rank), 10), w.Account, address, why})
}

// oneLine is what the server said as text without line breaks, for the log and the list. Recipient and Message-ID, which
// go-mail appends, stand there anyway.
func oneLine(err error) string {
	text, _, _ := strings.Cut(strings.Join(strings.Fields(err.Error()), " "), ", affected ")
	return fmt.Sprintf("%.300s", strings.ToValidUTF8(text, "?"))
}
