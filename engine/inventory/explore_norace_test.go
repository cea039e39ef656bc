//go:build seathold_yield && !race

package inventory

const fewerPreemptions = 0
