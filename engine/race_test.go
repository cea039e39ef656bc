//go:build race

package engine_test

// raced: the race detector lets crypto/rand allocate, whose pools it empties at random.
const raced = true
