package catalog

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// readmeSale returns the files of the smallest sale, as README.md shows them.
func readmeSale(t *testing.T) fstest.MapFS {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	files := fstest.MapFS{}
	for _, block := range regexp.MustCompile("(?s)\n\\*\\*(\\S+)\\*\\*\n\n```\\w+\n(.*?)```\n").FindAllSubmatch(page, -1) {
		files[string(block[1])] = &fstest.MapFile{Data: block[2]}
	}
	require.Len(t, files, 4)
	return files
}

func TestReadmeSaleLoads(t *testing.T) {
	sale, err := LoadFS(readmeSale(t))
	require.NoError(t, err)
	checkSale(t, sale)
	require.Equal(t, "demo", sale.Name)
	require.Equal(t, []Pool{{Session: 0, Category: "A", PriceCents: 24_50, Capacity: 500}}, sale.Pools)
	require.Equal(t, 500, sale.PlacesOnSale())
}

// TestReadmeSaleIsSmallest removes each line of sale.yaml: the definition must then be refused.
func TestReadmeSaleIsSmallest(t *testing.T) {
	text := string(readmeSale(t)[saleFile].Data)
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines[:len(lines)-1] {
		files := readmeSale(t)
		files[saleFile].Data = []byte(strings.Join(lines[:i], "") + strings.Join(lines[i+1:], ""))
		_, err := LoadFS(files)
		require.Error(t, err, "without %q", line)
	}
}

// TestReadmeNamesEveryKey looks up the keys and columns that the loader reads.
func TestReadmeNamesEveryKey(t *testing.T) {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	text := readSources(t, "load.go", "prices.go", "rules.go", "calendar.go", "stocktable.go")
	found := 0
	for _, list := range regexp.MustCompile(`(?s)(?:object\(|\[\]string\{)("[^)}]*)[)}]`).FindAllStringSubmatch(text, -1) {
		for _, name := range regexp.MustCompile(`"(\w+)\??"`).FindAllStringSubmatch(list[1], -1) {
			require.Regexp(t, "[`.]"+name[1]+"[`.]", string(page))
			found++
		}
	}
	require.Greater(t, found, 50)
}

func readSources(t *testing.T, names ...string) string {
	var all strings.Builder
	for _, name := range names {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		all.Write(source)
	}
	return all.String()
}

// TestReadmeFault checks the fault that README.md shows.
func TestReadmeFault(t *testing.T) {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	files := readmeSale(t)
	edit(t, files, saleFile, "    session_limit: 4\n", "    session_limit: 7\n")
	dir := t.TempDir() + "/demo"
	require.NoError(t, os.CopyFS(dir, files))
	_, err = Load(dir)
	require.Contains(t, string(page), "\n"+strings.Replace(err.Error(), dir, "demo", 1)+"\n")
}
