package server

import "sync/atomic"

// admission bounds the operations in flight (I10). Those beyond the limit are refused immediately, at almost no cost.
// Those that were admitted are answered soon, since never more than the limit compete.
type admission struct {
	limit    int64
	inFlight atomic.Int64
	refused  atomic.Uint64
}

// newAdmission admits up to limit operations at a time. limit is at least 1.
func newAdmission(limit int) *admission { return &admission{limit: int64(limit)} }

// enter admits n operations, all or none. If it does, the caller calls leave with the same n afterwards.
//
// The counter is raised first and checked afterwards, so two callers that race for the last slot may both be refused.
// It never admits more than the limit.
func (a *admission) enter(n int) bool {
	if a.inFlight.Add(int64(n)) <= a.limit {
		return true
	}
	a.inFlight.Add(int64(-n))
	a.refused.Add(uint64(n))
	return false
}

// leave ends n operations.
func (a *admission) leave(n int) { a.inFlight.Add(int64(-n)) }
