package catalog

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Both templates load; the smallest is the one of the README.
func TestTemplates(t *testing.T) {
	for _, full := range []bool{false, true} {
		sale, err := LoadFS(Template(full).FS())
		require.NoError(t, err)
		checkSale(t, sale)
		require.Equal(t, Template(full), sale.Files, "no file is ignored")
	}
	readme, smallest := readmeSale(t), Template(false)
	require.Len(t, smallest.text, len(readme))
	for name, file := range readme {
		require.Equal(t, string(file.Data), string(smallest.text[name]), name)
	}
	require.Equal(t, slices.Sorted(slices.Values(fileNames)), Template(true).names())
}

// The full template has every key of sale.yaml that the loader reads, so a new key cannot be forgotten. A key is
// explained by a comment above it, or above the keys or the list that it is in.
func TestFullTemplateHasEveryKey(t *testing.T) {
	text := string(Template(true).text[saleFile])
	sources := readSources(t, "load.go", "prices.go", "rules.go", "calendar.go", "limits.go")
	names := []string{"session", "programme", "discipline", "venue", "city"} // of selectors
	for _, list := range regexp.MustCompile(`(?s)object\(("[^)]*)\)`).FindAllStringSubmatch(sources, -1) {
		for _, name := range regexp.MustCompile(`"(\w+)\??"`).FindAllStringSubmatch(list[1], -1) {
			names = append(names, name[1])
		}
	}
	for _, list := range regexp.MustCompile(`eachNumbered\([^,]+, "(\w+)\??"`).FindAllStringSubmatch(sources, -1) {
		names = append(names, list[1])
	}
	require.Greater(t, len(names), 55)
	for _, name := range names {
		key := `(?m)(^ *|[{,] *)`
		if name == "signature" {
			key = `(?m)(^ *# )` // not with a round that is yet to come
		}
		require.Regexp(t, key+name+":", text)
	}
	above := ""
	for _, line := range strings.Split(text, "\n") {
		top := regexp.MustCompile(`^(\w+):`).FindStringSubmatch(line)
		explained := strings.HasPrefix(above, "#") || top == nil || slices.Contains([]string{"title", "timezone"}, top[1])
		require.True(t, explained, "%s needs a comment above it", line)
		above = line
	}
}
