package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// Recover delivers everything that the journal contains. It changes nothing: an older leader continues until Claim. It
// waits up to a minute for a Redis that does not respond. After an error the journal can only be closed. See
// journal.Backend.
func (j *Journal) Recover(to journal.Recovery) (journal.Recovered, error) {
	if err := j.startReading(fresh); err != nil {
		return journal.Recovered{}, err
	}
	r := newReader(j.link, to, retryReads)
	if err := r.recover(j.link.ctx); err != nil {
		return r.summary(), j.fail(j.link.readError(err))
	}
	if err := j.mayBegin(j.link.ctx, r); err != nil {
		return r.recovered, j.fail(err)
	}
	j.reader = r
	j.updateStatus(r)
	return r.summary(), nil
}

// startReading moves a journal from the given role to reading.
func (j *Journal) startReading(from role) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return j.failed
	}
	if j.role != from {
		return errNotLeading
	}
	j.role = reading
	if from == fresh && j.link.options.CheckEvery > 0 {
		j.link.calls.Go(j.watch)
	}
	return nil
}

func (l *link) readError(err error) error {
	if errors.Is(err, journal.ErrClosed) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("reading journal %q in %s: %w", l.options.Name, Location(l.options.Address), err)
}

// updateStatus makes Status show what was read.
func (j *Journal) updateStatus(r *reader) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last, j.epoch, j.leader = r.recovered.Last, r.epoch, r.leader
}

// maxBlock bounds one wait for entries, and so how long a follower takes to notice that it is closed or that Redis is
// gone.
const maxBlock = 500 * time.Millisecond

// Follow delivers what the journal contains, as Recover does, or what was added since the last delivery, and then each
// group as the leader appends it. It returns nil when the leader has stepped down or nothing was received from it for
// the given time; the caller then calls Claim. Time in which Redis does not respond is not silence, since no beat could
// arrive then. Follow changes nothing in Redis and retries its calls until ctx ends. After ErrDiverged the caller
// discards what was delivered and starts over with a new Journal. See journal.Shared.
func (j *Journal) Follow(ctx context.Context, to journal.Recovery, silence time.Duration,
	alive func(leader string)) (journal.Recovered, error) {
	r := j.reader
	var err error
	if r == nil {
		if err = j.startReading(fresh); err != nil {
			return journal.Recovered{}, err
		}
		r = newReader(j.link, to, 0)
		err = r.recover(ctx)
	} else {
		if err = j.startReading(reading); err != nil {
			return journal.Recovered{}, err
		}
		r.to, r.retryFor = to, 0
		err = r.resume(ctx, alive)
	}
	if err == nil {
		err = j.mayBegin(ctx, r)
	}
	if err == nil {
		if err = j.follow(ctx, r, silence, alive); errors.Is(err, journal.ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDiverged, err)
		}
	}
	if err != nil {
		return r.summary(), j.fail(j.link.readError(err))
	}
	j.reader = r
	return r.summary(), nil
}

// follow delivers entries until the leader has resigned or was silent for the given time.
func (j *Journal) follow(ctx context.Context, r *reader, silence time.Duration, alive func(leader string)) error {
	lastContact := time.Now()
	a := j.link.attempts(0)
	for !r.resigned {
		j.updateStatus(r)
		left := silence - time.Since(lastContact)
		n, err := r.wait(ctx, min(max(left, time.Millisecond), maxBlock))
		if err != nil {
			if err := a.backOff(ctx, err); err != nil {
				return err
			}
			lastContact = time.Now() // time without a response is not silence
			continue
		}
		a.succeeded()
		a = j.link.attempts(0)
		switch {
		case n > 0:
			lastContact = time.Now()
			if n < r.requested { // everything that was durable is delivered
				r.findLeader(ctx)
				alive(r.leader)
			}
		case time.Since(lastContact) >= silence:
			return nil
		}
	}
	j.updateStatus(r)
	return nil
}

// Claim makes this program the leader. It claims the next epoch, from which point an older leader can append nothing.
// It does so only if the journal still ends with the entry that Recover or Follow read last, a beat included;
// otherwise it returns journal.ErrNotSilent, and the caller may follow again. ctx bounds it. After ErrDiverged the
// caller discards what was delivered and starts over with a new Journal. See journal.Shared.
func (j *Journal) Claim(ctx context.Context, address string) error {
	if err := j.startReading(reading); err != nil {
		return err
	}
	r := j.reader
	if r == nil {
		return errNotLeading
	}
	claim, err := j.claimEpoch(ctx, r, address)
	if errors.Is(err, journal.ErrNotSilent) {
		return err
	}
	if err != nil {
		return j.fail(err)
	}
	j.startLeading(r, claim)
	// The older leaders' checkpoints have changed many times since Recover or Follow. From the claim on only this leader
	// changes them.
	intact, err := j.complete(ctx)
	if err != nil {
		return j.fail(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.intact = intact
	return nil
}

// claimEpoch claims the epoch after every known one.
func (j *Journal) claimEpoch(ctx context.Context, r *reader, address string) (*entry, error) {
	l := j.link
	end, err := l.streamEnd(ctx, retryReads)
	if err != nil {
		return nil, err
	}
	if end.newest == (id{}) && !r.empty() {
		return nil, fmt.Errorf("%w: %w: nothing is there, and it was read up to %v", ErrDiverged, journal.ErrGone, r.at.id)
	}
	if end.at.id.compare(r.at.id) < 0 || end.at.id == r.at.id && end.at != r.at {
		err := fmt.Errorf("%w: it ends at %v, and it was read up to %v", ErrDiverged, end.at.id, r.at.id)
		if l.options.RequireSafe { // to start over would take back what was acknowledged
			err = fmt.Errorf("%w: %w", journal.ErrGone, err)
		}
		return nil, err
	}
	at := id{epoch: max(r.epoch, end.newest.epoch) + 1}
	claim := &entry{previous: r.at, leader: address, nonce: rand.Text()}
	claim.at = position{at, claimSum(at, claim.leader, claim.nonce)}
	reply, err := l.script(ctx, retryReads, claimScript, []string{l.stream, l.tail, l.leader},
		at.String(), sumText(claim.at.sum), claim.leader, claim.nonce, r.at.String(), r.newest.String())
	if err != nil {
		return nil, err
	}
	if reply != int64(1) {
		return nil, fmt.Errorf("%w: it continues after entry %v, the last one that was read", journal.ErrNotSilent, r.newest)
	}
	return claim, nil
}

// startLeading makes the journal ready for Append after what was read.
func (j *Journal) startLeading(r *reader, claim *entry) {
	r.boundaries.add(boundary{r.recovered.Last, claim.at})
	j.claim, j.damaged, j.reader = claim, r.damaged, nil
	j.resend.reset(claim)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.role, j.last, j.tail, j.boundaries = leading, r.recovered.Last, claim.at, r.boundaries
	j.epoch, j.claimed, j.leader = claim.at.id.epoch, claim.at.id.epoch, claim.leader
}
