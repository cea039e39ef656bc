//go:build seathold_yield

package inventory

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// TestExplore (I1 to I7, I9) runs the real code in the interleavings of small cases. The sequential rules judge the
// answers, and every prefix of the journal must be legal. It is to the code what the model of the protocol is to the
// design. SEATHOLD_PREEMPTIONS raises the bound of the cases that have one.
//
// TestPlantedFaults lists the mistakes in the code that it has to find, and plants them.
//
// Nothing fails when a forgotten row keeps its state, since who comes by number passes over all that is dead. Nor when
// Closer.look uses isMarked once, or when passDead does not freeze, since the next pass does its work again. Nor when
// confirm again takes the account of the old row, which is not closed as long as that row names it.
//
// Nothing fails when foresee does not look whether the old row stands, since refusedInPlace does; when log notes the
// old row first, since a record that is not covered by drained is replayed; or when withheld is counted after the
// state, since Stock may count what is being returned as sold.
//
// Nothing fails when ReadLogged reads a row whose id is free: the records of the one that has the id since are later
// than the beginning of the checkpoint, and are replayed.
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
	for _, c := range slices.Concat(explored(), redefinitions(), bounds(), races(), beside(), pairs(), recycled) {
		t.Run(c.title, func(t *testing.T) {
			e := &explorer{t: t, plan: c.plan}
			if e.preemptions == 0 {
				e.preemptions = 3
			}
			e.preemptions = min(e.preemptions+more, mostPreemptions)
			finished := false
			defer func() {
				if cause := recover(); cause != nil {
					e.failed(fmt.Sprint("panic: ", cause))
					panic(cause)
				} else if !finished {
					e.failed(e.failure)
				}
			}()
			e.explore()
			t.Logf("%d schedules with up to %d preemptions, %d steps, %d different histories", e.schedules, e.deepest, e.steps,
				len(e.judged))
			require.Greater(t, e.schedules, 1)
			require.True(t, len(e.judged) > 1 || slices.Equal(e.programs[0], e.programs[1]))
			finished = true
		})
	}
}

// failed prints in which schedule a case failed, as TestPlantedFaults reads it.
func (e *explorer) failed(how string) {
	fmt.Printf("%s%d: %.160s\n", stoppedIn, e.schedules+1, strings.ReplaceAll(how, "\n", " "))
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
	recap        int  // the account cap that recap puts into force; 0 if no program has one
	boundPlan
}

// wish is a reservation that a caller asks for, or what one is changed to: then it uses the id of that one.
type wish struct {
	account string
	expires int64
	lines   []Line // pools as in the plan
	id      string // the name of another wish, whose id it uses
	phase   uint16
}

type do struct {
	kind string // a call, or what others do meanwhile; see explorer.do
	name string // of a wish, or an account
	with string // extend, reduce: the wish to which it changes; replace: the one in whose place it is
	now  int64
	book uint32 // by which the call is judged
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
