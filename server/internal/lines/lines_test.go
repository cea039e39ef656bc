package lines

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinesOfAnyLength(t *testing.T) {
	for n := range 2*Max + 8 {
		for _, end := range []string{"", "\n", "\r\n"} {
			want := strings.Repeat("x", n)
			file := "header\n" + want + end
			if end != "" {
				file += "last"
			}
			r := NewReader(strings.NewReader(file))
			header, err := r.Header()
			require.NoError(t, err)
			require.Equal(t, "header", header)
			if n > 0 || end != "" {
				line, long, err := r.Next()
				require.NoError(t, err)
				require.Equal(t, n > Max, long, "%d bytes", n)
				require.Equal(t, want[:min(n, Max)], string(line))
				require.Equal(t, int64(2), r.Number)
				require.Equal(t, int64(len("header\n"+want+end)), r.Offset)
			}
			if end != "" {
				line, _, err := r.Next()
				require.NoError(t, err)
				require.Equal(t, "last", string(line))
			}
			_, _, err = r.Next()
			require.Equal(t, io.EOF, err)
			require.Equal(t, int64(len(file)), r.Offset)
		}
	}
	first, second := NewReader(strings.NewReader("a\nb\n")), NewReader(strings.NewReader("a\nc\n"))
	for i, same := range []bool{true, false} {
		_, _, err := first.Next()
		require.NoError(t, err)
		_, _, err = second.Next()
		require.NoError(t, err)
		require.Equal(t, same, first.Sum == second.Sum, "line %d", i+1)
	}
}

func TestHeaderFieldsAndClip(t *testing.T) {
	for file, want := range map[string]string{"": "", "\xef\xbb\xbf\"a\",b\r\n": "a,b",
		strings.Repeat("y", Max+1): strings.Repeat("y", MaxText) + "..."} {
		header, err := NewReader(strings.NewReader(file)).Header()
		require.NoError(t, err)
		require.Equal(t, want, header)
	}
	require.Equal(t, [][]byte{[]byte("a b"), []byte(`"c`), []byte(`"`), {}}, Fields([]byte(`"a b","c,",`)))
	require.Equal(t, `\x00\u00e4\"`, Clip([]byte("\x00ä\"")))
	require.Equal(t, strings.Repeat("z", MaxText)+"...", Clip(bytes.Repeat([]byte("z"), MaxText+1)))
}
