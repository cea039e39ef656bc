package catalog

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// fault is one block of testdata/faults.txt: the small sale with one edit, and the error that loading it must return.
type fault struct {
	title string
	file  string
	old   string // whole lines that occur in the file once
	new   string
	want  string
}

// readFaults reads blocks of the form
//
//	== title
//	file
//	-line to remove, one or more, consecutive
//	+line to insert instead, any number
//	! the whole error
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
				f.want = line[2:]
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
			edit(t, files, f.file, f.old, f.new)
			sale, err := LoadFS(files)
			require.Nil(t, sale)
			require.EqualError(t, err, "sale definition: "+f.want)
			requireLocation(t, err)
		})
	}
}

// requireLocation checks that an error names file, line and field.
func requireLocation(t testing.TB, err error) {
	var fault *FieldError
	require.ErrorAs(t, err, &fault)
	require.Contains(t, []string{saleFile, sessionsFile, pricesFile, venuesFile}, fault.File)
	require.NotEmpty(t, fault.Field)
	require.NotEmpty(t, fault.Rule)
	require.True(t, fault.Line > 0 || fault.Field == "file", "a line in %v", fault)
}

// TestFileFaults covers the faults that editing lines cannot produce.
func TestFileFaults(t *testing.T) {
	for _, name := range []string{saleFile, sessionsFile, pricesFile, venuesFile} {
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
				" file: cannot be read: open " + name + ": file does not exist",
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
				" file: cannot be read: read " + name + ": invalid argument",
			},
		} {
			t.Run(name+" "+title, func(t *testing.T) {
				files := smallSale(t)
				c.change(files)
				_, err := LoadFS(files)
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
	require.EqualError(t, err, "sale definition: sessions.csv:60002: session: exceeds the limit of 60000 per sale")
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
