package rehearsal

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgressIsABarOnATerminalAndLinesElsewhere(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out)
	require.False(t, p.live)
	p.begin("entries", 1000)
	for range 1000 {
		p.one()
	}
	p.end()
	require.NotContains(t, out.String(), "\r")
	require.Contains(t, out.String(), "entries        100 %  1,000 of 1,000")
	require.Equal(t, 2, strings.Count(out.String(), "\n"), "a second has not passed since the first line")

	out.Reset()
	p.live = true
	p.at("places", 200, 50, "packs, 1 March 2023")
	require.Contains(t, out.String(), "\r")
	require.Contains(t, out.String(), "places         ["+strings.Repeat("=", 7)+strings.Repeat(" ", 23)+"]  25 %  50  packs, 1 March 2023")

	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	require.False(t, NewProgress(file).live, "a file is no terminal")
	require.NoError(t, file.Close())
}
