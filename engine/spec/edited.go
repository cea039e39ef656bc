package spec

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/seathold/seathold/engine/catalog"
)

// edited are the files of the scenarios' sale, as the define steps of a scenario have left them.
type edited map[string]string

func scenarioFiles() (edited, error) {
	files := edited{}
	names, err := fs.Glob(testdata, "testdata/sale/*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(testdata, name)
		if err != nil {
			return nil, err
		}
		files[strings.TrimPrefix(name, "testdata/sale/")] = string(text)
	}
	files["stock.csv"] = "session,category,capacity,withheld\n"
	return files, nil
}

// sale loads the files.
func (e edited) sale() (*catalog.Sale, error) {
	files := fstest.MapFS{}
	for name, text := range e {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return catalog.LoadFS(files)
}

// define changes a value of sale.yaml, or the row of another file that begins with a key:
//
//	phases.late.closes_at = 2024-05-20 10:00
//	prices.csv SWIM,A = 50,12
//
// Without a value, what has the key is removed.
func (e edited) define(text string) (edited, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return nil, fmt.Errorf("= is missing")
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	e = maps.Clone(e)
	if file, row, csv := strings.Cut(key, " "); csv {
		e[file] = withRow(e[file], row, value)
		return e, nil
	}
	var err error
	e["sale.yaml"], err = withKey(e["sale.yaml"], strings.Split(key, "."), value)
	return e, err
}

func withRow(text, key, rest string) string {
	rows := slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(row string) bool {
		return strings.HasPrefix(row, key+",")
	})
	if rest != "" {
		rows = append(rows, key+","+rest+"\n")
	}
	return strings.Join(rows, "")
}

// withKey replaces the value at a path of keys, which are indented by two blanks each.
func withKey(text string, path []string, value string) (string, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	from, to := 0, len(lines)
	for depth, key := range path {
		indent := strings.Repeat("  ", depth)
		begin := slices.IndexFunc(lines[from:to], func(l string) bool { return strings.HasPrefix(l, indent+key+":") })
		last := depth == len(path)-1
		if begin < 0 && !last {
			return "", fmt.Errorf("sale.yaml has no %s", key)
		}
		end := to
		if begin >= 0 {
			begin += from
			inner := func(l string) bool { return strings.HasPrefix(l, indent+" ") }
			end = begin + 1
			for end < to && inner(lines[end]) {
				end++
			}
		} else {
			begin = to
		}
		if last && value == "" {
			return strings.Join(slices.Delete(lines, begin, end), "\n") + "\n", nil
		}
		if last {
			return strings.Join(slices.Replace(lines, begin, end, indent+key+": "+value), "\n") + "\n", nil
		}
		from, to = begin+1, end
	}
	return "", fmt.Errorf("no key")
}
