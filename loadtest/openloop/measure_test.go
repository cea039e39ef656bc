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
