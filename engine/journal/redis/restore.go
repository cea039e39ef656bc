package redis

import (
	"context"
	"time"
)

// restoreEvery is how often a leader compares the keys other than the stream with what they must hold.
const restoreEvery = time.Second

// restoreKeys makes the leader key and the manifests of this leader's complete checkpoints again, should they have been
// removed or replaced, and the hash of checkpoints should its key have another type. The appending goroutine calls it
// before a group and after a beat. It makes one attempt, at most every restoreEvery; a checkpoint that needs the leader
// key causes one at once. Its error is ignored: nothing acknowledged depends on these keys, and what keeps Redis from
// responding is met by the next call.
func (j *Journal) restoreKeys(ctx context.Context) {
	if !j.restore.Load() && time.Since(j.restoredAt) < restoreEvery {
		return
	}
	j.restoredAt = time.Now()
	j.restore.Store(false)
	l := j.link
	args := []any{j.tail.String(), j.claim.leaderValue()}
	j.mu.Lock()
	for _, m := range j.intact {
		args = append(args, m.id, m.text())
	}
	j.mu.Unlock()
	_, _ = l.run(ctx, l.options.Timeout, restoreScript, []string{l.tail, l.leader, l.checkpoints}, args...)
}

// leaderValue returns what the leader key holds after a claim.
func (e *entry) leaderValue() string { return e.at.String() + " " + e.leader }

// foreign reports whether another leader has claimed the journal. own reports whether the journal ends with an entry
// that this leader has sent or claimed after. The stream decides where it can, because a leader key may have been
// replaced. The leader key is the only witness if Redis has lost this leader's claim, or if it holds another claim of
// the same epoch.
func (j *Journal) foreign(end streamEnd, own bool) bool {
	mine := j.claim.at
	if end.newest.epoch > mine.id.epoch {
		return true
	}
	if own && end.at.id.epoch == mine.id.epoch {
		return false
	}
	named, _, err := parseLeader(end.leader)
	return err == nil && named != mine && named.id.epoch >= mine.id.epoch
}
