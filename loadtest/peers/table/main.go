// Command table makes one Markdown table of the measurements of scripts/bench, and writes it between markers in a file.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// The markers around the table in a file.
const (
	beginMarker = "<!-- bench -->"
	endMarker   = "<!-- /bench -->"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("table", flag.ContinueOnError)
	benchmarks := flags.String("benchmarks", "", "the output of go test -bench")
	rehearsal := flags.String("rehearsal", "", "the report of seathold rehearse --json; the file may be missing")
	about := flags.String("about", "", "a file with facts about machine and versions, one a line")
	into := flags.String("into", "", "the file to write the table into, between "+beginMarker+" and "+endMarker)
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(*benchmarks)
	if err != nil {
		return err
	}
	r, err := parse(string(text))
	if err != nil {
		return err
	}
	if err := r.readRehearsal(*rehearsal); err != nil {
		return err
	}
	facts, err := os.ReadFile(*about)
	if err != nil {
		return err
	}
	table := render(r, strings.Split(strings.TrimSpace(string(facts)), "\n"))
	fmt.Print(table)
	if *into == "" {
		return nil
	}
	before, err := os.ReadFile(*into)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	after, err := insert(before, table)
	if err != nil {
		return fmt.Errorf("%s: %w", *into, err)
	}
	return os.WriteFile(*into, after, 0o644)
}

// insert returns the file with the table between its markers, or appended with markers if it has none.
func insert(file []byte, table string) ([]byte, error) {
	block := beginMarker + "\n" + table + endMarker
	begin, end := bytes.Index(file, []byte(beginMarker)), bytes.Index(file, []byte(endMarker))
	switch {
	case begin < 0 && end < 0:
		if len(file) > 0 {
			block = "\n" + block
		}
		return append(file, block+"\n"...), nil
	case begin < 0 || end < begin || bytes.Count(file, []byte(beginMarker)) > 1:
		return nil, errors.New("the markers of the table are not one pair in order")
	}
	return append(append(append([]byte(nil), file[:begin]...), block...), file[end+len(endMarker):]...), nil
}

// readRehearsal adds the results of a rehearsal of the whole sale.
func (r results) readRehearsal(path string) error {
	var report struct {
		Scale    float64
		Measured struct {
			Seconds   float64
			PeakBytes float64 `json:"peak_bytes"`
		}
	}
	if found, err := readJSON(path, &report); !found || err != nil {
		return err
	}
	if report.Scale != 1 {
		return fmt.Errorf("%s: a rehearsal at scale %g is not the whole sale", path, report.Scale)
	}
	r["Rehearsal"] = metrics{"s": report.Measured.Seconds, "GiB": report.Measured.PeakBytes / (1 << 30)}
	return nil
}

// readJSON reads a file, and reports whether there is one.
func readJSON(path string, to any) (found bool, err error) {
	if path == "" {
		return false, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return true, nil
}
