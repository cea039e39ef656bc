package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/seathold/seathold/server/metrics"
)

// reloads are the files that a running server reads again on SIGHUP. Each is replaced as a whole or, if it is faulty,
// not at all; so a reload never ends the server and never fails a request. Flags are not read again: a file that no
// flag named at the start is never read. The files of the sale are put into force by a record of the journal; see
// reload_sale.go.
type reloads struct {
	log     *slog.Logger
	results metrics.Reloads
	files   []reloadable
	hangups chan os.Signal
	ended   sync.WaitGroup
}

// reloadable is one file, or files that belong together.
type reloadable struct {
	what string // "keys", "certificates" or "sale files", also in metrics
	read func() (change string, err error)
}

// newReloads makes SIGHUP harmless from now on, and SIGPIPE: the end of the program that reads the server's log must
// not end the sale. Windows has neither.
func newReloads(log *slog.Logger) *reloads {
	signal.Ignore(syscall.SIGPIPE)                            // a write to the log then fails
	r := &reloads{log: log, hangups: make(chan os.Signal, 1)} // a second SIGHUP during a reload causes one more
	signal.Notify(r.hangups, syscall.SIGHUP)
	return r
}

// add adds what has been read for the first time. It must not be called after start. read reads it again, and returns
// what changed.
func (r *reloads) add(what string, read func() (change string, err error)) {
	r.files = append(r.files, reloadable{what, read})
	r.results.Succeeded(what, time.Now())
}

// warn logs a warning about a file with a secret, unless it is "".
func (r *reloads) warn(warning string) {
	if warning != "" {
		r.log.Warn(warning)
	}
}

// start reads again on every SIGHUP until end.
func (r *reloads) start() {
	r.ended.Go(func() {
		for range r.hangups {
			r.reload()
		}
	})
}

// end stops reading again. SIGHUP then has no effect: it must not end the process just before it ends by itself. A file
// that cannot be read to its end, such as a named pipe or one of a file server that is away, delays the end by no more
// than reloadPatience.
func (r *reloads) end() {
	signal.Ignore(syscall.SIGHUP)
	signal.Stop(r.hangups)
	close(r.hangups)
	ended := make(chan struct{})
	go func() {
		r.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(reloadPatience):
		r.log.Warn("a file is still being read again; the server ends without it")
	}
}

const reloadPatience = time.Second

func (r *reloads) reload() {
	if len(r.files) == 0 {
		r.log.Warn("SIGHUP: there is nothing to read again, since the server was started without --keys, " +
			"--tls-cert and a directory for --sale")
	}
	for _, f := range r.files {
		change, err := f.read()
		if err != nil {
			r.results.Failed(f.what)
			r.log.Error(fmt.Sprintf("SIGHUP: the %s could not be read again; the former ones stay in force", f.what),
				"error", err)
			continue
		}
		r.results.Succeeded(f.what, time.Now())
		r.log.Info(fmt.Sprintf("SIGHUP: the %s were read again", f.what), "change", change)
	}
}
