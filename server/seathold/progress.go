package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progressBar shows how far a long command has come: a bar that is redrawn in place on a terminal, and lines elsewhere,
// such as in a log. A stage that is complete leaves a line in both. One goroutine at a time uses it.
type progressBar struct {
	w        io.Writer
	terminal bool
	every    time.Duration // between redraws or lines
	now      func() time.Time

	stage   string
	began   time.Time // of the stage
	from    int       // what was done of the stage when it began
	shown   time.Time
	width   int  // bytes of the bar on the screen
	printed bool // the line of the complete stage
}

// newProgressBar returns a bar that is redrawn ten times a second on a terminal. Elsewhere it prints a line every ten
// seconds.
func newProgressBar(w io.Writer) *progressBar {
	p := &progressBar{w: w, every: 10 * time.Second, now: time.Now}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.terminal, p.every = true, 100*time.Millisecond
	}
	return p
}

// show reports that done of total is done of a stage. Output that fails does not end the command.
func (p *progressBar) show(stage string, done, total int, note string) {
	if total == 0 {
		done, total = 1, 1
	}
	now := p.now()
	if stage != p.stage {
		p.stage, p.began, p.from, p.printed = stage, now, done, false
		if !p.terminal {
			p.shown = now // the first line is due after a while
		}
	}
	complete := done >= total
	if p.printed && complete || !complete && now.Sub(p.shown) < p.every {
		return
	}
	p.shown, p.printed = now, complete
	line := p.line(now, done, total, note)
	switch {
	case !p.terminal:
		_, _ = fmt.Fprintln(p.w, line)
	case complete:
		p.end()
		_, _ = fmt.Fprintln(p.w, line)
	default:
		line = drawBar(done, total) + " " + line
		_, _ = fmt.Fprintf(p.w, "\r%-*s", p.width, line)
		p.width = len(line)
	}
}

// end erases the bar.
func (p *progressBar) end() {
	if p.width > 0 {
		_, _ = fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

func (p *progressBar) line(now time.Time, done, total int, note string) string {
	line := fmt.Sprintf("%3d %%  %s", 100*done/total, p.stage)
	if note != "" {
		line += ": " + note
	}
	if passed := now.Sub(p.began); done > p.from && done < total {
		left := time.Duration(float64(passed) / float64(done-p.from) * float64(total-done))
		line += fmt.Sprintf("  %s left", max(left.Round(time.Second), time.Second))
	}
	return line
}

func drawBar(done, total int) string {
	const width = 30
	full := width * done / total
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
