// Command seathold serves a sale over HTTP and maintains its journal.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal/redis"
)

// Exit codes. Each failure prints one line on stderr, and the faults of a sale definition on further ones.
const (
	exitDone   = 0
	exitFailed = 1 // also when a signal has ended the command
	exitUsage  = 2
)

// commands is the command line. Each command is a struct of its flags with a Run method, in a file of its own.
type commands struct {
	Serve    serveCommand    `cmd:"" default:"withargs" help:"Serve a sale over HTTP. This is the default command."`
	Rehearse rehearseCommand `cmd:"" help:"Play a whole sale in virtual time against the engine, and audit it."`
	Sale     saleCommand     `cmd:"" help:"Begin, check, change and export a sale definition."`
	Pause    pauseCommand    `cmd:"" help:"Give no new holds of a session, of a phase or of the whole sale."`
	Resume   resumeCommand   `cmd:"" help:"Let what was paused go on."`
	Stock    stockCommand    `cmd:"" help:"Set the capacity of a session's category, or how many of its tickets are withheld."`
	Group    groupCommand    `cmd:"" help:"Make accounts members of a group, end a membership, list the groups."`
	Draw     drawCommand     `cmd:"" help:"Enter accounts for a draw, run it, publish it, verify it, notify the winners."`
	Verify   verifyCommand   `cmd:"" help:"Replay a journal that no server is writing, verify it, and print its totals."`
	Journal  journalCommand  `cmd:"" help:"Inspect a journal."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// process is what a command uses of its process.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	signals        <-chan os.Signal // requests to end, for what awaits them
	awaiting       atomic.Int32     // how much does
}

// logger returns a logger to stderr.
func (p *process) logger() *slog.Logger { return slog.New(slog.NewTextHandler(p.stderr, nil)) }

// usageError is an error in the command line.
type usageError struct{ error }

func usagef(format string, facts ...any) error { return usageError{fmt.Errorf(format, facts...)} }

func main() {
	signals, awaited := make(chan os.Signal, 2), make(chan os.Signal, 2)
	p := &process{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, signals: awaited}
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go p.pass(signals, awaited)
	os.Exit(run(os.Args[1:], p))
}

// run executes one command line and returns its exit code.
func run(args []string, p *process) (code int) {
	redis.SilenceClient()
	type helped struct{ code int }
	defer func() { // kong exits after --help: its exit panics up to here
		if end := recover(); end != nil {
			done, ok := end.(helped)
			if !ok {
				panic(end)
			}
			code = done.code
		}
	}()
	parser, err := kong.New(&commands{}, kong.Name("seathold"),
		kong.Description("A seat-hold engine for on-sale days. "+
			"Without arguments it serves the Paris 2024 sale from ./seathold-data."),
		kong.Writers(p.stdout, p.stderr), kong.Exit(func(code int) { panic(helped{code}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Bind(p))
	if err != nil {
		panic("BUG: the command line is not well formed: " + err.Error())
	}
	if len(args) == 1 && args[0] == "--version" {
		args = []string{"version"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		return p.fail(exitUsage, errors.New(hideURLs(err.Error()))) // an argument out of place may be a URL with a password
	}
	err = explained(command.Run(p))
	if _, usage := errors.AsType[usageError](err); usage {
		return p.fail(exitUsage, err)
	}
	if err != nil {
		return p.fail(exitFailed, err)
	}
	return exitDone
}

// fail prints the error on one line; the faults of a sale definition, and objections to it, on lines of their own. The
// program ends even if the reader of stderr has stalled.
func (p *process) fail(code int, err error) int {
	text, separator := err.Error(), "; "
	_, faulty := errors.AsType[*catalog.Faults](err)
	if _, refused := errors.AsType[*saleRefused](err); refused || faulty {
		separator = "\n  "
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	line := strings.Join(lines, separator)
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		_, _ = fmt.Fprintln(p.stderr, "seathold: "+line) // without stderr there is nowhere to report a failure
	}()
	select {
	case <-printed:
	case <-time.After(logPatience):
	}
	return code
}

// lines prints lines until one fails.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) printf(format string, facts ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.w, format+"\n", facts...)
	}
}
