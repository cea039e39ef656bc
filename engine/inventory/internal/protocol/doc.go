// Package protocol explores the protocol by which rows of ended reservations are used again while reservations are
// taken, ended and changed. It has no code of its own: its tests are models. A model states the protocol of package
// inventory step by step and visits every interleaving of small cases, which no test of the real code can. Read the
// models to learn the protocol, and change it here first.
//
// One step of a model is one atomic access to shared memory, under the name that it has in the real code. The
// invariants are checked after each step. Then each rule of the protocol is left out in turn, and a case in which the
// rule matters must fail. If no case fails, the rule is not needed or the cases are too small.
//
//	combined   calls, changes, chains of rows, texts, the journal, dumps, the reclaimer; grace periods are given
//	recycle    the counters behind a grace period, the stack of outcomes, walks of ledgers, a free stack
//	moves      the index while its entries move to another table, of whatever size
//	freestack  the stack of free rows, whose top needs no count
//	small      one table or one question each
//
// # From dead to free
//
// A row is named by its plain number. The protocol ensures that a number does not change its meaning between the first
// and the last load of a call. A call announces itself before its first load, on a counter, and withdraws after its
// last one. A grace period is over when every call that was announced at its beginning has withdrawn.
//
// One goroutine, the reclaimer, takes dead rows through these stages, in batches:
//
//  1. A row is a candidate once its last record is drained, and durable if it ended its id. No successor word names
//     it, which its bit named says; or the row that names it is in the same batch, so that a chain is cut from its
//     front. Then follows grace period A: every call that saw the row alive has returned.
//  2. Its successor word is closed by compare-and-swap, and from then on its id is free; or the row has a successor
//     that it had before the grace period. A row that has got one since waits for another batch.
//  3. The index slot is led past the whole chain, or becomes a tombstone. The ledger is led past the row. Its word
//     logged becomes 0 and its state forgotten, so that visitors by number pass over it. Then follows grace period B:
//     every call that could still use the row has returned.
//  4. Its text is freed, unless the row after it in the chain has the same one. The row is pushed to the free stack.
package protocol
