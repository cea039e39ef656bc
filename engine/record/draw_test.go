package record

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/draw"
)

// The bytes of the records of draws. Older journals must stay readable.
func TestDrawRecordBytes(t *testing.T) {
	digest := func(b byte) (d draw.Digest) {
		for i := range d {
			d[i] = b
		}
		return d
	}
	fields := Draw{Index: 1, Group: 2, Account: "alice", Rank: 300, Slot: 4, Size: 1000, Root: digest(0xaa),
		Terms: digest(0xbb), Secret: draw.Secret(digest(0xdd)), Round: 1001, MachineMs: 300,
		Beacon: draw.Beacon{Round: 1000, Randomness: digest(0xcc)}}
	for kind, want := range map[Kind]string{
		KindEntry:     "0a" + "47" + "07" + "01" + "02" + "05" + "616c696365",
		KindWithdrawn: "09" + "54" + "07" + "01" + "05" + "616c696365",
		KindRanked:    "0e" + "6a" + "07" + "09" + "01" + "02" + "05" + "616c696365" + "ac02" + "04",
		KindFrozen: "47" + "48" + "07" + "01" + "e807" + hex.EncodeToString(fields.Root[:]) +
			hex.EncodeToString(fields.Terms[:]) + "ac02",
		KindAnnounced: "23" + "4c" + "07" + "01" + hex.EncodeToString(fields.Secret[:]),
		KindPostponed: "07" + "4d" + "07" + "01" + "e907" + "ac02",
		KindDrawn: "55" + "49" + "07" + "01" + "e807" + hex.EncodeToString(fields.Beacon.Randomness[:]) +
			hex.EncodeToString(fields.Beacon.Signature[:]),
	} {
		stamp := Stamp{AtMs: 7}
		run := fields.Append(nil, kind, stamp.AtMs)
		if kind == KindRanked {
			stamp.Seq = 9
			run = fields.AppendRow(nil, kind, stamp)
		}
		require.Equal(t, want, hex.EncodeToString(run), "kind %d", kind)
		var r Record
		require.NoError(t, r.Decode(run[1:]))
		require.Equal(t, stamp, r.Stamp)
		require.Equal(t, run, encode(&r))
		require.ErrorIs(t, r.Decode(run[1:len(run)-1]), ErrInvalid)
		require.ErrorIs(t, r.Decode(append(run[1:len(run):len(run)], 0)), ErrInvalid)
	}
}
