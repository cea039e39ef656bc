// Package inventory is the lock-free core: pools, reservations and ledgers. It has no I/O, no goroutines and no
// clock: time enters as a value, and the owner decides how to wait (Config.Pause).
//
// It keeps these invariants, numbered as everywhere in Seathold:
//
//   - I1 conservation. In every pool, capacity = available + held + sold + withheld, and none is negative.
//   - I2 caps. No reservation or change of one makes held + confirmed exceed the account cap or the session limit then
//     in force, however many requests race. What was rightly taken before a limit was lowered stays.
//   - I3 one outcome. A reservation leaves held exactly once, and confirmed at most once. Confirm, release, expiry,
//     extend, reduce, replace and return may race; one wins at a time.
//   - I4 all or nothing. A reservation takes every line or none, and sums its lines per pool and per session first.
//   - I6 every prefix is legal. Stock and ledger room are taken before the record is placed, and given back after.
//   - I7 linearizable. No request is refused because of a reservation that itself fails a moment later.
//   - I9 idempotent. An id has one effect.
//   - I10 bounded. Every table has a limit; past it the answer is Full.
//
// # Why it holds
//
// Each decision is made at one word:
//
//   - a pool's word decides who gets its units (I1);
//   - an account's head decides which reservations enter its ledger (I2);
//   - a reservation's state decides how it ends or changes (I3); of one that has expired, its successor decides;
//   - the top of the stack decides the order in which outcomes are logged (I6);
//   - a slot of the index decides who has an id (I9).
//
// Each word changes by compare-and-swap or by an addition that cannot fail. So a caller that stalls between two steps
// never stops another caller from succeeding. It leaves units marked unsettled, or a reservation in an undecided
// state, and these delay only refusals and reads.
//
// A refusal that would rest on something undecided is retried; so is a read of an undecided reservation or of its
// ledger. Config.Pause bounds by time how long a call retries in all (see Wait). Then the answer is Overloaded, never a
// false "sold out". Reads must wait because another caller may have observed the finished half of a change: units that
// are gone, or that are available or sold again.
//
// A refusal must be true at one instant during its call (I7):
//
//   - For a pool, the instant is a load of its word that shows too few available and none unsettled.
//   - For a ledger, it lies between two walks that find the same reservations in the same states, all decided. A
//     reservation that has left the states that count never returns to them, so one that counts in both walks counted
//     in between. If the account's head is still the same afterwards, no newer reservation could have changed the
//     answer.
//   - The id must have been free then. An id in use stays in use for as long as the call runs, so an id that is free
//     afterwards was free at that instant.
//
// The content of a row does not change while a reservation has it. A reservation that changes gets another row (see
// change.go). A reservation that fails after it was published leaves its row as void. Only a race causes that: what can
// be foreseen is refused before. A reservation that has ended stays readable under its id until it is forgotten.
//
// A phase may sell a bounded number of tickets of a session: see quotas.go. Such a quota is a pool like the others.
//
// # Memory that comes back
//
// Rows of reservations that are forgotten, or that failed or changed, are used again while the sale runs. So are the
// rows of accounts that have none left, and the room of texts. The one rule is that no row changes its meaning while a
// call runs. With it, no compare-and-swap of a call can mistake a new reservation for an old one.
//
// A call announces itself by Begin, before it loads the first word that names a row, and withdraws by End. So do a
// sweep, a checkpoint and a count of ledgers, piece by piece. The drainer does not: a row waits until its last outcome
// is durable. Replay does not either: it takes the reclaimer's steps itself, between two records. The callers are
// counted in an epoch. A grace period has passed when every call that ran at its beginning has returned (see
// internal/epoch).
//
// The Reclaimer makes rows free. After a first grace period, no call that saw the reservation alive runs any more. So
// the id becomes free, and the reclaimer removes every word that leads to the row. After a second one, no call that
// could still stand on the row runs any more, and the row is free. A census pauses the last step: see PauseFreeing. The
// stages, and why each is needed, are in reclaim.go; those of accounts in internal/accounts.
package inventory
