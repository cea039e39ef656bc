//go:build linux && !race

package peers

// raced says that the race detector is watching.
const raced = false
