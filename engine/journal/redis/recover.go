package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// Recover delivers all that the journal holds and changes nothing: an older leader goes on until Claim. It waits up to a
// minute for a Redis that does not answer. When it fails the journal can only be closed. See journal.Backend.
func (j *Journal) Recover(to journal.Recovery) (journal.Recovered, error) {
	if err := j.enter(fresh); err != nil {
		return journal.Recovered{}, err
	}
	r := newReader(j.link, to, readPatience)
	err := r.begin(j.link.ctx)
	if err == nil {
		err = r.catchUpWithLeader(j.link.ctx)
	}
	if err != nil {
		return r.sum, j.fail(unread(j.o.Name, err))
	}
	j.reader = r
	j.note(r)
	return r.sum, nil
}

// enter makes a journal of the given role one that reads.
func (j *Journal) enter(from role) error {
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

func unread(name string, err error) error {
	if errors.Is(err, journal.ErrClosed) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("reading journal %q: %w", name, err)
}

// note tells Status what was read.
func (j *Journal) note(r *reader) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last, j.epoch, j.leader, j.heard = r.sum.Last, r.epoch, r.leader, r.heard
}

// longestBlock bounds one waiting for entries. A follower that is closed, or whose Redis has gone without a word, finds
// out after it.
const longestBlock = 500 * time.Millisecond

// Follow delivers what the journal holds, as Recover does, and then each group as the leader appends it, until the leader
// has stepped down, or nothing was heard of it for the given time: then it returns nil, and the caller calls Claim. Only
// time in which Redis answered counts as silence: a leader cannot beat where its follower cannot hear. It changes nothing
// in Redis, and repeats its calls for as long as ctx lives. With ErrDiverged the caller forgets what it was given and
// starts anew, with another Journal. See journal.Shared.
func (j *Journal) Follow(ctx context.Context, to journal.Recovery, silence time.Duration, heard func(leader string)) (journal.Recovered, error) {
	if err := j.enter(fresh); err != nil {
		return journal.Recovered{}, err
	}
	r := newReader(j.link, to, 0)
	err := r.begin(ctx)
	if err == nil {
		err = r.catchUpWithLeader(ctx)
	}
	if err == nil {
		if err = j.listen(ctx, r, silence, heard); errors.Is(err, journal.ErrDamaged) {
			err = fmt.Errorf("%w: %w", ErrDiverged, err)
		}
	}
	if err != nil {
		return r.sum, j.fail(unread(j.o.Name, err))
	}
	j.reader = r
	return r.sum, nil
}

// listen delivers entries until the leader is gone.
func (j *Journal) listen(ctx context.Context, r *reader, silence time.Duration, heard func(leader string)) error {
	r.heard = time.Now()
	a := j.link.attempts()
	for !r.resigned {
		j.note(r)
		left := silence - time.Since(r.heard)
		n, err := r.wait(ctx, min(max(left, time.Millisecond), longestBlock))
		if err != nil {
			if err := a.again(ctx, err); err != nil {
				return err
			}
			r.heard = time.Now() // what was not answered was no silence
			continue
		}
		j.link.setTrouble(nil)
		a = j.link.attempts()
		switch {
		case n > 0:
			r.heard = time.Now()
			if n < r.asked {
				heard(r.leader)
			}
		case time.Since(r.heard) >= silence:
			return nil
		}
	}
	j.note(r)
	return nil
}

// catchUpWithLeader is catchUp for a journal whose leader goes on writing, and may drop what has not been read.
func (r *reader) catchUpWithLeader(ctx context.Context) error {
	before, err := r.manifests(ctx)
	if err != nil {
		return err
	}
	if err = r.catchUp(ctx); !errors.Is(err, journal.ErrDamaged) {
		return err
	}
	if now, listing := r.manifests(ctx); listing == nil && len(now) > 0 && (len(before) == 0 || now[0] != before[0]) {
		return fmt.Errorf("%w: %w", ErrDiverged, err)
	}
	return err
}

// claims bounds how often a claim is repeated because somebody else was quicker, or Redis lost it.
const claims = 10

// Claim makes this program the leader: it claims the epoch behind the last one, from where on an older leader can append
// nothing, and then reads what came since Recover or Follow returned. A leader that is alive is deposed. ctx bounds it. With
// ErrDiverged the caller forgets what it was given and starts anew, with another Journal. See journal.Shared.
func (j *Journal) Claim(ctx context.Context, address string, to journal.Recovery) (last uint64, err error) {
	if err := j.enter(reading); err != nil {
		return 0, err
	}
	r := j.reader
	if r == nil {
		return 0, errNotLeading
	}
	r.to = to
	for range claims {
		claim, err := j.claimEpoch(ctx, r, address)
		if err != nil {
			return 0, j.fail(err)
		}
		for n := 1; n > 0 && r.at != claim.at; {
			if n, err = r.more(ctx); err != nil {
				return 0, j.fail(unread(j.o.Name, err))
			}
		}
		if r.at == claim.at {
			j.lead(r, claim)
			return r.sum.Last, nil
		}
	}
	return 0, j.fail(fmt.Errorf("%w: others claimed it %d times while this program tried to", journal.ErrLocked, claims))
}

// claimEpoch claims the epoch behind all that is known of. Where somebody else claimed that one, the claim it returns is
// none that will be found.
func (j *Journal) claimEpoch(ctx context.Context, r *reader, address string) (*entry, error) {
	end, err := j.link.look(ctx, readPatience)
	if err != nil {
		return nil, err
	}
	if end.at.id.less(r.at.id) || end.at.id == r.at.id && end.at != r.at {
		return nil, fmt.Errorf("%w: it ends at %v, and it was read up to %v", ErrDiverged, end.at.id, r.at.id)
	}
	known, _, err := parseLeader(end.leader)
	if err != nil {
		return nil, err
	}
	at := id{epoch: max(r.epoch, known.id.epoch, end.newest.epoch) + 1}
	claim := &entry{leader: address, nonce: rand.Text()}
	claim.at = position{at, claimSum(at, claim.leader, claim.nonce)}
	l := j.link
	reply, err := l.script(ctx, readPatience, claimScript, []string{l.stream, l.tail, l.leader},
		at.String(), sumText(claim.at.sum), claim.leader, claim.nonce, "*")
	if refusedID(err) {
		return claim, nil
	}
	if err != nil {
		return nil, err
	}
	list, _ := reply.([]any)
	if len(list) != 2 || list[0] != int64(1) {
		return nil, fmt.Errorf("%w: Redis answered %v", journal.ErrForeign, reply)
	}
	text, _ := list[1].(string)
	claim.previous, err = parsePosition(text)
	return claim, err
}

// lead makes the journal ready for Append behind what was read.
func (j *Journal) lead(r *reader, claim *entry) {
	j.claim, j.number, j.reader = claim, 0, nil
	j.kept.begin(claim)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.role, j.last, j.tail, j.places, j.intact = leading, r.sum.Last, claim.at, r.places, r.intact
	j.epoch, j.leader, j.heard, j.serial = claim.at.id.epoch, claim.leader, time.Now(), 0
}

// ReadOnly is a journal that is looked at, for verify and journal dump. It changes nothing in Redis, and the leader goes on.
type ReadOnly struct {
	link *link
}

// OpenReadOnly prepares to look at a journal.
func OpenReadOnly(o Options) (*ReadOnly, error) {
	l, err := newLink(o)
	if err != nil {
		return nil, err
	}
	return &ReadOnly{l}, nil
}

// Recover delivers what the journal holds, up to the end that it has when it gets there. It may be called again.
func (o *ReadOnly) Recover(to journal.Recovery) (journal.Recovered, error) {
	r := newReader(o.link, to, readPatience)
	err := r.begin(o.link.ctx)
	if err == nil {
		err = r.catchUpWithLeader(o.link.ctx)
	}
	if err != nil {
		err = unread(o.link.name, err)
	}
	return r.sum, err
}

// Close ends the connections.
func (o *ReadOnly) Close() error { return o.link.close() }
