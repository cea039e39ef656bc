package redis

import (
	"context"
	"slices"
	"time"
)

// probes is how many writes and reads the probe measures.
const probes = 25

// leastSync is less than any disk needs for a sync: flash memory takes at least some tens of microseconds.
const leastSync = 20 * time.Microsecond

// probeLifetime is how long the key of the probe exists.
const probeLifetime = 10 * time.Second

// probeIfDenied measures how much longer a write takes than a read if Redis does not reveal its settings. A write that
// is synced before its response takes at least leastSync longer. The reverse does not hold, since a network or a
// replica can delay writes, too; so the probe can only add a reason why Redis is not safe.
func (l *link) probeIfDenied(ctx context.Context, r *Report) error {
	if !r.denied {
		return nil
	}
	var writes, reads []time.Duration
	measure := func(to *[]time.Duration, args ...any) error {
		began := time.Now()
		_, err := l.queryOnce(ctx, args...)
		*to = append(*to, time.Since(began))
		return err
	}
	for range probes {
		err := measure(&writes, "set", l.probeKey, "probe", "px", probeLifetime.Milliseconds())
		if err == nil {
			err = measure(&reads, "get", l.probeKey)
		}
		if err != nil {
			return err
		}
	}
	slices.Sort(writes)
	slices.Sort(reads)
	r.probed(writes[probes/2], reads[probes/2])
	return nil
}

// probed judges the median times of a write and a read.
func (r *Report) probed(write, read time.Duration) {
	write, read = write.Round(time.Microsecond), read.Round(time.Microsecond)
	if write-read < leastSync {
		r.line("probe: a write takes %v and a read %v, so writes are not synced before their response", write, read)
		r.unsafe("its writes are too fast to be synced (%v, reads %v)", write, read)
		return
	}
	r.line("probe: a write takes %v and a read %v, so writes may be synced before their response", write, read)
}
