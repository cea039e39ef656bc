package record

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
)

// The bytes of the records of members. Older journals must stay readable.
func TestMemberRecordBytes(t *testing.T) {
	m := Member{Group: 1, Account: "alice"}
	for _, c := range []struct {
		run  []byte
		want string
	}{
		{m.Append(nil, KindJoined, 7), "09" + "58" + "07" + "02" + "05" + "616c696365"},
		{m.Append(nil, KindLeft, 7), "09" + "59" + "07" + "02" + "05" + "616c696365"},
		{m.AppendRow(nil, Stamp{AtMs: 7, Seq: 9}), "0a" + "78" + "07" + "09" + "02" + "05" + "616c696365"},
	} {
		require.Equal(t, c.want, hex.EncodeToString(c.run))
		var r Record
		require.NoError(t, r.Decode(c.run[1:]))
		require.Equal(t, m, r.Member)
		require.Equal(t, c.run, encode(&r))
		require.ErrorIs(t, r.Decode(c.run[1:len(c.run)-1]), ErrInvalid)
		require.ErrorIs(t, r.Decode(append(c.run[1:len(c.run):len(c.run)], 0)), ErrInvalid)
	}
	var r Record
	left := Member{}.appendBody(beginRow(nil, KindLeft, Stamp{}))
	require.ErrorIs(t, r.Decode(seal(left, 0)[1:]), ErrInvalid, "no checkpoint has it")
	none := append(begin(nil, KindJoined, 7), 0, 1, 'a')
	require.ErrorIs(t, r.Decode(seal(none, 0)[1:]), ErrInvalid, "a group has a number")
	high := Member{Group: MaxMemberGroups, Account: "a"}
	require.ErrorIs(t, r.Decode(high.Append(nil, KindJoined, 7)[1:]), ErrInvalid)
}

// A member's group has the number of the definition before the record.
func TestMembersOfASaleInAnotherOrder(t *testing.T) {
	sale := &catalog.Sale{Groups: []catalog.Group{{ID: "club"}, {ID: "friends"}}}
	to := translate(&Definition{Groups: []string{"friends", "gone"}}, sale)
	m := Member{Account: "alice"}
	require.NoError(t, to.member(&m))
	require.Equal(t, 1, m.Group)
	require.ErrorContains(t, to.member(&Member{Group: 1}), `"gone"`)
	require.ErrorIs(t, to.member(&Member{Group: 2}), ErrInvalid)
}
