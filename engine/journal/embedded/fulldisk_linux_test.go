package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
)

// A smallDisk is an ext4 file system of 8 MB that is mounted for one test.
type smallDisk struct {
	t    *testing.T
	path string
}

func mountSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: a file system is mounted for this test, which needs root")
	}
	image, path := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 8<<20))
	require.NoError(t, os.Mkdir(path, 0o700))
	for _, command := range [][]string{{"mkfs.ext4", "-q", "-F", "-m", "0", image}, {"mount", "-o", "loop", image, path}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("NOT RUN: %s: %v: %s", strings.Join(command, " "), err, out)
		}
	}
	t.Cleanup(func() {
		flag := "--"
		if t.Failed() {
			flag = "--lazy" // the journal may still be open
		}
		out, err := exec.Command("umount", flag, path).CombinedOutput()
		require.NoError(t, err, string(out))
	})
	return &smallDisk{t, path}
}

func (d *smallDisk) journal() string { return filepath.Join(d.path, "journal") }

func (d *smallDisk) free() int64 {
	d.t.Helper()
	free, _, err := diskSpace(d.path)
	require.NoError(d.t, err)
	return free
}

// fill has another program take all but so many bytes of the disk.
func (d *smallDisk) fill(leave int64) {
	d.t.Helper()
	f, err := os.OpenFile(filepath.Join(d.path, "other"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(d.t, err)
	for size := int64(64 << 10); size >= 1<<10; {
		if d.free()-size < leave {
			size /= 2
			continue
		}
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			require.NoError(d.t, err)
		}
		require.NoError(d.t, f.Sync())
	}
	require.NoError(d.t, f.Close())
}

// makeSpace removes what fill wrote.
func (d *smallDisk) makeSpace() {
	d.t.Helper()
	require.NoError(d.t, os.Remove(filepath.Join(d.path, "other")))
}

// groupOf4KB follows the record last.
func groupOf4KB(last uint64) journal.Group { return outcomes(last+1, 67) }

// fullDiskRun is one run of a program on a small disk that becomes full.
type fullDiskRun struct {
	acked       uint64
	failure     error // of the first group that was not acknowledged
	checkpoints int   // complete ones
	failed      []error
}

// sell appends up to so many groups of 4 KB, and writes a checkpoint of 200 KB after every fortieth.
func (r *fullDiskRun) sell(t *testing.T, j *Journal, groups int) {
	t.Helper()
	for i := 1; i <= groups; i++ {
		g := groupOf4KB(j.last)
		if r.failure = j.Append(t.Context(), g); r.failure != nil {
			require.ErrorIs(t, r.failure, journal.ErrFull)
			return
		}
		r.acked = g.Last()
		if i%40 != 0 {
			continue
		}
		if err := checkpointOf(t, j, 200<<10); err != nil {
			require.ErrorIs(t, err, journal.ErrFull)
			r.failed = append(r.failed, err)
		} else {
			r.checkpoints++
		}
	}
}

func checkpointOf(t *testing.T, j *Journal, size int) error {
	t.Helper()
	c, err := j.Checkpoint(t.Context(), j.last)
	if err != nil {
		return err
	}
	defer c.Abort()
	for chunk := outcomes(1, 537).Records; size > 0; size -= len(chunk) {
		if err := c.Write(chunk); err != nil {
			return err
		}
	}
	return c.Commit(j.last)
}

// requireAll recovers what was acknowledged, and at most one group more.
func (r *fullDiskRun) requireAll(t *testing.T, dir string, options Options) *Journal {
	t.Helper()
	j, err := Open(dir, options)
	require.NoError(t, err)
	to, next := discard(), uint64(0)
	to.Group = func(g journal.Group) error {
		if next != 0 && g.First != next {
			return fmt.Errorf("group %d where %d belongs", g.First, next)
		}
		next = g.Last() + 1
		require.Equal(t, groupOf4KB(g.First-1).Records, g.Records)
		return nil
	}
	sum, err := j.Recover(to)
	require.NoError(t, err)
	require.GreaterOrEqual(t, sum.Last, r.acked, "an acknowledged group is lost")
	require.LessOrEqual(t, sum.Last, r.acked+67)
	r.acked = sum.Last
	return j
}

// fullDiskPhases are the moments at which another program fills the disk. hook makes the file system do so at an
// operation of the journal.
var fullDiskPhases = []struct {
	name  string
	hook  func(fs *fileSystem, full func())
	opens bool // whether a new journal can be opened then
}{
	{"before the journal is opened", nil, false},
	{"while the first segment is made", func(fs *fileSystem, full func()) {
		create := fs.createDurable
		fs.createDurable = func(path string) (file, error) {
			if filepath.Base(path) == temporarySegment {
				full()
			}
			return create(path)
		}
	}, false},
	{"before a group", nil, true},
	{"when a segment follows", func(fs *fileSystem, full func()) { beforeRename(fs, segmentPrefix, full) }, true},
	{"while the next segment is prepared", func(fs *fileSystem, full func()) {
		create := fs.create
		fs.create = func(path string) (file, error) {
			if filepath.Base(path) == temporaryPrepared {
				full()
			}
			return create(path)
		}
	}, true},
	{"while a checkpoint is written", func(fs *fileSystem, full func()) {
		create := fs.create
		fs.create = func(path string) (file, error) {
			if filepath.Base(path) == temporaryCheckpoint {
				full()
			}
			return create(path)
		}
	}, true},
	{"when a checkpoint is published", func(fs *fileSystem, full func()) {
		beforeRename(fs, checkpointPrefix, full)
	}, true},
	{"before the journal is closed", nil, true},
}

func beforeRename(fs *fileSystem, prefix string, full func()) {
	rename := fs.rename
	fs.rename = func(from, to string) error {
		if strings.HasPrefix(filepath.Base(to), prefix) && to != filepath.Join(filepath.Dir(to), segmentName(1)) {
			full()
		}
		return rename(from, to)
	}
}

// TestFullDisk (I5) has another program fill a disk of 8 MB in every phase. Groups are acknowledged as long as they
// have room, a restart on the full disk has everything, and so has one after space was made, which then goes on.
func TestFullDisk(t *testing.T) {
	for i, phase := range fullDiskPhases {
		t.Run(phase.name, func(t *testing.T) {
			small, r, fs := mountSmallDisk(t), &fullDiskRun{}, disk()
			// Preparing runs at once, so that every run is the same.
			fs.spawn = func(work func()) { work() }
			filled, armed := false, !phase.opens
			full := func() {
				if armed && !filled {
					filled = true
					small.fill(0)
				}
			}
			if phase.hook != nil {
				phase.hook(&fs, full)
			}
			if i == 0 {
				full()
			}
			j, err := open(small.journal(), Options{}, fs)
			if !phase.opens {
				require.ErrorIs(t, err, journal.ErrFull)
				small.makeSpace()
			} else {
				require.NoError(t, err)
				_, err = j.Recover(discard())
				require.NoError(t, err)
				r.sell(t, j, 100)
				require.NoError(t, r.failure)
				before := r.acked
				armed = true
				if phase.hook == nil {
					full()
				}
				if phase.name != "before the journal is closed" {
					r.sell(t, j, 3000)
					require.ErrorIs(t, r.failure, journal.ErrFull)
				}
				require.NoError(t, j.Close())
				t.Logf("%d groups after the disk was full, %d checkpoints, %d refused", (r.acked-before)/67, r.checkpoints,
					len(r.failed))
				j = r.requireAll(t, small.journal(), Options{})
				require.NoError(t, j.Close())
				small.makeSpace()
			}
			j = r.requireAll(t, small.journal(), Options{})
			require.NoError(t, j.Append(t.Context(), groupOf4KB(j.last)))
			require.NoError(t, checkpointOf(t, j, 200<<10))
			require.NoError(t, j.Close())
		})
	}
}

// TestCheckpointLeavesRoomForGroups: on a disk that is almost full, a checkpoint is refused or ends before it takes the
// room of groups. When a group fails at last, nothing of a checkpoint is left, and the disk has no room for the group.
func TestCheckpointLeavesRoomForGroups(t *testing.T) {
	for _, leave := range []int64{600 << 10, 1 << 20, 2 << 20} {
		t.Run(fmt.Sprintf("leave=%d", leave), func(t *testing.T) {
			small, r := mountSmallDisk(t), &fullDiskRun{}
			fs := disk()
			fs.spawn = func(work func()) { work() }
			j, err := open(small.journal(), Options{}, fs)
			require.NoError(t, err)
			_, err = j.Recover(discard())
			require.NoError(t, err)
			r.sell(t, j, 39)
			small.fill(leave)
			chunk := outcomes(1, 537).Records // 32 KB
			var c journal.Checkpoint
			for r.failure == nil {
				if c == nil {
					if c, err = j.Checkpoint(t.Context(), j.last); err != nil {
						require.ErrorIs(t, err, journal.ErrFull)
						r.failed, c = append(r.failed, err), nil
					}
				} else {
					before := small.free()
					if err := c.Write(chunk); err != nil {
						require.ErrorIs(t, err, journal.ErrFull)
						r.failed, c = append(r.failed, err), nil
					} else if after := small.free(); after < before {
						require.GreaterOrEqual(t, after, j.options.SegmentBytes-(8<<10), "what a piece of the checkpoint left")
					}
				}
				r.sell(t, j, 1)
			}
			require.NotEmpty(t, r.failed)
			require.NoFileExists(t, filepath.Join(small.journal(), temporaryCheckpoint))
			require.NoFileExists(t, filepath.Join(small.journal(), temporaryPrepared))
			require.Less(t, small.free(), int64(16<<10), "the group had room")
			require.NoError(t, j.Close())
			small.makeSpace()
			j = r.requireAll(t, small.journal(), Options{})
			require.NoError(t, checkpointOf(t, j, 200<<10))
			require.NoError(t, j.Close())
		})
	}
}

// TestPreparedRoomBelongsToGroups: what was prepared is used up after another program has filled the disk.
func TestPreparedRoomBelongsToGroups(t *testing.T) {
	small, r, fs := mountSmallDisk(t), &fullDiskRun{}, disk()
	fs.spawn = func(work func()) { work() }
	j, err := open(small.journal(), Options{}, fs)
	require.NoError(t, err)
	_, err = j.Recover(discard())
	require.NoError(t, err)
	for j.filled < j.options.SegmentBytes || !j.next.ready && j.next.done == nil {
		r.sell(t, j, 1)
		require.NoError(t, r.failure, "nothing was prepared")
	}
	require.NoError(t, j.next.poll())
	require.True(t, j.next.ready)
	prepared := j.filled - j.end + j.options.SegmentBytes
	small.fill(0)
	before := r.acked
	r.sell(t, j, 3000)
	require.ErrorIs(t, r.failure, journal.ErrFull)
	size := int64(headerBytes + len(groupOf4KB(0).Records))
	require.GreaterOrEqual(t, int64(r.acked-before)/67, prepared/size-2)
	require.NoError(t, j.Close())
	j = r.requireAll(t, small.journal(), Options{})
	require.NoError(t, j.Close())
}
