// Package order has the order of outcomes, which the journal follows.
package order

// Kind is what a placed outcome is about.
type Kind uint8

const (
	Took  Kind = iota // a row was made: a reservation was taken, or changed; Index is the row
	Ended             // a reservation was confirmed, released or expired; Index is its row
	Noted             // a note; Index is its row
)

// Outcome is one entry of the journal's order.
type Outcome struct {
	Kind  Kind
	Index uint32 // from 1 up to MaxIndex
}

const indexBits = 30

// MaxIndex is the largest index that an outcome may have.
const MaxIndex = 1<<indexBits - 1

// Link names an outcome in 32 bits. Kind is in the upper two, Index in the others. 0 names none.
type Link uint32

// Link returns the link that names the outcome.
func (o Outcome) Link() Link { return Link(o.Kind)<<indexBits | Link(o.Index) }

// Outcome returns the outcome that the link names.
func (l Link) Outcome() Outcome {
	return Outcome{Kind: Kind(l >> indexBits), Index: uint32(l) & MaxIndex}
}
