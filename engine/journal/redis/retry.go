package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
)

// maxAttempt bounds the wait for one response. The timeout doubles up to it, because a large group on a slow connection
// takes long.
const maxAttempt = 30 * time.Second

// The pause between attempts doubles from minPause to maxPause.
const (
	minPause = 2 * time.Millisecond
	maxPause = 250 * time.Millisecond
)

// attempts are the attempts at one call: how long the next one may take, and the pause before it.
type attempts struct {
	link     *link
	timeout  time.Duration
	pause    time.Duration
	retryFor time.Duration
	deadline time.Time // zero for none
	call     uint64    // of troubles, once an attempt has failed
}

// attempts begins the attempts at a call. If retryFor is not zero, they end after that time, and at once if Redis
// denies access or the TLS handshake fails; otherwise they continue until ctx or the link ends.
func (l *link) attempts(retryFor time.Duration) attempts {
	a := attempts{link: l, timeout: l.options.Timeout, pause: minPause, retryFor: retryFor}
	if retryFor > 0 {
		a.deadline = time.Now().Add(retryFor)
	}
	return a
}

// succeeded ends the attempts: the last one has succeeded.
func (a *attempts) succeeded() {
	a.link.troubles.succeeded(a.call)
	a.call = 0
}

// backOff handles a failed attempt. It returns nil, after a pause, if another attempt may succeed. Otherwise, or when
// ctx or the link has ended, it ends the attempts and returns the error of the call.
func (a *attempts) backOff(ctx context.Context, err error) error {
	if err = a.wait(ctx, err); err != nil && a.call != 0 {
		a.link.troubles.gaveUp(a.call)
		a.call = 0
	}
	return err
}

func (a *attempts) wait(ctx context.Context, err error) error {
	if !a.deadline.IsZero() {
		if hasPrefix(err, accessErrors) || isTLS(err) {
			return err
		}
		if time.Now().After(a.deadline) {
			return fmt.Errorf("repeated for %v: %w", a.retryFor, err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !transient(err) {
		if hasPrefix(err, foreignErrors) {
			return fmt.Errorf("%w: %v", journal.ErrForeign, err)
		}
		return err
	}
	a.call = a.link.troubles.failed(a.call, err)
	if isTimeout(err) {
		a.timeout = min(2*a.timeout, maxAttempt)
	}
	pause := a.pause
	a.pause = min(2*a.pause, maxPause)
	return a.link.pause(ctx, pause)
}

// pause returns nil after the given time, and an error if ctx or the link ends before.
func (l *link) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ctx.Done():
		return journal.ErrClosed
	}
}

var (
	// accessErrors are responses of a Redis that denies this program access, to commands of its own or of its scripts.
	accessErrors = []string{"NOAUTH", "WRONGPASS", "NOPERM", "The user executing the script", "ACL failure in script"}

	// transientErrors are responses that may pass without a change to this program: Redis is loading, has lost its master
	// or become a replica, moves slots, is busy, is out of memory or disk, or has other passwords or permissions than
	// ours, which an operator will correct.
	transientErrors = append([]string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK",
		"BUSY", "MISCONF", "OOM", "NOREPLICAS", "NOSCRIPT", "UNBLOCKED", "max number of clients"}, accessErrors...)

	// foreignErrors are responses about a key whose content is not of this package.
	foreignErrors = []string{"WRONGTYPE", "FOREIGN"}

	// finalErrors are this package's own conclusions.
	finalErrors = []error{journal.ErrClosed, journal.ErrFenced, journal.ErrDamaged, journal.ErrForeign, journal.ErrLocked,
		ErrDiverged}
)

// transient reports whether another attempt may succeed: after every failure to get a response, and after the responses
// in transientErrors.
func transient(err error) bool {
	if slices.ContainsFunc(finalErrors, func(final error) bool { return errors.Is(err, final) }) {
		return false
	}
	return !isReply(err) || hasPrefix(err, transientErrors) ||
		slices.ContainsFunc(transientErrors, func(p string) bool { return strings.Contains(err.Error(), "-"+p) })
}

// isTimeout reports whether a response, or a connection, did not come in time.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool } // context.DeadlineExceeded has it, too
	return errors.As(err, &t) && t.Timeout()
}

// isReply reports whether Redis returned the error.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

func hasPrefix(err error, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return redis.HasErrorPrefix(err, p) })
}
