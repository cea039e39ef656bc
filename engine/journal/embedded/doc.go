// Package embedded stores a journal in a directory, in files of its own.
//
//	seathold-journal                  the marker: shows that this is a journal, with its format version and its id
//	seathold-journal-copy             the same once more, read when the marker is damaged
//	end                               which group is the last one known to be durable, twice
//	segment-00000000000000000001      groups, one frame each; the name is the sequence of the first record
//	segment-00000000000000912345
//	checkpoint-00000000000000800000   a checkpoint that starts at that record; two are kept
//	checkpoint-00000000000000900000
//	prepared.tmp                      the next segment, filled with zeros while the current one is written
//	*.tmp                             an unfinished file, removed by the next Recover
//	quarantine-*                      what Repair has set aside; nothing reads it
//	LOCK                              on Windows and NFS, where no directory can be locked
//
// The one process that writes holds an exclusive lock of the directory, those that only read share one. The directory
// itself is locked: nothing that is removed from it or put into it lets a second process write.
//
// # What is guaranteed
//
// A group is acknowledged once its frame is on disk. Each group is one durable write. A segment, a checkpoint and the
// markers are complete and synced under a temporary name before they are renamed, and the directory is synced after the
// rename. So a segment never lacks its header, and a checkpoint is never partial. One group is written at a time, so at
// most the last frame of the newest segment can be unfinished. Zeros after the last frame mean nothing: they are those
// of a prepared segment, or of a write that never reached the disk.
//
//	crash                              the next Recover finds               and does
//	---------------------------------  -----------------------------------  -----------------------------------
//	before the marker is written       only files of ours, without records  makes the journal anew
//	during the write of a group        an invalid frame, then only zeros,   cuts the frame off
//	                                     after the end that the file end has
//	after that write, before its       a complete frame                     delivers it, though it was not
//	  acknowledgement                                                         acknowledged
//	before the group is in the file    a complete frame, a group more than  delivers it
//	  end                                the file end has
//	during the cut                     the same or a shorter invalid frame  cuts the frame off
//	before a new segment is renamed,   segment.tmp, prepared.tmp, neither;  removes them
//	  or before the rename is durable    all groups in older segments
//	after a new segment, before its    a segment without frames             appends to it
//	  first group
//	during a checkpoint, or before     checkpoint.tmp; the older            removes it
//	  it is renamed                      checkpoints
//	after the checkpoint is renamed,   files that nothing needs             removes them
//	  before the removals
//	during the removals, in any order  gaps before the older checkpoint's   ignores them
//	                                     start
//	during Recover                     what the crash before it left        the same again
//	while format 1 becomes format 2    a marker of format 1, with or        the same again
//	                                     without the new files
//
// When only the process is killed, the next one may read from the kernel's memory what is not yet on disk, and what,
// after a failed sync, never will be unless it is written again. So Recover syncs the directory and writes the last
// frame once more, in place and with the same bytes, before the journal continues.
//
// Any other invalid content is an error that wraps journal.ErrDamaged and names the file and the offset: an invalid
// frame in an older segment or before another frame, a missing segment, records that a checkpoint or the file end shows
// to have been durable and no segment has. No file is changed then. A damaged checkpoint is survived by the older one
// and a longer replay, a damaged marker by its copy, a damaged copy of the end by the other; each is reported as a
// note.
//
// # The last group
//
// Damage to the last frame looks like a group that a crash left unfinished: both are invalid, and nothing follows. The
// file end tells them apart. After each group, and before the group is acknowledged, the journal writes there where the
// group ends. It does not sync that write, which takes 3 microseconds where a group takes 200 and more. So when a
// process is killed, the file end has every acknowledged group. Close makes it durable, and so does half a second
// without a group. When the power fails, the file end may be late, but only the very last frame depends on it: damage
// to any other is seen by the frame after it. So one case is left in which an acknowledged group is taken for an
// unfinished one: the power fails within half a second of it, and the disk damages this last frame as well. The note
// about what was dropped says which record the file end shows as the last durable one.
//
// A directory can be removed or replaced while it is open: by an operator, or when a disk is unmounted. Then the writer
// still has its files open, and its writes succeed, but no restart will find them. So after each group the journal
// checks that its segment still has a name, which takes a microsecond, and, a tenth of a second after it last did, that
// the path still leads to the locked directory. An idle journal checks both every half second. A journal that is gone
// acknowledges nothing more and returns journal.ErrGone. Whatever has taken its place is not touched.
//
// # Rot and repair
//
// A start reads what it needs: the markers, the end, the newest checkpoint and the groups after it. Check reads the
// rest too, so that rot is known before it is needed; `seathold verify` calls it. Repair restores a marker and the end,
// puts back a flipped bit of a group, which its checksum shows, and sets aside what is damaged and not needed. Where an
// acknowledged record would be lost it changes nothing and names the place, and the last record that can be kept; the
// operator restores that file from a backup, or gives up what follows by that number. Files that are set aside, and
// bytes that are cut off, stay under names that begin with quarantine-.
//
//	damaged                                       a start                         Repair
//	--------------------------------------------  ------------------------------  ---------------------------------
//	a marker, a copy of the end                   reads the other, with a note    writes it anew
//	both markers                                  refuses                         takes the id from the segments
//	both copies of the end                        notes it; refuses if the last   writes it anew; if the last frame
//	                                                frame is damaged as well        is damaged, as for a needed segment
//	the newer checkpoint                          uses the older, with a note     sets it aside
//	the older checkpoint, or a segment that       does not read it                sets the checkpoint and the segment
//	  only the older one needs                                                      aside
//	one bit of a segment                          refuses, if it reads it         puts it back
//	what follows the last frame of an older       refuses, if it reads it         clears it, as the next segment shows
//	  segment                                                                       that no group was there
//	more of a segment that the newest intact      refuses                         refuses; with the number, cuts it
//	  checkpoint needs, the last frame too                                          there
//
// # A full disk
//
// Groups come first. Once a segment has begun to fill, the next one is prepared, and neither a checkpoint nor another
// program can take that room from the groups any more. A checkpoint is begun and continued only while it leaves free
// what a segment takes, and what the next one takes until it is prepared. Otherwise it fails with journal.ErrFull, its
// file is removed, and a later one may succeed. On a small disk segments are smaller, so that there is room to prepare
// them. When a group itself finds no room, the journal has failed for good. A restart needs no room to read everything,
// and continues once there is some.
//
// After a failed write nothing more is appended. What the failed sync has stored is unknown, and a second sync may
// report a success that means nothing. The caller can still serve reads of what it has in memory.
//
// # Operating systems
//
//	           a durable write                a durable name              the lock
//	---------  -----------------------------  --------------------------  -------------------
//	Linux      one write with O_DSYNC         rename, directory fsync     flock of the directory
//	macOS      write, then F_FULLFSYNC        rename, directory fsync     flock of the directory
//	           (O_DSYNC does not reach the      by F_FULLFSYNC
//	           disk there)
//	FreeBSD    write, then fsync              rename, directory fsync     flock of the directory
//	Windows    write, then FlushFileBuffers   MoveFileEx, write-through   LockFileEx of LOCK
//
// Windows cannot sync a directory. There a name is as durable as MOVEFILE_WRITE_THROUGH and the log of NTFS make it.
// The package is built for all four systems, but its tests were run on Linux only.
//
// # Why files of its own
//
// An existing store was measured first, Pebble v2.1.7: three million records of 60 bytes in groups of 1,000, each group
// synced, on two cores and ext4; then the build of a program that only opens the store, with an empty GOCACHE.
//
//	                          records/s    CPU s per million records    cold build    program
//	Pebble, a record a key    3.4 million  0.30                         35 s          27 MB
//	Pebble, a group a key     4.1 million  0.17                         35 s          27 MB
//	these files               5.0 million  0.10                         4.4 s         2.4 MB
//
// The journal appends, is read once from start to end, and is deleted from the front. It needs nothing else of a sorted
// store, and every build would pay for the rest. The decisive difference is another one: Pebble ends the process when a
// write of its log fails, where a seller must continue to serve reads and say why it refuses.
//
// Ways to write a group were measured too, in microseconds for a group of 4 KB and of 61 KB: write and fdatasync took
// 202 and 188; the same in space preallocated with FALLOC_FL_KEEP_SIZE 141 and 181; write with O_DSYNC 148 and 189,
// without any preparation. Overwriting zeros that are on disk changes neither the file's size nor its location, so the
// file system has no metadata to write. On another day a group of 15 KB took 218 with O_DSYNC in a growing file, 208 in
// space preallocated with fallocate, 114 over zeros; a group of 120 bytes took 172, 119 and 127. So the next segment is
// filled with zeros while groups are written, in small pieces, and is used as soon as it is ready. With 1,024 callers a
// group took 360 to 400 in a growing file, 160 to 260 over zeros.
//
//	go test -bench . ./engine/journal/embedded
//
// prints the figures for the disk at hand.
package embedded
