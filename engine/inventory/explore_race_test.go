//go:build seathold_yield && race

package inventory

// The race detector makes a switch between coroutines ten times slower, and it has nothing to find where one runs at
// a time.
const mostPreemptions = 2
