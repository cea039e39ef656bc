package notify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/seathold/seathold/server/internal/statefile"
)

// sentLog is the file that notes what has been done, a line each, on disk before the next step is taken:
//
//	seathold-notify 1 draw1 1f0c…      the draw and the root of its entries
//	try 17 alice                       about to hand over the mail for rank 17
//	sent 17                            the server has accepted it
//	failed 17 550 no such mailbox      the server has refused it for good
//	deferred 17                        the server has not accepted it, for now
//
// A try that no answer follows was under way when its run ended. A last line without an end was cut by a crash, and is
// dropped.
type sentLog struct {
	file   *os.File
	unlock func() error
	sent   bitset
	count  int               // of sent
	failed map[uint32]string // why
	tried  uint32            // rank of a try that nothing follows; 0 for none
}

const logMagic = "seathold-notify 1"

// errLog refuses a log that is not this draw's.
var errLog = errors.New("log")

// openLog opens the log of a draw, or begins it. No two processes have it open at the same time.
func openLog(path, draw, root string) (_ *sentLog, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &sentLog{file: file, failed: map[uint32]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.unlock, err = statefile.Lock(path); err != nil {
		return nil, fmt.Errorf("%w: %w", errLog, err)
	}
	header := fmt.Sprintf("%s %s %s\n", logMagic, draw, root)
	end, err := l.read(header)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errLog, path, err)
	}
	if err := file.Truncate(end); err != nil {
		return nil, err
	}
	if _, err := file.Seek(end, io.SeekStart); err != nil {
		return nil, err
	}
	if end == 0 {
		err = errors.Join(l.note(header), statefile.SyncDir(path))
	}
	return l, err
}

// read takes in the log and returns where its last whole line ends.
func (l *sentLog) read(header string) (end int64, err error) {
	in := bufio.NewReaderSize(l.file, 1<<16)
	for number := 1; ; number++ {
		line, err := in.ReadSlice('\n')
		switch {
		case err == io.EOF && (number > 1 || bytes.HasPrefix([]byte(header), line)):
			return end, nil
		case err == io.EOF || number == 1 && string(line) != header:
			return 0, fmt.Errorf("it is not the log of this draw: it begins with %q instead of %q", line, header)
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

// take reads one line.
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
		if l.sent.set(rank) {
			l.count++
		}
		delete(l.failed, rank)
	case "failed":
		l.failed[rank] = string(rest)
	case "deferred":
	default:
		return fmt.Errorf("%q is no note", line)
	}
	return nil
}

func (l *sentLog) note(line string) error {
	if _, err := l.file.WriteString(line); err != nil {
		return err
	}
	return l.file.Sync()
}

func (l *sentLog) noteTry(w *Winner) error {
	return l.note(fmt.Sprintf("try %d %s\n", w.Rank, w.Account))
}

func (l *sentLog) noteSent(w *Winner) error {
	if l.sent.set(w.Rank) {
		l.count++
	}
	delete(l.failed, w.Rank)
	return l.note(fmt.Sprintf("sent %d\n", w.Rank))
}

func (l *sentLog) noteFailed(w *Winner, why string) error {
	l.failed[w.Rank] = why
	return l.note(fmt.Sprintf("failed %d %s\n", w.Rank, why))
}

// noteDeferred says that the server has answered a try, and has not accepted the mail.
func (l *sentLog) noteDeferred(w *Winner) error {
	return l.note(fmt.Sprintf("deferred %d\n", w.Rank))
}

func (l *sentLog) close() error {
	err := l.file.Close()
	if l.unlock != nil {
		err = errors.Join(err, l.unlock())
	}
	return err
}

// bitset is a set of ranks.
type bitset struct{ words []uint64 }

// set adds a rank; false when it was there.
func (b *bitset) set(rank uint32) bool {
	word, bit := int(rank/64), uint64(1)<<(rank%64)
	if word >= len(b.words) {
		b.words = append(b.words, make([]uint64, word+1-len(b.words)+len(b.words)/2)...)
	}
	was := b.words[word]&bit != 0
	b.words[word] |= bit
	return !was
}

func (b *bitset) has(rank uint32) bool {
	word := int(rank / 64)
	return word < len(b.words) && b.words[word]&(1<<(rank%64)) != 0
}

func (b *bitset) clear(rank uint32) {
	if b.has(rank) {
		b.words[rank/64] &^= 1 << (rank % 64)
	}
}
