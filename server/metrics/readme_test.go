package metrics_test

import (
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:generate go test -run TestReadmeTable -update .

var update = flag.Bool("update", false, "write the table of metrics into README.md")

const (
	readme     = "README.md"
	tableBegin = "<!-- metrics: written by go generate ./server/metrics -->\n"
	tableEnd   = "<!-- end of metrics -->\n"
)

// family is a metric of a scrape.
type family struct {
	name, kind, help string
	labels           []string
}

var label = regexp.MustCompile(`([a-z_]+)="`)

// families reads the families of a page in Prometheus' text format.
func families(t *testing.T, page string) []*family {
	var all []*family
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			all = append(all, &family{name: name, help: help})
			continue
		}
		require.NotEmpty(t, all, line)
		f := all[len(all)-1]
		if rest, ok := strings.CutPrefix(line, "# TYPE "+f.name+" "); ok {
			f.kind = rest
			continue
		}
		require.True(t, strings.HasPrefix(line, f.name), "%s follows %s", line, f.name)
		for _, found := range label.FindAllStringSubmatch(line, -1) {
			if name := found[1]; name != "le" && name != "quantile" && !slices.Contains(f.labels, name) {
				f.labels = append(f.labels, name)
			}
		}
	}
	return all
}

// table formats the families as the table in README.md.
func table(all []*family) string {
	var to strings.Builder
	to.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	slices.SortStableFunc(all, func(a, b *family) int { // those of the sale first
		return cmp.Compare(strings.Index(b.name, "seathold_"), strings.Index(a.name, "seathold_"))
	})
	for _, f := range all {
		slices.Sort(f.labels)
		help := strings.ReplaceAll(f.help, "|", `\|`)
		fmt.Fprintf(&to, "| `%s` | %s | %s | %s |\n", f.name, f.kind, strings.Join(f.labels, ", "), help)
	}
	return to.String()
}

// The table in README.md has every metric of a live scrape, with its type, labels and meaning, and no other.
func TestReadmeTable(t *testing.T) {
	o := open(t)
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, o.serve(t)+"/v1/phases", ""))
	want := table(families(t, o.scrape(t)))
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), tableBegin)
	require.True(t, ok, "README.md has no line %q", tableBegin)
	got, after, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok, "README.md has no line %q after the table's begin", tableEnd)
	if *update {
		require.NoError(t, os.WriteFile(readme, []byte(before+tableBegin+want+tableEnd+after), 0o644))
		return
	}
	require.Equal(t, want, got, "run go generate ./server/metrics")
}
