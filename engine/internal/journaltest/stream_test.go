package journaltest

import (
	"context"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// The fake keeps the contract that it is used to test others with: it passes the suites of the real backends.

// TestStream: a single process's backend.
func TestStream(t *testing.T) {
	Run(t, func(*testing.T) Store {
		s := NewStream()
		return Store{
			Open:  func() (journal.Backend, error) { return alone{s.Open("alone")}, nil },
			Crash: func(b journal.Backend) { b.(alone).Crash() },
		}
	})
}

// alone claims as soon as it has recovered.
type alone struct{ *Process }

func (a alone) Recover(to journal.Recovery) (journal.Recovered, error) {
	found, err := a.Process.Recover(to)
	if err == nil {
		err = a.Claim(context.Background(), "")
	}
	return found, err
}

// TestSharedStream: several processes.
func TestSharedStream(t *testing.T) {
	RunShared(t, func(*testing.T) SharedStore {
		s := NewStream()
		return SharedStore{Open: func() (journal.Shared, error) { return s.Open("one of several"), nil },
			Silence: 40 * time.Millisecond}
	})
}
