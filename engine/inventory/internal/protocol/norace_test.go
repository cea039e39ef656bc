//go:build !race

package protocol

import "testing"

func skipLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
}
