package journal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// stream returns a stream of these chunks.
func stream(t *testing.T, last uint64, chunks ...string) []byte {
	var out bytes.Buffer
	w := journal.NewStreamWriter(&out, last)
	for _, c := range chunks {
		require.NoError(t, w.Write([]byte(c)))
	}
	require.NoError(t, w.Commit(last))
	require.Error(t, w.Write([]byte("more")))
	return out.Bytes()
}

func readStream(b []byte) (chunks []string, last uint64, err error) {
	r, err := journal.NewStreamReader(bytes.NewReader(b))
	if err != nil {
		return nil, 0, err
	}
	err = r.Read(func(c []byte) error {
		chunks = append(chunks, string(c))
		return nil
	})
	return chunks, r.Last, err
}

func TestStreamDeliversWhatWasWritten(t *testing.T) {
	chunks := []string{"one", "two", "two", "three"}
	got, last, err := readStream(stream(t, 1<<40, chunks...))
	require.NoError(t, err)
	require.Equal(t, chunks, got)
	require.EqualValues(t, 1<<40, last)
	got, last, err = readStream(stream(t, 0))
	require.NoError(t, err)
	require.Empty(t, got)
	require.Zero(t, last)
}

func TestStreamHasTheseBytes(t *testing.T) {
	require.Equal(t, "73656174686f6c642d73746174652031"+"0000000000000007"+"00000003a51794016f6e65"+"000000000a562b21",
		hex.EncodeToString(stream(t, 7, "one")))
}

// A stream that is cut or altered anywhere is refused.
func TestStreamIsWholeOrRefused(t *testing.T) {
	whole := stream(t, 12, "one", "two", "two")
	for cut := range whole {
		_, _, err := readStream(whole[:cut])
		require.ErrorIsf(t, err, journal.ErrDamaged, "cut after %d bytes", cut)
	}
	for bit := range 8 * len(whole) {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		_, _, err := readStream(b)
		require.ErrorIsf(t, err, journal.ErrDamaged, "bit %d flipped", bit)
	}
	const chunk = 8 + len("two")
	missing := append(bytes.Clone(whole[:24+chunk]), whole[24+2*chunk:]...)
	_, _, err := readStream(missing)
	require.ErrorIs(t, err, journal.ErrDamaged)
}

func TestStreamErrors(t *testing.T) {
	refused := errors.New("refused")
	r, err := journal.NewStreamReader(bytes.NewReader(stream(t, 1, "one")))
	require.NoError(t, err)
	require.Equal(t, refused, r.Read(func([]byte) error { return refused }))
	w := journal.NewStreamWriter(io.Discard, 1)
	w.Abort()
	require.Error(t, w.Commit(1))
	require.ErrorContains(t, journal.NewStreamWriter(io.Discard, 1).Commit(2), "BUG")
}
