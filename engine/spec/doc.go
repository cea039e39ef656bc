// Package spec is the sale's rules as naive sequential code: maps and slices, one operation after the other, written to
// be read beside the specification. It shares no code with the engine, and every test harness holds the engine to it:
//
//   - Text scenarios state the rules one by one (Scenarios); any System plays them.
//   - Random operations are answered by a Model and by a system, and the answers compared (Answer.Diff).
//   - Recorded concurrent histories are checked for linearizability (History.Check), with the Model as the sequential
//     specification.
//
// # What is exact
//
// Codes and all facts of the contract are. Three things are looser, because the contract leaves them open:
//
//   - When several lines of a request find too few tickets, sold_out may name any of them, with that pool's exact number
//     of available tickets, where requests race; alone it names the first of the request.
//   - Reservations of an account are compared without their order where requests race; alone the newest comes first.
//   - A hold past its time keeps its tickets until somebody ends it: a sweep does, and so does whatever looks at the
//     reservation (confirm, release, read, a repeat) or at its account. In a history it may end at any moment from then on.
//
// Stock reads may trail, so a history holds none. Free text (where, detail) is not modelled.
package spec
