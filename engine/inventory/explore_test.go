//go:build seathold_yield

package inventory

import (
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
//	supersede, expire: Store instead of CAS         replace beside confirm; extend beside the sweep (I3)
//	supersede: CAS also from expiring or expired    extend beside the sweep (I3)
//	confirmAgain: Store instead of CAS              two again, with room for both (I3)
//	stands: without the successor                   an again that fails by race, beside another (I7)
//	supersede: give back before place               the last four become three (I6)
//	supersede: without mark, or mark after place    what a reduce frees, bought in turn (I7)
//	takeInPlace: one line taken as settled          replace beside release and a buyer (I7)
//	takeInPlace: caps and limits with both rows     the last four become three (I7)
//	takeInPlace: the old row left out twice         replace beside what its account buys; at a session limit (I6)
//	refusedInPlace: without stands                  a replace that is refused, beside release (I7)
//	supersede: the old row's state before the new's reduce of what is confirmed beside the census
//	supersede: successor after the state            reduce beside confirm and a buyer
//	supersede: setSequence after the state          the last four become three; replace beside confirm (I5)
//	supersede: no sequence for the old row          the last four become three (I5)
//	supersede: returned after giveBack              reduce of what is confirmed beside a reader of the stock (I1)
//	supersede: returned or withheld not added       return of what is confirmed (I6)
//	confirmAgain: sold not added, or after state    again beside a buyer; again beside the census (I6, I1)
//	State.undecided: without yielding               replace at the cap (I7)
//	State.counts: without yielding                  return of what is confirmed beside a reader (I5)
//	push: Store instead of CAS                      two reduce, and one confirms (I2)
//	State.dead: with yielding                       replace at the cap (I6)
//	stateAfter: what changed is expired             reduce beside confirm and a buyer (I6)
//	follow: a void row without a successor is found replace beside confirm
//
//	Reclaimer.look: without the first grace period  a refusal beside a forgotten id (I7)
//	Reclaimer.consider: closes the successor word   a refusal beside a forgotten id (I7)
//	Reclaimer.passOver: without the second          one row for two accounts
//	forgetChain: without stillSettled               two again beside the reclaimer (I6)
//	forgetChain: Store instead of CAS               two again beside the reclaimer (I6)
//	forgetChain: to is what follows the first       a chain goes at once
//	forgetChain: named not cleared                  an id after one that failed; most with a change
//	forgetChain: logged not cleared                 an end that is not durable yet
//	consider: without named                         an id after one that failed
//	settled: whatever is durable                    an end that is not durable yet (I5)
//	claimNext, takeOver: without named              a chain goes at once; an id after one that failed
//	takeOver: named not cleared                     an id after one that failed, by two
//	fail: named not cleared                         a chain of which the last is alive
//	fail: the reference not cleared                 a change that fails keeps no text
//	passOver: without unlinkDead                    one row for two accounts (I2)
//	passOver: the summary not dropped               a summary, and its first row is used again (I2)
//	unlink: without freeze                          a link, and a change of the one before it
//	passDead: goes on after a failed CAS            a link, and a change of the one before it
//	freeRow: without keepsReference                 reduce of what is confirmed, beside the reclaimer
//	freeRow: no text, or no overflow, is freed      two again beside the reclaimer; what took the place of another
//	Index.put: fills a tombstone                    the same id again, by two (I9)
//	Index.Change: changes what is frozen            the index moves
//	Index.Change: in any root                       the index moves
//	Index.freeze: leaves entries as they are        the index moves
//	Closer.look: closes by a Store                  an account is closed and made again (I2)
//	Closer.look: without isMarked, twice            an account's row for another one (I6)
//	Closer.look: without Change                     one row for two accounts
//	Closer.look: the name is not freed              an account is closed and made again
//	lookAtAccounts: without the grace period        an account is closed and made again
//	enter: enters what is closed                    an account is made again by two (I2)
//	Grace.Passed: looks at one parity only          one row for two accounts
//	explorer.call: Begin after Find, End before Read one row for two accounts
//	Sweep.Expire: Store instead of CAS              the sweep comes by number
//	Sweep.Expire: End before looking is stored      the sweep comes by number
//	pend: does not clear earliest, or too early     the sweep comes by number
//	look: leaves out what is forgotten              the census beside recycling (I1)
//
// Nothing fails when a forgotten row keeps its state, since who comes by number passes over all that is dead. Nor when
// Closer.look uses isMarked once, or when passDead does not freeze, since the next pass does its work again. Nor when
// confirm again takes the account of the old row, which is not closed as long as that row names it.
//
// Nothing fails when foresee does not look whether the old row stands, since refusedInPlace does; when log notes the
// old row first, since a record that is not covered by drained is replayed; or when withheld is counted after the
// state, since Stock may count what is being returned as sold.
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
	recycled := slices.Concat(recyclings(), recycledByNumber(), recycledAccountRows(), recycledChanges())
	for _, c := range slices.Concat(explored(), races(), beside(), pairs(), recycled) {
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
			require.True(t, len(e.judged) > 1 || slices.Equal(e.programs[0], e.programs[1]))
		})
	}
}

// plan is one case: the stock, what comes first, and what each caller does in sequence.
type plan struct {
	pools        []uint32 // units; each pool is a session of its own
	reservations map[string]wish
	before       []do // one call after the other, the same in every schedule
	programs     [][]do
	preemptions  int  // default 3
	long         bool // every ledger is long enough for a summary
	withhold     bool // what is returned is not for sale again
	oneSpread    bool // all calls announce themselves with the same spread
}

// wish is a reservation that a caller asks for, or what one is changed to: then it uses the id of that one.
type wish struct {
	account string
	expires int64
	lines   []Line // pools as in the plan
	id      string // the name of another wish, whose id it uses
}

type do struct {
	kind string // a call, or what others do meanwhile; see explorer.do
	name string // of a wish, or an account
	with string // extend, reduce: the wish to which it changes; replace: the one in whose place it is
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
