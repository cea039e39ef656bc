//go:build seathold_yield

package inventory

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// TestExplore (I1 to I7, I9) runs the real code in the interleavings of small cases. The sequential rules judge the
// answers, and every prefix of the journal must be legal. It is to the code what the model of the protocol is to the
// design. SEATHOLD_PREEMPTIONS raises the bound of the cases that have one.
//
// It has to fail for each of these changes. To repeat the check, make one and run
//
//	go test -tags seathold_yield -run Explore ./engine/inventory
//
//	pool.take: Store instead of CompareAndSwap      two packs, opposite scarcity (I6); most others
//	place, enter, index.put, publish: likewise      many (I5, I6, I7)
//	Release: likewise                               confirm, release and expiry (I3)
//	Ledger: without unmoved                         a ledger of two reservations (I7)
//	Ledger: without the check of the head           a ledger of two reservations (I7)
//	foresee, enter: without the check of the head   the cap, over a pack that fails by race; cap and confirm (I7)
//	foresee: without find                           one id, the first try fails by race (I7)
//	State.undecided: without expiring               what expired is bought, then its account buys again (I7)
//	State.undecided: without releasing              what was released is bought, then its account buys again (I7)
//	State.undecided: without pending                the cap, over a pack that fails by race (I7)
//	take, checkStock: refused instead of inDoubt    a pack that fails by race beside a single (I7)
//	checkCaps: without the second walk              the cap, over two that never counted together (I7)
//	checkCaps: a refusal by a summary's bound       a summary, and what ends in it (I7)
//	count: s.marks++ for each reservation           the facts of the cap, over two that are confirmed (I7)
//	giveAllBack: give back before place             release beside pack and single (I6)
//	giveAllBack: setSequence after the state        confirm, release and expiry (I5)
//	Drain: last = v.Placed() after the swap         the drainer beside pushes (I5)
//
// walk may unlink by a plain Store and nothing fails: at worst that links a dead reservation again, for later walks to
// unlink.
func TestExplore(t *testing.T) {
	defer func(random func(unsafe.Pointer, bool)) { table.Yield = random }(table.Yield)
	more := 0
	if text := os.Getenv("SEATHOLD_PREEMPTIONS"); text != "" {
		var err error
		more, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	for _, c := range explored() {
		t.Run(c.title, func(t *testing.T) {
			e := &explorer{t: t, plan: c.plan}
			if e.preemptions == 0 {
				e.preemptions = 3
			}
			e.preemptions = min(e.preemptions+more, mostPreemptions)
			e.explore()
			t.Logf("%d schedules with up to %d preemptions, %d steps, %d different histories", e.schedules, e.most, e.steps,
				len(e.judged))
			require.Greater(t, e.schedules, 1)
			require.Greater(t, len(e.judged), 1)
		})
	}
}

// plan is one case: the stock, and what each caller does in sequence.
type plan struct {
	pools        []uint32 // units; each pool is a session of its own
	reservations map[string]wish
	programs     [][]do
	preemptions  int  // default 3
	long         bool // every ledger is long enough for a summary
}

type wish struct {
	account string
	expires int64
	lines   []Line // pools as in the plan
	id      string // the name of another wish, whose id it uses
}

type do struct {
	kind string // reserve, confirm, release, expire, read, ledger, drain
	name string // of a wish, or an account
	now  int64
}

// every is a bound that no schedule reaches: every interleaving is visited.
const every = 1000

const exploredCap, exploredLimit = 4, 3 // tickets an account, tickets a session and account

// answered is one operation of a history.
type answered struct {
	do
	call, ret int
	answer    string
}

// awaited is an outcome that a caller saw, with the sequence that must be durable first.
type awaited struct {
	Outcome
	seq uint64
	own bool // the caller placed it: the sequence must be exactly its own
}

func (e *explorer) id(name string) (id ID) {
	if same := e.reservations[name].id; same != "" {
		name = same
	}
	copy(id[:], name)
	return id
}

// do carries out an operation as the engine does.
func (e *explorer) do(op do) string {
	switch op.kind {
	case "reserve":
		return e.reserve(op)
	case "ledger":
		return e.ledger(op)
	case "drain":
		e.drain()
		return ""
	}
	row := e.v.Find(e.id(op.name))
	if row == 0 {
		return "none"
	}
	var res Result
	switch op.kind {
	case "confirm":
		res = e.v.Confirm(row, op.now, "", nil)
	case "release":
		res = e.v.Release(row, op.now, nil)
	case "expire":
		e.v.Expire(row, op.now)
		return "looked"
	case "read":
		var s Snapshot
		for w := (Wait{}); !e.v.Read(row, &s); {
			if row = e.v.Find(e.id(op.name)); row == 0 {
				return "none"
			}
			w, _ = e.pause(w)
		}
		return e.saw(row, &s)
	}
	if res.Verdict != NotFound {
		e.awaited = append(e.awaited, awaited{Outcome{Kind: Ended, Index: row}, res.Seq, res.Verdict == Done})
	}
	return map[Verdict]string{Done: "done", AlreadyDone: "already", NotFound: "none", WasConfirmed: "confirmed",
		WasReleased: "released", WasExpired: "expired"}[res.Verdict]
}

// saw notes what the caller has to await before the snapshot may be visible, and returns its state.
func (e *explorer) saw(row uint32, s *Snapshot) string {
	o := Outcome{Kind: Took, Index: row}
	if s.State != Held {
		o.Kind = Ended
	}
	e.awaited = append(e.awaited, awaited{o, s.Seq, false})
	return s.State.String()
}

// drain appends to the journal what was placed. The sequences count the outcomes.
func (e *explorer) drain() {
	last := e.v.Drain(func(o Outcome) { e.order = append(e.order, o) })
	e.must(len(e.order) == int(last), "I5: the drain covers %d outcomes but visited %d", last, len(e.order))
	e.must(last == e.v.drained.Load(), "drained %d, and the word has %d", last, e.v.drained.Load())
}

func (e *explorer) reserve(op do) string {
	w := e.reservations[op.name]
	var waited Wait
	q := Request{ID: e.id(op.name), Account: w.account, Expires: w.expires, Lines: w.lines, Wait: &waited}
	for {
		if row := e.v.Find(q.ID); row != 0 {
			var s Snapshot
			if e.v.Read(row, &s) {
				return "known " + e.saw(row, &s)
			}
			waited, _ = e.pause(waited)
			continue
		}
		switch res := e.v.Reserve(&q); res.Verdict {
		case Done:
			e.awaited = append(e.awaited, awaited{Outcome{Kind: Took, Index: res.Row}, res.Seq, true})
			return "done"
		case Known:
		case SoldOut:
			return fmt.Sprintf("sold out %d %d", res.Pool, res.Available)
		case SessionLimitExceeded:
			return fmt.Sprintf("limit %d %d %d", res.Session, res.Held, res.Confirmed)
		case AccountCapExceeded:
			return fmt.Sprintf("cap %d %d", res.Held, res.Confirmed)
		default:
			return fmt.Sprintf("verdict %d", res.Verdict)
		}
	}
}

func (e *explorer) ledger(op do) string {
	row := e.v.FindAccount(op.name)
	if row == 0 {
		return "[]"
	}
	rows, ok := e.v.Ledger(row, nil, nil)
	e.must(ok, "no ledger")
	var all []string
	var s Snapshot
	for _, l := range rows {
		e.v.ReadAs(l, &s)
		for name := range e.reservations {
			if e.reservations[name].id == "" && e.id(name) == s.ID {
				all = append(all, name+" "+e.saw(l.Row, &s))
			}
		}
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}
