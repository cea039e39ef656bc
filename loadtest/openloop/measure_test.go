package main

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestProcessorTime: the time of a process that works grows, and an unknown process has none.
func TestProcessorTime(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processor times are read from /proc")
	}
	before := processorTime(os.Getpid())
	require.Eventually(t, func() bool {
		for began := time.Now(); time.Since(began) < time.Millisecond; {
		}
		return processorTime(os.Getpid()) > before
	}, time.Minute, time.Microsecond)
	require.Zero(t, processorTime(0))
}

// Merged measurements have the figures of one that counted both loads.
func TestMergedMeasurements(t *testing.T) {
	measured := func(seconds, cpu float64, answers int) *measurement {
		m := &measurement{Seconds: seconds, ServerCPU: cpu, Offered: 2 * answers, lags: newHistogram(), total: newTally()}
		m.total.to = time.Hour
		for i := range answers {
			at := time.Duration(i) * time.Millisecond
			m.total.answer(sent{kind: reserving, counted: true}, at, 201, nil)
			m.total.answer(sent{kind: confirming, counted: true, scheduled: at}, at+time.Millisecond, 200, nil)
			m.total.answer(sent{kind: reserving, counted: true}, at, 503, nil)
			m.total.answer(sent{kind: reserving, counted: true}, at, 409, []byte(`{"code":"sold_out"}`))
			m.total.answer(sent{kind: reserving}, 2*time.Hour, 201, nil) // after the measured time
		}
		m.conclude()
		return m
	}
	m := measured(1, 1, 10)
	m.add(measured(3, 0.2, 30))
	both := measured(4, 0.4, 0)
	for range 2 {
		require.Equal(t, 10.0, m.Goodput)
		require.InDelta(t, both.ServerCPU, m.ServerCPU, 1e-9)
		require.Equal(t, map[string]map[string]int{"confirm": {"ok": 40},
			"reserve": {"ok": 40, "overloaded": 40, "sold_out": 40}}, m.Results)
		require.Equal(t, 80, m.refusals())
		require.EqualValues(t, 80, m.Accepted.Count)
		require.EqualValues(t, 40, m.ByCall["confirm"].Count)
		require.InDelta(t, 1, m.ByCall["confirm"].P99, 0.01)
		require.Equal(t, 80, m.Offered)
		m.conclude() // changes nothing
	}
}

// Durations outside the range of a histogram are counted at its ends.
func TestRecordCountsEveryDuration(t *testing.T) {
	h := newHistogram()
	for _, d := range []time.Duration{-time.Second, 0, time.Millisecond, time.Hour} {
		record(h, d)
	}
	s := spreadOf(h)
	require.EqualValues(t, 4, s.Count)
	require.InEpsilon(t, 120_000, s.Most, 1e-3)
}
