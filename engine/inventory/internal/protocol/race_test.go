//go:build race

package protocol

import "testing"

// skipLarge skips large explorations under the race detector. It makes them ten times slower, and has nothing to find:
// a model is one goroutine.
func skipLarge(t *testing.T) { t.Skip("not under the race detector") }
