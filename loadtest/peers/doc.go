// Package peers holds what Seathold is compared with. All peers do the same job by the same rules: a reservation takes
// three pools or none, an account has at most 30 tickets and at most 6 of a session, a hold expires, an id is used
// once, and a confirmation sells what is held.
//
//   - Baseline: the rules in plain Go, one mutex around maps.
//   - Lua: the two scripts of lua/ in Redis, called directly or through fasthttp and go-redis.
//   - Postgres: the functions of postgres/ in PostgreSQL, with row locks, driven by pgbench.
//   - Bare: fasthttp returning as many bytes as a reservation has, and doing nothing else.
//
// Each is written as an expert in it would write it. The same short scenario checks the rules of all of them. The rest
// of the package makes load: Sale and Crowd define the n-th request, Job is a client process that needs few system
// calls, and Contest measures several contestants in turn, so that a slow spell of the machine slows all of them.
//
// The benchmarks are in bench_test.go at the root of the module; scripts/bench runs all of them.
package peers
