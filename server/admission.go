package server

import (
	"bytes"

	"github.com/seathold/seathold/engine"
)

// inTurn answers the request when its turn comes, or refuses it as overloaded. The turn ends also after a panic.
func (x *exchange) inTurn(u urgency, answer func(*exchange)) {
	s := x.server
	if !s.keyLimit.enter(x.caller.Index, u) {
		s.turns.refused[refusedKey].Add(1)
		x.fail(&engine.Refusal{Code: engine.Overloaded})
		return
	}
	w := &x.waiter
	w.urgency, w.rounds = u, 1
	w.caller = callerID{key: x.caller.Index}
	if c, ok := x.ctx.Conn().(*conn); ok && w.caller.key == 0 {
		w.caller.address = c.address
	}
	if x.seen.route == routeBatch {
		w.rounds = 1 + len(x.ctx.Request.Body())/bytesPerRound
	}
	taken := s.turns.take(w)
	x.seen.waited = w.waited
	if !taken { // from now on it takes its connection only
		s.keyLimit.leave(x.caller.Index)
		s.discard(x.ctx, x.conn())
		s.turns.holdBack(w)
		x.fail(&engine.Refusal{Code: engine.Overloaded})
		return
	}
	defer s.keyLimit.leave(x.caller.Index)
	defer s.turns.leave(u)
	x.workspace = s.workspaces.Get().(*workspace)
	answer(x)
	x.op.Result.DropTexts()       // the memory of the body is used again
	s.workspaces.Put(x.workspace) // not after a panic, which may leave it in any state
	x.workspace = nil
}

// urgencyOf returns how urgent a request with a resource's method is. A batch without new holds completes what was
// begun. An escape can spell the word in another way, so a batch that has one counts as new holds; one of confirms then
// only waits for longer.
func (x *exchange) urgencyOf(r *resource) urgency {
	switch {
	case r.finishes:
		return finishing
	case !x.ctx.IsPost():
		return browsing
	case r.route == routeBatch && completes(x.ctx.Request.Body()):
		return finishing
	default:
		return buying
	}
}

// completes reports whether the body of a batch can have no new hold.
func completes(batch []byte) bool {
	return !bytes.Contains(batch, []byte(`reserve"`)) && bytes.IndexByte(batch, '\\') < 0
}
