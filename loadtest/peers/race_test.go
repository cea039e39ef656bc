//go:build linux && race

package peers

// raced says that the race detector is watching, which makes every operation dear and requests no cheaper.
const raced = true
