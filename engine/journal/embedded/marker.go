package embedded

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/seathold/seathold/engine/journal"
)

// encodeMarker returns the content of the marker, one line that people can read too.
func encodeMarker(id uint64) []byte { return encodeMarkerOf(formatVersion, id) }

func encodeMarkerOf(version int, id uint64) []byte {
	line := fmt.Sprintf("Seathold journal, format %d, id %016x", version, id)
	return fmt.Appendf(nil, "%s, sum %08x\n", line, crc32.Checksum([]byte(line), castagnoli))
}

// decodeMarker returns the journal's id and its format version. name is that of the file.
func decodeMarker(name string, content []byte) (id uint64, version int, err error) {
	if _, err := fmt.Sscanf(string(content), "Seathold journal, format %d, id %16x", &version, &id); err != nil {
		if version > formatVersion {
			return 0, 0, foreignVersion(version)
		}
		return 0, 0, fmt.Errorf("%w: the file %s has other content", journal.ErrForeign, name)
	}
	if string(encodeMarkerOf(version, id)) != string(content) {
		return 0, 0, damaged(name, 0, "its checksum is wrong")
	}
	if version < 1 || version > formatVersion {
		return 0, 0, foreignVersion(version)
	}
	return id, version, nil
}

// foreignVersion is the error of a marker of a version that this program does not read.
type foreignVersion int

func (v foreignVersion) Error() string {
	return fmt.Sprintf("%v: it has format version %d, this program reads 1 to %d",
		journal.ErrForeign, int(v), formatVersion)
}

func (foreignVersion) Unwrap() error { return journal.ErrForeign }

// marker is one of the two files that show that a directory is a journal.
type marker struct {
	name    string
	id      uint64
	version int
	err     error // why it cannot be used; os.ErrNotExist when it is missing
}

func (d *directory) readMarkerFile(name string) (marker, error) {
	m := marker{name: name}
	content, err := d.readFile(name, 256, nil)
	switch {
	case errors.Is(err, os.ErrNotExist):
		m.err = err
	case isAny(err, unreadable):
		m.err = damaged(name, 0, "%v", err)
	case err != nil:
		return m, err
	default:
		m.id, m.version, m.err = decodeMarker(name, content)
	}
	return m, nil
}

// fault returns why the marker cannot be used.
func (m *marker) fault() *Fault {
	if fault, ok := errors.AsType[*Fault](m.err); ok {
		return fault
	}
	if errors.Is(m.err, os.ErrNotExist) {
		return faultAt(m.name, 0, "the file is missing")
	}
	return faultAt(m.name, 0, "%v", m.err)
}

// useless reports a marker that the other one stands in for.
func (d *directory) useless(m *marker, other string) {
	d.faults = append(d.faults, m.fault())
	d.notes = append(d.notes, fmt.Sprintf("%v; %s was read instead", m.fault(), other))
}

// readMarker reads the journal's id from the marker, or from its copy where the marker is damaged.
func (d *directory) readMarker() (marked bool, err error) {
	m, err := d.readMarkerFile(markerName)
	if err != nil {
		return false, err
	}
	c, err := d.readMarkerFile(markerCopyName)
	if err != nil {
		return false, err
	}
	switch {
	case m.err == nil && c.err == nil && m.id != c.id:
		return false, damaged(markerName, 0, "it has the id %016x, and %s has %016x", m.id, c.name, c.id)
	case m.err == nil && (c.err == nil && c.version == m.version || m.version == 1):
	case m.err == nil && errors.Is(c.err, os.ErrNotExist):
		d.noCopy, d.faults = true, append(d.faults, c.fault())
	case m.err == nil:
		d.useless(&c, markerName)
	case c.err == nil:
		d.useless(&m, markerCopyName)
		m = c
	case errors.Is(m.err, os.ErrNotExist) && errors.Is(c.err, os.ErrNotExist):
		return false, nil
	case errors.Is(m.err, os.ErrNotExist):
		return false, c.err
	default:
		return false, m.err
	}
	d.id, d.version, d.salt = m.id, m.version, saltOf(m.id)
	return true, nil
}
