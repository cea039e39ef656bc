package historytest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seathold/seathold/engine/spec"
)

// Forget makes the history one on servers that forget what has ended that long after it was over, before its first
// call.
func (h *History) Forget(after time.Duration) { h.forget = after }

// settling is an instant from which on no earlier call can take effect.
type settling struct {
	tick int64
	at   time.Time
}

// Settle notes that no call without an answer that has begun takes effect from now on: the server that received them is
// gone, the next one leads, and no caller knows that yet. A history of servers that forget needs it, since its end does
// not show what has happened before.
func (h *History) Settle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled = append(h.settled, settling{h.ticks.Add(1), spec.Instant(h.clock())})
}

// settledCalls returns the calls to check of a history of servers that forget. A call without an answer lasts until it
// can no longer take effect.
func (h *History) settledCalls() []porcupine.Operation {
	calls := slices.Clone(h.calls)
	end := settling{h.ticks.Add(1), spec.Instant(h.clock())}
	for i := range calls {
		o := &calls[i]
		if o.Output.(spec.Answer).Code != spec.Unknown {
			continue
		}
		last := end
		if at := slices.IndexFunc(h.settled, func(s settling) bool { return s.tick > o.Call }); at >= 0 {
			last = h.settled[at]
		}
		c := o.Input.(spec.Call)
		c.Until = last.at
		o.Input, o.Return = c, last.tick
	}
	return calls
}

// Forgetting counts the answers about ids whose reservations could be forgotten, or were.
type Forgetting struct {
	Remembered int // answers by memory, when it could be forgotten
	Forgotten  int // answers about a forgotten id: it is not known, or is taken again
	Reused     int // of these: ids that another request has
}

func (f *Forgetting) add(o Forgetting) {
	f.Remembered += o.Remembered
	f.Forgotten += o.Forgotten
	f.Reused += o.Reused
}

func (f Forgetting) String() string {
	return fmt.Sprintf("%d answers by memory of what may be forgotten, %d after forgetting, in %d of them another "+
		"request has the id", f.Remembered, f.Forgotten, f.Reused)
}

// Forgetting counts, by the reservations that answers have shown before, each in the order of the returns.
func (h *History) Forgetting() (sum Forgetting) {
	calls := slices.Clone(h.calls)
	slices.SortFunc(calls, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	type sight struct {
		spec.Reservation
		returned int64 // the answer
	}
	last := map[string]sight{}
	for _, o := range calls {
		c, a := o.Input.(spec.Call), o.Output.(spec.Answer)
		was, known := last[c.ID]
		ofID := known && was.returned < o.Call && c.Replaces == ""
		state, ofState := strings.CutPrefix(a.Code, "reservation_")
		now := &a.Reservation
		switch made := c.Kind == spec.Reserve && a.OK() && !a.Repeated; {
		case !ofID:
		case state == "not_found":
			sum.Forgotten++
		case made && now.CreatedAt.After(was.CreatedAt):
			sum.Forgotten++
			if now.Account != was.Account || !slices.Equal(now.Lines, was.Lines) {
				sum.Reused++
			}
		case !was.ExpiresAt.Add(h.forget).Before(c.At):
		case ofState && ended(state), a.OK() && ended(now.State) && now.CreatedAt.Equal(was.CreatedAt):
			sum.Remembered++
		}
		for _, r := range append(slices.Clip(a.Account.Reservations), a.Reservation) {
			last[r.ID] = sight{r, o.Return}
		}
	}
	return sum
}

func ended(state string) bool {
	return state == "released" || state == "expired" || state == "returned"
}
