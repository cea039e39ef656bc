package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/url"
	"os"
	"time"
)

// registerCommand enters the accounts of a file. The file is read and sent as a stream, so that it may have any number of
// lines: a reader parses them, senders call the server, each with the accounts whose hash is its own, so that the lines of
// one account are sent in their order, and a recorder takes the outcomes in the order of the file, writes down what was
// refused, and notes now and then how far it has come.
type registerCommand struct {
	Draw        string        `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	File        string        `required:"" placeholder:"FILE" help:"CSV with the header 'account' or 'account,priority_group'."`
	Server      string        `default:"http://127.0.0.1:8080" env:"SEATHOLD_SERVER" placeholder:"URL" help:"The API of the server (default: ${default})."`
	Concurrency int           `default:"64" placeholder:"N" help:"Calls under way at a time (default: ${default})."`
	Patience    time.Duration `default:"1m" help:"How long a line is sent again while the server does not take it (default: ${default})."`
	Remote      remote        `embed:""`
}

func (c *registerCommand) Help() string {
	return `Entries are idempotent, so the command can be called again at any time. FILE.register.json notes how far it has come;
called again, it goes on there. Lines that are no entries are written to FILE.refused.csv, with their number and the reason,
and do not stop it: malformed ones, accounts that stand in an earlier line too, groups that the sale does not have, and
accounts that entered before with another group. What stops it is what would refuse every line: a wrong key, an unknown
draw, a registration that is closed.`
}

// Run enters the accounts.
func (c *registerCommand) Run(p *process) (err error) {
	if c.Concurrency < 1 || c.Concurrency > 4096 {
		return usagef("--concurrency %d is not from 1 to 4096", c.Concurrency)
	}
	base, err := parseBase("--server", c.Server)
	if err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", c.File)
	}
	r, err := c.resume(p, file, base)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.book.close()) }()
	r.size = info.Size()
	ctx, stop := p.untilSignal()
	defer stop()
	if err := r.enterAll(ctx); err != nil {
		return fmt.Errorf("stopped behind line %s of %s: %w; call it again to go on", count(int(r.book.done.Line)), c.File, err)
	}
	return r.book.sum(p.stdout)
}

// registration is one run of the command.
type registration struct {
	command  *registerCommand
	roll     *roll
	seen     *seenAccounts
	senders  []*sender
	hash     maphash.Seed
	book     *registerBook
	size     int64 // of the file
	progress *progressBar
}

// resume prepares a run, behind what earlier ones have done.
func (c *registerCommand) resume(p *process, file io.Reader, base *url.URL) (r *registration, err error) {
	book, err := openRegisterBook(c.File, c.Draw, base.String())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, book.close())
		}
	}()
	r = &registration{command: c, seen: newSeenAccounts(), hash: maphash.MakeSeed(), book: book}
	if r.roll, err = openRoll(file); err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	// The part that is done is read again, for the accounts in it, and to see that it is still the same.
	for r.roll.offset < book.done.Offset {
		l, err := r.roll.read()
		if errors.Is(err, io.EOF) || err == nil && l.offset > book.done.Offset {
			break
		}
		if err != nil {
			return nil, err
		}
		if l.fault == "" {
			r.seen.note(l.account)
		}
	}
	if book.done.Offset > 0 {
		if r.roll.offset != book.done.Offset || r.roll.sum != book.done.Sum {
			return nil, fmt.Errorf("%s is not the file that was begun: it has changed before line %s; remove %s to begin again",
				c.File, count(int(book.done.Line)), book.path)
		}
		_, _ = fmt.Fprintf(p.stderr, "going on behind line %s of %s\n", count(int(book.done.Line)), c.File)
	}
	config, err := c.Remote.tls()
	if err != nil {
		return nil, err
	}
	host := newEntryHost(base, config, c.Concurrency)
	for range c.Concurrency {
		r.senders = append(r.senders, newSender(host, c))
	}
	r.progress = newProgressBar(p.stderr)
	return r, nil
}

// task is a line on its way. done is closed when the outcome stands.
type task struct {
	line     rollLine
	repeated bool // its account stood in an earlier line
	outcome  outcome
	done     chan struct{}
}

// outcome is what became of a line.
type outcome struct {
	entered bool   // now; else before, or refused
	refused string // why it is no entry
	fatal   error  // what stops the command
}

// enterAll sends the rest of the file. When it fails, all lines before the first that was not done are recorded.
func (r *registration) enterAll(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	window := 16 * len(r.senders)
	ordered := make(chan *task, window)
	for _, s := range r.senders {
		s.tasks = make(chan *task, window)
		go s.work(ctx)
	}
	read := make(chan error, 1)
	go func() { read <- r.readInto(ctx, ordered) }()
	err := r.record(ordered, stop)
	if unread := <-read; err == nil {
		err = unread
	}
	return err
}

// readInto parses the file and hands each line to its sender.
func (r *registration) readInto(ctx context.Context, ordered chan<- *task) error {
	defer func() {
		for _, s := range r.senders {
			close(s.tasks)
		}
		close(ordered)
	}()
	decided := make(chan struct{})
	close(decided)
	for ctx.Err() == nil {
		l, err := r.roll.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if l.fault != "" {
			ordered <- &task{line: l, done: decided, outcome: outcome{refused: l.fault}}
			continue
		}
		t := &task{line: l, done: make(chan struct{})}
		t.repeated = r.seen.note(l.account)
		ordered <- t // there is room: the recorder takes as long as there are tasks
		r.senders[maphash.String(r.hash, l.account)%uint64(len(r.senders))].tasks <- t
	}
	return context.Cause(ctx)
}

// record takes the outcomes in the order of the file, until the first that stops the command; then only to let the others
// go.
func (r *registration) record(ordered <-chan *task, stop context.CancelCauseFunc) (err error) {
	defer r.progress.end()
	for t := range ordered {
		<-t.done
		if err != nil {
			continue
		}
		if err = t.outcome.fatal; err == nil {
			err = r.book.take(t)
		}
		if err != nil {
			stop(err)
			continue
		}
		d := &r.book.done
		r.progress.show("bytes", int(d.Offset), int(r.size), d.String())
	}
	if err != nil {
		return errors.Join(err, r.book.save())
	}
	return r.book.save()
}
