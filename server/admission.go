package server

import "sync/atomic"

// Admission bounds the operations that are answered at a time. What comes in beyond the limit is refused at once, which
// costs next to nothing; what was let in is answered soon, because there is never more than the limit before it (I10).
type Admission struct {
	limit    int64
	inFlight atomic.Int64
	refused  atomic.Uint64
}

// NewAdmission lets in up to limit operations at a time, at least 1.
func NewAdmission(limit int) *Admission { return &Admission{limit: int64(limit)} }

// Enter lets n operations in, all or none. Who was let in calls Leave with the same n.
//
// The counter is raised first and looked at afterwards, so two callers that race for the last place can both be turned
// away: near the limit a refusal is as good as another. It never lets in more than the limit.
func (a *Admission) Enter(n int) bool {
	if a.inFlight.Add(int64(n)) <= a.limit {
		return true
	}
	a.inFlight.Add(int64(-n))
	a.refused.Add(uint64(n))
	return false
}

// Leave ends n operations.
func (a *Admission) Leave(n int) { a.inFlight.Add(int64(-n)) }

// Limit is the most operations that are let in at a time.
func (a *Admission) Limit() int { return int(a.limit) }

// InFlight is how many operations are being answered, for a moment perhaps with some that are being refused.
func (a *Admission) InFlight() int { return int(a.inFlight.Load()) }

// Refused is how many operations were turned away so far.
func (a *Admission) Refused() uint64 { return a.refused.Load() }
