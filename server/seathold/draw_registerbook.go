package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"
)

// registerBook is what a registration keeps beside its file: FILE.refused.csv with the lines that are no entries, and
// FILE.register.json with how far it has come. The second is replaced as a whole, and only after the first is on disk, so
// they agree after a crash: what the report has beyond the noted size is cut and written again. Lines that were entered
// behind the last note are sent again and then count as entered before.
type registerBook struct {
	path    string // of the note
	done    registerNote
	refused *os.File
	csv     *csv.Writer
	saved   time.Time
	unsaved int
}

// registerNote is how far a registration has come.
type registerNote struct {
	Draw         string `json:"draw"`
	Server       string `json:"server"`
	Line         int64  `json:"line"`
	Offset       int64  `json:"offset"`  // bytes of the file, behind that line
	Sum          uint64 `json:"crc64"`   // of those bytes
	Entered      int64  `json:"entered"` // lines
	Before       int64  `json:"entered_before"`
	Refused      int64  `json:"refused"`
	RefusedBytes int64  `json:"refused_bytes"` // of the report
}

// String is how far it is, for people.
func (n *registerNote) String() string {
	return fmt.Sprintf("line %s: %s entered, %s before, %s refused", count(int(n.Line)), count(int(n.Entered)), count(int(n.Before)),
		count(int(n.Refused)))
}

const (
	saveEvery      = time.Second
	saveAfterLines = 1 << 16
	refusedHeader  = "line,reason,text\n"
)

// openRegisterBook opens both files, or begins them. They are locked: two runs over one file would be at odds.
func openRegisterBook(file, draw, server string) (b *registerBook, err error) {
	b = &registerBook{path: file + ".register.json", saved: time.Now(), done: registerNote{Draw: draw, Server: server}}
	if err := b.load(); err != nil {
		return nil, err
	}
	if b.done.Draw != draw || b.done.Server != server {
		return nil, fmt.Errorf("%s was begun for the draw %s at %s; remove %s to begin again", file, b.done.Draw, b.done.Server, b.path)
	}
	report := file + ".refused.csv"
	if b.refused, err = os.OpenFile(report, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.refused.Close())
		}
	}()
	if err := unix.Flock(int(b.refused.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%s is being registered by another process: %w", file, err)
	}
	if err := b.load(); err != nil { // again, now that nobody else writes it
		return nil, err
	}
	if b.done.Offset == 0 {
		b.done.RefusedBytes = 0
	}
	size, err := b.refused.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if size < b.done.RefusedBytes {
		return nil, fmt.Errorf("%s has lost lines that %s counts; remove the latter to begin again", report, b.path)
	}
	if err := b.refused.Truncate(b.done.RefusedBytes); err != nil {
		return nil, err
	}
	if _, err := b.refused.Seek(b.done.RefusedBytes, io.SeekStart); err != nil {
		return nil, err
	}
	if b.done.RefusedBytes == 0 {
		if _, err := b.refused.WriteString(refusedHeader); err != nil {
			return nil, err
		}
	}
	b.csv = csv.NewWriter(b.refused)
	return b, nil
}

// load reads the note, if there is one.
func (b *registerBook) load() error {
	text, err := os.ReadFile(b.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var note registerNote
	if err := json.Unmarshal(text, &note, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%s is no note of a registration; remove it to begin again: %w", b.path, err)
	}
	b.done = note
	return nil
}

// take records the outcome of the line that follows those recorded.
func (b *registerBook) take(t *task) error {
	d := &b.done
	switch o := &t.outcome; {
	case o.refused != "":
		d.Refused++
		text := t.line.text
		if text == "" {
			text = t.line.account + "," + t.line.group
		}
		if err := b.csv.Write([]string{strconv.FormatInt(t.line.number, 10), o.refused, text}); err != nil {
			return err
		}
	case o.entered:
		d.Entered++
	default:
		d.Before++
	}
	d.Line, d.Offset, d.Sum = t.line.number, t.line.offset, t.line.sum
	if b.unsaved++; b.unsaved >= saveAfterLines || time.Since(b.saved) >= saveEvery {
		return b.save()
	}
	return nil
}

// save puts on disk how far the registration has come.
func (b *registerBook) save() error {
	b.saved, b.unsaved = time.Now(), 0
	b.csv.Flush()
	if err := errors.Join(b.csv.Error(), b.refused.Sync()); err != nil {
		return err
	}
	var err error
	if b.done.RefusedBytes, err = b.refused.Seek(0, io.SeekCurrent); err != nil {
		return err
	}
	text, err := json.Marshal(&b.done, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return replaceFile(b.path, append(text, '\n'))
}

func (b *registerBook) close() error { return b.refused.Close() }

// sum tells what became of the whole file.
func (b *registerBook) sum(w io.Writer) error {
	d := &b.done
	out := lines{w: w}
	out.say("draw %s: %s entered, %s had entered before, %s lines refused", d.Draw, count(int(d.Entered)), count(int(d.Before)), count(int(d.Refused)))
	if d.Refused > 0 {
		out.say("refused lines and why: %s", b.refused.Name())
	}
	return out.err
}

// replaceFile writes a file so that after a crash it is the old or the new one, whole.
func replaceFile(path string, content []byte) (err error) {
	next := path + ".next"
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
