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

// row is one line of a table. Each method reads one column and reports a fault under its name. A name that breaks a
// rule is returned nevertheless, so that references to it are no further faults.
type row struct {
	*report
	file    string
	line    int
	columns []string
	values  []string
	full    bool // no further row is read
}

// eachRow reads a CSV file and calls do for each row of as many fields as the header. The header must be columns.
// Byte order marks, CRLF line ends and RFC 4180 quotes are accepted. The row is valid until do returns.
func (l *loader) eachRow(file string, columns []string, do func(r *row)) {
	l.eachRowOf(file, func(header []string) ([]string, string) {
		if !slices.Equal(header, columns) {
			return nil, "must be " + strings.Join(columns, ",")
		}
		return columns, ""
	}, do)
}

// eachRowOf is eachRow for a file with optional columns. columns returns the names of the columns of a header, or the
// rule that it breaks.
func (l *loader) eachRowOf(file string, columns func(header []string) ([]string, string), do func(r *row)) {
	text, ok := l.read(l.files, file, maxTableBytes)
	if !ok {
		return
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.FieldsPerRecord = -1 // counted below, for one form of message
	reader.ReuseRecord = true
	r := &row{report: &l.report, file: file, line: 1}
	header, err := reader.Read()
	if err == nil {
		rule := ""
		r.line, _ = reader.FieldPos(0)
		if r.columns, rule = columns(slices.Clone(header)); rule != "" {
			r.unreadf("header", "%s", rule)
			return
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		r.unreadf("header", "missing: the file is empty")
	case err != nil:
		r.csvFault(err)
	default:
		r.eachOf(reader, do)
	}
}

// eachOf calls do for each row after the header. After an error of encoding/csv the reader is at a later line, so the
// rows that follow are read.
func (r *row) eachOf(reader *csv.Reader, do func(r *row)) {
	for !r.full {
		var err error
		r.values, err = reader.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.csvFault(err)
			continue
		}
		if r.line, _ = reader.FieldPos(0); len(r.values) != len(r.columns) {
			r.unreadf("row", "must have %d fields, as the header has, not %d", len(r.columns), len(r.values))
			continue
		}
		do(r)
	}
}

// unreadf reports that a part of the file cannot be read.
func (r *row) unreadf(column, format string, facts ...any) {
	r.faultf(column, format, facts...)
	r.markUnread(r.file)
}

// stop ends the reading of the file at its limit.
func (r *row) stop(column string, most int) {
	r.unreadf(column, "exceeds the limit of %d per sale", most)
	r.full = true
}

// csvFault reports an error of encoding/csv, which is always a ParseError when the file is in memory.
func (r *row) csvFault(err error) {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		r.line, err = parse.StartLine, parse.Err
	}
	r.unreadf("row", "invalid CSV: %w", err)
}

// read returns the content of a file without its byte order mark. It reports a file that is missing, is not a plain
// one, is too large or is not UTF-8; ok is then false. It asks what the file is before it opens it: a named pipe opens
// only when it has a writer.
func (r *report) read(fsys fs.FS, file string, limit int64) (text []byte, ok bool) {
	defer func() {
		if !ok {
			r.markUnread(file)
		}
	}()
	if info, err := fs.Stat(fsys, file); err == nil && !info.Mode().IsRegular() {
		r.faultf(file, 0, "file", "must be a plain file")
		return nil, false
	}
	f, err := fsys.Open(file)
	if err != nil {
		r.faultf(file, 0, "file", "cannot be read: %w", err)
		return nil, false
	}
	text, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		r.faultf(file, 0, "file", "cannot be read: %w", err)
		return nil, false
	}
	if int64(len(text)) > limit {
		r.faultf(file, 0, "file", "must not exceed %d bytes", limit)
		return nil, false
	}
	if at := invalidUTF8(text); at >= 0 {
		line := 1 + bytes.Count(text[:at], []byte("\n"))
		r.faultf(file, line, "text", "must be UTF-8; it contains the byte %#x", text[at])
		return nil, false
	}
	if r.kept == nil {
		r.kept = map[string][]byte{}
	}
	r.kept[file] = text
	return bytes.TrimPrefix(text, []byte("\ufeff")), true
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

// text reads a text. One that breaks a rule is returned without white space at its ends.
func (r *row) text(column string) string {
	text := r.raw(column)
	if rule := textRule(text); rule != "" {
		r.faultf(column, "%s", rule)
	}
	return strings.TrimSpace(text)
}

// name reads a text that names something. known has the names of its kind.
func (r *row) name(column string, known *spellings) string {
	name := r.text(column)
	r.note(column, name, known)
	return name
}

// note reports a name that looks the same as another one of its kind.
func (r *row) note(column, name string, known *spellings) {
	if rule := known.note(name, r.file, r.line); rule != "" {
		r.faultf(column, "%s", rule)
	}
}

func (r *row) number(column string, least, most int) int {
	n, ok := wholeNumber(r.raw(column), least, most)
	if !ok {
		r.faultf(column, "must be a whole number from %d to %d, not %q", least, most, r.raw(column))
	}
	return n
}

// price reads an amount in the currency, in minor units; NoPrice if the field is empty.
func (r *row) price(column string, currency Currency) int {
	if r.raw(column) == "" {
		return NoPrice
	}
	minor, ok := currency.parse(r.raw(column))
	if !ok {
		r.faultf(column, "must be %s, not %q", currency.rule(), r.raw(column))
	}
	return minor
}

// wholeNumber reads decimal digits without sign, leading zeros or separators.
func wholeNumber(text string, least, most int) (int, bool) {
	if text == "" || len(text) > 18 || (text[0] == '0' && len(text) > 1) || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= least && n <= most
}

// signedNumber reads a wholeNumber that may have a minus if least is negative. Zero has none.
func signedNumber(text string, least, most int) (int, bool) {
	digits, negative := strings.CutPrefix(text, "-")
	if !negative || least >= 0 {
		return wholeNumber(text, max(least, 0), most)
	}
	n, ok := wholeNumber(digits, max(1, -most), -least)
	return -n, ok
}

// The punctuation allowed in ids. Sessions and categories may contain a plus (`E+`). Names defined in sale.yaml may
// not: they appear in the documents of a draw, which reserve it.
const (
	idPunctuation   = "._:@-+"
	namePunctuation = "._:@-"
)

// idRule returns the rule that an id breaks, or "".
func idRule(id, punctuation string) string {
	if id == "." || id == ".." {
		return fmt.Sprintf("must not be %q, which is a directory in the paths of calls", id)
	}
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
