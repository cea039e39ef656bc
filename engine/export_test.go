package engine

import (
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// Stall is a call that stays between its announcement and its end until end is called.
func (e *Engine) Stall() (end func()) { return e.inventory.Begin(7).End }

// Changing reports whether a transition between two books is in force.
func (e *Engine) Changing() bool { return e.book.Load().Changes() || e.book.Load().Leaves() }

// Book returns the book that is in force. Under puts another one into force while do runs: that of calls which loaded
// it and then stalled.
func (e *Engine) Book() *rules.Book { return e.book.Load() }

func (e *Engine) Under(book *rules.Book, do func()) {
	defer e.book.Store(e.book.Swap(book))
	do()
}

// EarlierOf returns what was in force before.
func EarlierOf(e *Engine) record.Earlier { return e.memory.Shown().Earlier }
