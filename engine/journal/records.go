package journal

import (
	"encoding/binary"
	"fmt"
)

// MaxRecord is the size of the largest record in bytes. An outcome takes about fifty, and a sale definition of 60,000
// pools stays below the limit. A length above it can only be damage.
const MaxRecord = 8 << 20

// maxGroup is how many bytes of records a Writer puts into one group, unless a single record is longer. The groups of a
// busy sale have some hundred kilobytes. A sweep that ends a million reservations at once has more and is split.
const maxGroup = 4 << 20

// split cuts the group in two. The first part has at most the given number of bytes, but at least one record.
func (g Group) split(bytes int) (head, rest Group, err error) {
	count, run := 0, g.Records
	for {
		_, after, err := Next(run)
		if err != nil {
			return head, rest, err
		}
		if count > 0 && len(g.Records)-len(after) > bytes {
			break
		}
		count, run = count+1, after
	}
	size := len(g.Records) - len(run)
	head = Group{First: g.First, Count: count, Records: g.Records[:size:size]}
	return head, Group{First: g.First + uint64(count), Count: g.Count - count, Records: run}, nil
}

// AppendRecord appends to a run of records the length of a record, as an unsigned varint, and the record.
func AppendRecord(run, record []byte) []byte {
	run = binary.AppendUvarint(run, uint64(len(record)))
	return append(run, record...)
}

// Next splits the first record off a run of records. It returns ErrDamaged where run is not a run of records.
func Next(run []byte) (record, rest []byte, err error) {
	n, size := binary.Uvarint(run)
	if size <= 0 || size > 1 && run[size-1] == 0 { // each length has one encoding only
		return nil, nil, fmt.Errorf("%w: a record has no valid length", ErrDamaged)
	}
	if n > MaxRecord || n > uint64(len(run)-size) {
		return nil, nil, fmt.Errorf("%w: a record has a length of %d bytes where %d are left", ErrDamaged, n, len(run)-size)
	}
	end := size + int(n)
	return run[size:end:end], run[end:], nil
}
