//go:build !race

package peers

// raced reports whether the race detector is enabled.
const raced = false
