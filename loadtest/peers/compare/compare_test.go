package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rounds writes what the rounds of two benchmarks print, and returns the file.
func rounds(t *testing.T, one, three []float64) string {
	var b strings.Builder
	for i := range one {
		fmt.Fprintf(&b, "goos: linux\nBenchmarkCore/pools=hot/lines=1 \t 1\t %.1f ns/op\t 3361194 cycles/s\t 0 allocs/op\n"+
			"BenchmarkCore/pools=hot/lines=3 \t 1\t %.1f ns/op\t 146 B/op\nPASS\n", one[i], three[i])
	}
	path := filepath.Join(t.TempDir(), "rounds.txt")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// series returns n costs, the first one last, that grow by step.
func series(first, step float64, n int) (all []float64) {
	for i := range n {
		all = append(all, first+step*float64(n-1-i))
	}
	return all
}

// TestCompare checks the table of twenty rounds, and that the ratio of 10th percentiles decides.
func TestCompare(t *testing.T) {
	before := rounds(t, series(100, 1, 20), series(200, 0.1, 20))
	after := rounds(t, series(104, 1, 20), series(208, 0.1, 20))
	out, err := run([]string{before, after})
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(`
ns/op                   before p10  min    after p10  min    ratio p10  min    rounds        noise before  after
Core/pools=hot/lines=1  102.0       100.0  106.0      104.0  1.039      1.040  1.03 to 1.04  1.08          1.08
Core/pools=hot/lines=3  200.2       200.0  208.2      208.0  1.040      1.040  1.04 to 1.04  1.00          1.00

p10: 10th percentile of 20 rounds. rounds: ratios of single rounds, p10 to p90. noise: p50 / p10.
No cost is more than 1.05 times that before.
`, "\n"), out)

	_, err = run([]string{"-limit", "1.0395", before, after})
	require.EqualError(t, err, "costs more than 1.0395 times as much as before: Core/pools=hot/lines=3 (1.040)")

	out, err = run([]string{before, rounds(t, series(94, 4, 20), series(200, 0, 20))})
	require.NoError(t, err)
	require.Contains(t, out, "The machine was not idle: p50 is up to 1.31 times p10.")
}

// TestIncomparable checks that a benchmark that one side lacks, or has less often, does not pass unseen.
func TestIncomparable(t *testing.T) {
	full := rounds(t, series(100, 1, 3), series(200, 1, 3))
	part := filepath.Join(t.TempDir(), "part.txt")
	lines := strings.SplitAfter(string(must(os.ReadFile(full))(t)), "\n")
	require.NoError(t, os.WriteFile(part, []byte(lines[1]), 0o600))
	none := filepath.Join(t.TempDir(), "none.txt")
	require.NoError(t, os.WriteFile(none, []byte("PASS\n"), 0o600))
	once := rounds(t, series(100, 1, 1), series(200, 1, 1))
	for want, sides := range map[string][]string{
		"lines=1 has 3 rounds before and 1 after": {full, once},
		"lines=3 has 1 rounds before and 0 after": {once, part},
		"lines=3 has no rounds before":            {part, once},
		"no benchmark was measured":               {none, full},
		"name two files":                          {full},
	} {
		_, err := run(sides)
		require.ErrorContains(t, err, want)
	}
}

// TestScript runs scripts/compare with the revision that is checked out: a round passes unless the limit is tiny, and
// what cannot be compared is refused. In no case are files left.
func TestScript(t *testing.T) {
	if exec.CommandContext(t.Context(), "git", "rev-parse", "HEAD").Run() != nil {
		t.Skip("needs a git repository")
	}
	files := t.TempDir()
	script := func(code int, revision string, env ...string) string {
		command := exec.CommandContext(t.Context(), "../../../scripts/compare", revision)
		command.Env = append(append(os.Environ(), "ROUNDS=1", "TMPDIR="+files), env...)
		out, err := command.CombinedOutput()
		var exit *exec.ExitError
		if code != 0 {
			require.ErrorAs(t, err, &exit, "%s", out)
			require.Equal(t, code, exit.ExitCode(), "%s", out)
		} else {
			require.NoError(t, err, "%s", out)
		}
		require.Empty(t, must(os.ReadDir(files))(t))
		return string(out)
	}
	out := script(0, "HEAD", "LIMIT=1000")
	for _, demand := range []string{"spread", "hot"} {
		for _, lines := range []int{1, 3} {
			require.Regexp(t, fmt.Sprintf(`(?m)^Core/pools=%s/accounts=\d+/lines=%d +\d`, demand, lines), out)
		}
	}
	require.NotContains(t, out, "zipf")
	require.Contains(t, script(1, "HEAD", "LIMIT=0.001"), "costs more than 0.001 times as much")
	require.Contains(t, script(1, "no-such-revision"), "no-such-revision is no revision")
	require.Contains(t, script(2, "HEAD", "ROUNDS=none"), "scripts/compare REVISION")
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		require.NoError(t, err)
		return value
	}
}
