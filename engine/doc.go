// Package engine holds, sells and takes back tickets of a sale for any number of concurrent callers, and acknowledges
// nothing that a crash could undo. A program opens an [Engine] over a sale definition and a journal and calls it from
// any number of goroutines. The server of this module is one such program.
//
// # Words
//
// A programme is a family of sessions with an account cap of its own. A session is what people attend. A pool is the
// countable stock of one session and price category. A reservation is the claim of one account on tickets of one or
// more pools, one line a pool; it is held, and then confirmed, released or expired; a confirmed one may later be
// returned. A pack is a reservation that must take a fixed number of different sessions. A phase is a sale period with
// its rules. An access slot is the window in which a drawn account may buy in a phase. An account's ledger is its
// reservations and their totals. The journal is the durable log of outcomes.
//
// # Calls
//
// These calls have outcomes, one record of the journal each:
//
//   - [Engine.Reserve] holds tickets. With Request.Replaces it swaps one hold for another in one step: a basket is
//     edited, and what both have is never on sale in between.
//   - [Engine.Confirm] sells what is held. [Engine.ConfirmAgain] also takes the tickets of an expired hold once more
//     and sells them in one step, if they can still be taken.
//   - [Engine.Release] gives a hold back.
//   - [Engine.Extend] moves the end of a hold to an instant, within Options.MaxHold.
//   - [Engine.Reduce] keeps fewer tickets of a reservation, held or confirmed.
//   - [Engine.Return] gives back what was sold. The places are on sale again or withheld, as the programme says.
//
// A hold whose time is over expires by itself, which is an outcome too. Each call names a result and not a step to it
// (an end, what is kept), so that repeating it changes nothing. [Engine.Batch] makes many calls and waits for the
// journal once.
//
// # Changes of the sale
//
// The definition may change while all calls go on:
//
//   - [Engine.Apply] puts another definition into force in one step: other caps and limits, phases, dates, prices and
//     stock, and sessions, categories, programmes, phases and draws that are new or gone. [Engine.Plan] returns what
//     would change, and what stands against it. What was sold stays sold, and what is gone keeps its tickets.
//   - [Engine.Pause] stops new holds of a phase, of a session or of the whole sale, or lets them go on.
//   - [Engine.SetStock] gives a pool another capacity, or withholds another part of it. It puts the places of returned
//     tickets that were withheld on sale again.
//   - [Engine.Definition] returns what is in force.
//
// Each is one record of the journal, durable before the call returns, and repeating it changes nothing. It is refused,
// and nothing changes, if a pool would have fewer tickets than are taken, if a session would get another programme
// while tickets of it are held or sold, if a draw or a priority group that has entries would be gone, if a frozen draw
// would get other terms, or if the sale would get another name. Lower caps and limits are no obstacle.
//
// # Invariants
//
//   - I1 conservation. In every pool, capacity = available + held + sold + withheld, and none is negative. Never
//     oversold.
//   - I2 caps. No reservation or change of one makes held + confirmed exceed the account cap or the session limit then
//     in force, however many requests race. What was rightly taken before a limit was lowered stays.
//   - I3 one outcome. A reservation leaves held exactly once, and confirmed at most once. Confirm, release, expiry,
//     extend, reduce, replace and return may race; one wins at a time, the others get a definite answer.
//   - I4 all or nothing. A reservation takes every line or none, and sums its lines per pool and per session first.
//   - I5 acknowledged is durable. With durability sync, no answer and no read reveals an outcome that a crash at that
//     instant could undo. A refusal for lack of stock or room may be returned at once.
//   - I6 every prefix is legal. Cut the journal after any record: the state that it replays to satisfies I1 to I4. So
//     stock and ledger room are taken before the record is placed, and given back after.
//   - I7 linearizable. Every answer fits one order of instantaneous operations. In particular, no caller is refused
//     with "sold out" or "over the cap" because of a reservation that itself fails a moment later.
//   - I8 one leader. A deposed leader can append nothing and acknowledges nothing.
//   - I9 idempotent. A reservation's id is chosen by the client. The same id with the same content has one effect and
//     one answer, however often and wherever it is sent, across restarts; with other content it is refused.
//   - I10 bounded. Every queue, body, id, line count and table has a stated limit; beyond it the answer is a clear
//     refusal.
//
// # Waiting
//
// A call never waits for another caller in order to succeed. Only a refusal or a read waits, where it would rest on a
// step that another caller has not completed (I7), such as a pack that has taken two of its three sessions. Such a step
// takes microseconds, unless its caller loses its processor. A call waits for others for at most 100 ms in all, by the
// clock, and a pause that has begun; then it is refused as Overloaded, and nothing has changed. An operation of a batch
// likewise, and all operations of a batch together for at most one second, plus one millisecond for each of them.
// Stats.Waits counts the calls that waited, and those whose time was over. Waiting for the journal is apart:
// Options.JournalTimeout bounds it.
//
// A change of the sale first waits until every call that began before it has been decided, for at most
// Options.JournalTimeout; then it is refused as Overloaded. Meanwhile a call that both definitions accept does not
// wait. One that either of them refuses waits for the end of the change, within its 100 ms.
//
// # Packages
//
// This package ties the others together: calls, identity, time, recovery, a leader's term. What its calls take and
// return of engine/rules has the same names here.
//
//   - engine/catalog: what is sold, by which rules.
//   - engine/rules: judges a request by the definition, and words its refusal, as pure functions.
//   - engine/inventory: the lock-free core: pools, reservations, ledgers.
//   - engine/inventory/census: recounts pools and ledgers of a live sale.
//   - engine/journal: makes records durable, in a directory or in Redis.
//   - engine/record: the encoding of every record of the journal.
//   - engine/draw: entries, ranks, access slots and their proofs, as pure functions.
//   - engine/ballot: draws while they run.
//   - engine/outcomes: encodes outcomes as records and replays them.
//   - engine/audit: verifies and prints a journal, checks a live sale.
//   - engine/saleclock: the clock that a sale runs on, which never goes back.
//   - engine/rehearsal: a whole sale in virtual time.
//   - engine/spec: the sequential model that the tests compare the engine with.
package engine
