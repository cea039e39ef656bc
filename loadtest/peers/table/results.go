package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/seathold/seathold/loadtest/peers"
)

// metrics holds one benchmark's values by unit.
type metrics map[string]float64

// results holds the metrics of all benchmarks by name, without "Benchmark" and the number of processors. Each is also
// there with " procs=N" after its name.
type results map[string]metrics

// parse reads the output of go test -bench. Of a benchmark that ran several times it keeps the last values.
func parse(text string) (results, error) {
	r := results{}
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) > 0 && (fields[0] == "FAIL" || strings.HasPrefix(line, "--- FAIL")) {
			return nil, errors.New("a benchmark failed: " + line)
		}
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		processors := "1"
		if at := strings.LastIndexByte(name, '-'); at >= 0 {
			if _, err := strconv.Atoi(name[at+1:]); err == nil {
				name, processors = name[:at], name[at+1:]
			}
		}
		m := metrics{}
		for i := 2; i < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("line %q: %w", line, err)
			}
			m[fields[i+1]] = value
		}
		r[name] = m
		r[name+" procs="+processors] = m
	}
	return r, nil
}

// of returns a value by the name of its benchmark and its unit.
func (r results) of(name, unit string) (float64, bool) {
	value, ok := r[name][unit]
	return value, ok
}

// ratio returns a as a multiple of b. For figures that were measured in turn it is the median of the rounds' ratios.
// Both figures must exist.
func (r results) ratio(a, b figure) float64 {
	var ratios []float64
	for round := 1; ; round++ {
		unit := fmt.Sprintf("round%d-ops/s", round)
		of, ok := r.of(a.name, unit)
		to, both := r.of(b.name, unit)
		if !ok || !both {
			break
		}
		if a.unit == "ns/op" {
			of, to = to, of // a cost is the inverse of a rate
		}
		ratios = append(ratios, of/to)
	}
	if len(ratios) > 0 {
		return peers.Median(ratios)
	}
	return r[a.name][a.unit] / r[b.name][b.unit]
}

// rounded formats a number of at least 0 with three significant digits and separated thousands.
func rounded(value float64) string {
	switch {
	case value == 0:
		return "0"
	case value < 0.1:
		return strconv.FormatFloat(value, 'f', 3, 64)
	case value < 10:
		return strconv.FormatFloat(value, 'f', 2, 64)
	case value < 100:
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	unit := 1.0
	for value/unit >= 1000 {
		unit *= 10
	}
	return humanize.Comma(int64(value/unit+0.5) * int64(unit))
}
