package registration

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seathold/seathold/server/internal/lines"
	"github.com/seathold/seathold/server/internal/statefile"
)

// book is what a registration keeps beside its file: FILE.refused.csv with the refused lines, and FILE.register.json,
// the note of how far it has come. The note is replaced as a whole, and only after the report is on disk, so the two
// agree after a crash: the report is cut to the size in the note. Lines that were entered after the last note are sent
// again, and then count as entered before.
type book struct {
	path    string // of the note
	done    Report
	refused *statefile.File
	csv     *csv.Writer
	saved   time.Time
	unsaved int // lines
}

const (
	saveEvery      = time.Second
	saveAfterLines = 1 << 16
	refusedHeader  = "line,reason,text\n"
)

// openBook opens or creates both files. The report is locked: two runs over one file would corrupt them.
func openBook(file, draw, server string) (*book, error) {
	b := &book{path: file + ".register.json", saved: time.Now(), done: Report{Draw: draw, Server: server}}
	var err error
	if b.refused, err = statefile.Open(file+".refused.csv", 0o644); err != nil {
		return nil, err
	}
	if err = b.load(file, draw, server); err == nil {
		err = b.continueReport()
	}
	if err != nil {
		return nil, errors.Join(err, b.refused.Close())
	}
	return b, nil
}

// load reads the note, if there is one.
func (b *book) load(file, draw, server string) error {
	text, err := os.ReadFile(b.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var found Report
	if err := json.Unmarshal(text, &found, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%s is not the note of a registration; remove it to start over: %w", b.path, err)
	}
	if found.Draw != draw || found.Server != server {
		return fmt.Errorf("%s was begun for the draw %s at %s; remove %s to start over", file, found.Draw, found.Server,
			b.path)
	}
	b.done = found
	return nil
}

// continueReport cuts the report to the size in the note.
func (b *book) continueReport() error {
	if b.done.Offset == 0 {
		b.done.RefusedBytes = 0
	}
	size, err := b.refused.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size < b.done.RefusedBytes {
		return fmt.Errorf("%s has fewer lines than %s counts; remove the latter to start over", b.refused.Name(), b.path)
	}
	if err := b.refused.Cut(b.done.RefusedBytes); err != nil {
		return err
	}
	b.csv = csv.NewWriter(b.refused)
	if b.done.RefusedBytes == 0 {
		_, err = b.refused.WriteString(refusedHeader)
	}
	return err
}

// take records the outcome of the next line. saved is true when it is on disk.
func (b *book) take(t *task) (saved bool, err error) {
	d := &b.done
	switch o := &t.outcome; {
	case t.line.header:
		d.Headers++
	case o.refused != "":
		d.Refused++
		text := t.line.text
		if text == "" {
			text = t.line.account + "," + t.line.group
		}
		number := strconv.FormatInt(t.line.number, 10)
		if err := b.csv.Write([]string{number, lines.Cell(o.refused), lines.Cell(text)}); err != nil {
			return false, err
		}
	case o.entered:
		d.Entered++
	default:
		d.Before++
	}
	d.Line, d.Offset, d.Sum = t.line.number, t.line.offset, t.line.sum
	if b.unsaved++; b.unsaved < saveAfterLines && time.Since(b.saved) < saveEvery {
		return false, nil
	}
	return true, b.save()
}

// save writes to disk how far the registration has come: the report first.
func (b *book) save() error {
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
	return statefile.Replace(b.path, append(text, '\n'))
}
