package rules

import (
	"math/bits"
	"slices"
)

// Pauses are what takes no new holds for now: phases and sessions by their numbers, or the whole sale. The zero value
// pauses nothing. Pauses are immutable: a change returns others, and any number of goroutines may look at the same
// ones.
type Pauses struct {
	sale     bool
	phases   phaseSet
	sessions []uint64 // a bit for each session; those after its end are not paused
}

// WithSale returns the pauses with the whole sale paused or not.
func (p Pauses) WithSale(paused bool) Pauses {
	p.sale = paused
	return p
}

// WithPhase returns the pauses with a phase, by its index in Sale.Phases, paused or not.
func (p Pauses) WithPhase(phase int, paused bool) Pauses {
	p.phases = p.phases.without(phase)
	if paused {
		p.phases.add(phase)
	}
	return p
}

// WithSession returns the pauses with a session, by its index in Sale.Sessions, paused or not.
func (p Pauses) WithSession(session int, paused bool) Pauses {
	words := max(len(p.sessions), session/64+1)
	sessions := append(make([]uint64, 0, words), p.sessions...)[:words]
	sessions[session/64] &^= 1 << (session % 64)
	if paused {
		sessions[session/64] |= 1 << (session % 64)
	}
	for len(sessions) > 0 && sessions[len(sessions)-1] == 0 { // the same pauses always have the same form
		sessions = sessions[:len(sessions)-1]
	}
	p.sessions = sessions
	return p
}

// Sale reports whether the whole sale is paused.
func (p Pauses) Sale() bool { return p.sale }

// Phase reports whether the phase is paused by itself.
func (p Pauses) Phase(phase int) bool { return p.phases.has(phase) }

// Session reports whether the session is paused by itself.
func (p Pauses) Session(session int) bool {
	return session/64 < len(p.sessions) && p.sessions[session/64]&(1<<(session%64)) != 0
}

// Phases returns the paused phases in ascending order.
func (p Pauses) Phases() []int { return members(nil, 0, uint64(p.phases)) }

// Sessions returns the paused sessions in ascending order.
func (p Pauses) Sessions() (all []int) {
	for i, word := range p.sessions {
		all = members(all, i*64, word)
	}
	return all
}

// Equal reports whether the same things are paused.
func (p Pauses) Equal(other Pauses) bool {
	return p.sale == other.sale && p.phases == other.phases && slices.Equal(p.sessions, other.sessions)
}

// members appends the positions of the bits of a word, counted from first.
func members(dst []int, first int, word uint64) []int {
	for ; word != 0; word &= word - 1 {
		dst = append(dst, first+bits.TrailingZeros64(word))
	}
	return dst
}
