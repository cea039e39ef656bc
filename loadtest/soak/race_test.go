//go:build race

package main

// detecting reports whether the race detector is enabled.
const detecting = true
