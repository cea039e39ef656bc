package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/engine/rehearsal"
)

func TestRehearse(t *testing.T) {
	t.Chdir(t.TempDir())
	var stdout, stderr bytes.Buffer
	args := []string{"rehearse", "--scale", "0.001", "--workers", "1", "--json", "report.json"}
	require.Equal(t, exitDone, run(args, &process{stdout: &stdout, stderr: &stderr}), "%s", stderr.String())
	require.Contains(t, stdout.String(), "audit    clean")
	require.Contains(t, stderr.String(), "draw1 entries")
	text, err := os.ReadFile("report.json")
	require.NoError(t, err)
	var report rehearsal.Report
	require.NoError(t, json.Unmarshal(text, &report))
	require.True(t, report.Clean())
	require.NotZero(t, report.Audit.Records)
	require.Equal(t, report.Places.Offered, report.Places.Sold)
	left, err := filepath.Glob("*")
	require.NoError(t, err)
	require.Equal(t, []string{"report.json"}, left, "its own journal is removed")
}

// A rehearsal's journal is kept where --data says, and verify finds it as sound as the rehearsal did.
func TestRehearseKeepsTheJournalInData(t *testing.T) {
	other := absolute(t, "../testdata/sale")
	t.Chdir(t.TempDir())
	var stdout, stderr bytes.Buffer
	args := []string{"rehearse", "--scale", "0.001", "--data", "kept"}
	require.Equal(t, exitDone, run(args, &process{stdout: &stdout, stderr: &stderr}), "%s", stderr.String())
	require.DirExists(t, "kept")
	stderr.Reset()
	require.Equal(t, exitFailed, run(args, &process{stdout: &stdout, stderr: &stderr}))
	require.Contains(t, stderr.String(), "not empty")

	// The journal says itself what it is judged by: a thousandth of the places of Paris 2024.
	verify := func(more ...string) (code int) {
		stdout.Reset()
		stderr.Reset()
		return run(append([]string{"verify", "--data", "kept"}, more...), &process{stdout: &stdout, stderr: &stderr})
	}
	const differs = "is not that of --sale"
	require.Equal(t, exitDone, verify(), "%s%s", stdout.String(), stderr.String())
	require.Contains(t, stdout.String(), "sale          paris2024, definitions in force so far: 1, digest of the last: ")
	require.NotContains(t, stdout.String(), differs)
	require.Equal(t, exitDone, verify("--sale", "paris2024"), "%s%s", stdout.String(), stderr.String())
	require.Contains(t, stdout.String(), differs)
	require.Contains(t, stdout.String(), "I1, I2, I3 and I6 hold after every record")
	require.Equal(t, exitFailed, verify("--sale", other))
	require.Contains(t, stderr.String(), `the journal belongs to the sale "paris2024", not to "games"`)
}

func TestRehearseOnRedis(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"rehearse", "--scale", "0.001", "--redis", redistest.Start(t).URL()}
	require.Equal(t, exitDone, run(args, &process{stdout: &stdout, stderr: &stderr}), "%s", stderr.String())
	require.Contains(t, stdout.String(), "audit    clean")
	require.Contains(t, stderr.String(), "the journal is named rehearsal-")
}

func TestRehearseRefusesWrongUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	signalled := make(chan os.Signal, 1)
	signalled <- syscall.SIGTERM
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "--scale 2 is not from 0.001 to 1", []string{"--scale", "2"}},
		{exitUsage, "--workers -1 is negative", []string{"--workers=-1"}},
		{exitUsage, "--durability none keeps no journal", []string{"--durability", "none", "--data", "x"}},
		{exitUsage, "--data and --redis exclude each other", []string{"--data", "x", "--redis", "y"}},
		{exitFailed, "sale definition", []string{"--sale", "/nowhere"}},
		{exitFailed, "ended by a signal", []string{"--scale", "0.1"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			p := &process{stdout: &stdout, stderr: &stderr, signals: signalled}
			require.Equal(t, c.code, run(append([]string{"rehearse"}, c.args...), p))
			require.Contains(t, stderr.String(), c.want)
			require.Empty(t, stdout.String())
		})
	}
	left, err := filepath.Glob("*")
	require.NoError(t, err)
	require.Empty(t, left)
}
