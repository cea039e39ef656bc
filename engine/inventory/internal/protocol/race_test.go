//go:build race

package protocol

import "testing"

// skipSlow skips an exploration under the race detector. It makes explorations ten times slower, and has nothing to
// find: a model is one goroutine. What is left shows that the explorations work.
func skipSlow(t *testing.T) { t.Skip("not under the race detector") }
