package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
)

// Append adds a group in one round trip. It retries until Redis has confirmed that the group follows all groups before
// it, or ctx ends; the package documentation explains how a lost response is resolved. With Options.RequireSafe it also
// waits until Redis guarantees that the group survives. Append returns an error and changes nothing if the group does
// not follow the last record or is out of bounds, or if ctx has ended before the call. Every other error is final and
// returned by all later calls: journal.ErrFenced, ErrLost, journal.ErrClosed, ctx's error, or the error that Redis
// returned.
func (j *Journal) Append(ctx context.Context, g journal.Group) error {
	if err := j.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.First != j.last+1 {
		return fmt.Errorf("BUG: a group that starts with record %d after record %d", g.First, j.last)
	}
	if g.Count < 1 || len(g.Records) < g.Count || len(g.Records) > maxRunBytes {
		return fmt.Errorf("BUG: a group of %d records in %d bytes; the limit is %d", g.Count, len(g.Records), maxRunBytes)
	}
	j.restoreKeys(ctx)
	j.load()
	j.number++
	e := j.resend.add(id{j.epoch, j.number}, j.tail, g)
	if err := j.put(ctx, e); err != nil {
		return j.fail(err)
	}
	j.mu.Lock()
	j.last, j.tail = g.Last(), e.at
	j.boundaries.add(boundary{g.Last(), e.at})
	j.mu.Unlock()
	if err := j.holdUntilSafe(ctx); err != nil {
		return j.fail(err)
	}
	return nil
}

// beatTimeout bounds a beat, because records wait while one is in flight.
const beatTimeout = time.Second

// Beat shows followers that this leader is alive; the appending goroutine calls it after a while without groups. It
// also checks that the journal still ends where it should, and appends what is missing as Append does. If Redis does
// not confirm a beat in time, Beat returns nil, because a later beat may succeed. Every error is final.
func (j *Journal) Beat(ctx context.Context) error {
	if err := j.usable(); err != nil {
		return err
	}
	attempt, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	j.number++
	_, err := j.beat(attempt, beatType)
	if err == nil {
		j.restoreKeys(attempt)
		return nil
	}
	if ctx.Err() == nil && transient(err) {
		j.failedBeat = j.link.troubles.failed(j.failedBeat, err)
		return nil
	}
	if hasPrefix(err, foreignErrors) {
		err = fmt.Errorf("%w: %v", journal.ErrForeign, err)
	}
	return j.fail(err)
}

// beatSucceeded ends the trouble of a beat that failed: Redis has responded since.
func (j *Journal) beatSucceeded() {
	j.link.troubles.succeeded(j.failedBeat)
	j.failedBeat = 0
}

// StepDown notifies followers that this leader appends nothing more, so that one of them claims at once. Call it when
// the last group is durable, before Close. It retries until Redis has responded or ctx ends.
func (j *Journal) StepDown(ctx context.Context) error {
	if err := j.usable(); err != nil {
		return err
	}
	j.number++
	a := j.link.attempts(0)
	for unanswered := false; ; {
		resigned, err := j.beat(ctx, resignType)
		if resigned || unanswered && errors.Is(err, journal.ErrFenced) { // a follower has claimed after the resignation
			a.succeeded()
			_ = j.fail(errSteppedDown) // fail returns the error for callers that pass it on
			return nil
		}
		if err == nil {
			continue // the journal now ends where it should
		}
		if err := a.backOff(ctx, err); err != nil {
			return j.fail(err)
		}
		unanswered = true
	}
}

// beat makes one attempt to append a beat or a resignation, and reports whether it is appended. It can be repeated. If
// the journal does not end where it should, it appends what is missing instead.
func (j *Journal) beat(ctx context.Context, kind string) (appended bool, err error) {
	reply, err := j.link.run(ctx, j.link.options.Timeout, beatScript, []string{j.link.stream, j.link.tail},
		id{j.epoch, j.number}.String(), j.tail.String(), kind)
	refused := isRefusedID(err)
	if err != nil && !refused {
		return false, err
	}
	j.beatSucceeded()
	if reply == int64(1) {
		return true, nil
	}
	// Redis found another tail, or an id that is not below this one. The newest entry is the one that the journal must
	// end with.
	lost, lostErr := j.missing(ctx, j.resend.newest())
	switch {
	case lostErr != nil:
		return false, lostErr
	case len(lost) > 0:
		return false, j.resendLost(ctx, lost)
	case refused:
		return false, refusedID(id{j.epoch, j.number}, err)
	}
	return false, nil
}

// put sends an entry until the stream contains it, after the entry before it.
func (j *Journal) put(ctx context.Context, e *entry) error {
	a := j.link.attempts(0)
	for {
		reply, err := j.send(ctx, a.timeout, e)
		if err != nil && !isRefusedID(err) {
			if err := a.backOff(ctx, err); err != nil {
				return err
			}
			continue
		}
		a.succeeded()
		j.beatSucceeded()
		if err == nil && reply == int64(1) {
			return nil
		}
		// Redis found another tail, or an id that is not below this one.
		missing, missingErr := j.missing(ctx, e)
		if missingErr != nil || len(missing) == 0 {
			return missingErr
		}
		if err := j.resendLost(ctx, missing[:len(missing)-1]); err != nil {
			return err
		}
		if err != nil { // the chain is intact, and yet Redis refuses the id
			return refusedID(e.at.id, err)
		}
	}
}

// refusedID returns the error for a journal that ends where it should, and yet accepts no entry: the stream had one
// with a higher id, which was removed.
func refusedID(at id, err error) error {
	return fmt.Errorf("%w: Redis refuses entry %v: %v", journal.ErrDamaged, at, err)
}

// isRefusedID reports whether the stream has an entry with a higher id.
func isRefusedID(err error) bool { return redis.HasErrorPrefix(err, "The ID specified in XADD") }

// send makes one attempt at an entry. It returns 1 when the stream now contains it.
func (j *Journal) send(ctx context.Context, timeout time.Duration, e *entry) (any, error) {
	if !e.isClaim() {
		return j.sendGroup(ctx, timeout, e)
	}
	l := j.link
	return l.run(ctx, timeout, claimScript, []string{l.stream, l.tail, l.leader}, e.at.id.String(), sumText(e.at.sum),
		e.leader, e.nonce, e.previous.String(), e.at.id.String())
}

// missing is called when the journal does not end where e must be appended. It returns the entries that the stream
// lacks, up to e; none if it contains e, whose response was lost. It fails for good when another leader has claimed the
// journal or when a lost entry is no longer in memory.
func (j *Journal) missing(ctx context.Context, e *entry) ([]*entry, error) {
	end, err := j.link.streamEnd(ctx, 0)
	if err != nil {
		return nil, err
	}
	missing, ok := j.resend.after(end.at, e)
	if j.foreign(end, ok) {
		return nil, fmt.Errorf("%w: epoch %d, by %q", journal.ErrFenced, end.newest.epoch, end.leader)
	}
	if !ok {
		return nil, fmt.Errorf("%w: it ends at %v, and memory holds only the entries after %v", ErrLost, end.at.id,
			j.resend.before.id)
	}
	return missing, nil
}

// resendLost appends entries again that Redis had acknowledged and lost.
func (j *Journal) resendLost(ctx context.Context, lost []*entry) error {
	if len(lost) == 0 {
		return nil
	}
	j.link.options.Log.Warn("Redis has lost entries that it had acknowledged; they are appended again",
		"entries", len(lost), "first", lost[0].at.id, "last", lost[len(lost)-1].at.id)
	for _, e := range lost {
		if err := j.put(ctx, e); err != nil {
			return err
		}
		j.mu.Lock()
		j.resent++
		j.mu.Unlock()
	}
	return nil
}
