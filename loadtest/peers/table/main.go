// Command table makes one Markdown table of the measurements of scripts/bench, and writes it between markers in a file.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/seathold/seathold/loadtest/internal/page"
)

// tableName is the name of the table in the page.
const tableName = "bench"

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
	into := flags.String("into", "", "the file to write the table into, between the markers of the table "+tableName)
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

// insert returns the file with the table between its markers, which are appended if it has none.
func insert(file []byte, table string) ([]byte, error) {
	begin, end := page.Markers(tableName)
	if !bytes.Contains(file, []byte(begin)) && !bytes.Contains(file, []byte(end)) {
		block := begin + "\n" + end + "\n"
		if len(file) > 0 {
			block = "\n" + block
		}
		file = append(file, block...)
	}
	return page.Insert(file, tableName, table)
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
	if found, err := page.ReadJSON(path, &report); !found || err != nil {
		return err
	}
	if report.Scale != 1 {
		return fmt.Errorf("%s: a rehearsal at scale %g is not the whole sale", path, report.Scale)
	}
	r["Rehearsal"] = metrics{"s": report.Measured.Seconds, "GiB": report.Measured.PeakBytes / (1 << 30)}
	return nil
}
