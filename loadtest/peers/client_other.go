//go:build !linux

package peers

import "time"

func (c Client) run(time.Duration, dialogue) (Result, error) {
	return Result{}, errNeedsLinux
}

// ownTime returns 0: only a measurement with a load generator needs it.
func ownTime() time.Duration { return 0 }
