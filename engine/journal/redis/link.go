package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
)

// link is a journal's connection to Redis: the client, the names of the keys, and how calls are made and retried. All
// methods may be called by any number of goroutines.
type link struct {
	client  redis.UniversalClient
	options Options

	stream, tail, leader, checkpoints, probeKey string // keys

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	calls  sync.WaitGroup // goroutines inside the client
	mu     sync.Mutex     // orders close and the beginning of calls

	troubles *troubles
	guard    *guard
}

func newLink(o Options) (*link, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	settings, err := parseAddress(o.Address)
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		if settings.TLSConfig == nil {
			return nil, fmt.Errorf("%w: TLS needs a rediss:// address", errAddress)
		}
		settings.TLSConfig = o.TLS
	}
	tag := "{seathold:" + o.Name + "}:"
	o.Log = o.Log.With("redis", Location(o.Address), "journal", o.Name)
	g := newGuard(o.RequireSafe)
	settings.OnConnect = g.opened
	l := &link{client: redis.NewUniversalClient(settings), options: o, troubles: newTroubles(o.Log), guard: g,
		stream: tag + "journal", tail: tag + "tail", leader: tag + "leader", checkpoints: tag + "checkpoints",
		probeKey: tag + "probe"}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

func (l *link) pieceKey(checkpoint string, piece int) string {
	return "{seathold:" + l.options.Name + "}:checkpoint:" + checkpoint + ":" + strconv.Itoa(piece)
}

// close ends all calls, which then return journal.ErrClosed, and waits for them.
func (l *link) close() error {
	l.mu.Lock()
	if l.ctx.Err() != nil {
		l.mu.Unlock()
		return nil
	}
	l.cancel()
	l.mu.Unlock()
	err := l.client.Close()
	l.calls.Wait()
	return err
}

// call makes one attempt. It returns as soon as ctx is cancelled or the link is closed, even while the client still
// waits for a response: the client obeys deadlines, but not a cancellation before the deadline. The memory that the
// command points to must then never be changed again, since the client may still be writing it.
func (l *link) call(ctx context.Context, timeout time.Duration, send func(context.Context) *redis.Cmd) (any, error) {
	l.mu.Lock()
	if l.ctx.Err() != nil {
		l.mu.Unlock()
		return nil, journal.ErrClosed
	}
	done := make(chan *redis.Cmd, 1)
	l.calls.Go(func() {
		attempt, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		done <- send(attempt)
	})
	l.mu.Unlock()
	select {
	case cmd := <-done:
		reply, err := cmd.Result()
		if isTimeout(err) && ctx.Err() == nil {
			err = fmt.Errorf("no response within %v: %w", timeout, err)
		}
		return reply, err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return (<-done).Result()
		}
		return nil, ctx.Err()
	case <-l.ctx.Done():
		return nil, journal.ErrClosed
	}
}

// run makes one attempt at a script. It sends the hash, and the source only if Redis does not have the script. Each has
// the whole timeout, unlike in redis.Script.Run.
func (l *link) run(ctx context.Context, timeout time.Duration, s *redis.Script, keys []string,
	args ...any) (any, error) {
	reply, err := l.call(ctx, timeout, func(ctx context.Context) *redis.Cmd {
		return s.EvalSha(ctx, l.client, keys, args...)
	})
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return l.call(ctx, timeout, func(ctx context.Context) *redis.Cmd { return s.Eval(ctx, l.client, keys, args...) })
	}
	return reply, err
}

// script retries a script until Redis responds. retryFor is as in attempts.
func (l *link) script(ctx context.Context, retryFor time.Duration, s *redis.Script, keys []string,
	args ...any) (any, error) {
	a := l.attempts(retryFor)
	for {
		reply, err := l.run(ctx, a.timeout, s, keys, args...)
		if err == nil {
			a.succeeded()
			return reply, nil
		}
		if err := a.backOff(ctx, err); err != nil {
			return nil, err
		}
	}
}

// read retries a command that changes nothing. A missing value is nil. retryFor is as in attempts, except that the time
// in which Redis loads its data does not count.
func (l *link) read(ctx context.Context, retryFor time.Duration, args ...any) (any, error) {
	a := l.attempts(retryFor)
	for {
		reply, err := l.call(ctx, a.timeout, func(ctx context.Context) *redis.Cmd { return l.client.Do(ctx, args...) })
		if err == nil || errors.Is(err, redis.Nil) {
			a.succeeded()
			return reply, nil
		}
		if retryFor > 0 && redis.HasErrorPrefix(err, "LOADING") {
			a.deadline = time.Now().Add(retryFor)
		}
		if err := a.backOff(ctx, err); err != nil {
			return nil, err
		}
	}
}

// readMap reads a hash, as HGETALL and CONFIG GET return it.
func readMap(reply any) map[string]string {
	list, _ := reply.([]any)
	all := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].(string)
		all[name], _ = list[i+1].(string)
	}
	return all
}

// streamEnd is where the stream ends.
type streamEnd struct {
	at     position
	leader string // value of the leader key
	newest id     // of the last entry of any type
}

// streamEnd reads the end of the stream itself and corrects the tail key. retryFor is as in attempts.
func (l *link) streamEnd(ctx context.Context, retryFor time.Duration) (streamEnd, error) {
	reply, err := l.script(ctx, retryFor, streamEndScript, []string{l.stream, l.tail, l.leader})
	if err != nil {
		return streamEnd{}, err
	}
	var e streamEnd
	list, _ := reply.([]any)
	if len(list) != 3 {
		return e, fmt.Errorf("%w: Redis returned %v", journal.ErrForeign, reply)
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

// readLeader reads the newest claim and the leader's address. retryFor is as in attempts.
func (l *link) readLeader(ctx context.Context, retryFor time.Duration) (claim position, address string, err error) {
	reply, err := l.read(ctx, retryFor, "get", l.leader)
	if err != nil {
		return position{}, "", err
	}
	text, _ := reply.(string)
	return parseLeader(text)
}

// parseLeader splits the value of the leader key. An empty value means that there was no leader yet.
func parseLeader(value string) (claim position, address string, err error) {
	text, address, _ := strings.Cut(value, " ")
	claim, err = parsePosition(text)
	if err != nil {
		return claim, "", fmt.Errorf("%w: the leader key holds %q", journal.ErrForeign, value)
	}
	return claim, address, nil
}
