package server

import "sync/atomic"

// keyLimit bounds the requests of one key that are served or wait for their turn. It is off unless an operator sets it:
// turns are shared fairly without it.
type keyLimit struct {
	limit    int32
	inFlight []atomic.Int32 // by Caller.Index; nil when off
}

func newKeyLimit(limit int) *keyLimit {
	l := &keyLimit{limit: int32(limit)}
	if limit > 0 {
		l.inFlight = make([]atomic.Int32, MaxCallers)
	}
	return l
}

// enter counts a request, and reports whether there is room for it; then the caller calls leave afterwards. There is
// always room for what completes what was begun. Callers without a key are not counted.
func (l *keyLimit) enter(key int, u urgency) bool {
	if l.inFlight == nil || key == 0 {
		return true
	}
	if l.inFlight[key].Add(1) <= l.limit || u == finishing {
		return true
	}
	l.inFlight[key].Add(-1)
	return false
}

func (l *keyLimit) leave(key int) {
	if l.inFlight != nil && key != 0 {
		l.inFlight[key].Add(-1)
	}
}
