package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parisWith copies the bundled definition and makes replacements in it: file, old, new.
func parisWith(t *testing.T, changes ...[3]string) (dir string) {
	dir = filepath.Join(t.TempDir(), "sale")
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../engine/catalog/paris2024")))
	for _, c := range changes {
		path := filepath.Join(dir, c[0])
		text := read(t, path)
		require.Contains(t, text, c[1])
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(text, c[1], c[2], 1)), 0o600))
	}
	return dir
}

func TestSaleCheck(t *testing.T) {
	require.Equal(t, `sale        paris2024, Paris 2024: no faults
sessions    1,026, of which 975 are on sale
places      16,447,723 in 4,036 categories of sessions, of which 12,897,461 are on sale
prices      15.00 EUR to 2700.00 EUR
phase       packs, 2023-02-15T09:00:00Z to 2023-03-15T23:00:00Z
phase       singles, 2023-05-11T08:00:00Z to 2023-06-30T22:00:00Z
phase       outside-paris, 2023-07-05T08:00:00Z to 2023-11-30T09:00:00Z
phase       all-venues, 2023-11-30T09:00:00Z to 2024-08-11T22:00:00Z
phase       paralympic, 2023-10-09T08:00:00Z to 2024-09-08T22:00:00Z
draw        draw1, registration 2022-11-30T23:00:00Z to 2023-01-31T23:00:00Z
draw        draw2, registration 2023-03-14T23:00:00Z to 2023-04-20T16:00:00Z
`, done(t, "sale", "check", "paris2024"))

	without := parisWith(t, [3]string{"prices.csv", "ARC03,A,100\n", "ARC03,A,\n"},
		[3]string{"prices.csv", "session,category,price_eur\n", "session,category,price_chf\n"})
	require.Contains(t, done(t, "sale", "check", without),
		"prices      15.00 CHF to 2700.00 CHF; 1 categories of sessions have none\n")
	stated := "session,category,capacity,withheld\nARC03,A,100,0\n"
	require.NoError(t, os.WriteFile(filepath.Join(without, "stock.csv"), []byte(stated), 0o600))
	require.Contains(t, done(t, "sale", "check", without),
		"stock       stock.csv states that of 1 categories of sessions\n")
}

// All faults are listed, by the command and by a server that is to serve the definition.
func TestAllFaultsAreListed(t *testing.T) {
	dir := parisWith(t, [3]string{"sale.yaml", "discipline: Surfing}", "discipline: surfing}"},
		[3]string{"venues.csv", "Bercy Arena,15000", "Bercy Arena,-1"},
		[3]string{"prices.csv", "ARC03,A,100\n", "ARC03,A,1e2\n"})
	before, _, _ := strings.Cut(read(t, filepath.Join(dir, "sale.yaml")), "discipline: surfing}")
	line := 1 + strings.Count(before, "\n")
	want := "seathold: sale definition " + dir + ": 3 faults:\n  sale.yaml:" + strconv.Itoa(line) +
		`: exclusions.1: matches no session; check the spelling; it is written "Surfing" there
  venues.csv:3: gross_capacity: must be a whole number from 1 to 2147483647, not "-1"
  prices.csv:2: price_eur: must be an amount in EUR from 0 to 9999999, whole or with 2 decimals such as 24.50, not "1e2"
`
	for _, args := range [][]string{{"sale", "check", dir}, {"serve", "--sale", dir, "--addr", "127.0.0.1:0",
		"--admin-addr", "127.0.0.1:0", "--data", t.TempDir()}} {
		code, out, stderr := command(args...)
		require.Equal(t, exitFailed, code)
		require.Empty(t, out)
		require.Equal(t, want, stderr)
	}
	code, _, _ := command("sale", "check")
	require.Equal(t, exitUsage, code)
}
