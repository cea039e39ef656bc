package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reportOf reads the report that a part wrote, and requires that its rows come into a page.
func reportOf(t *testing.T, name, path string) partReport {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var r partReport
	require.NoError(t, json.Unmarshal(text, &r))
	require.NotEmpty(t, r.Rows)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".json"), text, 0o600))
	page := filepath.Join(dir, "page.md")
	require.NoError(t, os.WriteFile(page, []byte(beginMarker+endMarker), 0o600))
	require.NoError(t, (&tableCommand{Reports: dir, Into: page}).Run())
	table, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, row := range r.Rows {
		require.Contains(t, string(table), row.String())
	}
	return r
}

// needsLinux skips a test that needs source addresses.
func needsLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("source addresses need Linux")
	}
}

// A storm is answered, and the report has the first sale and the sales of each second.
func TestStorm(t *testing.T) {
	needsLinux(t)
	secure, ca := certificates(t)
	_, url := realServer(t, secure)
	report := filepath.Join(t.TempDir(), "storm.json")
	c := stormCommand{Target: target{URL: url, CA: ca, Sources: 4, Quantity: 1}, Connections: 200,
		Within: 200 * time.Millisecond, Seed: 1, Quick: true, Report: report}
	growing(t, 2*time.Second, func(time.Duration) bool {
		err := c.Run(t.Context())
		if err != nil {
			require.ErrorIs(t, err, errNothingSold)
		}
		return err == nil
	})
	r := reportOf(t, "storm", report)
	require.Regexp(t, `^20 connections that come in 200ms and buy \(TLS 1.3, .*\): the first sale$`, r.Rows[0].What)
	require.Regexp(t, `^\d+ ms$`, r.Rows[0].Figure)
	require.Regexp(t, `^[\d,]+, [\d,]+$`, r.Rows[1].Figure)
	m := r.Loads["storm"][0]
	require.Equal(t, 20, m.Handshakes)
	require.True(t, m.Prepared)
	require.Len(t, m.Course, 2)
	require.Positive(t, m.Course[0].Handshakes+m.Course[1].Handshakes)
}

// A storm is compared with the capacity from its second second on, and with the goal for its first sale.
func TestStormGoals(t *testing.T) {
	c := stormCommand{Connections: 10, Within: time.Second}
	for _, is := range []struct {
		sales       []int
		first       time.Duration
		early, half bool
	}{
		{[]int{0, 500, 600}, 199 * time.Millisecond, true, true},
		{[]int{900, 499, 600}, 200 * time.Millisecond, false, false},
		{[]int{0, 0, 0}, 0, false, false},
	} {
		total := newCounts(window{0, 3 * time.Second})
		total.sales = is.sales
		for _, n := range is.sales {
			total.sold += n
		}
		r := c.report(&measurement{}, total, is.first, 1000)
		require.Equal(t, is.early, r.Rows[0].Met)
		require.Equal(t, is.half, r.Rows[1].Met)
	}
}

// Polite buyers are measured alone and beside a greedy caller in a process of its own.
func TestGreedy(t *testing.T) {
	needsLinux(t)
	_, url := realServer(t, nil)
	report := filepath.Join(t.TempDir(), "greedy.json")
	c := greedyCommand{Target: target{URL: url, Sources: 1, Quantity: 1}, Polite: 50, Connections: 200,
		Count: 1500 * time.Millisecond, Seed: 1, Quick: true, Report: report}
	var r partReport
	growing(t, c.Count, func(d time.Duration) bool {
		c.Count = d
		require.NoError(t, c.Run(t.Context()))
		r = reportOf(t, "greedy", report)
		return r.Beside["greedy"].Results["confirm ok"] > 0 && r.Loads["alone"][0].Goodput > 0 &&
			r.Loads["beside"][0].Goodput > 0
	})
	require.Contains(t, r.Rows[0].What, "5 polite buyers beside one caller with 20 connections")
}

// Slow clients keep the server waiting for their bytes, or for room for its own, and buyers are served meanwhile.
func TestSlow(t *testing.T) {
	needsLinux(t)
	for _, kind := range []string{"senders", "readers"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			_, url := realServer(t, nil)
			report := filepath.Join(t.TempDir(), kind+".json")
			c := slowCommand{Kind: kind, Target: target{URL: url, Sources: 4, Quantity: 1, ServerPID: os.Getpid()},
				Connections: 200, Buyers: 2, Count: 1500 * time.Millisecond, MaxBuffered: 1, Seed: 1, Quick: true, Report: report}
			var r partReport
			growing(t, c.Count, func(d time.Duration) bool {
				c.Count = d
				require.NoError(t, c.Run(t.Context()))
				r = reportOf(t, kind, report)
				return r.Loads["beside"][0].Goodput > 0
			})
			require.True(t, strings.HasPrefix(r.Rows[0].What, "20 clients that "), r.Rows[0].What)
			require.Regexp(t, `^\d+ MiB$`, r.Rows[0].Figure)
			require.NotEqual(t, "before: 0 MiB", r.Rows[0].Beside)
			require.Equal(t, 20, r.Beside[kind].Results[untilTheEnd], "%v", r.Beside)
		})
	}
}

// Pollers read the list again and again, and buyers are served meanwhile.
func TestPoll(t *testing.T) {
	needsLinux(t)
	_, url := realServer(t, nil)
	report := filepath.Join(t.TempDir(), "poll.json")
	c := pollCommand{Target: target{URL: url, Sources: 4, Quantity: 1}, Pollers: 50, Every: 50 * time.Millisecond,
		Path: "/v1/sessions", Buyers: 20, Count: 2 * time.Second, Seed: 1, Quick: true, Report: report}
	var r partReport
	growing(t, c.Count, func(d time.Duration) bool {
		c.Count = d
		require.NoError(t, c.Run(t.Context()))
		r = reportOf(t, "poll", report)
		answers := r.Beside["poll"].Results
		return answers["ok"]+answers["not modified"] > 5 && r.Loads["beside"][0].Goodput > 0
	})
	require.Contains(t, r.Rows[0].What, "2 buyers beside 5 clients that poll /v1/sessions each 50ms")
	require.Positive(t, r.Beside["poll"].Bytes)
}

// A client beside that cannot start is an error.
func TestBesideThatCannotStart(t *testing.T) {
	tt := &target{URL: "http://127.0.0.1:1", Sources: 1}
	_, err := startBeside(t.Context(), "buy", tt, crowd{Connections: 1})
	require.ErrorContains(t, err, "did not start")
}

// The script starts the servers of a part, and verifies their journals.
func TestScript(t *testing.T) {
	needsLinux(t)
	command := exec.CommandContext(t.Context(), "scripts/load", "storm", "--short")
	command.Dir = "../.."
	command.Env = append(os.Environ(), "REPORTS="+t.TempDir())
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "800 connections that come in 1s and buy (TLS 1.3")
	require.Contains(t, string(out), "I1, I2, I3 and I6 hold after every record")
}
