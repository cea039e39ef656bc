// Package protocol explores the protocol by which rows of ended reservations are used again while reservations are
// taken, ended and changed. It has no code of its own: its tests are models. A model states the protocol of package
// inventory step by step and visits every interleaving of small cases, which no test of the real code can. Read the
// models to learn the protocol, and change it here first.
//
// One step of a model is one atomic access to shared memory, under the name that it has in the real code. Accesses
// that no other process can tell apart are one step. The invariants are checked after each step. Then each rule of the
// protocol is left out in turn, and a case in which the rule matters must fail. If no case fails, the rule is not
// needed or the cases are too small. go test -v prints the cases, the faults and the states of each model. A model is
// one goroutine, so nearly all are skipped under the race detector. With SEATHOLD_ROUNDS some more cases are explored.
//
// # Models
//
// What is left out of one model is in another one, unless it says otherwise.
//
//	combined        calls, changes, chains of rows, texts, the journal, dumps, a sweep, the reclaimer. Left out: what a
//	                grace period waits for, the ring, how the index moves, accounts; in all models: several pools and
//	                sessions, summaries of long ledgers, the clock (an expiry may come at any time). A quota is one
//	                more pool; that rows may not get one while they take units is explored with the real code.
//	recycle         the counters of a grace period, the stack of outcomes, walks of ledgers. Left out: changes,
//	                units.
//	moves           the index while its entries move to another table, of whatever size. Left out: how many slots are
//	                filled, and that a stripe is copied and counted in two steps.
//	small accounts  closing, removing and freeing an account; calls that find it, make it, enter it or keep it. A walk
//	                is one step.
//	small census    two looks at the rows beside calls that change and the reclaimer. Left out: units sold or withheld.
//	small grace     the counters and the phase alone, also of two users; a grace period ends although calls keep coming.
//	small ring      the rows of a slab: the ring of free ones, the count of new ones, and who reads how many are in use.
//	small standby   the goroutine that applies records and reclaims, beside readers. Left out: the index, changes.
//	small sweep     when a chunk is due next, beside calls that reserve.
//
// The reclaimer of the combined model takes all that may go at a time, wherever it begins to look. The real one goes
// over the table piece by piece. What makes a row a candidate stays so until the grace period begins, or is looked at
// again after it; so it makes no difference when each row is looked at.
//
// # From dead to free
//
// A row is named by its plain number. The protocol ensures that a number does not change its meaning between the first
// and the last load of a call. A call announces itself before its first load, on a counter, and withdraws after its
// last one. A grace period is over when every call that was announced at its beginning has withdrawn.
//
// One goroutine, the reclaimer, takes dead rows through these stages, in batches:
//
//  1. A row is a candidate once its last record is durable. No successor word names it, which its bit named says; or
//     the row that names it is in the same batch, so that a chain is cut from its front. Such a follower has passed
//     its id on itself. Then follows grace period A: every call that saw the row alive has returned.
//  2. The first stage is looked at once more. If no row follows the chain, the successor word of its only row is
//     closed by compare-and-swap, and from then on its id is free. If one has followed meanwhile, the row begins anew.
//  3. The index slot is led past the whole chain, or becomes a tombstone. If the index has moved since grace period A
//     began, the chain begins anew; its word may be closed already. Each row's word logged becomes 0 and its state
//     forgotten, so that visitors by number pass over it. Then the ledgers are led past all rows that are dead. Then
//     follows grace period B: every call that could still use a row has returned.
//  4. The row's text is freed, unless the row after it in the chain has the same one. The row is put into the ring of
//     free rows.
//
// # Adding a case
//
// The cases of the large models are in maps, in the files named …_cases_test.go: add an entry. A case says how many
// rows and units there are, which calls each caller makes, and how many of the first caller's come before the
// exploration, since all interleavings from the first call on are too many. A case that has more than a million states
// belongs among the large ones. The small models have their cases in their tests.
//
// A rule is a text. A step that obeys it asks for it by m.without or compares the text. To add one, do so, and name it
// with a case in the list of the model's test: the test fails if the case holds without the rule.
package protocol
