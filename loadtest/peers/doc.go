// Package peers is what Seathold is measured against, doing the same job to the same rules: a reservation takes three pools
// or none, an account has at most 30 tickets and at most 6 of a session, a hold has its end, an id is used once, and a
// confirmation sells what is held.
//
//   - Baseline: the same rules in plain Go, one mutex around maps.
//   - Lua: the two scripts of lua/, in Redis, called directly or behind fasthttp and go-redis.
//   - Postgres: the functions of postgres/, in PostgreSQL, with row locks, driven by pgbench.
//   - Bare: fasthttp answering as many bytes as a reservation has, and doing nothing else.
//
// Each is written as somebody would who knows it well. CheckRules holds all of them, and Seathold, against the same short
// scenario. The rest of the package makes load: Sale and Crowd say who asks for what, Talk is a client process of few
// system calls, and Contest measures several in turn, so that a machine which slows down for a while slows all of them.
//
// The benchmarks are in bench_test.go at the root of the module; scripts/bench runs all of them.
package peers
