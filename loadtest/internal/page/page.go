// Package page writes measured tables into Markdown pages, and reads the reports that they are made from.
package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Markers returns the lines around the table with a name in a page.
func Markers(name string) (begin, end string) {
	return "<!-- " + name + " -->", "<!-- /" + name + " -->"
}

// Insert returns the page with the table, which ends with a line feed, between its markers. It fails unless the page
// has both once, in order.
func Insert(text []byte, name, table string) ([]byte, error) {
	beginMarker, endMarker := Markers(name)
	begin, end := bytes.Index(text, []byte(beginMarker)), bytes.Index(text, []byte(endMarker))
	if begin < 0 || end < begin || bytes.Count(text, []byte(beginMarker)) > 1 {
		return nil, fmt.Errorf("need the markers %s and %s once, in this order", beginMarker, endMarker)
	}
	return append(append(append([]byte(nil), text[:begin]...), beginMarker+"\n"+table...), text[end:]...), nil
}

// ReadJSON reads a file, and reports whether there is one.
func ReadJSON(path string, to any) (found bool, err error) {
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
