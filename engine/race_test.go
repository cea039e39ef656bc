//go:build race

package engine_test

// raced reports that the race detector is on. It empties the pools of crypto/rand at random, which then allocates.
const raced = true
