// Package registration enters the accounts of a CSV file for a draw.
//
// The file is read and sent as a stream, so it may have any number of lines. A reader parses the lines. Senders call
// the server, each with the accounts of its own hash range, so the lines of one account are sent in their order. A
// recorder takes the outcomes in the order of the file, writes the refused lines to FILE.refused.csv, and records every
// second in FILE.register.json how far it has come. A later run continues from there.
//
// A line equal to the first one is a header, as it is where files were concatenated. It is skipped and counted, so a
// file cannot enter an account called account; a call of the API can.
//
// FILE.refused.csv has the columns line, reason and text. The text is the beginning of the line in printable ASCII,
// with the escapes of a Go string. No cell of it is a formula to a spreadsheet: lines.Cell puts an apostrophe before
// what would be one.
package registration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"

	"github.com/seathold/seathold/server/client"
)

// Options are which accounts to enter for which draw, and how. All but the functions are required.
type Options struct {
	Draw        string // id
	File        string // CSV; the first line is account or account,priority_group
	Server      string // URL of the API, for the note and for errors
	Client      *client.Client
	Concurrency int // calls in flight

	// Resumed, if set, is called before a run continues after this line of the file.
	Resumed func(line int64)
	// Progress, if set, receives about every second how many bytes of the file are done.
	Progress func(stage string, done, total int, note string)
}

// Report is how far the registration of a file has come, over all runs. FILE.register.json has the same.
type Report struct {
	Draw         string `json:"draw"`
	Server       string `json:"server"`
	Line         int64  `json:"line"`    // the last one that is done
	Offset       int64  `json:"offset"`  // of the byte after that line
	Sum          uint64 `json:"crc64"`   // of the bytes before Offset
	Entered      int64  `json:"entered"` // lines
	Before       int64  `json:"entered_before"`
	Refused      int64  `json:"refused"`
	Headers      int64  `json:"repeated_headers,omitzero"` // lines equal to the first one
	RefusedBytes int64  `json:"refused_bytes"`             // size of FILE.refused.csv
}

// String returns the counts of lines.
func (r *Report) String() string {
	text := fmt.Sprintf("%s entered, %s had entered before, %s lines refused", humanize.Comma(r.Entered),
		humanize.Comma(r.Before), humanize.Comma(r.Refused))
	if r.Headers > 0 {
		text += fmt.Sprintf(", %s repeated headers skipped", humanize.Comma(r.Headers))
	}
	return text
}

// Run enters the accounts that earlier runs have not entered. Refused lines do not end it: malformed ones, accounts of
// an earlier line, groups that the sale does not have, and accounts that entered before with another group. What would
// refuse every line does: the error is then a *client.Error, the last error of an unreachable server, or ctx's cause.
func Run(ctx context.Context, o Options) (report Report, err error) {
	if o.Progress == nil {
		o.Progress = func(string, int, int, string) {}
	}
	file, err := os.Open(o.File)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return report, err
	}
	if !info.Mode().IsRegular() {
		return report, fmt.Errorf("%s is not a regular file", o.File)
	}
	b, err := openBook(o.File, o.Draw, o.Server)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, b.refused.Close()) }()
	r := &run{o: &o, seen: newAccountSet(), book: b, size: int(info.Size())}
	if err := r.resume(file); err != nil {
		return report, err
	}
	if err = r.enterAll(ctx); err != nil {
		err = fmt.Errorf("stopped after line %s of %s: %w; run it again to continue", humanize.Comma(b.done.Line),
			o.File, err)
	}
	return b.done, err
}

// run is one run over a file.
type run struct {
	o     *Options
	roll  *roll
	seen  *accountSet
	tasks []chan *task // by sender
	book  *book
	size  int // of the file, in bytes
}

// resume reads the lines again that earlier runs have done, for the accounts in them and to check that they are still
// the same.
func (r *run) resume(file io.Reader) (err error) {
	if r.roll, err = openRoll(file); err != nil {
		return fmt.Errorf("%s: %w", r.o.File, err)
	}
	done := &r.book.done
	for r.roll.Offset < done.Offset {
		l, err := r.roll.read()
		if errors.Is(err, io.EOF) || err == nil && l.offset > done.Offset {
			break
		}
		if err != nil {
			return err
		}
		if l.fault == "" && !l.header {
			r.seen.note(l.account)
		}
	}
	if done.Offset > 0 {
		if r.roll.Offset != done.Offset || r.roll.Sum != done.Sum {
			return fmt.Errorf("%s is not the file that was begun: it has changed before line %s; remove %s to start over",
				r.o.File, humanize.Comma(done.Line), r.book.path)
		}
		if r.o.Resumed != nil {
			r.o.Resumed(done.Line)
		}
		r.report()
	}
	return nil
}

func (r *run) report() {
	r.o.Progress("register", int(r.book.done.Offset), r.size, r.book.done.String())
}

// enterAll sends the rest of the file. When it fails, all lines before the first one without an outcome are recorded.
func (r *run) enterAll(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	window := 16 * r.o.Concurrency
	ordered := make(chan *task, window)
	for range r.o.Concurrency {
		tasks := make(chan *task, window)
		r.tasks = append(r.tasks, tasks)
		go r.o.send(ctx, tasks)
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
func (r *run) readInto(ctx context.Context, ordered chan<- *task) error {
	defer func() {
		for _, tasks := range r.tasks {
			close(tasks)
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
		if l.fault != "" || l.header {
			ordered <- &task{line: l, done: decided, outcome: outcome{refused: l.fault}}
			continue
		}
		t := &task{line: l, done: make(chan struct{})}
		hash, before := r.seen.note(l.account)
		t.repeated = before
		ordered <- t // the recorder receives until the channel is closed
		r.tasks[hash%uint64(len(r.tasks))] <- t
	}
	return context.Cause(ctx)
}

// record takes the outcomes in the order of the file until the first fatal one. After that it only drains the channel.
func (r *run) record(ordered <-chan *task, stop context.CancelCauseFunc) (err error) {
	for t := range ordered {
		<-t.done
		if err != nil {
			continue
		}
		saved := false
		if err = t.outcome.fatal; err == nil {
			saved, err = r.book.take(t)
		}
		switch {
		case err != nil:
			stop(err)
		case saved:
			r.report()
		}
	}
	err = errors.Join(err, r.book.save())
	if err == nil {
		r.report()
	}
	return err
}
