package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/journal"
)

// fileSystem is all that the journal needs of a file system. The tests replace it by one in memory that loses what was
// not synced and fails on demand.
type fileSystem struct {
	// absolute returns the absolute and clean form of a path.
	absolute func(path string) (string, error)
	// resolve returns the path of what is there, without symbolic links.
	resolve func(path string) (string, error)
	// lock takes the directory's lock, exclusively or shared among readers. It returns journal.ErrLocked when another
	// process holds the lock.
	lock func(dir string, shared bool) (heldLock, error)
	// makeDir makes the directory unless it exists. Its parent must exist.
	makeDir func(dir string) error
	// list returns the directory's entries.
	list func(dir string) ([]entry, error)
	// create makes an empty file and replaces any file of that name. What is written to it is durable after sync.
	create func(path string) (file, error)
	// open opens a file for writes that are durable after sync.
	open func(path string) (file, error)
	// createDurable is create for a file whose writes are durable when they return.
	createDurable func(path string) (file, error)
	// openDurable opens a file for writes that are durable when they return.
	openDurable func(path string) (file, error)
	openRead    func(path string) (file, error)
	// rename gives a file another name and replaces any file of that name. The file must not be open: Windows refuses to
	// rename an open file.
	rename func(from, to string) error
	// remove removes a file, which must not be open either.
	remove func(path string) error
	// syncDir makes the names in a directory durable.
	syncDir func(dir string) error
	// space returns how many more bytes the directory's disk has room for, and its size in bytes.
	space func(dir string) (free, size int64, err error)
	// now reads the clock.
	now func() time.Time
	// spawn runs work in a goroutine of its own. The tests run it at once, which fixes the order of all operations.
	spawn func(work func())
}

// file is an open file.
type file struct {
	readAt    func(b []byte, offset int64) (int, error)
	writeAt   func(b []byte, offset int64) (int, error)
	sync      func() error
	truncate  func(size int64) error
	linked    func() (bool, error) // whether a file opened for durable writes still has a name
	dropCache func()               // drops the file's pages from the page cache, where the system can
	close     func() error
}

// entry is a file or directory within the journal's directory.
type entry struct {
	name  string
	bytes int64
}

// disk is the real file system.
func disk() fileSystem {
	return fileSystem{
		absolute:      filepath.Abs,
		resolve:       filepath.EvalSymlinks,
		lock:          lockDir,
		makeDir:       makeDir,
		list:          listDir,
		create:        openWith(os.O_RDWR | os.O_CREATE | os.O_TRUNC),
		open:          openWith(os.O_RDWR),
		createDurable: openDurableWith(os.O_RDWR | os.O_CREATE | os.O_TRUNC),
		openDurable:   openDurableWith(os.O_RDWR),
		openRead:      openWith(os.O_RDONLY),
		rename:        rename,
		remove:        os.Remove,
		syncDir:       syncDir,
		space:         diskSpace,
		now:           time.Now,
		spawn:         func(work func()) { go work() },
	}
}

func openWith(flags int) func(path string) (file, error) {
	return func(path string) (file, error) {
		f, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			return file{}, err
		}
		n, err := links(f)
		if err != nil {
			return file{}, errors.Join(err, f.Close())
		}
		return file{readAt: f.ReadAt, writeAt: f.WriteAt, sync: f.Sync, truncate: f.Truncate,
			linked: linked(f, n), dropCache: func() { dropCache(f) }, close: f.Close}, nil
	}
}

func openDurableWith(flags int) func(path string) (file, error) {
	open := openWith(flags | durably)
	return func(path string) (file, error) {
		f, err := open(path)
		return durable(f), err
	}
}

// linked returns a function that reports whether the file still has a name. Some file systems in user space count no
// names at all; there it is always true.
func linked(f *os.File, atOpening uint64) func() (bool, error) {
	return func() (bool, error) {
		n, err := links(f)
		return n > 0 || atOpening == 0, err
	}
}

func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: it is a file, not a directory", journal.ErrForeign)
	}
	return nil
}

func listDir(dir string) ([]entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, f := range found {
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: f.Name(), bytes: info.Size()})
	}
	return entries, nil
}

// storageError adds journal.ErrFull to an error for a full disk. It is applied where an error leaves the package.
func storageError(err error) error {
	if isAny(err, noRoom) {
		return fmt.Errorf("%w: %w", journal.ErrFull, err)
	}
	return err
}

func isAny(err error, targets []error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
