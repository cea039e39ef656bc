package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// fault is one block of testdata/faults.txt: the small sale with one edit, and the faults that loading it must return.
type fault struct {
	title string
	file  string
	old   string // whole lines that occur in the file once
	new   string
	want  []string
}

// readFaults reads blocks of the form
//
//	== title
//	file
//	-line to remove, one or more, consecutive; none for a file that the small sale does not have
//	+line to insert instead, any number
//	! a fault; several lines for several
func readFaults(t *testing.T) []fault {
	text, err := os.ReadFile("testdata/faults.txt")
	require.NoError(t, err)
	var faults []fault
	for _, block := range strings.Split(string(text), "== ")[1:] {
		lines := strings.Split(strings.TrimRight(block, "\n"), "\n")
		f := fault{title: lines[0], file: lines[1]}
		for _, line := range lines[2:] {
			switch line[0] {
			case '-':
				f.old += line[1:] + "\n"
			case '+':
				f.new += line[1:] + "\n"
			case '!':
				f.want = append(f.want, line[2:])
			default:
				t.Fatalf("%s: a line must begin with -, + or !: %q", f.title, line)
			}
		}
		require.NotEmpty(t, f.want, f.title)
		faults = append(faults, f)
	}
	return faults
}

// smallSale returns the files of a small, valid sale.
func smallSale(t testing.TB) fstest.MapFS {
	files := fstest.MapFS{}
	for _, name := range []string{saleFile, sessionsFile, pricesFile, venuesFile} {
		text, err := os.ReadFile("testdata/small/" + name)
		require.NoError(t, err)
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

// edit replaces lines that occur in the file exactly once.
func edit(t *testing.T, files fstest.MapFS, name, old, new string) {
	text := "\n" + string(files[name].Data)
	require.Equal(t, 1, strings.Count(text, "\n"+old), "lines to edit in %s: %q", name, old)
	text = strings.Replace(text, "\n"+old, "\n"+new, 1)
	files[name] = &fstest.MapFile{Data: []byte(text[1:])}
}

func TestFaults(t *testing.T) {
	titles := map[string]bool{}
	for _, f := range readFaults(t) {
		t.Run(f.title, func(t *testing.T) {
			require.False(t, titles[f.title], "duplicate title")
			titles[f.title] = true
			files := smallSale(t)
			if f.old == "" {
				require.NotContains(t, files, f.file)
				files[f.file] = &fstest.MapFile{Data: []byte(f.new)}
			} else {
				edit(t, files, f.file, f.old, f.new)
			}
			sale, err := LoadFS(files)
			require.Nil(t, sale)
			want := f.want[0]
			if len(f.want) > 1 {
				want = strconv.Itoa(len(f.want)) + " faults:\n" + strings.Join(f.want, "\n")
			}
			require.EqualError(t, err, "sale definition: "+want)
			requireLocation(t, err)
		})
	}
}

// requireLocation checks that an error names file, line and field.
func requireLocation(t testing.TB, err error) {
	var fault *FieldError
	require.ErrorAs(t, err, &fault)
	require.Contains(t, []string{saleFile, sessionsFile, pricesFile, venuesFile, stockFile}, fault.File)
	require.NotEmpty(t, fault.Field)
	require.NotEmpty(t, fault.Rule)
	require.True(t, fault.Line > 0 || fault.Field == "file", "a line in %v", fault)
}

// TestFileFaults covers the faults that editing lines cannot produce.
func TestFileFaults(t *testing.T) {
	advice := map[string]string{pricesFile: "; a sale without prices has prices: none in sale.yaml"}
	for _, name := range fileNames {
		field, notUTF8, limit := "header", "1: text: must be UTF-8; it contains the byte 0xff", maxTableBytes
		if name == saleFile {
			field, limit = "document", maxYAMLBytes
		}
		for title, c := range map[string]struct {
			change func(files fstest.MapFS)
			want   string
		}{
			"missing": {
				func(files fstest.MapFS) { delete(files, name) },
				" file: cannot be read: open " + name + ": file does not exist" + advice[name],
			},
			"empty": {
				func(files fstest.MapFS) { files[name] = &fstest.MapFile{} },
				"1: " + field + ": missing: the file is empty",
			},
			"not UTF-8": {func(files fstest.MapFS) { files[name].Data[3] = 0xff }, notUTF8},
			"too large": {
				func(files fstest.MapFS) { files[name].Data = append(files[name].Data, make([]byte, limit)...) },
				" file: must not exceed " + strconv.Itoa(limit) + " bytes",
			},
			"a directory": {
				func(files fstest.MapFS) { files[name] = &fstest.MapFile{Mode: fs.ModeDir} },
				" file: must be a plain file",
			},
		} {
			t.Run(name+" "+title, func(t *testing.T) {
				files := smallSale(t)
				files[stockFile] = &fstest.MapFile{Data: []byte("session,category,capacity,withheld\n")}
				c.change(files)
				_, err := LoadFS(files)
				if name == stockFile && title == "missing" {
					require.NoError(t, err, "it is optional")
					return
				}
				require.EqualError(t, err, "sale definition: "+name+":"+c.want)
				requireLocation(t, err)
			})
		}
	}

	files := smallSale(t)
	delete(files, pricesFile)
	_, err := LoadFS(files)
	require.ErrorIs(t, err, fs.ErrNotExist, "the error wraps its cause")
}

// TestTooMany checks the limits on the number of rows, at each limit and one above it.
func TestTooMany(t *testing.T) {
	files := smallSale(t)
	sessions := strings.Split(strings.TrimSpace(string(files[sessionsFile].Data)), "\n")
	var table, prices bytes.Buffer
	table.WriteString(strings.Join(sessions, "\n") + "\n")
	prices.WriteString("session,category,price_eur\nS2,A,1\n")
	for i := len(sessions) - 1; i < maxSessions; i++ {
		id := "x" + strconv.Itoa(i)
		table.WriteString(id + ",summer,Judo,Lagoon,Tahiti,2024-07-27,07:00,16:30,0,\n")
		if i < maxPools/2 {
			prices.WriteString(id + ",A,1\n" + id + ",B,1\n")
		}
	}
	for pools := bytes.Count(prices.Bytes(), []byte("\n")) - 1; pools < maxPools; pools++ {
		prices.WriteString("x" + strconv.Itoa(maxPools/2+pools%(maxPools/2)) + ",A,1\n")
	}
	files[sessionsFile] = &fstest.MapFile{Data: table.Bytes()}
	files[pricesFile] = &fstest.MapFile{Data: prices.Bytes()}
	sale, err := LoadFS(files)
	require.NoError(t, err)
	require.Len(t, sale.Sessions, maxSessions)
	require.Len(t, sale.Pools, maxPools)

	prices.WriteString("S3,A,1\n")
	files[pricesFile] = &fstest.MapFile{Data: prices.Bytes()}
	_, err = LoadFS(files)
	require.EqualError(t, err, "sale definition: prices.csv:60002: category: exceeds the limit of 60000 per sale")

	table.WriteString("y,summer,Judo,Lagoon,Tahiti,2024-07-27,07:00,16:30,0,\n")
	files[sessionsFile] = &fstest.MapFile{Data: table.Bytes()}
	_, err = LoadFS(files)
	require.EqualError(t, err, "sale definition: 2 faults:\n"+
		"sessions.csv:60002: session: exceeds the limit of 60000 per sale\n"+
		"prices.csv:60002: category: exceeds the limit of 60000 per sale")
}

// TestAllFaults checks that faults of all files are listed at once, by file and line, and that one mistake is one
// fault.
func TestAllFaults(t *testing.T) {
	files := smallSale(t)
	edit(t, files, saleFile, "title: A small sale\n", "titel: A small sale\n")
	edit(t, files, saleFile, "timezone: Europe/Paris\n", "timezone: Europe/Atlantis\n")
	edit(t, files, saleFile, "    account_cap: 12\n", "    account_cap: many\n")
	edit(t, files, saleFile, "  withheld_percent: 20\n", "  withheld_percent: 100\n")
	edit(t, files, saleFile, "      round: 4650000\n", "      round: 0\n")
	edit(t, files, saleFile, "    kind: single\n", "    kind: double\n")
	edit(t, files, saleFile, "      - {city: Paris}\n", "      - {city: Pariss}\n")
	edit(t, files, venuesFile, "Lagoon,600\n", "Lagoon,-600\n")
	edit(t, files, sessionsFile, "S4,summer,Judo,Street,Paris,2024-07-28,09:00,11:00,0,\n",
		"S4,winter,Judo,Strait,Paris,28.07.2024,9,11:00,2,\nS5,summer\n")
	edit(t, files, pricesFile, "S2,A,30\nS2,B,10\n", "S2,A,-30\nS2,A,10\nS2,Z,10\n")
	_, err := LoadFS(files)
	require.EqualError(t, err, `sale definition: 16 faults:
sale.yaml:1: title: is required
sale.yaml:2: titel: unknown key; the keys allowed here are name, title, timezone, programmes, session_limits, `+
		`sales_end, venues, exclusions, prices, stock, groups, beacons, draws, phases
sale.yaml:3: timezone: must be an IANA time zone such as Europe/Paris or UTC, not "Europe/Atlantis"
sale.yaml:7: programmes.summer.account_cap: must be a whole number from 1 to 4095, not "many"
sale.yaml:18: stock.withheld_percent: must be a whole number from 0 to 99, not "100"
sale.yaml:40: draws.ballot.beacon.round: must be a whole number from 1 to 1099511627776, not "0"
sale.yaml:60: phases.late.kind: must be single or pack, not "double"
venues.csv:4: gross_capacity: must be a whole number from 1 to 2147483647, not "-600"
sessions.csv:5: programme: "winter" is not defined in sale.yaml
sessions.csv:5: venue: "Strait" is not in venues.csv
sessions.csv:5: date: must be a date such as 2024-07-26, not "28.07.2024"
sessions.csv:5: start_local: must be a time of day such as 09:30, not "9"
sessions.csv:5: medal_session: must be 1, 0 or empty, not "2"
sessions.csv:6: row: must have 10 fields, as the header has, not 2
prices.csv:5: price_eur: must be an amount in EUR from 0 to 9999999, whole or with 2 decimals such as 24.50, not "-30"
prices.csv:6: category: A of S2 is a duplicate of line 5; remove one of them`)
	var faults *Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults.List, 16)
	requireLocation(t, err)
}

// TestManyFaults checks that a list of faults is bounded, and that the rest is counted.
func TestManyFaults(t *testing.T) {
	files := smallSale(t)
	venues := bytes.NewBuffer(files[venuesFile].Data)
	for i := range 250 {
		fmt.Fprintf(venues, "V%d,0\n", i)
	}
	files[venuesFile].Data = venues.Bytes()
	_, err := LoadFS(files)
	var faults *Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults.List, 100)
	require.Equal(t, 150, faults.More)
	require.ErrorContains(t, err, "sale definition: 250 faults:\nvenues.csv:6: gross_capacity: ")
	require.ErrorContains(t, err, "\nand 150 more")

	edit(t, files, saleFile, "timezone: Europe/Paris\n", "timezone: Mars\n") // a long list hides no fault of another file
	edit(t, files, pricesFile, "S2,A,30\n", "S9,A,30\n")
	_, err = LoadFS(files)
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults.List, 100)
	require.Equal(t, 152, faults.More)
	require.Equal(t, saleFile, faults.List[0].File)
}

// TestRowsAfterInvalidCSV: a stray quote hides no fault of a later line.
func TestRowsAfterInvalidCSV(t *testing.T) {
	files := smallSale(t)
	edit(t, files, sessionsFile, "S2,summer,Judo,", "S2,summer,Ju\"do,")
	edit(t, files, sessionsFile, "S4,summer,Judo,Street,Paris,2024-07-28,09:00,", "S4,summer,Judo,Street,Paris,28.07.,9,")
	_, err := LoadFS(files)
	require.EqualError(t, err, `sale definition: 3 faults:
sessions.csv:3: row: invalid CSV: bare " in non-quoted-field
sessions.csv:5: date: must be a date such as 2024-07-26, not "28.07."
sessions.csv:5: start_local: must be a time of day such as 09:30, not "9"`)
}

// TestPlacesOfTheStockTable: a session whose places stock.csv states whole needs no capacity of its venue.
func TestPlacesOfTheStockTable(t *testing.T) {
	files := smallSale(t)
	delete(files, pricesFile)
	edit(t, files, saleFile, "stock:\n", "prices: none\nstock:\n")
	edit(t, files, venuesFile, "Lagoon,600\n", "Lagoon,\n")
	edit(t, files, venuesFile, "Street,\n", "Street,50\n")
	stock := "session,category,capacity,withheld\nS3,A,20,1\nS3,B,10,0\n"
	files[stockFile] = &fstest.MapFile{Data: []byte(stock)}
	_, err := LoadFS(files)
	require.EqualError(t, err, `sale definition: sessions.csv:4: venue: "Lagoon" has no capacity in venues.csv and no `+
		"share_of in sale.yaml; add one, or state the places of S3 in stock.csv")

	files[stockFile].Data = []byte(stock + "S3,PFR-A,2,0\n")
	sale, err := LoadFS(files)
	require.NoError(t, err)
	checkSale(t, sale)
	session, _ := sale.SessionByID("S3")
	var capacities []int
	for _, pool := range sale.Sessions[session].Pools {
		capacities = append(capacities, sale.Pools[pool].Capacity)
	}
	require.Equal(t, []int{20, 10, 2}, capacities)
}

// TestTablesWithoutRules checks that the tables are checked even if sale.yaml cannot be read.
func TestTablesWithoutRules(t *testing.T) {
	files := smallSale(t)
	files[saleFile].Data = []byte("name: [\n")
	edit(t, files, venuesFile, "Lagoon,600\n", "Lagoon,-600\n")
	edit(t, files, pricesFile, "S2,A,30\n", "S9,A,30\n")
	_, err := LoadFS(files)
	require.EqualError(t, err, `sale definition: 3 faults:
sale.yaml:1: document: invalid YAML on or near this line: did not find expected node content
venues.csv:4: gross_capacity: must be a whole number from 1 to 2147483647, not "-600"
prices.csv:5: session: "S9" is not in sessions.csv`)
}

// TestLoadPath covers faults of the path itself.
func TestLoadPath(t *testing.T) {
	sale, err := Load("testdata/small")
	require.NoError(t, err)
	require.Equal(t, "small", sale.Name)

	_, err = Load("testdata/none")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "sale definition: must be paris2024 or a directory: stat testdata/none: ")

	_, err = Load("testdata/faults.txt")
	require.EqualError(t, err, "sale definition: testdata/faults.txt is not a directory")

	_, err = Load(t.TempDir())
	var fault *FieldError
	require.True(t, errors.As(err, &fault))
	require.Equal(t, saleFile, fault.File)
}
