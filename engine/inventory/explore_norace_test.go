//go:build seathold_yield && !race

package inventory

const mostPreemptions = every
