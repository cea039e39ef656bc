package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const printed = `goos: linux
BenchmarkCoreRatios/who=core/pools=spread/accounts=4000000/lines=3-2  1000000000  310.0 ns/op  3234567 ops/s  3000000 round1-ops/s  3234567 round2-ops/s  4000000 round3-ops/s
BenchmarkCoreRatios/who=mutex/pools=spread/accounts=4000000/lines=3-2  1000000000  1000 ns/op  1000000 ops/s  1000000 round1-ops/s  500000 round2-ops/s  2000000 round3-ops/s
BenchmarkCore/pools=spread/accounts=4000000/lines=3-4  1  300.0 ns/op  3100000 cycles/s  0 B/op  0 allocs/op
BenchmarkCore/call=reserve  1000000000  300.0 ns/op  3333333 ops/s  0 allocs/op  3000000 round1-ops/s  4000000 round2-ops/s
BenchmarkCore/call=confirm_again  1000000000  450.0 ns/op  2222222 ops/s  1.000 allocs/op  2000000 round1-ops/s  2000000 round2-ops/s
BenchmarkCore/call=confirm_again-4  1000000000  9.000 ns/op  111111111 ops/s  0 allocs/op
BenchmarkHTTP/who=fasthttp/call=reserve-2  1000000000  10000 ns/op  100000 ops/s  12.00 server-µs/op  8.000 client-µs/op  0 redis-µs/op
BenchmarkHTTP/who=seathold/journal=redis-always/call=pack/pools=spread-2  1000000000  12000 ns/op  80000 ops/s  20.00 server-µs/op  9.000 client-µs/op  1.500 redis-µs/op
BenchmarkHTTP/who=fasthttp-lua/redis=always/call=pack-2  1000000000  40000 ns/op  25000 ops/s
BenchmarkRefusals/refusal=sold_out-2  1000000000  900.0 ns/op  1100000 ops/s  1000000 round1-ops/s
BenchmarkRefusals/refusal=none-2  1000000000  3000 ns/op  333333 ops/s  250000 round1-ops/s
PASS
`

// TestTable: every figure is in the table with its target and the right verdict.
func TestTable(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	readme := write("README.md", "# Title\n\n<!-- bench -->\nold\n<!-- /bench -->\n\nrest\n")
	require.NoError(t, run([]string{
		"-benchmarks", write("bench.txt", printed), "-about", write("about.txt", "two cores\ncommit abc\n"), "-into", readme,
		"-rehearsal", write("rehearsal.json", `{"scale":1,"measured":{"seconds":61.5,"peak_bytes":2147483648}}`),
	}))
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "# Title\n\n<!-- bench -->\n- two cores\n- commit abc\n"+
		"- The client of the HTTP rows keeps 512 plain connections, 4 for batches, with one request at a time on each.\n\n"+
		"| what |"))
	require.True(t, strings.HasSuffix(string(text), "<!-- /bench -->\n\nrest\n"))
	for _, line := range []string{
		"| 3,230,000 cycles/s | one mutex around maps: 1,000,000 | 3.00 × | at least 3,000,000 cycles/s | reached |",
		"| 0 a cycle |  |  | 0 a cycle | reached |",
		"| 80,000 requests/s | fasthttp + go-redis + Lua: 25,000 | 3.20 × | at least 5.00 × " +
			"| not reached; bare fasthttp has 4.00 × |",
		"| 900 ns | selling one: 3,000 | 0.25 × | at most 0.20 × | not reached |",
		"| core, one call at a time on six tickets in three pools, 4 million accounts: reserve | 300 ns, 0 allocations " +
			"|  |  |  |  |",
		"| the same: confirm again | 450 ns, 1.00 allocations | reserve: 300 | 1.75 × |  |  |",
		"| 61.5 s |  |  | at most 60.0 s | not reached |",
		"| 2.00 GiB |  |  | at most 3.00 GiB | reached |",
		"| fasthttp returning as many bytes | 12.0 | 8.00 | 0 | 20.0 |",
		"| a pack, journal in Redis, `always` | 20.0 | 9.00 | 1.50 | 30.5 |",
		"| restart with 3 million reservations, journal in files | | | | at most 5.00 s | not measured |",
	} {
		require.Contains(t, string(text), line)
	}
	again, err := insert(text, "new\n")
	require.NoError(t, err)
	require.Equal(t, "# Title\n\n<!-- bench -->\nnew\n<!-- /bench -->\n\nrest\n", string(again))
}

// TestProcessors: the sentence under the second table computes what a target leaves.
func TestProcessors(t *testing.T) {
	r, err := parse(printed)
	require.NoError(t, err)
	require.Contains(t, processors(r, 2),
		"Five times the scripts' 25,000 requests/s leave 16.0 µs of 2 processors for each request. "+
			"The load generator and Redis take 10.5 of it, fasthttp itself 12.0: −6.50 is")
	require.Contains(t, processors(r, 4), "32.0 µs of 4 processors for each request. "+
		"The load generator and Redis take 10.5 of it, fasthttp itself 12.0: 9.50 is")
	require.Empty(t, processors(results{}, 2))
}

// TestFaults: failed measurements are rejected, and so is a file with broken markers.
func TestFaults(t *testing.T) {
	_, err := parse(printed + "--- FAIL: BenchmarkHTTP\n")
	require.Error(t, err)
	_, err = parse("BenchmarkX-2 1 many ops/s\n")
	require.Error(t, err)
	for _, file := range []string{"<!-- bench -->", "<!-- /bench --> <!-- bench -->",
		"<!-- bench --><!-- bench --><!-- /bench -->"} {
		_, err := insert([]byte(file), "x")
		require.Error(t, err, file)
	}
	appended, err := insert([]byte("text\n"), "x\n")
	require.NoError(t, err)
	require.Equal(t, "text\n\n<!-- bench -->\nx\n<!-- /bench -->\n", string(appended))
}

// TestRowsAreMeasured: bench_test.go has every benchmark that a row names.
func TestRowsAreMeasured(t *testing.T) {
	source, err := os.ReadFile("../../../bench_test.go")
	require.NoError(t, err)
	for _, w := range append(targets(), others()...) {
		figures := []figure{w.figure, w.beside}
		for _, b := range w.bounds {
			figures = append(figures, b.figure)
		}
		for _, f := range figures {
			if name, _, _ := strings.Cut(f.name, "/"); name != "" && name != "Rehearsal" {
				require.Contains(t, string(source), "func Benchmark"+name+"(", f.name)
			}
		}
	}
}

func TestRounded(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 0.0123: "0.012", 1.234: "1.23", 12.34: "12.3", 999.6: "1,000",
		1234: "1,230", 99_960: "100,000", 1_234_567: "1,230,000"} {
		require.Equal(t, want, rounded(value))
	}
}

// TestRatio: figures that were measured in turn are compared round by round, and of costs the inverse.
func TestRatio(t *testing.T) {
	r := results{
		"a": {"ops/s": 7, "ns/op": 1e9 / 7, "round1-ops/s": 2, "round2-ops/s": 100, "round3-ops/s": 9},
		"b": {"ops/s": 3, "ns/op": 1e9 / 3, "round1-ops/s": 1, "round2-ops/s": 10, "round3-ops/s": 3},
		"c": {"ops/s": 14},
	}
	require.InDelta(t, 3, r.ratio(ops("a"), ops("b")), 1e-9, "the median of 2, 10 and 3")
	require.InDelta(t, 1.0/3, r.ratio(cost("a"), cost("b")), 1e-9)
	require.InDelta(t, 0.5, r.ratio(ops("a"), ops("c")), 1e-9, "without rounds the ratio of the figures")
}

// TestParse: names, processors, units, and the last of several runs.
func TestParse(t *testing.T) {
	r, err := parse("BenchmarkA/k=v-4 1 2.5 ns/op 8 ops/s\nBenchmarkA/k=v-2 1 7 ns/op\nBenchmarkB 1 1 x\nok  pkg 1s\n")
	require.NoError(t, err)
	require.Equal(t, results{
		"A/k=v": {"ns/op": 7}, "A/k=v procs=4": {"ns/op": 2.5, "ops/s": 8}, "A/k=v procs=2": {"ns/op": 7},
		"B": {"x": 1}, "B procs=1": {"x": 1},
	}, r)
}

// TestTargetsWithoutFigures: a row whose figure, or the figure to compare with, was not measured has no verdict.
func TestTargetsWithoutFigures(t *testing.T) {
	w := row{what: "w", figure: ops("a"), shown: "ops/s", beside: ops("b"), against: "b", atLeast: 2, ratio: true}
	require.Equal(t, "| w | | | | at least 2.00 × | not measured |\n", w.render(results{}))
	require.Equal(t, "| w | 5.00 ops/s | b | | at least 2.00 × | not compared |\n", w.render(results{"a": {"ops/s": 5}}))
	w.atLeast = 0
	require.Empty(t, w.render(results{}), "a row without a target disappears")
}
