// Package lines reads large CSV files of names line by line. It keeps no line, so a file may have any size and a line
// any length. A fault in one line, such as a stray quote, affects no other.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"strings"
)

const (
	Max     = 1024 // bytes of a line; no valid line is longer
	MaxText = 120  // bytes of a line that Clip returns
)

// Reader reads the lines of a file.
type Reader struct {
	Number int64  // of the last line read, from 1
	Offset int64  // of the byte after it
	Sum    uint64 // CRC-64 of all bytes before Offset; shows after a restart whether the file is still the same

	in     *bufio.Reader
	line   []byte
	header string
}

// NewReader returns a reader at the start of the file.
func NewReader(file io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(file, 1<<16)} }

var crcTable = crc64.MakeTable(crc64.ECMA)

// Next returns the next line without its line feed and carriage return, valid until the next call. If it has more than
// Max bytes, long is true and line is its beginning. At the end the error is io.EOF.
func (r *Reader) Next() (line []byte, long bool, err error) {
	r.line = r.line[:0]
	read := 0
	for {
		part, err := r.in.ReadSlice('\n')
		r.Sum = crc64.Update(r.Sum, crcTable, part)
		r.Offset += int64(len(part))
		read += len(part)
		r.line = append(r.line, part[:min(len(part), Max+2-len(r.line))]...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && (err != io.EOF || read == 0) {
			return nil, false, err
		}
		break
	}
	r.Number++
	line = r.line
	if read <= Max+2 {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	}
	if len(line) > Max {
		return line[:Max], true, nil
	}
	return line, false, nil
}

// Header returns the first line without byte order mark and quotes; "" if the file is empty.
func (r *Reader) Header() (string, error) {
	line, long, err := r.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if long {
		return Clip(line), nil
	}
	r.header = plain(line)
	return r.header, nil
}

// RepeatsHeader reports whether a line is the header once more, in any case, as it is where files were concatenated, or
// the header of a file that has the first column alone. Such a line is not data. Call Header before.
func (r *Reader) RepeatsHeader(line []byte) bool {
	first, rest, _ := bytes.Cut(bytes.TrimPrefix(line, []byte(mark)), []byte(","))
	column, columns, _ := strings.Cut(r.header, ",")
	if !bytes.EqualFold(bytes.ReplaceAll(bytes.TrimSpace(first), []byte(`"`), nil), []byte(column)) {
		return false
	}
	others := plain(bytes.TrimSpace(rest))
	return strings.EqualFold(others, columns) || strings.Trim(others, ", ") == ""
}

const mark = "\xef\xbb\xbf" // byte order mark

// plain returns a line without byte order mark and quotes.
func plain(line []byte) string {
	return string(bytes.ReplaceAll(bytes.TrimPrefix(line, []byte(mark)), []byte(`"`), nil))
}

// Fields splits a line at its commas and removes plain quotes around fields. No valid field contains a comma or a
// quote.
func Fields(line []byte) [][]byte {
	fields := bytes.Split(line, []byte(","))
	for i, field := range fields {
		if n := len(field); n >= 2 && field[0] == '"' && field[n-1] == '"' {
			fields[i] = field[1 : n-1]
		}
	}
	return fields
}

// Clip returns the beginning of a line in printable ASCII, whatever bytes it has.
func Clip(line []byte) string {
	quoted := fmt.Sprintf("%+q", line[:min(len(line), MaxText)])
	text := quoted[1 : len(quoted)-1]
	if len(line) > MaxText {
		text += "..."
	}
	return text
}
