package handshake

import (
	"container/heap"
	"errors"
	"sync"
	"time"
)

// errOverloaded ends a handshake that has waited too long for its slot.
var errOverloaded = errors.New("too many handshakes are waiting")

// slots bound the handshakes that compute at a time. A free slot goes to the waiter that arrived first.
//
// A slot is free only while there is no waiter: release hands it to the first one directly. So a waiter cannot be
// overtaken by one that arrived later and happens to run at the right moment. A slot that rests is neither free nor
// held.
type slots struct {
	mu    sync.Mutex
	free  int
	queue queue
}

// waiter is one handshake's place in the order of arrival. It waits for at most one slot at a time.
type waiter struct {
	arrival uint64
	granted chan struct{} // receives one value for each slot that was handed over; has room for one
	index   int           // in the queue; -1 outside it. Guarded by slots.mu
}

func newWaiter(arrival uint64) waiter {
	return waiter{arrival: arrival, granted: make(chan struct{}, 1), index: -1}
}

// take takes a slot for w. It waits for at most limit, and only until ended is closed; then it returns errOverloaded or
// errEnded, and holds none. waited reports whether the slot was not free at once.
func (s *slots) take(w *waiter, limit time.Duration, ended <-chan struct{}) (waited bool, err error) {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return false, nil
	}
	heap.Push(&s.queue, w)
	s.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.granted:
		return true, nil
	case <-timer.C:
		err = errOverloaded
	case <-ended:
		err = errEnded
	}
	s.leave(w)
	return true, err
}

// leave removes a waiter from the queue. It passes on a slot that w was given meanwhile.
func (s *slots) leave(w *waiter) {
	s.mu.Lock()
	queued := w.index >= 0
	if queued {
		heap.Remove(&s.queue, w.index)
	}
	s.mu.Unlock()
	if !queued {
		<-w.granted
		s.release()
	}
}

// release gives a slot back.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.free++
		return
	}
	first := heap.Pop(&s.queue).(*waiter)
	first.granted <- struct{}{} // has room: first waits for one slot
}

// rest gives a slot back after a pause.
func (s *slots) rest(pause time.Duration) {
	if pause <= 0 {
		s.release()
		return
	}
	time.AfterFunc(pause, s.release)
}

// waiting returns how many handshakes wait for a slot.
func (s *slots) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// queue is a heap of waiters, the first arrival on top.
type queue []*waiter

// Len is part of heap.Interface.
func (q queue) Len() int { return len(q) }

// Less is part of heap.Interface.
func (q queue) Less(i, j int) bool { return q[i].arrival < q[j].arrival }

// Swap is part of heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is part of heap.Interface.
func (q *queue) Push(x any) {
	w := x.(*waiter)
	w.index = len(*q)
	*q = append(*q, w)
}

// Pop is part of heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	w.index = -1
	return w
}
