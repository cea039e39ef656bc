package rehearsal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Progress tells how far a rehearsal has come: a bar that is drawn over itself on a terminal, lines elsewhere, one
// for a tenth part or a second, whichever is longer. Its methods may be called by any number of goroutines.
type Progress struct {
	live  bool
	began time.Time

	lock   sync.Mutex
	to     io.Writer
	what   string
	note   string
	total  int
	drawn  time.Time
	tenths int

	done atomic.Int64
	next atomic.Int64 // done before it is worth looking again
}

// NewProgress shows progress on w; as a bar if that is a terminal.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{to: w, began: time.Now()}
	if f, ok := w.(*os.File); ok {
		if facts, err := f.Stat(); err == nil {
			p.live = facts.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

// How often the bar moves, and how often a line is written at most.
const (
	redraw  = 100 * time.Millisecond
	rewrite = time.Second
)

// begin starts a piece of work.
func (p *Progress) begin(what string, total int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.start(what, total, 0)
}

// start makes it the piece that is shown, of which some may be done already.
func (p *Progress) start(what string, total, done int) {
	p.what, p.note, p.total = what, "", max(1, total)
	p.tenths = 10 * done / p.total
	if p.live {
		p.drawn = time.Time{}
	}
	p.done.Store(int64(done))
	p.next.Store(0)
}

// one notes that one more is done.
func (p *Progress) one() {
	if done := p.done.Add(1); done >= p.next.Load() {
		p.show(int(done))
	}
}

// at notes how much of a piece is done by now, with a note on it. The piece goes on where another has interrupted it.
func (p *Progress) at(what string, total, done int, note string) {
	p.lock.Lock()
	if p.what != what {
		p.start(what, total, done)
	}
	p.note = note
	p.lock.Unlock()
	p.done.Store(int64(done))
	p.show(done)
}

func (p *Progress) show(done int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.next.Store(int64(done + p.total/1000 + 1))
	switch tenths := 10 * done / p.total; {
	case p.live && time.Since(p.drawn) >= redraw:
		p.drawn = time.Now()
		p.print("\r\x1b[K%s", p.bar(done))
	case !p.live && tenths > p.tenths && time.Since(p.drawn) >= rewrite:
		p.tenths, p.drawn = tenths, time.Now()
		p.print("%s\n", p.line(done))
	}
}

// end is the end of a piece.
func (p *Progress) end() {
	p.lock.Lock()
	defer p.lock.Unlock()
	done := int(p.done.Load())
	if p.live {
		p.print("\r\x1b[K")
	}
	p.print("%s\n", p.line(done))
}

func (p *Progress) line(done int) string {
	return fmt.Sprintf("%6.1f s  %-14s %3d %%  %s of %s  %s", time.Since(p.began).Seconds(), p.what, 100*done/p.total,
		grouped(done), grouped(p.total), p.note)
}

func (p *Progress) bar(done int) string {
	const width = 30
	full := min(width, width*done/p.total)
	return fmt.Sprintf("%6.1f s  %-14s [%s%s] %3d %%  %s  %s", time.Since(p.began).Seconds(), p.what, strings.Repeat("=", full), strings.Repeat(" ", width-full),
		100*done/p.total, grouped(done), p.note)
}

// print writes what nobody needs to read: a rehearsal goes on without it.
func (p *Progress) print(format string, facts ...any) { _, _ = fmt.Fprintf(p.to, format, facts...) }
