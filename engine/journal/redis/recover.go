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
		return r.recovered, j.fail(j.link.readError(err))
	}
	j.reader = r
	j.updateStatus(r)
	return r.recovered, nil
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
	return nil
}

func (l *link) readError(err error) error {
	if errors.Is(err, journal.ErrClosed) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("reading journal %q: %w", l.options.Name, err)
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

// Follow delivers what the journal contains, as Recover does, and then each group as the leader appends it. It returns
// nil when the leader has stepped down or nothing was received from it for the given time; the caller then calls Claim.
// Time in which Redis does not respond is not silence, since no beat could arrive then. Follow changes nothing in Redis
// and retries its calls until ctx ends. After ErrDiverged the caller discards what was delivered and starts over with a
// new Journal. See journal.Shared.
func (j *Journal) Follow(ctx context.Context, to journal.Recovery, silence time.Duration,
	alive func(leader string)) (journal.Recovered, error) {
	if err := j.startReading(fresh); err != nil {
		return journal.Recovered{}, err
	}
	r := newReader(j.link, to, 0)
	err := r.recover(ctx)
	if err == nil {
		if err = j.follow(ctx, r, silence, alive); errors.Is(err, journal.ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDiverged, err)
		}
	}
	if err != nil {
		return r.recovered, j.fail(j.link.readError(err))
	}
	j.reader = r
	return r.recovered, nil
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
		j.link.setRetrying(nil)
		a = j.link.attempts(0)
		switch {
		case n > 0:
			lastContact = time.Now()
			if n < r.requested { // everything that was durable is delivered
				alive(r.leader)
			}
		case time.Since(lastContact) >= silence:
			return nil
		}
	}
	j.updateStatus(r)
	return nil
}

// maxClaims bounds how often a claim is repeated because another program was faster or Redis lost the claim.
const maxClaims = 10

// Claim makes this program the leader. It claims the next epoch, from which point an older leader can append nothing,
// and then delivers what was appended since Recover or Follow returned. A leader that is alive is deposed. ctx bounds
// it. After ErrDiverged the caller discards what was delivered and starts over with a new Journal. See journal.Shared.
func (j *Journal) Claim(ctx context.Context, address string, to journal.Recovery) (last uint64, err error) {
	if err := j.startReading(reading); err != nil {
		return 0, err
	}
	r := j.reader
	if r == nil {
		return 0, errNotLeading
	}
	r.to = to
	for range maxClaims {
		claim, err := j.claimEpoch(ctx, r, address)
		if err != nil {
			return 0, j.fail(err)
		}
		// Read up to the claim. It is not in the stream if another program was faster or Redis lost it.
		for n := 1; n > 0 && r.at != claim.at; {
			if n, err = r.readMore(ctx); err != nil {
				return 0, j.fail(j.link.readError(err))
			}
		}
		if r.at == claim.at {
			j.startLeading(r, claim)
			return r.recovered.Last, nil
		}
	}
	return 0, j.fail(fmt.Errorf("%w: other programs claimed it during each of %d attempts", journal.ErrLocked, maxClaims))
}

// claimEpoch claims the epoch after every known one. If another program claimed that epoch first, the claim it returns
// is not in the stream.
func (j *Journal) claimEpoch(ctx context.Context, r *reader, address string) (*entry, error) {
	l := j.link
	end, err := l.streamEnd(ctx, retryReads)
	if err != nil {
		return nil, err
	}
	if end.at.id.compare(r.at.id) < 0 || end.at.id == r.at.id && end.at != r.at {
		return nil, fmt.Errorf("%w: it ends at %v, and it was read up to %v", ErrDiverged, end.at.id, r.at.id)
	}
	known, _, err := parseLeader(end.leader)
	if err != nil {
		return nil, err
	}
	at := id{epoch: max(r.epoch, known.id.epoch, end.newest.epoch) + 1}
	claim := &entry{leader: address, nonce: rand.Text()}
	claim.at = position{at, claimSum(at, claim.leader, claim.nonce)}
	reply, err := l.script(ctx, retryReads, claimScript, []string{l.stream, l.tail, l.leader},
		at.String(), sumText(claim.at.sum), claim.leader, claim.nonce, "*")
	if isRefusedID(err) { // another program was faster
		return claim, nil
	}
	if err != nil {
		return nil, err
	}
	list, _ := reply.([]any)
	if len(list) != 2 || list[0] != int64(1) {
		return nil, fmt.Errorf("%w: Redis returned %v", journal.ErrForeign, reply)
	}
	text, _ := list[1].(string)
	claim.previous, err = parsePosition(text)
	return claim, err
}

// startLeading makes the journal ready for Append after what was read.
func (j *Journal) startLeading(r *reader, claim *entry) {
	j.claim, j.reader = claim, nil
	j.resend.reset(claim)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.role, j.last, j.tail, j.boundaries, j.intact = leading, r.recovered.Last, claim.at, r.boundaries, r.intact
	j.epoch, j.leader = claim.at.id.epoch, claim.leader
}
