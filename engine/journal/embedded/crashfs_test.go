package embedded

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// sectorBytes is the unit that a disk writes completely or not at all.
const sectorBytes = 512

// errCut is returned by every operation from the crash on.
var errCut = errors.New("the power is cut")

// errOpen is returned by a rename or a removal of an open file, which Windows refuses.
var errOpen = errors.New("the file is open")

// crashFS is a file system in memory that distinguishes what a program sees from what is on disk. It counts operations,
// and can crash or fail at any of them.
type crashFS struct {
	mu       sync.Mutex
	ops      int
	cutAt    int // this operation and all later ones return errCut; 0: never
	failAt   int // this operation returns failWith; 0: never
	failWith error
	looks    bool // whether a look at a name is an operation too: it can fail, but a power cut at it changes nothing
	random   *rand.Rand

	names   map[string]*inode // as the program sees them, by path
	durable map[string]*inode // as they are on disk
	pending []nameChange      // changes of names since the last syncDir
	locked  bool
	clock   time.Time
}

// inode is a file or a directory.
type inode struct {
	dir     bool
	content []byte // as the program sees it
	durable []byte
	pending []change // changes of content since the last sync
	handles int      // how many times it is open
}

// change is a write, or a truncation where data is nil.
type change struct {
	offset int64
	data   []byte
}

// nameChange renames node. An empty from creates it, an empty to removes it.
type nameChange struct {
	from, to string
	node     *inode
}

// dir returns the directory whose sync makes the change durable. No file moves from one directory to another.
func (r nameChange) dir() string {
	if r.to != "" {
		return filepath.Dir(r.to)
	}
	return filepath.Dir(r.from)
}

func (r nameChange) apply(names map[string]*inode) {
	delete(names, r.from)
	if r.to != "" {
		names[r.to] = r.node
	}
}

func newCrashFS(seed uint64) *crashFS {
	root := &inode{dir: true}
	return &crashFS{
		random:  rand.New(rand.NewPCG(seed, 0)),
		names:   map[string]*inode{"/": root},
		durable: map[string]*inode{"/": root},
	}
}

// step counts an operation and returns its fault, if it has one.
func (c *crashFS) step() error {
	c.ops++
	if c.cutAt > 0 && c.ops >= c.cutAt {
		return errCut
	}
	if c.ops == c.failAt {
		return c.failWith
	}
	return nil
}

// look counts a look at a name where looks are counted.
func (c *crashFS) look() error {
	if !c.looks {
		return nil
	}
	return c.step()
}

// afterKill returns the file system that the next process finds when only the process was killed.
func (c *crashFS) afterKill() *crashFS {
	c.cutAt, c.failAt, c.locked = 0, 0, false
	for _, n := range c.names {
		n.handles = 0
	}
	return c
}

// afterCut returns the file system once power is back. The seed decides how much of the unsynced data survives:
// nothing, all, a first part that may end in a torn write, or random sectors and names.
func (c *crashFS) afterCut(seed uint64) *crashFS {
	next := newCrashFS(seed)
	survives := func(i, of int) bool {
		switch seed % 4 {
		case 0:
			return false
		case 1:
			return true
		case 2:
			return i < of/2
		}
		return next.random.IntN(2) == 0
	}
	names := maps.Clone(c.durable)
	for i, r := range c.pending {
		if survives(i, len(c.pending)) {
			r.apply(names)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(names)) {
		n := names[path]
		if next.names[filepath.Dir(path)] == nil {
			continue
		}
		content := bytes.Clone(n.durable)
		sectors, sector := 0, 0
		for _, ch := range n.pending {
			sectors += len(ch.sectors())
		}
		for _, ch := range n.pending {
			for _, part := range ch.sectors() {
				if survives(sector, sectors) {
					content = part.apply(content)
				}
				sector++
			}
		}
		fresh := &inode{dir: n.dir, content: content, durable: bytes.Clone(content)}
		next.names[path], next.durable[path] = fresh, fresh
	}
	return next
}

// sectors splits a write into the parts that reach the disk atomically.
func (ch change) sectors() []change {
	if ch.data == nil {
		return []change{ch}
	}
	var parts []change
	offset, rest := ch.offset, ch.data
	for len(rest) > 0 {
		n := min(len(rest), sectorBytes-int(offset%sectorBytes))
		parts = append(parts, change{offset, rest[:n]})
		offset, rest = offset+int64(n), rest[n:]
	}
	return parts
}

func (ch change) apply(content []byte) []byte {
	size := ch.offset + int64(len(ch.data))
	if ch.data == nil {
		content = content[:min(int64(len(content)), size)]
	}
	if more := size - int64(len(content)); more > 0 {
		content = append(content, make([]byte, more)...)
	}
	copy(content[ch.offset:], ch.data)
	return content
}

// seam returns the file system as the journal sees it.
func (c *crashFS) seam() fileSystem {
	return fileSystem{
		absolute:      func(path string) (string, error) { return filepath.Clean(path), nil },
		resolve:       func(path string) (string, error) { return path, nil },
		lock:          c.lock,
		makeDir:       c.makeDir,
		list:          c.list,
		create:        func(path string) (file, error) { return c.open(path, true, false) },
		open:          func(path string) (file, error) { return c.open(path, false, false) },
		createDurable: func(path string) (file, error) { return c.open(path, true, true) },
		openDurable:   func(path string) (file, error) { return c.open(path, false, true) },
		openRead:      func(path string) (file, error) { return c.open(path, false, false) },
		rename: func(from, to string) error {
			return c.change(func() nameChange { return nameChange{from, to, c.names[from]} })
		},
		remove: func(path string) error {
			return c.change(func() nameChange { return nameChange{from: path} })
		},
		syncDir: c.syncDir,
		space:   c.space,
		now:     c.now,
		spawn:   func(work func()) { work() },
	}
}

// space reports room for everything.
func (c *crashFS) space(string) (free, size int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return 1 << 40, 1 << 40, c.look()
}

// now is a clock of which two groups in three see less time than lookEvery pass.
func (c *crashFS) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock = c.clock.Add(lookEvery / 3)
	return c.clock
}

func (c *crashFS) lock(dir string, _ bool) (heldLock, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names[dir] == nil {
		return heldLock{}, os.ErrNotExist
	}
	if c.locked {
		return heldLock{}, journal.ErrLocked
	}
	c.locked = true
	node := c.names[dir]
	unlock := func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.locked = false
		return nil
	}
	return heldLock{present: func() error { return c.present(dir, node) }, unlock: unlock}, nil
}

func (c *crashFS) present(dir string, locked *inode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.look(); err != nil {
		return err
	}
	if c.names[dir] != locked {
		return journal.ErrGone
	}
	return nil
}

// linked reports whether a file has a name.
func (c *crashFS) linked(n *inode) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, named := range c.names {
		if named == n {
			return true, c.look()
		}
	}
	return false, c.look()
}

// makeDir makes a directory. As for a kernel, a slash at the end of its path means nothing.
func (c *crashFS) makeDir(dir string) error {
	dir = filepath.Clean(dir)
	if c.names[dir] != nil {
		return nil
	}
	return c.change(func() nameChange { return nameChange{to: dir, node: &inode{dir: true}} })
}

// change changes names. The change is durable after the next syncDir.
func (c *crashFS) change(what func() nameChange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step(); err != nil {
		return err
	}
	r := what()
	if r.from != "" && c.names[r.from] == nil {
		return os.ErrNotExist
	}
	for _, name := range []string{r.from, r.to} {
		if n := c.names[name]; n != nil && n.handles > 0 {
			return errOpen
		}
	}
	r.apply(c.names)
	c.pending = append(c.pending, r)
	return nil
}

func (c *crashFS) list(dir string) ([]entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step(); err != nil {
		return nil, err
	}
	if c.names[dir] == nil {
		return nil, os.ErrNotExist
	}
	var entries []entry
	for path, n := range c.names {
		if filepath.Dir(path) == dir && path != dir {
			entries = append(entries, entry{filepath.Base(path), int64(len(n.content))})
		}
	}
	return entries, nil
}

func (c *crashFS) syncDir(dir string) error {
	dir = filepath.Clean(dir)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step(); err != nil {
		return err
	}
	c.pending = slices.DeleteFunc(c.pending, func(r nameChange) bool {
		if r.dir() != dir {
			return false
		}
		r.apply(c.durable)
		return true
	})
	return nil
}

func (c *crashFS) open(path string, create, durable bool) (file, error) {
	path = filepath.Clean(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step(); err != nil {
		return file{}, err
	}
	if create {
		r := nameChange{to: path, node: &inode{}}
		r.apply(c.names)
		c.pending = append(c.pending, r)
	}
	n := c.names[path]
	if n == nil {
		return file{}, os.ErrNotExist
	}
	n.handles++
	f := file{
		readAt: func(b []byte, offset int64) (int, error) { return c.readAt(n, b, offset) },
		writeAt: func(b []byte, offset int64) (int, error) {
			written, err := c.writeAt(n, b, offset)
			if err == nil && durable {
				err = c.sync(n)
			}
			return written, err
		},
		sync:      func() error { return c.sync(n) },
		truncate:  func(size int64) error { return c.truncate(n, size) },
		linked:    func() (bool, error) { return c.linked(n) },
		dropCache: func() {},
		close:     func() error { return c.closeFile(n) },
	}
	return f, nil
}

func (c *crashFS) readAt(n *inode, b []byte, offset int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step(); err != nil {
		return 0, err
	}
	if offset >= int64(len(n.content)) {
		return 0, io.EOF
	}
	read := copy(b, n.content[offset:])
	if read < len(b) {
		return read, io.EOF
	}
	return read, nil
}

// writeAt writes. A write that fails stores a part of the data.
func (c *crashFS) writeAt(n *inode, b []byte, offset int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.step()
	if errors.Is(err, errCut) {
		return 0, err
	}
	if err != nil {
		b = b[:c.random.IntN(len(b)+1)]
	}
	if len(b) > 0 {
		ch := change{offset, bytes.Clone(b)}
		n.content = ch.apply(n.content)
		n.pending = append(n.pending, ch)
	}
	return len(b), err
}

func (c *crashFS) truncate(n *inode, size int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step(); err != nil {
		return err
	}
	ch := change{offset: size}
	n.content = ch.apply(n.content)
	n.pending = append(n.pending, ch)
	return nil
}

// sync makes a file's content durable. A sync that fails drops what it should have written: the program still sees it
// and later syncs succeed, but it is not on disk. Linux behaves so.
func (c *crashFS) sync(n *inode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.step()
	if errors.Is(err, errCut) {
		return err
	}
	if err == nil {
		for _, ch := range n.pending {
			n.durable = ch.apply(n.durable)
		}
	}
	n.pending = nil
	return err
}

// closeFile closes a file, even where it returns an error.
func (c *crashFS) closeFile(n *inode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n.handles--
	return c.step()
}
