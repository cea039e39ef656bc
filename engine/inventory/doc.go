// Package inventory is the lock-free core: pools, reservations and ledgers. It has no I/O, no goroutines and no clock:
// time enters as a value, and how to wait is the owner's (Config.Pause).
//
// The invariants it keeps, numbered as everywhere in Seathold:
//
//   - I1 conservation. In every pool, capacity = available + held + sold + withheld, and none is negative.
//   - I2 caps. Held and confirmed tickets never exceed the account cap or the session limit, however many requests race.
//   - I3 one outcome. A reservation leaves held exactly once.
//   - I4 all or nothing. A reservation takes every line or none, and sums its lines per pool and per session first.
//   - I6 every prefix is legal. Stock and ledger room are taken before the record is placed, and given back after.
//   - I7 linearizable. Nobody is refused because of a reservation that itself fails a moment later.
//   - I9 idempotent. An id has one effect.
//   - I10 bounded. Every table has a limit; past it the answer is Full.
//
// # Why it holds
//
// One word decides each thing: a pool's word who gets its units, an account's head who enters its ledger, a reservation's
// state word how it ends, the top of the stack in which order outcomes are logged, a slot of the index whose an id is.
// Each is changed by compare-and-swap, or by an addition that cannot fail; so a caller that stalls between two steps
// stops nobody from succeeding. What it leaves undecided can only delay refusals and reads: units marked unsettled, a
// reservation in an undecided state. Whoever would refuse because of these, or tell of that reservation or its ledger,
// looks again (Config.Pause), and when it has looked often enough answers Overloaded, never a false "sold out". Reads wait
// because others may have seen the half that is done: a place that is gone, or bought again.
//
// A refusal must hold at one instant (I7). For a pool that is the load of its word with nothing unsettled. For a ledger
// it is the moment between two walks that find the same reservations, settled and in the same states: states only ever
// leave the ones that count, so what counted in the first walk and in the second counted between them. That the account's
// head has not changed since says that no newer reservation would have changed the answer, and that the id is still free
// afterwards says that it was free then.
//
// Rows are never used twice, so no compare-and-swap can mistake a new reservation for an old one. A reservation that fails
// after it was published (only a race does that; what can be foreseen is refused before) leaves its row behind as void.
// Reservations that ended stay readable under their id until the engine forgets them at a restart.
package inventory
