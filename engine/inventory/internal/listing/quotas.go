package listing

import "fmt"

// Quota is what a phase sells of a session, however many it may be.
type Quota struct {
	Phase   uint16
	Session uint32
}

// Quotas are quotas by their phase and session. They are immutable, and a nil pointer has none.
type Quotas struct {
	numbers [][]uint32 // by phase, nil if it has none, and by session: the number and 1; 0 for none
	count   int
}

// QuotasOf returns the quotas of a list, by their places in it. The error is that two are of one phase and session.
func QuotasOf(all []Quota) (*Quotas, error) {
	if len(all) == 0 {
		return nil, nil
	}
	q := &Quotas{count: len(all)}
	for i, of := range all {
		for int(of.Phase) >= len(q.numbers) {
			q.numbers = append(q.numbers, nil)
		}
		numbers := &q.numbers[of.Phase]
		if missing := int(of.Session) + 1 - len(*numbers); missing > 0 {
			*numbers = append(*numbers, make([]uint32, missing)...)
		}
		if (*numbers)[of.Session] != 0 {
			return nil, fmt.Errorf("quota %d: another one is of phase %d and session %d", i, of.Phase, of.Session)
		}
		(*numbers)[of.Session] = uint32(i) + 1
	}
	return q, nil
}

// Has reports whether a phase has quotas.
func (q *Quotas) Has(phase uint16) bool {
	return q != nil && int(phase) < len(q.numbers) && q.numbers[phase] != nil
}

// Of returns the number of the quota of a session in a phase.
func (q *Quotas) Of(phase uint16, session uint32) (number uint32, found bool) {
	if !q.Has(phase) || int(session) >= len(q.numbers[phase]) {
		return 0, false
	}
	number = q.numbers[phase][session]
	return number - 1, number > 0
}

// Len returns how many quotas there are.
func (q *Quotas) Len() int {
	if q == nil {
		return 0
	}
	return q.count
}
