package catalog

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A definition is read whole into memory, so its files have limits. The largest bundled file has 160 KiB.
const (
	maxTableBytes = 16 << 20
	maxYAMLBytes  = 1 << 20
)

// row is one line of a table. Its methods check one column each and name it in the error.
type row struct {
	file    string
	line    int
	columns []string
	values  []string
}

// eachRow reads a CSV file whose first line must be columns, optionally followed by extra, and calls do for every further
// line; extra is "" where the file has no such column. Byte order marks and CRLF line ends are accepted, quotes as in
// RFC 4180. It stops at the first error. The row is valid until do returns.
func eachRow(fsys fs.FS, file string, columns []string, extra string, do func(r *row) error) error {
	text, fault := readText(fsys, file, maxTableBytes)
	if fault != nil {
		return fault
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.FieldsPerRecord = -1 // counted below, to say what is wrong in one way
	reader.ReuseRecord = true
	r := &row{file: file, columns: slices.Clone(columns)}
	if extra != "" {
		r.columns = append(r.columns, extra)
	}
	for header := true; ; header = false {
		values, err := reader.Read()
		if errors.Is(err, io.EOF) && !header {
			return nil
		}
		if err != nil {
			return csvFault(file, err)
		}
		r.line, _ = reader.FieldPos(0)
		r.values = values
		if header {
			if extra != "" && len(values) == len(columns) {
				r.columns = r.columns[:len(columns)]
			}
			if !slices.Equal(values, r.columns) {
				return r.faultf("header", "must be %s", strings.Join(columns, ","))
			}
			continue
		}
		if len(values) != len(r.columns) {
			return r.faultf("row", "has %d of the header's %d columns", len(values), len(r.columns))
		}
		if err := do(r); err != nil {
			return err
		}
	}
}

// csvFault says what encoding/csv found.
func csvFault(file string, err error) *FieldError {
	if errors.Is(err, io.EOF) {
		return &FieldError{File: file, Line: 1, Field: "header", Rule: "is missing, the file is empty"}
	}
	fault := &FieldError{File: file, Field: "row", Rule: err.Error(), Err: err}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		fault.Line, fault.Rule = parse.StartLine, "is no valid CSV: "+parse.Err.Error()
	}
	return fault
}

// readText reads a file, without a byte order mark, and refuses one that is missing, too large or not UTF-8.
func readText(fsys fs.FS, file string, limit int64) ([]byte, *FieldError) {
	unreadable := func(err error) *FieldError {
		return &FieldError{File: file, Field: "file", Rule: "cannot be read: " + err.Error(), Err: err}
	}
	f, err := fsys.Open(file)
	if err != nil {
		return nil, unreadable(err)
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, unreadable(err)
	}
	if int64(len(text)) > limit {
		return nil, &FieldError{File: file, Field: "file", Rule: fmt.Sprintf("exceeds %d bytes", limit)}
	}
	if at := invalidUTF8(text); at >= 0 {
		line := 1 + bytes.Count(text[:at], []byte("\n"))
		return nil, &FieldError{File: file, Line: line, Field: "text", Rule: fmt.Sprintf("has the byte %#x, which is not UTF-8", text[at])}
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

// invalidUTF8 returns the position of the first byte that is not UTF-8, or -1.
func invalidUTF8(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

func (r *row) faultf(field, format string, facts ...any) *FieldError {
	return &FieldError{File: r.file, Line: r.line, Field: field, Rule: fmt.Sprintf(format, facts...)}
}

// raw returns a column's text; "" for an optional column that the file does not have.
func (r *row) raw(column string) string {
	i := slices.Index(r.columns, column)
	if i < 0 {
		return ""
	}
	return r.values[i]
}

func (r *row) id(column string) (string, error) {
	id := r.raw(column)
	if rule := idRule(id, idPunctuation); rule != "" {
		return "", r.faultf(column, "%s", rule)
	}
	return id, nil
}

// text returns a column for people to read. Empty is refused unless the column may be empty.
func (r *row) text(column string, mayBeEmpty bool) (string, error) {
	text := r.raw(column)
	if text == "" && mayBeEmpty {
		return "", nil
	}
	if rule := textRule(text); rule != "" {
		return "", r.faultf(column, "%s", rule)
	}
	return text, nil
}

func (r *row) number(column string, least, most int) (int, error) {
	n, ok := wholeNumber(r.raw(column), least, most)
	if !ok {
		return 0, r.faultf(column, "%q is no whole number from %d to %d", r.raw(column), least, most)
	}
	return n, nil
}

// cents reads an amount of euros, whole or with two decimals, exactly.
func (r *row) cents(column string) (int, error) {
	text := r.raw(column)
	whole, decimals, hasDecimals := strings.Cut(text, ".")
	euros, ok := wholeNumber(whole, 0, MaxPriceCents/100)
	cents := 0
	if ok && hasDecimals {
		// A leading zero is a digit here, so the two of them are read behind a one.
		cents, ok = wholeNumber("1"+decimals, 100, 199)
		cents -= 100
	}
	if !ok {
		return 0, r.faultf(column, "%q is no amount of euros from 0 to %d, whole or with two decimals", text, MaxPriceCents/100)
	}
	return euros*100 + cents, nil
}

// wholeNumber reads decimal digits without sign, leading zeros or separators.
func wholeNumber(text string, least, most int) (int, bool) {
	if text == "" || len(text) > 18 || (text[0] == '0' && len(text) > 1) {
		return 0, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= least && n <= most
}

// The punctuation of ids. Sessions and categories may have a plus (`E+`); the names that sale.yaml gives may not, since they
// appear in documents of a draw, which reserve it.
const (
	idPunctuation   = "._:@-+"
	namePunctuation = "._:@-"
)

// idRule returns the rule that an id breaks, or "".
func idRule(id, punctuation string) string {
	ok := id != "" && len(id) <= MaxIDBytes
	for _, c := range []byte(id) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		ok = ok && (letter || digit || strings.IndexByte(punctuation, c) >= 0)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("%.40q is no id: 1 to %d of A-Z a-z 0-9 %s", id, MaxIDBytes, punctuation)
}

// textRule returns the rule that a text for people breaks, or "".
func textRule(text string) string {
	switch {
	case text == "":
		return "must not be empty"
	case len(text) > maxTextBytes:
		return fmt.Sprintf("exceeds %d bytes", maxTextBytes)
	case strings.TrimSpace(text) != text:
		return fmt.Sprintf("%.40q begins or ends with a space", text)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Sprintf("%.40q has a control character", text)
	}
	return ""
}
