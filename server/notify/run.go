package notify

import (
	"cmp"
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

	"github.com/seathold/seathold/server/internal/lines"
	"github.com/seathold/seathold/server/internal/pause"
)

// Options are what to send to whom, and how. Fields with a default are optional, and so is RetryFailed.
type Options struct {
	Draw      string                               // id
	Root      string                               // of the entries; differs between draws of the same id
	Winners   func(yield func(Winner) error) error // in the order of their ranks; called once a round; see [Winners]
	Addresses *Addresses
	Letter    *Letter
	From      string // an address, perhaps with a name: Tickets <tickets@example.org>
	Server    Server
	Log       string    // path of the file that records what has been done
	Failures  io.Writer // receives CSV: rank,account,address,reason; no cell is a formula, see lines.Cell

	Rate    float64       // mails a second, at most; default 10
	Retries int           // rounds through the deferred mails
	Backoff time.Duration // before the first of these rounds and between attempts to connect, then doubled

	RetryFailed bool // send again what the server had refused for good in an earlier run

	Progress func(Report)                                     // called after each winner of the first round; default: none
	Now      func() time.Time                                 // default: time.Now
	Sleep    func(ctx context.Context, d time.Duration) error // default: a timer; ends early with ctx's cause
}

// Report counts winners.
type Report struct {
	Winners  int // processed in the first round
	Sent     int // in this run
	Before   int // sent in earlier runs
	Failed   int // get no mail: they have no address, or the server refused it for good, now or in an earlier run
	Deferred int // refused for now
	InFlight int // the mail was in flight when the previous run ended: it is sent again with the same Message-ID
}

// ErrServer ends a run when the server cannot be reached or refuses every mail. What was sent is recorded.
var ErrServer = errors.New("SMTP server")

const (
	maxBackoff     = 10 * time.Minute
	maxConnections = 6 // attempts to send one mail over connections that break
)

// check sets the defaults and returns the sender.
func (o *Options) check() (*mail.Address, error) {
	from, err := mail.ParseAddress(o.From)
	if err == nil {
		err = checkAddress(from.Address)
	}
	if err != nil {
		return nil, fmt.Errorf("the sender %q: %w", o.From, err)
	}
	if strings.ContainsAny(from.Name, "\r\n") {
		return nil, errors.New("the sender's name has more than one line")
	}
	o.Rate = cmp.Or(o.Rate, 10)
	if !(o.Rate >= 0.001 && o.Rate <= 10_000) {
		return nil, fmt.Errorf("a rate of %g mails a second is not from 0.001 to 10000", o.Rate)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = pause.Sleep
	}
	return from, nil
}

// Run sends what has not been sent. It returns when every winner was sent a mail or is listed in Failures, or with the
// error that ended it: ErrServer, ErrLetter, a fault of the log, or ctx's cause. Another run continues from there.
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
	r := &round{o: &o, from: from, log: log, post: p, failures: csv.NewWriter(o.Failures)}
	r.report.Before = log.count
	if log.tried != 0 {
		r.report.InFlight = 1
	}
	err = errors.Join(r.failures.Write([]string{"rank", "account", "address", "reason"}), r.all(ctx))
	r.failures.Flush()
	return r.report, errors.Join(err, r.failures.Error())
}

// round is one pass over the winners: the first over all, later ones over those whose mail is deferred.
type round struct {
	o        *Options
	from     *mail.Address
	log      *sentLog
	post     *post
	failures *csv.Writer
	report   Report

	number  int       // from 0
	waiting rankSet   // of deferred mails
	next    time.Time // when the next mail is due
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

// winner does what is due to a winner in this round.
func (r *round) winner(ctx context.Context, w *Winner) error {
	first := r.number == 0
	if first {
		r.report.Winners++
		if r.o.Progress != nil {
			defer func() { r.o.Progress(r.report) }()
		}
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
	subject, body, err := r.o.Letter.render(w)
	if err != nil {
		return err
	}
	return r.send(ctx, w, &envelope{to: address, subject: subject, body: body,
		messageID: messageIDOf(r.o.Draw, r.o.Root, w.Account, r.from)})
}

// send sends one mail, over as many connections as it takes, up to maxConnections.
func (r *round) send(ctx context.Context, w *Winner, e *envelope) error {
	for attempt, wait := 1, r.o.Backoff; ; attempt++ {
		f, why, err := r.try(ctx, w, e)
		if err != nil {
			return err
		}
		if f != broken {
			return r.record(w, e, f, why)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if attempt == maxConnections {
			return fmt.Errorf("%w: %w", ErrServer, why)
		}
		if attempt == 1 { // the server may have closed an idle connection: reconnect at once
			continue
		}
		if err := r.o.Sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, maxBackoff)
	}
}

// try makes one attempt. Without a connection nothing can have been accepted, so nothing is recorded.
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

// record records what became of a mail.
func (r *round) record(w *Winner, e *envelope, f fate, why error) error {
	if f != deferred && r.waiting.set(w.Rank, false) {
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
		if !r.waiting.set(w.Rank, true) {
			r.report.Deferred++
		}
		err := r.log.noteDeferred(w)
		if r.number >= r.o.Retries {
			err = errors.Join(err, r.list(w, e.to, oneLine(why)+" (for now: run again)"))
		}
		return err
	}
	return errors.Join(fmt.Errorf("%w: it accepts no mail from us: %s", ErrServer, oneLine(why)), r.log.noteDeferred(w))
}

// pace waits until the next mail is due. Mails are a fixed time apart: a pause earns no burst.
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

// fail counts and lists a winner who gets no mail.
func (r *round) fail(w *Winner, address, why string) error {
	r.report.Failed++
	return r.list(w, address, why)
}

func (r *round) list(w *Winner, address, why string) error {
	return r.failures.Write([]string{strconv.FormatUint(uint64(w.Rank), 10), lines.Cell(w.Account), lines.Cell(address),
		lines.Cell(why)})
}

// oneLine returns the server's reply without line breaks, for the log and the list. It cuts off what go-mail appends,
// the recipient and the Message-ID.
func oneLine(err error) string {
	text, _, _ := strings.Cut(strings.Join(strings.Fields(err.Error()), " "), ", affected ")
	return fmt.Sprintf("%.300s", strings.ToValidUTF8(text, "?"))
}
