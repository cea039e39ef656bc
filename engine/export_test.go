package engine

// Stall is a call that stays between its announcement and its end until end is called.
func (e *Engine) Stall() (end func()) { return e.inventory.Begin(7).End }

// Changing reports whether a transition between two books is in force.
func (e *Engine) Changing() bool { return e.book.Load().Changes() }
