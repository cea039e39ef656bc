package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// table prints a run.
type table struct {
	to  io.Writer
	err error
}

func (t *table) printf(format string, facts ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.to, format, facts...)
	}
}

func (t *table) head() {
	t.printf("%14s %9s %10s %8s %8s %8s %10s %10s %14s %10s %8s %7s\n", "holds", "elapsed", "holds/s", "ns/hold",
		"kept MiB", "peak MiB", "alive", "rows", "freed", "accounts", "look-up", "late")
}

func (t *table) row(p *part) {
	n := float64(p.made)
	freed := "-"
	if p.usage.freed > 0 {
		freed = humanize.Comma(int64(p.usage.freed))
	}
	t.printf("%14s %9s %10s %8.0f %8.1f %8.1f %10s %10s %14s %10s %5.0f ns %6.2f%%\n", humanize.Comma(int64(p.holds)),
		p.elapsed.Round(100*time.Millisecond), humanize.Comma(int64(n/p.took.Seconds())), float64(p.used.Nanoseconds())/n,
		float64(p.kept)/(1<<20), float64(p.peak)/(1<<20), humanize.Comma(int64(p.alive)),
		humanize.Comma(int64(p.usage.rows)), freed, humanize.Comma(int64(p.usage.accounts)), p.lookup, 100*p.known)
}

// foot prints what happened.
func (t *table) foot(r *run, kept int) {
	var all counts
	for _, c := range r.callers {
		for i, n := range c.counts.refused {
			all.refused[i] += n
		}
		for i, n := range c.counts.ended {
			all.ended[i] += n
		}
	}
	var ends, others []string
	for e, n := range all.ended {
		ends = append(ends, humanize.Comma(int64(n))+" "+event(e).String())
	}
	for a, n := range all.refused {
		if n > 0 {
			others = append(others, humanize.Comma(int64(n))+" "+answer(a).String())
		}
	}
	var waited time.Duration
	for _, c := range r.callers {
		waited += c.waited
	}
	u := r.sale.usage()
	t.printf("holds: %s\nother answers: %s\n", strings.Join(ends, ", "), strings.Join(others, ", "))
	t.printf("at the end: %s rows in use, %s sold; %s accounts in use; a caller waited %s for the background\n",
		humanize.Comma(int64(u.rows)), humanize.Comma(int64(kept)), humanize.Comma(int64(u.accounts)),
		(waited / time.Duration(len(r.callers))).Round(100*time.Millisecond))
}
