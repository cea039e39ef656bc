package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"hash/maphash"
	"io"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/draw"
)

// fileLines reads a file line by line and keeps none, so a file may have any size and a line any length.
type fileLines struct {
	in     *bufio.Reader
	line   []byte
	number int64  // of the line read last, from 1
	offset int64  // behind it
	sum    uint64 // CRC of all bytes up to there, which tells after a restart whether the file is still the same
}

func newFileLines(file io.Reader) *fileLines { return &fileLines{in: bufio.NewReaderSize(file, 1<<16)} }

const maxLine = 1024 // bytes; no line that means anything is longer

// next reads one line, without the line feed and carriage return at its end. long says that it has more than maxLine
// bytes, and line is only its beginning. The line is valid until the next call. io.EOF comes alone.
func (f *fileLines) next() (line []byte, long bool, err error) {
	f.line = f.line[:0]
	read := 0
	for {
		part, err := f.in.ReadSlice('\n')
		f.sum = crc64.Update(f.sum, crcTable, part)
		f.offset += int64(len(part))
		read += len(part)
		f.line = append(f.line, part[:min(len(part), maxLine+2-len(f.line))]...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil && (err != io.EOF || read == 0) {
			return nil, false, err
		}
		break
	}
	f.number++
	trimmed := f.line
	if read <= maxLine+2 {
		trimmed = bytes.TrimSuffix(bytes.TrimSuffix(trimmed, []byte("\n")), []byte("\r"))
	}
	if len(trimmed) > maxLine {
		return trimmed[:maxLine], true, nil
	}
	return trimmed, false, nil
}

// header reads the first line, without byte order mark and quotes.
func (f *fileLines) header() (string, error) {
	line, long, err := f.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if long {
		return clipped(line), nil
	}
	return string(bytes.ReplaceAll(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")), []byte(`"`), nil)), nil
}

// fieldsOf splits a line at its commas. Plain quotes around a field are dropped; nothing that is read here has a field
// that needs them.
func fieldsOf(line []byte) [][]byte {
	fields := bytes.Split(line, []byte(","))
	for i, field := range fields {
		if n := len(field); n >= 2 && field[0] == '"' && field[n-1] == '"' {
			fields[i] = field[1 : n-1]
		}
	}
	return fields
}

// roll reads the accounts to enter. The first line is `account` or `account,priority_group` and says which columns follow;
// blank lines are passed over. What is wrong with a line is the matter of that line alone: a stray quote does not swallow
// the next ones.
type roll struct {
	*fileLines
	columns int
}

// rollLine is one line with something in it.
type rollLine struct {
	number  int64
	offset  int64 // behind the line
	sum     uint64
	account string
	group   string
	fault   string // why it is no entry; then text is its beginning
	text    string
}

const maxText = 120 // bytes of a refused line that are reported

var crcTable = crc64.MakeTable(crc64.ECMA)

// openRoll reads the header.
func openRoll(file io.Reader) (*roll, error) {
	r := &roll{fileLines: newFileLines(file)}
	header, err := r.header()
	switch {
	case err != nil:
		return nil, err
	case header == "account":
		r.columns = 1
	case header == "account,priority_group":
		r.columns = 2
	default:
		return nil, fmt.Errorf("the first line must be account or account,priority_group, not %q", clipped([]byte(header)))
	}
	return r, nil
}

// read returns the next line that is not blank. The error is io.EOF at the end.
func (r *roll) read() (rollLine, error) {
	for {
		line, long, err := r.next()
		if err != nil {
			return rollLine{}, err
		}
		if len(line) == 0 {
			continue
		}
		l := rollLine{number: r.number, offset: r.offset, sum: r.sum}
		if long {
			l.fault = fmt.Sprintf("longer than %d bytes", maxLine)
		} else {
			l.account, l.group, l.fault = r.parse(line)
		}
		if l.fault != "" {
			l.account, l.group, l.text = "", "", clipped(line)
		}
		return l, nil
	}
}

// parse takes a line apart.
func (r *roll) parse(line []byte) (account, group, fault string) {
	fields := fieldsOf(line)
	if len(fields) != r.columns {
		return "", "", fmt.Sprintf("%d fields instead of %d", len(fields), r.columns)
	}
	account = string(fields[0])
	if !engine.ValidAccount(account) {
		return "", "", "not an account: 1 to 64 characters of A-Z a-z 0-9 . _ : @ -"
	}
	if r.columns == 2 && len(fields[1]) > 0 {
		if group = string(fields[1]); !draw.IsName(fields[1]) {
			return "", "", "not a priority group"
		}
	}
	return account, group, ""
}

// clipped is the beginning of a line in printable ASCII, whatever bytes it has.
func clipped(line []byte) string {
	quoted := fmt.Sprintf("%+q", line[:min(len(line), maxText)])
	text := quoted[1 : len(quoted)-1]
	if len(line) > maxText {
		text += "..."
	}
	return text
}

// seenAccounts remembers which accounts stood in the file so far by 64 bits of hash each, 16 bytes an account at most while
// it grows. Of four million accounts two are taken for one with a chance of one in two million; the server tells them
// apart, because it has entered only one of them.
type seenAccounts struct {
	seed  maphash.Seed
	slots []uint64 // open-addressed; 0 is empty
	used  int
}

// maxSeen bounds the memory: no draw has more entries, and what comes behind is not remembered.
const maxSeen = draw.MaxEntries

func newSeenAccounts() *seenAccounts {
	return &seenAccounts{seed: maphash.MakeSeed(), slots: make([]uint64, 1<<12)}
}

// note reports whether the account was there before, and remembers it.
func (s *seenAccounts) note(account string) (before bool) {
	hash := max(maphash.String(s.seed, account), 1)
	place, found := s.find(hash)
	if found || s.used >= maxSeen {
		return found
	}
	s.slots[place] = hash
	if s.used++; 2*s.used > len(s.slots) {
		s.grow()
	}
	return false
}

// find returns the place of the hash, or the empty one where it belongs.
func (s *seenAccounts) find(hash uint64) (place int, found bool) {
	mask := uint64(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s.slots[i] == 0 || s.slots[i] == hash {
			return int(i), s.slots[i] == hash
		}
	}
}

func (s *seenAccounts) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	for _, hash := range old {
		if hash != 0 {
			place, _ := s.find(hash)
			s.slots[place] = hash
		}
	}
}
