// Package spec implements the rules of a sale as naive sequential code: maps and slices, one operation at a time, meant
// to be read beside the specification. It shares no code with the engine. The tests compare the engine with it in three
// ways:
//
//   - Text scenarios state the rules one by one (Scenarios). Any System can play them.
//   - A Model and a system execute the same random operations, and their answers are compared (Answer.Diff).
//   - Recorded concurrent histories are checked for linearizability (History.Check). The Model is the sequential
//     specification.
//
// # What is exact
//
// Codes and all facts of the contract must be equal. Four things are compared less strictly, because the contract
// leaves them open:
//
//   - When several lines of a request find too few tickets and requests race, sold_out may name any of them, with the
//     exact number of tickets available in that pool. Without a race it names the first one.
//   - When requests race, can_take_again of reservation_expired is ignored. Without a race it is exact.
//   - An overdue hold keeps its tickets until an operation expires it: a sweep, or any operation that names the
//     reservation or reads its account. In a history it may expire at any instant from its end on.
//   - What has ended is remembered for ever, except in a history with Forget: there a call may find it forgotten, or
//     not.
//
// A history contains no reads of stock, since those may lag. Free text (where, detail) is not modelled.
package spec
