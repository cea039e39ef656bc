// Command compare compares the rounds of benchmarks that scripts/compare ran in turn at two revisions. It prints a row
// for each benchmark, and fails if one costs more than the limit allows.
//
// benchstat compares medians, and tells whether they differ. Here the question is by how much the cost itself has
// grown, on a machine that others use: what they do only ever adds to a cost, so low percentiles are compared.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	report, err := run(os.Args[1:])
	fmt.Print(report)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// run returns the table and the verdict on two files. There is an error as well if a cost is above the limit.
func run(args []string) (report string, err error) {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	limit := flags.Float64("limit", 1.05, "the highest ratio of costs, after to before, that is no failure")
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if flags.NArg() != 2 {
		return "", errors.New("name two files: the output of the benchmarks before, and after")
	}
	before, err := read(flags.Arg(0))
	if err != nil {
		return "", err
	}
	after, err := read(flags.Arg(1))
	if err != nil {
		return "", err
	}
	rows, err := compare(before, after)
	if err != nil {
		return "", err
	}
	report, err = table(rows)
	if err != nil {
		return "", err
	}
	verdict, err := judge(rows, *limit)
	return report + verdict, err
}

// costs are those of one benchmark, in ns/op, in the order of the rounds.
type costs []float64

// percentile returns the value that p percent of the costs are below; the lowest one if there are few.
func (c costs) percentile(p int) float64 {
	return slices.Sorted(slices.Values(c))[p*len(c)/100]
}

// noise is how much more a cost in the middle is than a low one. On an idle machine it is hardly above 1.
func (c costs) noise() float64 { return c.percentile(50) / c.percentile(10) }

// results are the costs of all benchmarks, and their names in order.
type results struct {
	names []string
	costs map[string]costs
}

// measured is a line that go test -bench prints for a benchmark.
var measured = regexp.MustCompile(`(?m)^Benchmark(\S+)[ \t]+\d+[ \t]+([0-9.]+) ns/op`)

func read(path string) (results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return results{}, err
	}
	r := results{costs: map[string]costs{}}
	for _, line := range measured.FindAllStringSubmatch(string(text), -1) {
		name := line[1]
		cost, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			return results{}, fmt.Errorf("%s: %q: %w", path, line[0], err)
		}
		if r.costs[name] == nil {
			r.names = append(r.names, name)
		}
		r.costs[name] = append(r.costs[name], cost)
	}
	if len(r.names) == 0 {
		return results{}, fmt.Errorf("%s: no benchmark was measured", path)
	}
	return r, nil
}

// row is a benchmark that both sides have, with as many rounds.
type row struct {
	name          string
	before, after costs
}

// compare pairs the benchmarks of both sides. One that a side lacks, or has less often, is an error: a missing row
// would look like one within the limit.
func compare(before, after results) (rows []row, err error) {
	for _, name := range before.names {
		r := row{name, before.costs[name], after.costs[name]}
		if len(r.before) != len(r.after) {
			return nil, fmt.Errorf("%s has %d rounds before and %d after", name, len(r.before), len(r.after))
		}
		rows = append(rows, r)
	}
	for _, name := range after.names {
		if before.costs[name] == nil {
			return nil, fmt.Errorf("%s has no rounds before", name)
		}
	}
	return rows, nil
}

// ratio is that of the 10th percentiles. It decides.
func (r *row) ratio() float64 { return r.after.percentile(10) / r.before.percentile(10) }

// spread returns the range of the ratios of single rounds, without the lowest and the highest tenth.
func (r *row) spread() (low, high float64) {
	ratios := make(costs, len(r.before))
	for round := range ratios {
		ratios[round] = r.after[round] / r.before[round]
	}
	return ratios.percentile(10), ratios.percentile(90)
}

// table returns the table of all benchmarks.
func table(rows []row) (string, error) {
	var cells, aligned strings.Builder
	fmt.Fprintln(&cells, "ns/op\tbefore p10\tmin\tafter p10\tmin\tratio p10\tmin\trounds\tnoise before\tafter")
	for _, r := range rows {
		low, high := r.spread()
		least := [...]float64{slices.Min(r.before), slices.Min(r.after)}
		fmt.Fprintf(&cells, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.3f\t%.3f\t%.2f to %.2f\t%.2f\t%.2f\n", r.name,
			r.before.percentile(10), least[0], r.after.percentile(10), least[1], r.ratio(), least[1]/least[0], low, high,
			r.before.noise(), r.after.noise())
	}
	writer := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	if _, err := writer.Write([]byte(cells.String())); err != nil {
		return "", err
	}
	if err := writer.Flush(); err != nil {
		return "", err
	}
	fmt.Fprintf(&aligned, "\np10: 10th percentile of %d rounds. rounds: ratios of single rounds, p10 to p90. "+
		"noise: p50 / p10.\n", len(rows[0].before))
	return aligned.String(), nil
}

// loud is the noise from which on a ratio says little about a few percent.
const loud = 1.1

// judge fails if a ratio is above the limit. The verdict also says if the machine was too busy to tell.
func judge(rows []row, limit float64) (verdict string, err error) {
	var over []string
	noise := 0.0
	for _, r := range rows {
		noise = max(noise, r.before.noise(), r.after.noise())
		if r.ratio() > limit {
			over = append(over, fmt.Sprintf("%s (%.3f)", r.name, r.ratio()))
		}
	}
	if noise >= loud {
		verdict = fmt.Sprintf("The machine was not idle: p50 is up to %.2f times p10. Compare again before you trust a "+
			"ratio.\n", noise)
	}
	if len(over) > 0 {
		return verdict, fmt.Errorf("costs more than %g times as much as before: %s", limit, strings.Join(over, ", "))
	}
	return verdict + fmt.Sprintf("No cost is more than %g times that before.\n", limit), nil
}
