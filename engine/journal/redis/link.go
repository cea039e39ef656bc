package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
)

// link is a journal's connection to its Redis: the client, the names of the keys, and how calls are made and repeated.
// All methods may be called by any number of goroutines.
type link struct {
	client  redis.UniversalClient
	name    string
	timeout time.Duration // of a call's first attempt

	stream, tail, leader, checkpoints string // keys

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	calls  sync.WaitGroup // goroutines inside the client
	gate   sync.Mutex     // orders close and the beginning of calls
	closed bool

	trouble atomic.Pointer[error] // why a call is being repeated now
}

// longestAttempt bounds the waiting for one answer. Attempts that were too short double up to it: a large group on a slow
// line takes its time.
const longestAttempt = 30 * time.Second

// Pauses between attempts double from the shorter to the longer.
const (
	shortPause = 2 * time.Millisecond
	longPause  = 250 * time.Millisecond
)

func newLink(o Options) (*link, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	settings, err := ParseAddress(o.Address)
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		if settings.TLSConfig == nil {
			return nil, fmt.Errorf("%w: TLS is for rediss:// only", ErrAddress)
		}
		settings.TLSConfig = o.TLS
	}
	tag := "{seathold:" + o.Name + "}:"
	l := &link{client: redis.NewUniversalClient(settings), name: o.Name, timeout: o.Timeout,
		stream: tag + "journal", tail: tag + "tail", leader: tag + "leader", checkpoints: tag + "checkpoints"}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

func (l *link) pieceKey(checkpoint string, piece int) string {
	return "{seathold:" + l.name + "}:checkpoint:" + checkpoint + ":" + strconv.Itoa(piece)
}

// close ends all calls, which then return journal.ErrClosed, and waits for them.
func (l *link) close() error {
	l.gate.Lock()
	if l.closed {
		l.gate.Unlock()
		return nil
	}
	l.closed = true
	l.gate.Unlock()
	l.cancel()
	err := l.client.Close()
	l.calls.Wait()
	return err
}

// call makes one attempt. It returns as soon as ctx is cancelled or the link is closed, also where the client still waits
// for its answer: the client heeds a deadline, but not an end that comes before. What the command points to must then
// stay untouched for good, since the client may still be writing it.
func (l *link) call(ctx context.Context, timeout time.Duration, cmd redis.Cmder) error {
	l.gate.Lock()
	if l.closed {
		l.gate.Unlock()
		return journal.ErrClosed
	}
	l.calls.Add(1)
	l.gate.Unlock()
	attempt, cancel := context.WithTimeout(ctx, timeout)
	done := make(chan error, 1)
	go func() {
		defer l.calls.Done()
		defer cancel()
		done <- l.client.Process(attempt, cmd)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return <-done
		}
		return ctx.Err()
	case <-l.ctx.Done():
		return journal.ErrClosed
	}
}

// run makes one attempt at a script, whole where Redis does not know it yet.
func (l *link) run(ctx context.Context, timeout time.Duration, s *script, keys []string, args ...any) (any, error) {
	cmd := scriptCommand(ctx, "evalsha", s.hash, keys, args)
	err := l.call(ctx, timeout, cmd)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		cmd = scriptCommand(ctx, "eval", s.source, keys, args)
		err = l.call(ctx, timeout, cmd)
	}
	if err != nil {
		return nil, err
	}
	return cmd.Val(), nil
}

func scriptCommand(ctx context.Context, name, text string, keys []string, args []any) *redis.Cmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, text, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	cmd := redis.NewCmd(ctx, append(all, args...)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// attempts is the repeating of one call: how long the next one may take and how long to wait before it.
type attempts struct {
	link    *link
	timeout time.Duration
	pause   time.Duration
}

func (l *link) attempts() attempts {
	return attempts{link: l, timeout: l.timeout, pause: shortPause}
}

// again decides about a failed attempt: it returns nil, after a pause, when another one may succeed, and the error for good
// when not, or when ctx or the link has ended.
func (a *attempts) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !passing(err) {
		return foreignType(err)
	}
	a.link.setTrouble(err)
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		a.timeout = min(2*a.timeout, longestAttempt)
	}
	pause := time.NewTimer(a.pause)
	defer pause.Stop()
	a.pause = min(2*a.pause, longPause)
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-a.link.ctx.Done():
		return journal.ErrClosed
	}
}

// script runs a script until Redis answers, or as long as patience, where it is not zero; see read.
func (l *link) script(ctx context.Context, patience time.Duration, s *script, keys []string, args ...any) (any, error) {
	a := l.attempts()
	deadline := time.Now().Add(patience)
	for {
		reply, err := l.run(ctx, a.timeout, s, keys, args...)
		if err == nil {
			l.setTrouble(nil)
			return reply, nil
		}
		if patience > 0 && (refused(err) || time.Now().After(deadline)) {
			return nil, err
		}
		if err := a.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// read runs a command that changes nothing. A missing value is nil. Where patience is not zero, it gives up after that
// time without an answer, not counting a Redis that is still loading its data, and at once when it is refused.
func (l *link) read(ctx context.Context, patience time.Duration, args ...any) (any, error) {
	a := l.attempts()
	deadline := time.Now().Add(patience)
	for {
		cmd := redis.NewCmd(ctx, args...)
		err := l.call(ctx, a.timeout, cmd)
		if err == nil || errors.Is(err, redis.Nil) {
			l.setTrouble(nil)
			return cmd.Val(), nil
		}
		if redis.HasErrorPrefix(err, "LOADING") {
			deadline = time.Now().Add(patience)
		}
		if patience > 0 && (refused(err) || time.Now().After(deadline)) {
			return nil, err
		}
		if err := a.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// refused tells whether Redis does not let this program in, or not do what it must.
func refused(err error) bool {
	for _, prefix := range refusals {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

var refusals = [...]string{"NOAUTH", "WRONGPASS", "NOPERM"}

// setTrouble notes why a call is being repeated, nil once one has succeeded.
func (l *link) setTrouble(err error) {
	if err != nil {
		l.trouble.Store(&err)
	} else if l.trouble.Load() != nil {
		l.trouble.Store(nil)
	}
}

func (l *link) currentTrouble() error {
	if err := l.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// passingErrors are answers of a Redis that may answer otherwise later, with nobody touching this program: it is loading,
// has lost its master or become a replica, moves slots, is busy, out of memory or out of disk, or has been given other
// passwords or permissions than ours, which somebody will mend.
var passingErrors = []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "MISCONF", "OOM",
	"NOREPLICAS", "NOAUTH", "WRONGPASS", "NOPERM", "NOSCRIPT", "UNBLOCKED", "max number of clients"}

// finalErrors are what this package concludes from answers.
var finalErrors = [...]error{journal.ErrClosed, journal.ErrFenced, journal.ErrDamaged, journal.ErrForeign, journal.ErrLocked, ErrDiverged}

// passing tells whether another attempt may succeed. Everything short of an answer is passing; of the answers those are
// that are known to be.
func passing(err error) bool {
	for _, final := range finalErrors {
		if errors.Is(err, final) {
			return false
		}
	}
	if !answered(err) {
		return true
	}
	for _, prefix := range passingErrors {
		if redis.HasErrorPrefix(err, prefix) || strings.Contains(err.Error(), "-"+prefix) {
			return true
		}
	}
	return false
}

// answered tells whether the error is one that Redis answered.
func answered(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// foreignType turns the complaint that a key holds something else into ErrForeign.
func foreignType(err error) error {
	if redis.HasErrorPrefix(err, "WRONGTYPE") || redis.HasErrorPrefix(err, "FOREIGN") {
		return fmt.Errorf("%w: %v", journal.ErrForeign, err)
	}
	return err
}

// ending is where the stream ends.
type ending struct {
	at     position
	leader string // what the leader's key holds
	newest id     // of the last entry of any type
}

// look reads where the stream ends, from the stream itself.
func (l *link) look(ctx context.Context, patience time.Duration) (ending, error) {
	reply, err := l.script(ctx, patience, lookScript, []string{l.stream, l.tail, l.leader})
	if err != nil {
		return ending{}, err
	}
	var e ending
	list, _ := reply.([]any)
	if len(list) != 3 {
		return e, fmt.Errorf("%w: Redis answered %v", journal.ErrForeign, reply)
	}
	text, _ := list[0].(string)
	e.leader, _ = list[1].(string)
	e.at, err = parsePosition(text)
	if newest, _ := list[2].(string); err == nil && newest != "" {
		e.newest, err = parseID(newest)
	}
	if err != nil {
		return e, fmt.Errorf("%w: %v", journal.ErrForeign, err)
	}
	return e, nil
}

// parseLeader splits what the leader's key holds. An empty value is nobody.
func parseLeader(value string) (claim position, address string, err error) {
	text, address, _ := strings.Cut(value, " ")
	claim, err = parsePosition(text)
	if err != nil {
		return claim, "", fmt.Errorf("%w: the leader's key holds %q", journal.ErrForeign, value)
	}
	return claim, address, nil
}
