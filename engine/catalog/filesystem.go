package catalog

import (
	"bytes"
	"io"
	"io/fs"
	"time"
)

// FS returns the files as the root of a file system, for LoadFS.
func (f *Files) FS() fs.FS { return memoryFS{f} }

// memoryFS has files and no directory but its root.
type memoryFS struct{ files *Files }

// Open implements fs.FS.
func (m memoryFS) Open(name string) (fs.File, error) {
	if name == "." {
		return &rootDir{left: m.entries()}, nil
	}
	text, known := m.files.text[name]
	if !fs.ValidPath(name) || !known {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memoryFile{Reader: bytes.NewReader(text), info: fileInfo{name, len(text)}}, nil
}

func (m memoryFS) entries() (all []fs.DirEntry) {
	for _, name := range m.files.names() {
		all = append(all, fs.FileInfoToDirEntry(fileInfo{name, len(m.files.text[name])}))
	}
	return all
}

type memoryFile struct {
	*bytes.Reader
	info fileInfo
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *memoryFile) Close() error               { return nil }

// fileInfo describes a file; the name "." is that of the root.
type fileInfo struct {
	name string
	size int
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return int64(i.size) }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.name == "." }
func (i fileInfo) Sys() any           { return nil }

func (i fileInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// rootDir is the root while it is open.
type rootDir struct{ left []fs.DirEntry }

func (d *rootDir) Stat() (fs.FileInfo, error) { return fileInfo{name: "."}, nil }
func (d *rootDir) Close() error               { return nil }

// Read implements fs.File.
func (d *rootDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: ".", Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (d *rootDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(d.left) {
		if n > 0 && len(d.left) == 0 {
			return nil, io.EOF
		}
		n = len(d.left)
	}
	next := d.left[:n]
	d.left = d.left[n:]
	return next, nil
}
