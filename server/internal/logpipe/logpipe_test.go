package logpipe

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func report(n uint64) []byte { return fmt.Appendf(nil, "dropped %d\n", n) }

// stalled is a writer whose reader does not read until it is released.
type stalled struct {
	entered, release chan struct{}
	text             strings.Builder
}

func (s *stalled) Write(p []byte) (int, error) {
	s.entered <- struct{}{}
	<-s.release
	return s.text.Write(p)
}

// A stalled reader makes no caller wait. Lines that do not fit are dropped whole, counted, and reported in their place.
func TestStalledReader(t *testing.T) {
	out := &stalled{entered: make(chan struct{}), release: make(chan struct{})}
	p := New(out, 30, report)
	write := func(line string) {
		n, err := p.Write([]byte(line))
		require.NoError(t, err)
		require.Equal(t, len(line), n)
	}
	write("first\n")
	<-out.entered // the writer is stuck with the first line
	for i := range 10 {
		write(fmt.Sprintf("line number %d\n", i)) // 14 bytes: two fit
	}
	require.EqualValues(t, 8, p.Dropped())
	require.False(t, p.Close(time.Millisecond), "it is stuck")
	out.release <- struct{}{}
	<-out.entered
	out.release <- struct{}{}
	require.False(t, p.Close(time.Minute), "eight were dropped")
	require.Equal(t, "first\nline number 0\nline number 1\ndropped 8\n", out.text.String())
}

// A pipe passes every line on, whole and in the order of each caller.
func TestConcurrentLines(t *testing.T) {
	const callers, each = 4, 1000
	var text strings.Builder
	p := New(&text, 1<<20, report)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				_, _ = fmt.Fprintf(p, "%d %d\n", c, i)
			}
		})
	}
	all.Wait()
	require.True(t, p.Close(time.Minute))
	var next [callers]int
	for line := range strings.Lines(text.String()) {
		var c, i int
		_, err := fmt.Sscanf(line, "%d %d\n", &c, &i)
		require.NoError(t, err, line)
		require.Equal(t, next[c], i)
		next[c]++
	}
	require.Equal(t, [callers]int{each, each, each, each}, next)
}

// filled is a file on a disk that is full until there is room again. It accepts a part of what exceeds it.
type filled struct {
	mu   sync.Mutex
	room int
	text []byte
}

func (f *filled) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(p), f.room)
	f.text, f.room = append(f.text, p[:n]...), f.room-n
	if n < len(p) {
		return n, errors.New("no space left")
	}
	return n, nil
}

func (f *filled) free(room int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = room
}

// Lines that the writer does not accept are counted as dropped, and reported once it accepts some again. Meanwhile the
// pipe does not try again by itself.
func TestFailedWritesAreCounted(t *testing.T) {
	out := &filled{room: len("line 0\nli")}
	p := New(out, 1000, report)
	line := func(i int) {
		_, err := fmt.Fprintf(p, "line %d\n", i)
		require.NoError(t, err)
	}
	dropped := func(n uint64) {
		require.Eventually(t, func() bool { return p.Dropped() == n }, time.Minute, time.Millisecond, "%d", n)
	}
	line(0)
	for i := range 3 {
		line(i + 1)
		dropped(uint64(i + 1))
	}
	out.free(1000)
	line(4)
	require.False(t, p.Close(time.Minute))
	require.Equal(t, "line 0\nlidropped 3\nline 4\n", string(out.text))
	require.EqualValues(t, 3, p.Dropped())
}

// A writer that fails does not end the pipe, and Close reports it.
func TestBrokenWriter(t *testing.T) {
	p := New(&filled{}, 100, report)
	_, err := io.WriteString(p, "line\n")
	require.NoError(t, err)
	require.False(t, p.Close(time.Minute))
	require.EqualValues(t, 1, p.Dropped())
	_, err = io.WriteString(p, "late\n")
	require.Error(t, err, "after Close it writes directly")
}
