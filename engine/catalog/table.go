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

// Files are read whole into memory, so their size is limited. The largest bundled file has 160 KiB.
const (
	maxTableBytes = 16 << 20
	maxYAMLBytes  = 1 << 20
)

// row is one line of a table. Each method reads one column and reports a fault under its name.
type row struct {
	*report
	file    string
	line    int
	columns []string
	values  []string
}

// eachRow reads a CSV file and calls do for each row until there is a fault. The header must be columns, optionally
// followed by extra; extra is "" if the file has no optional column. Byte order marks, CRLF line ends and RFC 4180
// quotes are accepted. The row is valid until do returns.
func (l *loader) eachRow(file string, columns []string, extra string, do func(r *row)) {
	text := l.read(l.files, file, maxTableBytes)
	if l.fault != nil {
		return
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.FieldsPerRecord = -1 // counted below, for one form of message
	reader.ReuseRecord = true
	r := &row{report: &l.report, file: file, line: 1, columns: columns}
	header, err := reader.Read()
	switch {
	case errors.Is(err, io.EOF):
		r.faultf("header", "missing: the file is empty")
	case err != nil:
		r.csvFault(err)
	case extra != "" && slices.Equal(header, append(columns[:len(columns):len(columns)], extra)):
		r.columns = append(r.columns, extra)
	case !slices.Equal(header, columns):
		if extra != "" {
			extra = "[," + extra + "]"
		}
		r.line, _ = reader.FieldPos(0)
		r.faultf("header", "must be %s%s", strings.Join(columns, ","), extra)
	}
	for l.fault == nil {
		values, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.csvFault(err)
			return
		}
		r.values = values
		if r.line, _ = reader.FieldPos(0); len(values) != len(r.columns) {
			r.faultf("row", "must have %d fields, as the header has, not %d", len(r.columns), len(values))
			return
		}
		do(r)
	}
}

// csvFault reports an error of encoding/csv, which is always a ParseError when the file is in memory.
func (r *row) csvFault(err error) {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		r.line, err = parse.StartLine, parse.Err
	}
	r.faultf("row", "invalid CSV: %w", err)
}

// read returns the content of a file without its byte order mark. It reports a file that is missing, too large or not
// UTF-8.
func (r *report) read(fsys fs.FS, file string, limit int64) []byte {
	f, err := fsys.Open(file)
	if err != nil {
		r.faultf(file, 0, "file", "cannot be read: %w", err)
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		r.faultf(file, 0, "file", "cannot be read: %w", err)
		return nil
	}
	if int64(len(text)) > limit {
		r.faultf(file, 0, "file", "must not exceed %d bytes", limit)
		return nil
	}
	if at := invalidUTF8(text); at >= 0 {
		line := 1 + bytes.Count(text[:at], []byte("\n"))
		r.faultf(file, line, "text", "must be UTF-8; it contains the byte %#x", text[at])
	}
	return bytes.TrimPrefix(text, []byte("\ufeff"))
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

func (r *row) faultf(column, format string, facts ...any) {
	r.report.faultf(r.file, r.line, column, format, facts...)
}

// raw returns a column's text, or "" if the file lacks the optional column.
func (r *row) raw(column string) string {
	i := slices.Index(r.columns, column)
	if i < 0 {
		return ""
	}
	return r.values[i]
}

func (r *row) id(column string) string {
	id := r.raw(column)
	if rule := idRule(id, idPunctuation); rule != "" {
		r.faultf(column, "%s", rule)
	}
	return id
}

func (r *row) text(column string) string {
	text := r.raw(column)
	if rule := textRule(text); rule != "" {
		r.faultf(column, "%s", rule)
	}
	return text
}

func (r *row) number(column string, least, most int) int {
	n, ok := wholeNumber(r.raw(column), least, most)
	if !ok {
		r.faultf(column, "must be a whole number from %d to %d, not %q", least, most, r.raw(column))
	}
	return n
}

// cents reads an amount in euros, whole or with two decimals, without rounding.
func (r *row) cents(column string) int {
	whole, decimals, hasDecimals := strings.Cut(r.raw(column), ".")
	euros, ok := wholeNumber(whole, 0, maxPriceCents/100)
	cents := 0
	if ok && hasDecimals {
		// wholeNumber refuses leading zeros, which are digits here; a 1 in front keeps them.
		cents, ok = wholeNumber("1"+decimals, 100, 199)
		cents -= 100
	}
	if !ok {
		r.faultf(column, "must be an amount in euros from 0 to %d, whole or with two decimals such as 24.50, not %q",
			maxPriceCents/100, r.raw(column))
	}
	return euros*100 + cents
}

// wholeNumber reads decimal digits without sign, leading zeros or separators.
func wholeNumber(text string, least, most int) (int, bool) {
	if text == "" || len(text) > 18 || (text[0] == '0' && len(text) > 1) || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= least && n <= most
}

// The punctuation allowed in ids. Sessions and categories may contain a plus (`E+`). Names defined in sale.yaml may
// not: they appear in the documents of a draw, which reserve it.
const (
	idPunctuation   = "._:@-+"
	namePunctuation = "._:@-"
)

// idRule returns the rule that an id breaks, or "".
func idRule(id, punctuation string) string {
	ok := id != "" && len(id) <= maxIDBytes
	for _, c := range []byte(id) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		ok = ok && (letter || digit || strings.IndexByte(punctuation, c) >= 0)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("must be an id of 1 to %d characters from A-Z a-z 0-9 %s, not %.40q", maxIDBytes, punctuation, id)
}

// textRule returns the rule that a text for people breaks, or "".
func textRule(text string) string {
	switch {
	case text == "":
		return "must not be empty"
	case len(text) > maxTextBytes:
		return fmt.Sprintf("must not exceed %d bytes", maxTextBytes)
	case strings.TrimSpace(text) != text:
		return fmt.Sprintf("must not begin or end with white space: %.40q", text)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Sprintf("must not contain control characters: %.40q", text)
	}
	return ""
}
