package draw

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// Replacing bytes of a file of either format by other bytes is refused, or reported in the summary.
func FuzzVerify(f *testing.F) {
	formats := []fstest.MapFS{export(f, smallAccountsDraw(f)), export(f, smallDraw(f))}
	var honest []Summary
	for _, files := range formats {
		summary, err := Verify(files)
		require.NoError(f, err)
		honest = append(honest, summary)
	}
	f.Add(false, uint8(0), uint16(0), []byte("#"), false)
	f.Add(false, uint8(1), uint16(60), []byte("2023-01-31T17:00:01Z"), true)
	f.Add(false, uint8(2), uint16(14), []byte("A-1,club\n"), true)
	f.Add(false, uint8(3), uint16(57), []byte("1,"), true)
	f.Add(true, uint8(1), uint16(60), []byte("2023-01-31T17:00:01Z"), true)
	f.Add(true, uint8(2), uint16(230), []byte("2023-01-31T17:00:01.000Z"), true)
	f.Add(true, uint8(3), uint16(20), []byte("00"), true)
	f.Add(true, uint8(2), uint16(280), []byte("[{\"round\": 1001}]"), true)
	f.Fuzz(func(t *testing.T, sealed bool, which uint8, at uint16, data []byte, sums bool) {
		format := 0
		if sealed {
			format = 1
		}
		files := formats[format]
		names := append(writtenFiles(files), "SHA256SUMS")
		name := names[int(which)%len(names)]
		changed := fstest.MapFS{}
		for name, file := range files {
			changed[name] = &fstest.MapFile{Data: slices.Clone(file.Data)}
		}
		into := changed[name].Data
		copy(into[int(at)%len(into):], data)
		same := bytes.Equal(into, files[name].Data)
		if sums {
			writeSums(changed)
		}
		summary, err := Verify(changed)
		switch {
		case same || sums && name == "SHA256SUMS":
			require.NoError(t, err)
		case err == nil:
			require.True(t, sums)
			require.NotEqual(t, honest[format], summary)
		default:
			require.ErrorIs(t, err, ErrRefused)
		}
	})
}

// Entries of either format that are parsed can be written in canonical form and parsed again.
func FuzzParseEntries(f *testing.F) {
	f.Add([]byte("account,group\na,\nb,club\n"), false)
	f.Add([]byte("account,group\nb,family\na,club\n"), false)
	f.Add([]byte("account,group\r\na,\"club\"\n"), false)
	f.Add(export(f, smallDraw(f))["entries.csv"].Data, true)
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		entries, err := parseEntries(bytes.NewReader(data), "club", sealed)
		if err != nil {
			require.ErrorIs(t, err, ErrRefused)
			return
		}
		result := &Result{Terms: smallTerms(), entries: entries}
		written := memoryFile{file: &fstest.MapFile{}}
		_, err = writeFile(func(string) (io.WriteCloser, error) { return &written, nil }, entriesFile, result.writeEntries)
		require.NoError(t, err)
		require.Len(t, written.file.Data, len(data))
		again, err := parseEntries(bytes.NewReader(written.file.Data), "club", sealed)
		require.NoError(t, err)
		require.Equal(t, entries.Root(), again.Root())
	})
}
