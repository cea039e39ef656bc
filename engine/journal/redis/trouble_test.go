package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

const (
	failedLine    = "has failed and is retried"
	succeededLine = "succeed again"
)

// TestTroublesAreLoggedOnChange requires one line when calls begin to fail, one when the failure changes, one when all
// of them succeed again, and silence while Redis comes and goes.
func TestTroublesAreLoggedOnChange(t *testing.T) {
	var log logBuffer
	now := time.Now()
	ts := newTroubles(log.logger())
	ts.now = func() time.Time { return now }
	lines := func(failed, succeeded int) {
		t.Helper()
		require.Equal(t, []int{failed, succeeded}, []int{log.count(failedLine), log.count(succeededLine)}, log.String())
	}
	refused, timeout := errors.New("refused"), error(timeoutError{})
	ts.succeeded(0)
	require.NoError(t, ts.cause())
	call := ts.failed(0, refused)
	for range 100 {
		require.Equal(t, call, ts.failed(call, refused))
	}
	lines(1, 0)
	require.Equal(t, refused, ts.cause())
	other := ts.failed(0, timeout)
	lines(1, 0) // too soon
	now = now.Add(quietTime)
	ts.failed(other, timeout)
	lines(2, 0)
	ts.succeeded(0) // a call that never failed, while others do
	ts.succeeded(call)
	lines(2, 0)
	require.Error(t, ts.cause())
	ts.gaveUp(other)
	require.NoError(t, ts.cause())
	lines(2, 0)
	ts.succeeded(0) // the first success after all others have given up
	lines(2, 1)
	for range 10 { // comes and goes
		ts.succeeded(ts.failed(0, refused))
	}
	lines(2, 1)
	now = now.Add(quietTime)
	ts.succeeded(ts.failed(0, refused))
	lines(3, 2)
	require.EqualValues(t, 1+100+1+1+10+1, ts.retries.Load())
}

type timeoutError struct{}

func (timeoutError) Error() string { return "timed out" }
func (timeoutError) Timeout() bool { return true }

// TestTroubleIsVisible requires that an append which is retried has its reason in Condition and in the log, while other
// calls to the same Redis succeed, and that the end is logged.
func TestTroubleIsVisible(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begin, end []any
		text       string
		timeout    time.Duration
	}{
		"OOM": {[]any{"config", "set", "maxmemory", "1"}, []any{"config", "set", "maxmemory", "0"},
			"OOM command not allowed", time.Minute},
		"timeout": {[]any{"client", "pause", "60000", "write"}, []any{"client", "unpause"}, "no response within",
			20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t) // of its own, since the trouble is of the whole server
			var log logBuffer
			j := claimed(t, Options{Address: s.URL(), CheckEvery: -1, Log: log.logger()})
			j.link.options.Timeout = c.timeout
			do(t, s, c.begin...)
			waiting := startAppend(j, testGroup(1, 5))
			until(t, "the trouble is visible", func() bool { return j.Condition().Retrying != nil })
			until(t, "other calls succeed", func() bool { return j.link.inspect(t.Context()) == nil })
			until(t, "it is retried", func() bool { return j.Condition().Retries > 3 })
			require.ErrorContains(t, j.Status().Retrying, c.text)
			waiting.held(t)
			do(t, s, c.end...)
			require.NoError(t, <-waiting.done)
			require.NoError(t, j.Condition().Retrying)
			require.Equal(t, []int{1, 1}, []int{log.count(failedLine), log.count(succeededLine)}, log.String())
			require.Equal(t, 1, log.count("kind="+name), log.String())
		})
	}
}

// TestFailedBeatIsVisible requires that a beat that fails is a trouble, which the next beat or group ends.
func TestFailedBeatIsVisible(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var log logBuffer
	j := claimed(t, Options{Address: s.URL(), Timeout: 50 * time.Millisecond, Log: log.logger()})
	for i, recover := range []func() error{
		func() error { return j.Beat(t.Context()) },
		func() error { return j.Append(t.Context(), testGroup(1, 5)) },
	} {
		j.link.troubles.mu.Lock()
		j.link.troubles.now = func() time.Time { return time.Now().Add(time.Duration(i) * time.Minute) }
		j.link.troubles.mu.Unlock()
		s.Kill()
		require.NoError(t, j.Beat(t.Context()))
		require.Error(t, j.Condition().Retrying)
		s.Restart()
		require.NoError(t, recover())
		require.NoError(t, j.Condition().Retrying)
	}
	require.Equal(t, []int{2, 2}, []int{log.count(failedLine), log.count(succeededLine)}, log.String())
}

// TestResentEntriesAreVisible requires a log line for the entries that Redis had lost, in appends and in beats.
func TestResentEntriesAreVisible(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var log logBuffer
	j := claimed(t, Options{Address: s.URL(), Log: log.logger()})
	require.NoError(t, j.Append(t.Context(), testGroup(1, 5)))
	require.NoError(t, j.link.client.FlushAll(t.Context()).Err())
	require.NoError(t, j.Append(t.Context(), testGroup(6, 5)))
	require.EqualValues(t, 2, j.Condition().Resent, "the claim and a group")
	require.Equal(t, 1, log.count("lost entries"), log.String())
	require.NoError(t, j.link.client.FlushAll(t.Context()).Err())
	require.NoError(t, j.Beat(t.Context()))
	require.EqualValues(t, 5, j.Condition().Resent, "the claim and two groups")
	require.Equal(t, 2, log.count("lost entries"), log.String())
}

// TestCallsAtTheStartEnd requires that the calls of a start are retried until their time is over, and end at once when
// Redis denies access.
func TestCallsAtTheStartEnd(t *testing.T) {
	t.Parallel()
	j := openAt(t, "redis://127.0.0.1:1")
	refused := errors.New("refused")
	a := j.link.attempts(time.Minute)
	require.NoError(t, a.backOff(t.Context(), refused))
	require.Equal(t, refused, j.Condition().Retrying)
	a.deadline = time.Now().Add(-time.Second)
	err := a.backOff(t.Context(), refused)
	require.ErrorIs(t, err, refused)
	require.ErrorContains(t, err, "repeated for 1m0s")
	require.NoError(t, j.Condition().Retrying, "it is not retried any more")

	s := redistest.Start(t, append([]string{"--requirepass", "secret"}, redistest.Durable...)...)
	_, err = openAt(t, s.URL()).Check(t.Context())
	require.ErrorContains(t, err, "NOAUTH")
}

// TestTroubleOfFollower requires that a follower shows that its Redis does not respond, and continues afterwards.
func TestTroubleOfFollower(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := Options{Address: s.URL(), Name: freshName()}
	leader := claimed(t, o)
	require.NoError(t, leader.Append(t.Context(), testGroup(1, 5)))
	var log logBuffer
	o.Log = log.logger()
	f := startFollower(t, o, time.Hour)
	until(t, "it follows", func() bool { return f.journal.Status().Last == 5 })
	s.Kill()
	until(t, "the trouble is visible", func() bool { return f.journal.Condition().Retrying != nil })
	s.Restart()
	require.NoError(t, leader.Append(t.Context(), testGroup(6, 5)))
	until(t, "it follows again", func() bool { return f.journal.Status().Last == 10 })
	require.NoError(t, f.journal.Condition().Retrying)
	require.Equal(t, []int{1, 1}, []int{log.count(failedLine), log.count(succeededLine)}, log.String())
}
