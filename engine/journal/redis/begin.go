package redis

import (
	"context"
	"fmt"
	"strings"

	"github.com/seathold/seathold/engine/journal"
)

// mayBegin returns nil unless the journal is empty although one may have been there: then beginning another would sell
// again what is sold. A Redis keeps no trace of what it has lost, so this looks for what loses a journal as a whole. It
// cannot see everything: a Redis without persistence that restarted is as empty as a new one.
func (j *Journal) mayBegin(ctx context.Context, r *reader) error {
	l := j.link
	switch {
	case !r.empty() || l.options.New:
		return nil
	case l.options.Expected:
		return fmt.Errorf("%w: journal %q was in this Redis when this server read it last, and nothing is there now",
			journal.ErrGone, l.options.Name)
	}
	text, err := l.query(ctx, retryReads, "info", "everything")
	if isReply(err) {
		return nil // the user may not ask, so nothing can be known
	}
	if err != nil {
		return l.readError(err)
	}
	if signs := signsOfLoss(parseInfo(fmt.Sprint(text))); len(signs) > 0 {
		return fmt.Errorf("%w: this Redis has no journal %q, and may have lost one: %s", journal.ErrGone, l.options.Name,
			strings.Join(signs, ", "))
	}
	return nil
}

// signsOfLoss returns what has happened to a Redis, since it started, that may have taken a journal away. Redis counts
// FLUSHDB for all databases together, and after a restart does not distinguish a promoted replica from a server that
// has loaded the snapshot of one with replicas, so a sign may also have another cause.
func signsOfLoss(info settings) (signs []string) {
	if info.called("flushall") {
		signs = append(signs, "FLUSHALL was called")
	}
	if info.called("flushdb") {
		signs = append(signs, "FLUSHDB was called, for this database or another one")
	}
	if info.called("replicaof") || info.called("slaveof") {
		signs = append(signs, "REPLICAOF was called; a replica that is promoted may not have had the journal")
	}
	if info.hadMaster() {
		signs = append(signs, "it was a replica, or has loaded the snapshot of a server with replicas, which may not have "+
			"had the journal")
	}
	return signs
}

// called reports whether a command was executed since the server started. Redis also counts calls that it has refused.
func (s settings) called(command string) bool {
	_, calls, _ := strings.Cut(s["cmdstat_"+command], "calls=")
	calls, _, _ = strings.Cut(calls, ",")
	return number(calls) > 0
}

// empty reports whether there is nothing of a journal.
func (r *reader) empty() bool { return r.epoch == 0 && r.newest == (id{}) && len(r.listed) == 0 }
