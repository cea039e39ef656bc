package protocol

import (
	"fmt"
	"testing"
)

// freeStack is the model of the stack of free rows. A free row has the link to the next one in itself. A claim pops in
// three steps: it loads the top, then the link in the top row, and decides by compare-and-swap of the top. Between its
// steps other calls may pop that row, use it, and give it up.
//
// The top needs no count. A row is pushed only after a grace period that began after it died, and it died after it was
// popped. So while a pop that has loaded a top is announced, that row cannot be the top a second time. What a stalled
// pop reads in a row that is in use does not matter: its compare-and-swap fails.
type freeStack struct {
	rows   uint8 // all free at the beginning, row 1 on top
	claims []int // of each caller, one call after the other; a call gives its row up before the next one
	batch  uint8 // rows that the reclaimer pushes together, at most
	count  bool  // the top has a count of pushes
	rule   string
	freed  int
}

const (
	stackRows  = 4
	stackProcs = 4
)

type stackWorld struct {
	top   uint8
	count uint8
	rows  [stackRows + 1]stackRow
	procs [stackProcs]stackProc
	wait  uint8 // processes that a grace period waits for
}

type stackRow struct {
	state state // free, pending while a call has it, void when it is given up
	word  uint8 // the link of a free row; a call that has the row writes other things there
}

type stackProc struct {
	pc    stackPC
	done  uint8
	top   uint8
	count uint8
	link  uint8
	first uint8 // of the rows that the reclaimer frees; last is the end of their chain
	last  uint8
	some  uint8 // mask of the reclaimer's batch
}

type stackPC uint8

const (
	stackIdle stackPC = iota
	stackLoadTop
	stackLoadLink
	stackCAS
	stackUse
	stackGiveUp
	stackGrace
	stackLink
	stackLoadEnd
	stackPush
)

var stackNames = [...]string{"begin", "Claim: load top", "Claim: load link", "Claim: CAS top", "fill the row",
	"give the row up", "reclaim: the grace period is over", "free: link the batch", "free: load top, store link",
	"free: CAS top"}

func (m freeStack) without(rule string) bool { return m.rule == rule }
func (m *freeStack) processes() int          { return len(m.claims) + 1 }

func (m *freeStack) label(w *stackWorld, n int) string {
	x := &w.procs[n]
	return fmt.Sprintf("process %d: %s (top %d, link %d)", n, stackNames[x.pc], x.top, x.link)
}

func (m *freeStack) begin() (w stackWorld) {
	w.top = 1
	for n := uint8(1); n < m.rows; n++ {
		w.rows[n].word = n + 1
	}
	return w
}

func (m *freeStack) step(w *stackWorld, n int) bool {
	x := &w.procs[n]
	if n == len(m.claims) {
		return m.reclaim(w, x)
	}
	switch x.pc {
	case stackIdle: // announces the call
		x.pc = stackLoadTop
		return int(x.done) < m.claims[n]
	case stackLoadTop:
		x.top, x.count = w.top, w.count
		if x.pc = stackLoadLink; x.top == 0 {
			m.leave(w, x, n) // full
		}
	case stackLoadLink:
		x.link, x.pc = w.rows[x.top].word, stackCAS
	case stackCAS:
		if x.pc = stackLoadTop; w.top != x.top || m.count && w.count != x.count {
			x.top, x.count, x.link = 0, 0, 0
			break
		}
		breakIf(w.rows[x.top].state != free, "a row that is in use is claimed")
		w.top = x.link
		w.rows[x.top].state = pending
		x.count, x.link, x.pc = 0, 0, stackUse
	case stackUse:
		w.rows[x.top].word = 0
		x.pc = stackGiveUp
	case stackGiveUp:
		w.rows[x.top].state = void
		m.leave(w, x, n)
	}
	return true
}

func (m *freeStack) leave(w *stackWorld, x *stackProc, n int) {
	*x = stackProc{done: x.done + 1}
	w.wait &^= 1 << n
}

func (m *freeStack) reclaim(w *stackWorld, x *stackProc) bool {
	switch x.pc {
	case stackIdle:
		for n := uint8(1); n <= m.rows && x.done < m.batch; n++ {
			if w.rows[n].state == void {
				x.some |= 1 << n
				x.done++
			}
		}
		x.done = 0
		w.wait = 0
		for n := range m.claims {
			if w.procs[n].pc != stackIdle && !m.without("pops are announced") {
				w.wait |= 1 << n
			}
		}
		x.pc = stackGrace
		return x.some != 0
	case stackGrace:
		x.pc = stackLink
		return w.wait == 0
	case stackLink:
		for n := uint8(1); n <= m.rows; n++ {
			if x.some>>n&1 != 0 {
				w.rows[n] = stackRow{word: x.first}
				if x.first == 0 {
					x.last = n
				}
				x.first = n
			}
		}
		x.pc = stackLoadEnd
	case stackLoadEnd:
		x.top = w.top
		w.rows[x.last].word = x.top
		x.pc = stackPush
	case stackPush:
		if w.top != x.top {
			x.pc = stackLoadEnd
			break
		}
		w.top = x.first
		w.count++
		m.freed++
		*x = stackProc{}
	}
	return true
}

func (m *freeStack) check(w *stackWorld) {
	on := uint8(0)
	for at := w.top; at != 0; at = w.rows[at].word {
		breakIf(on>>at&1 != 0, "the stack runs in a circle")
		breakIf(w.rows[at].state != free, "a row that is in use is on the stack")
		on |= 1 << at
	}
}

// end: all rows have come back.
func (m *freeStack) end(w *stackWorld) {
	rows := uint8(0)
	for at := w.top; at != 0; at = w.rows[at].word {
		rows++
	}
	breakIf(rows != m.rows, "a row is lost")
	for n := range m.claims {
		breakIf(w.procs[n].pc != stackIdle || int(w.procs[n].done) != m.claims[n], "a call is stuck")
	}
}

func (m freeStack) explore(rule string) (found, int) {
	m.rule = rule
	f := explore[stackWorld](&m, m.begin())
	return f, m.freed
}

var freeStackCases = map[string]freeStack{
	"two callers":            {rows: 2, claims: []int{1, 3}, batch: 1},
	"three callers":          {rows: 3, claims: []int{1, 2, 2}, batch: 2},
	"three callers, batches": {rows: 4, claims: []int{2, 2, 2}, batch: 3},
	"a count":                {rows: 3, claims: []int{2, 3}, batch: 2, count: true},
}

func TestFreeStack(t *testing.T) { exploreCases(t, freeStackCases, freeStack.explore) }

// TestFreeStackRules shows what breaks without the announcement, and that a count of pushes would do instead of it, for
// the stack alone.
func TestFreeStackRules(t *testing.T) {
	exploreRules(t, freeStackCases, freeStack.explore, map[string]string{"pops are announced": "two callers"})
	f, _ := freeStackCases["a count"].explore("pops are announced")
	f.holds(t)
}
