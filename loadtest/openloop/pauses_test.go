package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// comingIn counts the buyers of many connections in each of some equal parts of a time. Each is served at once.
func comingIn(connections int, p pauses, whole time.Duration, parts int) []int {
	coming := make([]int, parts)
	for i := range connections {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		for due := p.first(random); due < whole; due += p.next(random) {
			coming[due*time.Duration(parts)/whole]++
		}
	}
	return coming
}

// A closed loop has its rate from the beginning: each half of the first think time has as many buyers as each half of
// the fifth.
func TestClosedLoopIsSteadyFromTheBeginning(t *testing.T) {
	const connections, think = 10_000, 5 * time.Second
	for half, n := range comingIn(connections, steady(think), 5*think, 10) {
		require.InDelta(t, connections/2, n, connections/2*0.05, "half %d", half) // Poisson, 71 of 5,000
	}
}

// Without a think time, each buyer follows the last one at once.
func TestNoPauseWithoutThinkTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	require.Zero(t, steady(0).first(random))
	require.Zero(t, steady(0).next(random))
}

// The first buyers of a rush come evenly within its time, one on each connection, and the next ones follow at once.
func TestRushComesWithinItsTime(t *testing.T) {
	const connections, within = 8000, time.Second
	p := rush(within)
	once := pauses{first: p.first, next: func(*rand.Rand) time.Duration { return within }}
	coming := comingIn(connections, once, within, 4)
	require.Equal(t, connections, coming[0]+coming[1]+coming[2]+coming[3])
	for quarter, n := range coming {
		require.InDelta(t, connections/4, n, connections/4*0.1, "quarter %d", quarter)
	}
	require.Zero(t, p.next(rand.New(rand.NewPCG(1, 1))))
}
