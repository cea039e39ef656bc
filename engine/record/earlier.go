package record

import (
	"encoding/binary"
	"slices"
)

// Earlier is the content of KindEarlier, which only checkpoints have: what was in force before. A directory that was
// in force once is recognised by it, so that a start with one that was forgotten changes nothing.
//
// Each list has the latest MaxEarlier different contents, the last one last. Versions has, of every version, what it
// said and what was in force when it was replaced. Stock has what was in force before each change of a pool's stock,
// which may be many more: they push out no version. A content that is in neither list counts as new.
//
// The body is, for both lists: count | (version, content 8 bytes)…
type Earlier struct{ Versions, Stock []Content }

// Content is what was in force in a version: see ContentOf.
type Content struct {
	Version int // the last one in which it was
	Sum     uint64
}

// Push appends a content to a list of Earlier, which it changes. If the list has it already, it moves to the end.
func Push(list []Content, c Content) []Content {
	list = slices.DeleteFunc(list, func(is Content) bool { return is.Sum == c.Sum })
	if len(list) == MaxEarlier {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, c)
}

// VersionOf returns the last version in which a content was in force; 0 for none.
func (e *Earlier) VersionOf(sum uint64) (version int) {
	for _, list := range [][]Content{e.Versions, e.Stock} {
		for _, c := range list {
			if c.Sum == sum {
				version = max(version, c.Version)
			}
		}
	}
	return version
}

// AppendRow appends the record to a run of records of a checkpoint.
func (e *Earlier) AppendRow(run []byte, s Stamp) []byte {
	start := len(run)
	run = beginRow(run, KindEarlier, s)
	for _, list := range [][]Content{e.Versions, e.Stock} {
		run = appendCount(run, len(list))
		for _, c := range list {
			run = binary.BigEndian.AppendUint64(appendCount(run, c.Version), c.Sum)
		}
	}
	return seal(run, start)
}

func (f *fields) earlier() (e Earlier) {
	for _, list := range []*[]Content{&e.Versions, &e.Stock} {
		for n := f.most(MaxEarlier); n > 0 && !f.bad; n-- {
			c := Content{Version: f.int(maxUnits)}
			if sum := f.take(8); sum != nil {
				c.Sum = binary.BigEndian.Uint64(sum)
			}
			f.bad = f.bad || c.Version == 0
			*list = append(*list, c)
		}
	}
	return e
}
