package catalog

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func smallFiles(t testing.TB) *Files {
	sale, err := LoadFS(smallSale(t))
	require.NoError(t, err)
	return sale.Files
}

// A loaded sale has its files as they were written, and they load as the same sale.
func TestFiles(t *testing.T) {
	from := smallSale(t)
	from["notes.txt"] = &fstest.MapFile{Data: []byte("no file of a definition")}
	from[saleFile].Data = append([]byte("\ufeff"), from[saleFile].Data...)
	want, err := LoadFS(from)
	require.NoError(t, err)
	for name, file := range from {
		require.Equal(t, name != "notes.txt", bytes.Equal(file.Data, want.Files.text[name]), name)
	}
	require.NoError(t, fstest.TestFS(want.Files.FS(), saleFile, venuesFile, sessionsFile, pricesFile))
	again, err := LoadFS(want.Files.FS())
	require.NoError(t, err)
	require.Equal(t, want, again)
	dir := filepath.Join(t.TempDir(), "new", "sale")
	require.NoError(t, want.Files.WriteDir(dir))
	again, err = Load(dir)
	require.NoError(t, err)
	require.Equal(t, want, again)
	require.ErrorContains(t, want.Files.WriteDir(dir), dir+" is not empty; choose another one")
}

// The digest is that of names and contents. It stands in journals, so it never changes.
func TestFilesDigest(t *testing.T) {
	digest := func(f *Files) string { d := f.Digest(); return hex.EncodeToString(d[:]) }
	files := &Files{text: map[string][]byte{saleFile: []byte("name: x\n"), venuesFile: {}}}
	require.Equal(t, "f4ccb5314aa41d1c2c71309a8897719b211636b6d85335daedd3c4ce930232c7", digest(files))
	seen := map[string]bool{digest(files): true}
	for _, other := range []map[string][]byte{
		{saleFile: []byte("name: x\n")},
		{saleFile: {}, venuesFile: []byte("name: x\n")},
		{saleFile: []byte("name: y\n"), venuesFile: {}},
		{saleFile: []byte("name: x\n"), sessionsFile: {}},
	} {
		d := digest(&Files{text: other})
		require.False(t, seen[d])
		seen[d] = true
	}
}

// A tar of the same files has the same bytes, and is read back.
func TestFilesTar(t *testing.T) {
	files := smallFiles(t)
	packed := files.AppendTar(nil)
	require.Equal(t, packed, files.AppendTar(nil))
	require.Equal(t, append([]byte("before"), packed...), files.AppendTar([]byte("before")))
	for _, r := range []io.Reader{bytes.NewReader(packed), iotest.OneByteReader(bytes.NewReader(packed))} {
		again, err := ReadTar(r)
		require.NoError(t, err)
		require.Equal(t, files, again)
	}
}

// What people make with tar is read: `tar -cf - -C DIR .` and a list of names, in every format of GNU tar.
func TestReadTarOfPeople(t *testing.T) {
	program, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("no tar")
	}
	files, dir := smallFiles(t), t.TempDir()
	require.NoError(t, files.WriteDir(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("no file of a definition"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "old"), 0o700))
	for _, args := range [][]string{{"."}, {"--format=pax", "."}, {"--format=ustar", "."}, {"--format=gnu", "."},
		slices.Sorted(maps.Keys(files.text))} {
		packed, err := exec.Command(program, append([]string{"-cf", "-", "-C", dir}, args...)...).Output()
		require.NoError(t, err, "%v", args)
		again, err := ReadTar(bytes.NewReader(packed))
		require.NoError(t, err, "%v", args)
		require.Equal(t, files, again)
	}
}

// tarOf returns a tar of entries. Their texts are as long as their headers say.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, h := range headers {
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write(make([]byte, h.Size))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return packed.Bytes()
}

func TestReadTarIgnores(t *testing.T) {
	f, err := ReadTar(bytes.NewReader(tarOf(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax", PAXRecords: map[string]string{"comment": "c0ffee"}},
		tar.Header{Typeflag: tar.TypeDir, Name: "./"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./._sale.yaml", Size: 5},
		tar.Header{Typeflag: tar.TypeReg, Name: "./notes.txt", Size: 5},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./latest", Linkname: "sale.yaml"},
		tar.Header{Typeflag: tar.TypeDir, Name: "./old/"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./old/sale.yaml", Size: 5},
		tar.Header{Typeflag: tar.TypeReg, Name: "./sale.yaml", Size: 3},
		tar.Header{Typeflag: tar.TypeReg, Name: "venues.csv"})))
	require.NoError(t, err)
	require.Equal(t, &Files{text: map[string][]byte{saleFile: {0, 0, 0}, venuesFile: {}}}, f)
}

func TestReadTarRefuses(t *testing.T) {
	file := func(name string, size int64) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size}
	}
	whole := tarOf(t, file(saleFile, 2000))
	for want, packed := range map[string][]byte{
		"the tar has sale.yaml twice":   tarOf(t, file(saleFile, 0), file("./sale.yaml", 1)),
		"sale.yaml is not a plain file": tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: saleFile, Linkname: "x"}),
		"the tar has no file of a sale definition at its root, where `tar -cf - -C DIR .` puts them; those are " +
			"sale.yaml, venues.csv, sessions.csv, prices.csv and stock.csv": tarOf(t),
		"the body is not a whole tar: sale": whole[:1000],
		"the body is not a whole tar: arch": []byte(strings.Repeat("name: demo\n", 100)),
		"compressed with gzip; send it as":  []byte("\x1f\x8b\x08\x00"),
		"the tar has more than 32 MiB":      tarOf(t, file(pricesFile, maxFilesBytes)),
	} {
		_, err := ReadTar(bytes.NewReader(packed))
		require.ErrorContains(t, err, want)
	}
	elsewhere := tarOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "demo/"}, file("demo/sale.yaml", 1),
		file("../sale.yaml", 1), file("/sale.yaml", 1))
	for _, r := range []io.Reader{strings.NewReader(""), bytes.NewReader(elsewhere)} {
		_, err := ReadTar(r)
		require.ErrorContains(t, err, "the tar has no file of a sale definition at its root")
	}
	_, err := ReadTar(iotest.ErrReader(os.ErrDeadlineExceeded))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// FuzzReadTar: whatever is read can be written and read again.
func FuzzReadTar(f *testing.F) {
	f.Add(smallFiles(f).AppendTar(nil))
	f.Fuzz(func(t *testing.T, packed []byte) {
		files, err := ReadTar(bytes.NewReader(packed))
		if err != nil {
			return
		}
		again, err := ReadTar(bytes.NewReader(files.AppendTar(nil)))
		require.NoError(t, err)
		require.Equal(t, files.Digest(), again.Digest())
	})
}

// stock.csv wins over prices.csv and the stock rule, and WithStock adds to it.
func TestStockTable(t *testing.T) {
	files := smallFiles(t)
	rows, err := files.Stock()
	require.NoError(t, err)
	require.Empty(t, rows)
	with, err := files.WithStock([]StockRow{{"S1", "B", 700, 20}, {"S3", "B", 10, 10}})
	require.NoError(t, err)
	require.NotContains(t, files.text, stockFile, "files stay as they are")
	again, err := with.WithStock([]StockRow{{"S2", "A", 0, 0}, {"S1", "B", 701, 0}})
	require.NoError(t, err)
	require.Equal(t, "session,category,capacity,withheld\nS1,B,701,0\nS3,B,10,10\nS2,A,0,0\n",
		string(again.text[stockFile]))
	rows, err = again.Stock()
	require.NoError(t, err)
	require.Equal(t, []StockRow{{"S1", "B", 701, 0}, {"S3", "B", 10, 10}, {"S2", "A", 0, 0}}, rows)
	was, err := LoadFS(files.FS())
	require.NoError(t, err)
	require.Equal(t, []string{
		"session S1, category B: capacity 664 → 701", "session S1, category B: withheld 133 → 0",
		"session S1, category B: capacity derived yes → no",
		"session S2, category A: capacity 111 → 0", "session S2, category A: withheld 22 → 0",
		"session S2, category A: capacity derived yes → no",
		"session S3, category B: capacity 600 → 10", "session S3, category B: withheld 120 → 10",
		"session S3, category B: capacity derived yes → no",
	}, differences(t, was, again.FS()))
	for _, text := range []string{"a,b\n", "a,b,c,d\nS1,A,x,1\n", "\"", "a,b,c,d\nS1,A,1\n"} {
		_, err := (&Files{text: map[string][]byte{stockFile: []byte(text)}}).WithStock(nil)
		require.ErrorContains(t, err, "stock.csv: ", text)
	}
}

// A session that goes off sale keeps its stock, one that is off sale from the beginning has all places withheld, and
// stock.csv states either.
func TestStockOffSale(t *testing.T) {
	was, err := LoadFS(smallSale(t))
	require.NoError(t, err)
	files := smallSale(t)
	edit(t, files, saleFile, "  - {session: S4}\n", "  - {session: S4}\n  - {session: S3}\n")
	require.Equal(t, []string{"session S3: on sale yes → no, excluded",
		"phase packs: sells 3 sessions → 2 sessions: no longer S3"}, differences(t, was, files))
	now, err := LoadFS(files)
	require.NoError(t, err)
	pool := now.Sessions[2].Pools[0]
	require.Equal(t, now.Pools[pool].Capacity, now.Pools[pool].Withheld)
	files[stockFile] = &fstest.MapFile{Data: []byte("session,category,capacity,withheld\nS3,B,600,7\n")}
	require.Contains(t, differences(t, was, files), "session S3, category B: withheld 120 → 7")
}
