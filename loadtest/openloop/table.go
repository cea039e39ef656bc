package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/seathold/seathold/loadtest/internal/page"
)

// tableCommand writes the reports of the other commands as Markdown.
type tableCommand struct {
	Reports string   `arg:"" help:"The directory with the reports of scripts/load; some may be missing."`
	Into    string   `required:"" placeholder:"FILE" help:"Write into this Markdown file, between its markers."`
	Picture string   `placeholder:"FILE" help:"Also draw the sweep into this file, SVG, and show it below the table."`
	About   []string `sep:"none" help:"A line above the table. Several are allowed."`
}

// tableName is the name of the table in the page.
const tableName = "load"

// Run writes the table and the picture.
func (c *tableCommand) Run() error {
	var b strings.Builder
	for _, line := range c.About {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	sweep := &sweepReport{}
	found, err := page.ReadJSON(filepath.Join(c.Reports, "sweep.json"), sweep)
	if err != nil {
		return err
	}
	if found {
		b.WriteString("\n" + strings.Join(sweep.rows(), "\n") + "\n")
		if c.Picture != "" {
			if err := os.WriteFile(c.Picture, []byte(sweep.picture()), 0o644); err != nil {
				return err
			}
			from, err := filepath.Rel(filepath.Dir(c.Into), c.Picture)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n![Goodput and latency of each client over the offered load](%s)\n", filepath.ToSlash(from))
		}
	}
	others, err := partRows(c.Reports)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		b.WriteString("\n| what | figure | beside it | goal | |\n| --- | --- | --- | --- | --- |\n")
		b.WriteString(strings.Join(others, "\n") + "\n")
	}
	before, err := os.ReadFile(c.Into)
	if err != nil {
		return err
	}
	after, err := page.Insert(before, tableName, b.String())
	if err != nil {
		return fmt.Errorf("%s: %w", c.Into, err)
	}
	return os.WriteFile(c.Into, after, 0o644)
}

// partRows returns the rows of the measurements beside the sweep.
func partRows(reports string) (rows []string, err error) {
	for _, name := range []string{"storm", "greedy", "senders", "readers", "poll"} {
		var r partReport
		if _, err := page.ReadJSON(filepath.Join(reports, name+".json"), &r); err != nil {
			return nil, err
		}
		for _, row := range r.Rows {
			rows = append(rows, row.String())
		}
	}
	return rows, nil
}

// rows returns the sweep as a Markdown table, one row for each client and loop.
func (r *sweepReport) rows() []string {
	rows := []string{fmt.Sprintf("| %s connections, one request at a time | loop | capacity, sales/s | peak | at %d × "+
		"| of peak / of capacity | reserve at %d ×, p50 / p99 ms | confirm, p50 / p99 ms | refused/s "+
		"| confirmations refused | client's processors | handshakes delayed by the client itself, p50 ms | goals |",
		humanize.Comma(int64(r.Connections)), overload, overload),
		"| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"}
	for _, s := range r.Series {
		m := s.most()
		res, con := m.Accepted[reserving.String()], m.Accepted[confirming.String()]
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s | %.2f / %.2f | %s / %s | %s / %s | %s | %d | %.2f | %s "+
			"| %s |", clientNames[s.Name], strings.TrimSuffix(loopName(s.Open), " loop"), rounded(s.Capacity),
			rounded(s.peak()), rounded(m.Goodput), share(m.Goodput, s.peak()), share(m.Goodput, s.Capacity),
			rounded(res.P50), rounded(res.P99), rounded(con.P50), rounded(con.P99), rounded(m.Overloads),
			s.confirmsRefused(), m.GeneratorCPU, rounded(m.Queued.P50), verdict(s.goals())))
	}
	return rows
}

// share returns a part of a whole; 0 if there is none.
func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

// clientNames are the clients of a sweep as the table shows them.
var clientNames = map[string]string{
	"kept":        "plain, kept",
	"new":         "plain, new for each request",
	"tls-kept":    "TLS, kept",
	"tls-new":     "TLS, new for each request, full handshakes",
	"tls-resumed": "TLS, new for each request, resumed",
}

// verdict returns whether all goals were met, or which were not.
func verdict(goals []goal) string {
	var missed []string
	for _, g := range goals {
		if !g.Met {
			missed = append(missed, g.Goal)
		}
	}
	if len(missed) == 0 {
		return "reached"
	}
	return "not reached: " + strings.Join(missed, "; ")
}

// rounded formats a number of at least 0 with three significant digits and separated thousands.
func rounded(value float64) string {
	if value < 100 {
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
	unit := math.Pow(10, math.Floor(math.Log10(value))-2)
	return humanize.Comma(int64(math.Round(math.Round(value/unit) * unit)))
}
