package main

import (
	"bytes"
	"io"
	"log/slog"
	"time"

	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/logpipe"
)

// logFlags are the flags about the log, which is written to stderr.
type logFlags struct {
	Format     string        `name:"log-format" default:"text" enum:"text,json" env:"SEATHOLD_LOG_FORMAT" placeholder:"text|json" help:"Form of the log's lines: text (default) or json."`
	Level      slog.Level    `name:"log-level" default:"info" env:"SEATHOLD_LOG_LEVEL" placeholder:"LEVEL" help:"Least level of the log's lines: debug, info (default), warn or error."`
	Access     bool          `name:"access-log" env:"SEATHOLD_ACCESS_LOG" help:"Log failed requests (5xx), slow ones, and a sample of the others, whatever --log-level is."`
	AccessRate int           `name:"access-log-rate" default:"100" env:"SEATHOLD_ACCESS_LOG_RATE" placeholder:"LINES" help:"Most lines a second of the access log for each kind of request: refused because of load, failed otherwise, slow, and any other (default: ${default}). The rest is counted."`
	AccessSlow time.Duration `name:"access-log-slow" default:"500ms" env:"SEATHOLD_ACCESS_LOG_SLOW" placeholder:"DURATION" help:"How long a client waits for an answer that the access log calls slow (default: ${default})."`
}

const (
	// logBuffer is how many bytes of the log wait for its reader: some thousand lines.
	logBuffer = 1 << 20
	// auditBuffer is the same for the audit log. It is one of its own, so that no flood of other lines displaces these.
	auditBuffer = 1 << 18
	// logPatience is how long the end of the program waits for the log's reader, hurriedPatience after a second signal.
	logPatience     = 2 * time.Second
	hurriedPatience = 100 * time.Millisecond
)

func (f *logFlags) check() error {
	if f.AccessRate < 1 || f.AccessRate > 1_000_000 {
		return usagef("--access-log-rate %d is not between 1 and 1,000,000", f.AccessRate)
	}
	if f.AccessSlow <= 0 {
		return usagef("--access-log-slow %s is not positive", f.AccessSlow)
	}
	return nil
}

// logs are the logs of a server. No line waits for the log's reader: a stalled reader does not stop the sale.
type logs struct {
	pipes   []*logpipe.Pipe
	process *slog.Logger
	audit   *slog.Logger // what operators do: their calls, and files read again; whatever --log-level is
	access  server.AccessLog
}

// open begins logging to w. The caller closes the logs.
func (f *logFlags) open(w io.Writer) *logs {
	dropped := func(n uint64) []byte {
		var line bytes.Buffer
		slog.New(f.handler(&line, slog.LevelInfo)).Warn(
			"lines of the log were dropped; its reader is too slow or its disk full", "lines", n)
		return line.Bytes()
	}
	lines, audit := logpipe.New(w, logBuffer, dropped), logpipe.New(w, auditBuffer, dropped)
	l := &logs{pipes: []*logpipe.Pipe{audit, lines}, process: slog.New(f.handler(lines, f.Level)),
		audit: slog.New(f.handler(audit, slog.LevelInfo))}
	if f.Access {
		l.access = server.AccessLog{Log: slog.New(f.handler(lines, slog.LevelInfo)), PerSecond: f.AccessRate,
			Slow: f.AccessSlow}
	}
	return l
}

func (f *logFlags) handler(w io.Writer, least slog.Level) slog.Handler {
	if f.Format == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})
	}
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: least})
}

// close writes what is buffered, for at most patience. Lines that a stalled reader does not take in time are lost, and
// there is nowhere to report it.
func (l *logs) close(patience time.Duration) {
	end := time.Now().Add(patience)
	for _, p := range l.pipes {
		_ = p.Close(time.Until(end))
	}
}

// dropped returns how many lines were dropped so far.
func (l *logs) dropped() (n uint64) {
	for _, p := range l.pipes {
		n += p.Dropped()
	}
	return n
}
