package record

import (
	"encoding/binary"

	"github.com/seathold/seathold/engine/inventory"
)

// Member is the content of KindJoined and KindLeft: from the record on an account is a member of a group, or no longer.
// It is absolute: joining as a member changes nothing.
type Member struct {
	Group   int // its index
	Account string
}

// MaxMemberGroups is how many groups a sale has at most: a member's are a bit each of a word.
const MaxMemberGroups = 64

// Append appends the record of the kind, KindJoined or KindLeft, to a run of records of the journal.
func (m Member) Append(run []byte, kind Kind, atMs int64) []byte {
	return seal(m.appendBody(begin(run, kind, atMs)), len(run))
}

// AppendRow appends the record of a member to a run of records of a checkpoint.
func (m Member) AppendRow(run []byte, s Stamp) []byte {
	return seal(m.appendBody(beginRow(run, KindJoined, s)), len(run))
}

func (m Member) appendBody(run []byte) []byte {
	return appendText(binary.AppendUvarint(run, uint64(m.Group)+1), m.Account)
}

func (f *fields) member() Member {
	group := f.number(MaxMemberGroups)
	m := Member{Group: int(group) - 1, Account: string(f.text(inventory.MaxAccount))}
	f.bad = f.bad || group == 0 || m.Account == ""
	return m
}
