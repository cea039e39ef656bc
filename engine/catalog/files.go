package catalog

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxFilesBytes bounds the files of a definition together, in a tar.
const maxFilesBytes = 32 << 20

// fileNames has the names of a definition's files, in the order in which people read them. A definition may lack
// prices.csv and stock.csv.
var fileNames = []string{saleFile, venuesFile, sessionsFile, pricesFile, stockFile}

// Files are the files of a sale definition as the organiser wrote them, byte for byte. They need not be a valid
// definition: LoadFS checks that. Files are immutable and may be shared by any number of goroutines.
type Files struct {
	text map[string][]byte // by name
}

// names returns the names of the files that there are, sorted.
func (f *Files) names() []string { return slices.Sorted(maps.Keys(f.text)) }

// Digest returns the SHA-256 of the names and contents of the files, in the order of names. It is the same wherever
// the files are, in a directory or in any tar of them.
func (f *Files) Digest() [sha256.Size]byte {
	hash := sha256.New()
	for _, name := range f.names() {
		hash.Write(append([]byte(name), 0))
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f.text[name]))))
		hash.Write(f.text[name])
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// AppendTar appends a tar of the files: the same bytes for the same files.
func (f *Files) AppendTar(dst []byte) []byte {
	to := bytes.NewBuffer(dst)
	w := tar.NewWriter(to)
	for _, name := range f.names() {
		header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(f.text[name])),
			ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		err := w.WriteHeader(&header)
		if err == nil {
			_, err = w.Write(f.text[name])
		}
		if err != nil {
			panic("BUG: a file of a sale definition does not fit into a tar: " + err.Error())
		}
	}
	if err := w.Close(); err != nil {
		panic("BUG: a tar of a sale definition does not end: " + err.Error())
	}
	return to.Bytes()
}

// ReadTar reads the files of a definition from a tar, such as `tar -cf - -C DIR .` writes. It reads at most 32 MiB.
// Everything else in the tar is ignored, as it is in a directory.
//
// The error names a file of the definition that is there twice or is not a plain file. A tar without any file of a
// definition at its root is an error too.
func ReadTar(r io.Reader) (*Files, error) {
	limited := &io.LimitedReader{R: r, N: maxFilesBytes + 1}
	in := bufio.NewReader(limited)
	if magic, err := in.Peek(2); err == nil && string(magic) == "\x1f\x8b" {
		return nil, errors.New("the tar is compressed with gzip; send it as it is, without -z")
	}
	f, err := readEntries(tar.NewReader(in))
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("the tar has more than %d MiB, which is the most for a sale definition", maxFilesBytes>>20)
	case err != nil:
		return nil, err
	case len(f.text) == 0:
		return nil, fmt.Errorf("the tar has no file of a sale definition at its root, where `tar -cf - -C DIR .` puts them; "+
			"those are %s", listOf(fileNames))
	}
	return f, nil
}

func readEntries(from *tar.Reader) (*Files, error) {
	f := &Files{text: map[string][]byte{}}
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the body is not a whole tar: %w", err)
		}
		name := strings.TrimPrefix(header.Name, "./")
		switch {
		case header.Typeflag == tar.TypeXGlobalHeader, !slices.Contains(fileNames, name):
			continue
		case header.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("%s is not a plain file in the tar; links must be resolved (tar -h)", name)
		case f.text[name] != nil:
			return nil, fmt.Errorf("the tar has %s twice", name)
		}
		text, err := io.ReadAll(from)
		if err != nil {
			return nil, fmt.Errorf("the body is not a whole tar: %s: %w", name, err)
		}
		f.text[name] = text
	}
}

// listOf joins names for people: `a, b and c`.
func listOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// WriteDir writes the files into a directory, which it makes if there is none. It refuses a directory that is not
// empty.
func (f *Files) WriteDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("sale definition: %w", err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sale definition: %w", err)
	}
	if len(there) > 0 {
		return fmt.Errorf("sale definition: the directory %s is not empty; choose another one", dir)
	}
	for _, name := range f.names() {
		if err := writeNew(filepath.Join(dir, name), f.text[name]); err != nil {
			return fmt.Errorf("sale definition: %w", err)
		}
	}
	return nil
}

// writeNew writes a file that must not exist.
func writeNew(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
