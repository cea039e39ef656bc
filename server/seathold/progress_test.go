package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressIsABarOnATerminalAndLinesElsewhere(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgressBar(&out)
	p.now = func() time.Time { return now }
	require.False(t, p.terminal)
	pass := func(d time.Duration) { now = now.Add(d) }
	p.show("bytes", 100, 300, "begun")
	p.show("bytes", 150, 300, "early")
	pass(10 * time.Second)
	p.show("bytes", 200, 300, "half")
	p.show("bytes", 250, 300, "too soon")
	p.show("bytes", 300, 300, "complete")
	p.show("bytes", 300, 300, "printed before")
	p.show("empty", 0, 0, "")
	p.end()
	require.Equal(t, " 66 %  bytes: half  10s left\n100 %  bytes: complete\n100 %  empty\n", out.String())

	out.Reset()
	p.terminal, p.stage = true, ""
	pass(time.Minute)
	p.show("places", 50, 200, "packs, 1 March 2023")
	p.show("places", 60, 200, "too soon")
	first := "[#######.......................]  25 %  places: packs, 1 March 2023"
	require.Equal(t, "\r"+first, out.String())
	out.Reset()
	pass(10 * time.Second)
	p.show("places", 100, 200, "x")
	second := "[###############...............]  50 %  places: x  20s left"
	require.Equal(t, "\r"+second+strings.Repeat(" ", len(first)-len(second)), out.String())
	out.Reset()
	p.show("places", 200, 200, "")
	p.end()
	require.Equal(t, "\r"+strings.Repeat(" ", len(second))+"\r100 %  places\n", out.String())

	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	require.False(t, newProgressBar(file).terminal, "a file is not a terminal")
	require.NoError(t, file.Close())
}
