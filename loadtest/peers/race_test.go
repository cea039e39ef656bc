//go:build race

package peers

// raced reports whether the race detector is enabled, which makes operations expensive compared with requests.
const raced = true
