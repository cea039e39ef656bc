package notify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/seathold/seathold/server/internal/statefile"
)

// sentLog is the file that records what has been done, a line each, on disk before the next step is taken:
//
//	seathold-notify 1 draw1 1f0c…      the draw and the root of its entries
//	try 17 alice                       about to send the mail to rank 17
//	sent 17                            the server has accepted it
//	failed 17 550 no such mailbox      the server has refused it for good
//	deferred 17                        the server has refused it for now
//
// A try without a following reply was in flight when its run ended. A last line without a line feed was cut by a crash,
// and is dropped.
type sentLog struct {
	file   *statefile.File
	sent   rankSet
	count  int               // of sent
	failed map[uint32]string // why
	tried  uint32            // rank of a try without a reply; 0 for none
}

const logMagic = "seathold-notify 1"

var errLog = errors.New("log")

// openLog opens the log of a draw, or creates it, and locks it.
func openLog(path, draw, root string) (_ *sentLog, err error) {
	file, err := statefile.Open(path, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLog, err)
	}
	l := &sentLog{file: file, failed: map[uint32]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	header := fmt.Sprintf("%s %s %s\n", logMagic, draw, root)
	end, err := l.read(header)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errLog, path, err)
	}
	if err = file.Cut(end); err == nil && end == 0 {
		err = errors.Join(l.note("%s", header), statefile.SyncDir(path))
	}
	return l, err
}

// read reads the log and returns where its last whole line ends.
func (l *sentLog) read(header string) (end int64, err error) {
	in := bufio.NewReaderSize(l.file, 1<<16)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		switch {
		case err == io.EOF && (number > 1 || bytes.HasPrefix([]byte(header), line)):
			return end, nil
		case err == io.EOF || number == 1 && string(line) != header:
			return 0, fmt.Errorf("not the log of this draw: it begins with %q instead of %q", line, header)
		case err != nil:
			return 0, fmt.Errorf("line %d: %w", number, err)
		}
		if number > 1 {
			if err := l.take(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				return 0, fmt.Errorf("line %d: %w", number, err)
			}
		}
		end += int64(len(line))
	}
}

// take applies one line.
func (l *sentLog) take(line []byte) error {
	word, rest, _ := bytes.Cut(line, []byte(" "))
	digits, rest, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseUint(string(digits), 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("%q has no rank", line)
	}
	rank := uint32(n)
	l.tried = 0
	switch string(word) {
	case "try":
		l.tried = rank
	case "sent":
		l.markSent(rank)
	case "failed":
		l.failed[rank] = string(rest)
	case "deferred":
	default:
		return fmt.Errorf("%q is not a record of this log", line)
	}
	return nil
}

func (l *sentLog) markSent(rank uint32) {
	if !l.sent.set(rank, true) {
		l.count++
	}
	delete(l.failed, rank)
}

// note writes a line to disk.
func (l *sentLog) note(format string, facts ...any) error {
	if _, err := fmt.Fprintf(l.file, format, facts...); err != nil {
		return err
	}
	return l.file.Sync()
}

func (l *sentLog) noteTry(w *Winner) error { return l.note("try %d %s\n", w.Rank, w.Account) }

func (l *sentLog) noteSent(w *Winner) error {
	l.markSent(w.Rank)
	return l.note("sent %d\n", w.Rank)
}

func (l *sentLog) noteFailed(w *Winner, why string) error {
	l.failed[w.Rank] = why
	return l.note("failed %d %s\n", w.Rank, why)
}

func (l *sentLog) noteDeferred(w *Winner) error { return l.note("deferred %d\n", w.Rank) }

func (l *sentLog) close() error { return l.file.Close() }

// rankSet is a set of ranks, which are dense: a byte each is little.
type rankSet []bool

// set adds or removes a rank, and returns whether it was in the set.
func (s *rankSet) set(rank uint32, in bool) (was bool) {
	if grow := int(rank) + 1 - len(*s); grow > 0 {
		*s = append(*s, make([]bool, grow)...)
	}
	was, (*s)[rank] = (*s)[rank], in
	return was
}

func (s rankSet) has(rank uint32) bool { return int(rank) < len(s) && s[rank] }
