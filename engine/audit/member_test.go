package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/record"
)

// forMembers makes the story's phase one for the members of the first group.
func (s *story) forMembers() *story {
	p := &s.sale.Phases[s.phase]
	p.Access, p.Group = catalog.Members, 0
	return s
}

func (s *story) join(account string) *story { return s.member(record.KindJoined, account) }

func (s *story) leave(account string) *story { return s.member(record.KindLeft, account) }

func (s *story) member(kind record.Kind, account string) *story {
	s.records, s.count = record.Member{Account: account}.Append(s.records, kind, s.at), s.count+1
	return s
}

// A phase for a group sells to those alone who are members at the record. Who leaves keeps what it has.
func TestVerifyJudgesMembers(t *testing.T) {
	stranger := "of account bob in phase " + newStory(t).sale.Phases[newStory(t).phase].ID +
		", which is for members of group club; it is not one"
	for what, c := range map[string]struct {
		write func(s *story)
		want  string // "" for no problem
	}{
		"a member": {func(s *story) {
			s.forMembers().first()
			s.join("ann").take(1, "ann", 1).leave("ann").end(1, confirmed)
		}, ""},
		"a stranger": {func(s *story) {
			s.forMembers().first()
			s.join("ann").take(1, "bob", 1)
		}, "record 3: access: reservation 01000000-0000-0000-0000-000000000000 " + stranger},
		"a stranger, where everybody may buy": {func(s *story) { s.take(1, "bob", 1) }, ""},
		"before it joins": {func(s *story) {
			s.forMembers().first()
			s.take(1, "bob", 1).join("bob")
		}, "record 2: access: "},
		"after it has left": {func(s *story) {
			s.forMembers().first()
			s.join("bob").leave("bob").take(1, "bob", 1)
		}, "record 4: access: "},
		"taken again after it has left": {func(s *story) {
			s.forMembers().first()
			s.join("ann").take(1, "ann", 1).end(1, expired).leave("ann").change(again, 2000, s.of(1))
		}, "record 6: access: "},
		"replaced after it has left": {func(s *story) {
			s.forMembers().first()
			s.join("ann").take(1, "ann", 1).leave("ann").change(replace, 300, s.reservation(2, "ann", 1, 0))
		}, "record 5: access: "},
		"it joins twice": {func(s *story) {
			s.first()
			s.join("ann").join("ann")
		}, "record 3: I9: group club: account ann joins, and is a member"},
		"it leaves, and never joined": {func(s *story) {
			s.first()
			s.leave("ann")
		}, "record 2: I3: group club: account ann leaves, and is not a member"},
		"members stay while the group is removed": {func(s *story) {
			d := s.forMembers().first()
			s.join("ann").sale.Phases[s.phase].Access, s.sale.Groups[0].Removed = catalog.Open, true
			d = s.version(d)
			s.sale.Groups[0].Removed = false
			s.forMembers().version(d)
			s.take(1, "ann", 1)
		}, ""},
	} {
		requireProblem(t, what, c.write, c.want)
	}
}

// A checkpoint has the members at some record up to its end. What follows is judged by them.
func TestVerifyMembersOfACheckpoint(t *testing.T) {
	s := newStory(t).forMembers()
	d := s.first()
	s.join("ann").join("bob").leave("bob") // up to record 4
	s.checkpoint = d.AppendRow(nil, record.Stamp{AtMs: s.at, Seq: 1})
	s.checkpoint = record.Member{Account: "ann"}.AppendRow(s.checkpoint, record.Stamp{})
	s.info.End = 4
	found := s.take(1, "ann", 1).join("cat").verify()
	require.Empty(t, found.Problems)
	require.Equal(t, map[string]int{"club": 2}, found.Members)
	found = s.take(2, "bob", 1).verify()
	require.Len(t, found.Problems, 1)
	require.Contains(t, found.Problems[0], "record 7: access: ")
}

// A dump has whose members buy in a phase, what it sells at most, and who joins and leaves.
func TestDumpOfMembersAndPlaces(t *testing.T) {
	s := newStory(t).forMembers().bound(3)
	s.first()
	s.join("ann").leave("ann")
	var out bytes.Buffer
	require.NoError(t, Dump(s, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	var now dumpedRecord
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &now))
	phase := now.Content.Phases[s.phase]
	require.Equal(t, "club", phase.Group)
	session := s.sale.Sessions[s.sale.Pools[0].Session].ID
	require.Equal(t, []dumpedPlaces{{Session: session, Places: 3}}, phase.SessionPlaces)
	for i, kind := range []string{"joined", "left"} {
		now = dumpedRecord{}
		require.NoError(t, json.Unmarshal([]byte(lines[1+i]), &now))
		require.Equal(t, kind, now.Kind)
		require.Equal(t, "ann", now.Account)
		require.Contains(t, lines[1+i], `"group":"club"`)
	}
}
