//go:build seathold_yield

package order

// Peek is for the explorer alone: the link to the outcome pushed last, and the count of pushes, without yielding.
func (s *Stack) Peek() (top Link, pushes uint32) {
	w := s.top.Peek()
	return Link(w), uint32(w >> 32)
}
