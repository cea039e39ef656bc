package redis

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/seathold/seathold/engine/journal"
)

// Types of entries, with the version of their layout. Every change of a layout needs a new number and new golden
// entries in testdata.
const (
	groupType  = "group.1"
	claimType  = "claim.1"
	beatType   = "beat.1"
	resignType = "resign.1"
)

// maxRunBytes bounds the records of one group and of one chunk of a checkpoint.
const maxRunBytes = 64 << 20

// id is the id of an entry in the stream, written epoch-number. Redis refuses one that is not above the last.
type id struct {
	epoch  uint64
	number uint64 // counts the leader's entries, its beats included; its claim is 0
}

func (i id) String() string {
	return strconv.FormatUint(i.epoch, 10) + "-" + strconv.FormatUint(i.number, 10)
}

func (i id) compare(other id) int {
	return cmp.Or(cmp.Compare(i.epoch, other.epoch), cmp.Compare(i.number, other.number))
}

func parseID(s string) (id, error) {
	e, n, _ := strings.Cut(s, "-")
	epoch, err1 := strconv.ParseUint(e, 10, 64)
	number, err2 := strconv.ParseUint(n, 10, 64)
	if err1 != nil || err2 != nil {
		return id{}, fmt.Errorf("%q is not an entry's id", s)
	}
	return id{epoch, number}, nil
}

// position is a position in the chain: the id and the sum of a group or a claim, written epoch-number:sum. It
// identifies everything written up to there, because the sum of a group covers the previous position. The zero
// position, written as an empty string, is before everything.
type position struct {
	id  id
	sum uint64
}

func (p position) String() string {
	if p == (position{}) {
		return ""
	}
	return p.id.String() + ":" + sumText(p.sum)
}

func parsePosition(s string) (position, error) {
	if s == "" {
		return position{}, nil
	}
	at, sum, _ := strings.Cut(s, ":")
	i, err := parseID(at)
	if err != nil {
		return position{}, err
	}
	n, err := strconv.ParseUint(sum, 16, 64)
	if err != nil || len(sum) != 16 {
		return position{}, fmt.Errorf("%q is not a position in the journal", s)
	}
	return position{i, n}, nil
}

// entry is an entry of the chain: a group, or the claim that begins an epoch.
type entry struct {
	at, previous position

	group journal.Group // of a group

	leader string // of a claim: the address at which clients reach the leader
	nonce  string // of a claim: distinguishes two claims of one epoch, one of which Redis has lost
}

func (e *entry) isClaim() bool { return e.group.Count == 0 }

// The sum of a group is the xxHash64 of seven 64-bit words, little-endian, and the records:
//
//	+-----------+------------+-----------+------------+-----------+-----------+-----------+---------
//	| id epoch  | id number  | previous  | previous   | previous  | first     | count     | records
//	|           |            | epoch     | number     | sum       | record    |           | ...
//	+-----------+------------+-----------+------------+-----------+-----------+-----------+---------
func groupSum(at id, previous position, g journal.Group) uint64 {
	var words [56]byte
	for i, w := range [...]uint64{at.epoch, at.number, previous.id.epoch, previous.id.number, previous.sum,
		g.First, uint64(g.Count)} {
		binary.LittleEndian.PutUint64(words[8*i:], w)
	}
	var d xxhash.Digest
	d.Reset()
	d.Write(words[:])
	d.Write(g.Records)
	return d.Sum64()
}

// claimSum is the xxHash64 of a claim's text. It does not cover the previous position, because Redis fills that in; the
// reader compares it with the entry it read before.
func claimSum(at id, leader, nonce string) uint64 {
	return xxhash.Sum64String(at.String() + "\n" + nonce + "\n" + leader)
}

// message is an entry as Redis returns it.
type message struct {
	id     id
	fields []any // names and values, alternating
}

// parseMessages reads the reply of XRANGE.
func parseMessages(reply any) ([]message, error) {
	list, ok := reply.([]any)
	if !ok && reply != nil {
		return nil, fmt.Errorf("%w: Redis returned %T instead of entries", journal.ErrForeign, reply)
	}
	messages := make([]message, 0, len(list))
	for _, item := range list {
		pair, _ := item.([]any)
		if len(pair) != 2 {
			return nil, fmt.Errorf("%w: Redis returned something that is not an entry", journal.ErrForeign)
		}
		text, _ := pair[0].(string)
		at, err := parseID(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", journal.ErrForeign, err)
		}
		fields, _ := pair[1].([]any)
		messages = append(messages, message{at, fields})
	}
	return messages, nil
}

// field returns the value of the i-th field if it has the given name, and an empty string otherwise.
func (m message) field(i int, name string) string {
	if 2*i+1 >= len(m.fields) || m.fields[2*i] != name {
		return ""
	}
	value, _ := m.fields[2*i+1].(string)
	return value
}

func (m message) kind() string { return m.field(0, "type") }

func (m message) bytes() int {
	n := 32
	for _, f := range m.fields {
		s, _ := f.(string)
		n += len(s)
	}
	return n
}

// entry parses a group or a claim and checks its sum.
func (m message) entry() (entry, error) {
	var e entry
	var err error
	e.at.id = m.id
	if e.previous, err = parsePosition(m.field(1, "prev")); err != nil {
		return e, m.damaged("%v", err)
	}
	if e.at.sum, err = strconv.ParseUint(m.field(4, "sum"), 16, 64); err != nil {
		return e, m.damaged("it has no checksum")
	}
	if m.kind() == claimType {
		e.leader, e.nonce = m.field(2, "leader"), m.field(3, "nonce")
		if claimSum(m.id, e.leader, e.nonce) != e.at.sum {
			return e, m.damaged("its checksum does not match")
		}
		return e, nil
	}
	first, err1 := strconv.ParseUint(m.field(2, "first"), 10, 64)
	count, err2 := strconv.ParseUint(m.field(3, "count"), 10, 32)
	if err1 != nil || err2 != nil || count == 0 {
		return e, m.damaged("its record numbers are missing or malformed")
	}
	e.group = journal.Group{First: first, Count: int(count), Records: []byte(m.field(5, "records"))}
	if groupSum(m.id, e.previous, e.group) != e.at.sum {
		return e, m.damaged("its checksum does not match")
	}
	return e, nil
}

func (m message) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: entry %v: %s", journal.ErrDamaged, m.id, fmt.Sprintf(format, args...))
}

func (m message) foreign() error {
	return fmt.Errorf("%w: entry %v has the type %q", journal.ErrForeign, m.id, m.kind())
}

func sumText(sum uint64) string { return fmt.Sprintf("%016x", sum) }
