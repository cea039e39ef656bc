package record

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/journal"
)

// A version is a whole definition of a sale, so a journal is readable without the files that it was made of, and
// whatever a later catalog.Load refuses. Its body is:
//
//	number | digest of the files, 32 bytes | count | digests of the files of earlier versions, 32 bytes each |
//	SHA-256 of the rest, 32 bytes | size of the text | size of the tar | compressed (RFC 1951): text, tar
//
//	text         content as in KindDefinition | facts | above: programmes, sessions | quotas | freed places
//	tar          the files as the organiser wrote them; nothing without files
//
// The tar is there to be exported. Nothing that is in force is read from it.
//
// The record of Paris 2024 has 80 kilobytes, of 438 before compression: its files have 235 of them.

// MaxEarlier is how many earlier versions a version names: the latest ones.
const MaxEarlier = 4096

// The largest parts of a version, before compression. They bound the memory that a record can ask for.
const (
	maxVersionText = 12 << 20
	maxVersionTar  = 33 << 20
)

// maxRatio is a bound of how many bytes flate makes of one.
const maxRatio = 1040

// maxHead is the most bytes of a record before its body.
const maxHead = 1 + 2*binary.MaxVarintLen64

// ErrTooLarge is the error of a definition that does not fit in a record of the journal.
var ErrTooLarge = errors.New("the definition is too large for the journal")

// Next returns the definition of the version that follows d: what the sale says, in the numbers of d, as
// catalog.Continue returns it. An account may keep what it has beyond a cap or limit that is lower now: up to the old
// one, or to what was allowed beyond that. Pack has not been called.
func (d *Definition) Next(sale *catalog.Sale) Definition {
	next := DefinitionOf(sale)
	next.Version = d.Version + 1
	if d.Version > 0 {
		next.Earlier = append(next.Earlier, d.Earlier[max(0, len(d.Earlier)+1-MaxEarlier):]...)
		next.Earlier = append(next.Earlier, d.FilesDigest)
	}
	if d.Rules == nil {
		return next
	}
	programmes, sessions := mostOf(d.Above.Programmes), mostOf(d.Above.Sessions)
	for i := range d.Rules.Programmes {
		most := max(d.Rules.Programmes[i].AccountCap, programmes[i])
		if sale.Programmes[i].AccountCap < most {
			next.Above.Programmes = append(next.Above.Programmes, Most{Of: i, Tickets: most})
		}
	}
	for i := range d.Rules.Sessions {
		most := max(d.Rules.Sessions[i].Limit, sessions[i])
		if sale.Sessions[i].Limit < most {
			next.Above.Sessions = append(next.Above.Sessions, Most{Of: i, Tickets: most})
		}
	}
	return next
}

func mostOf(list []Most) map[int]int {
	most := make(map[int]int, len(list))
	for _, m := range list {
		most[m.Of] = m.Tickets
	}
	return most
}

// Pack encodes and compresses a definition that has a Version, once for all its records. Its fields must not change
// afterwards. The error is ErrTooLarge.
func (d *Definition) Pack() error {
	text := d.appendText(nil)
	if len(text) > maxVersionText || len(d.Files) > maxVersionTar {
		return fmt.Errorf("%w: its content has %d bytes of at most %d, its files have %d of at most %d", ErrTooLarge,
			len(text), maxVersionText, len(d.Files), maxVersionTar)
	}
	packed := d.pack(text)
	if size := maxHead + len(packed); size > journal.MaxRecord {
		return fmt.Errorf("%w: its record has %d bytes, at most %d are possible", ErrTooLarge, size, journal.MaxRecord)
	}
	d.packed, d.content = packed, ContentOf(d.Rules)
	return nil
}

// Content returns ContentOf of what the definition says. Pack and Decode have computed it.
func (d *Definition) Content() uint64 {
	if d.content == 0 {
		return ContentOf(d.Rules)
	}
	return d.content
}

func (d *Definition) appendText(run []byte) []byte {
	run = appendAbove(appendFacts(appendContent(run, d.Rules), d.Rules), &d.Above)
	if len(d.Freed) == 0 {
		return appendQuotas(run, d.Rules)
	}
	if len(d.Rules.Quotas) == 0 {
		run = appendCount(run, 0)
	}
	return appendFreed(appendQuotas(run, d.Rules), d.Freed)
}

func (d *Definition) pack(text []byte) []byte {
	rest := appendCount(appendCount(nil, len(text)), len(d.Files))
	squeezed := bytes.NewBuffer(rest)
	w, err := flate.NewWriter(squeezed, flate.DefaultCompression)
	if err != nil {
		panic("BUG: the compression is not one of flate's: " + err.Error())
	}
	for _, part := range [][]byte{text, d.Files} {
		if _, err = w.Write(part); err != nil {
			panic("BUG: a write to memory failed: " + err.Error())
		}
	}
	if err = w.Close(); err != nil {
		panic("BUG: a write to memory failed: " + err.Error())
	}
	body := append(appendCount(nil, d.Version), d.FilesDigest[:]...)
	body = appendCount(body, len(d.Earlier))
	for i := range d.Earlier {
		body = append(body, d.Earlier[i][:]...)
	}
	sum := sha256.Sum256(squeezed.Bytes())
	return append(append(body, sum[:]...), squeezed.Bytes()...)
}

// versionBody returns the body of the version's record.
func (d *Definition) versionBody() []byte {
	if d.packed != nil {
		return d.packed
	}
	return d.pack(d.appendText(nil))
}

// version reads the body of a version.
func (f *fields) version() Definition {
	body := f.rest
	number, digest := f.int(maxUnits), f.digest()
	var earlier []draw.Digest
	for n := f.int(MaxEarlier); n > 0 && !f.bad; n-- {
		earlier = append(earlier, f.digest())
	}
	sum, rest := f.digest(), f.rest
	textSize, tarSize := f.int(maxVersionText), f.int(maxVersionTar)
	if f.bad || number == 0 || sum != sha256.Sum256(rest) {
		f.bad = true
		return Definition{}
	}
	plain := f.inflate(textSize + tarSize)
	if f.bad {
		return Definition{}
	}
	text := fields{rest: plain[:textSize]}
	sale, sells := text.parts()
	text.facts(&sale)
	above := Above{Programmes: text.beyond(len(sale.Programmes)), Sessions: text.beyond(len(sale.Sessions))}
	sale.Quotas = text.quotas()
	freed := text.freed(len(sale.Pools))
	assembled, err := catalog.Assemble(sale, sells)
	if text.bad || len(text.rest) > 0 || err != nil {
		f.bad = true
		return Definition{}
	}
	d := DefinitionOf(assembled)
	d.Version, d.FilesDigest, d.Earlier, d.packed = number, digest, earlier, bytes.Clone(body)
	d.Above, d.Freed = above, freed
	d.content = ContentOf(assembled)
	if tarSize > 0 {
		d.Files = plain[textSize:]
		assembled.Files, _ = catalog.ReadTar(bytes.NewReader(d.Files)) // nil if this program refuses what another one wrote
	}
	return d
}

// inflate reads the rest, which must have so many bytes when it is decompressed.
func (f *fields) inflate(size int) []byte {
	if f.bad = f.bad || size > maxRatio*len(f.rest); f.bad {
		return nil
	}
	from := bytes.NewReader(f.rest)
	r := flate.NewReader(from)
	plain := make([]byte, size)
	if _, err := io.ReadFull(r, plain); err != nil {
		f.bad = true
		return nil
	}
	n, err := io.ReadFull(r, make([]byte, 1))
	f.bad = n > 0 || err != io.EOF || from.Len() > 0
	f.rest = nil
	return plain
}

func (f *fields) digest() (d draw.Digest) {
	copy(d[:], f.take(len(d)))
	return d
}
