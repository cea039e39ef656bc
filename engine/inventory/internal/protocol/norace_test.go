//go:build !race

package protocol

import "testing"

func skipSlow(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
}
