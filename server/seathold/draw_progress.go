package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// progress tells how far a long command has come: a bar that is drawn over on a terminal, and elsewhere, in logs, a plain
// line now and then. One goroutine uses it.
type progress struct {
	w        io.Writer
	terminal bool
	every    time.Duration
	now      func() time.Time
	began    time.Time
	told     time.Time
	from     int64 // what was done before this run
	drawn    int   // characters of the bar on the screen
}

// newProgress begins at from. On a terminal it is drawn ten times a second, elsewhere told every ten seconds.
func newProgress(w io.Writer, from int64, now func() time.Time) *progress {
	p := &progress{w: w, terminal: isTerminal(w), every: 10 * time.Second, now: now, began: now(), from: from}
	if p.terminal {
		p.every = 100 * time.Millisecond
	}
	p.told = p.began
	return p
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// at tells that done of total is done, with words of the command's own. It is called for every line or mail, so words are
// only made when they are shown. Output that fails is not worth ending a command for.
func (p *progress) at(done, total int64, words func() string) {
	now := p.now()
	if now.Sub(p.told) < p.every {
		return
	}
	p.told = now
	line := p.line(now, done, total, words())
	if !p.terminal {
		_, _ = fmt.Fprintln(p.w, line)
		return
	}
	bar := drawBar(done, total) + " " + line
	_, _ = fmt.Fprintf(p.w, "\r%-*s", p.drawn, bar)
	p.drawn = len(bar)
}

// end wipes the bar from the screen.
func (p *progress) end() {
	if p.drawn > 0 {
		_, _ = fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}

func (p *progress) line(now time.Time, done, total int64, words string) string {
	percent := 100.0
	if total > 0 {
		percent = 100 * float64(done) / float64(total)
	}
	line := fmt.Sprintf("%3.0f %%  %s", percent, words)
	if passed := now.Sub(p.began); done > p.from && done < total {
		left := time.Duration(float64(passed) / float64(done-p.from) * float64(total-done))
		line += fmt.Sprintf("  %s left", max(left.Round(time.Second), time.Second))
	}
	return line
}

func drawBar(done, total int64) string {
	const width = 30
	full := width
	if total > 0 {
		full = int(min(done, total) * width / total)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
