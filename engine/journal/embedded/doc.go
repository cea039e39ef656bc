// Package embedded keeps a journal in a directory, in files of its own.
//
//	seathold-journal                  the marker: this is a journal, its format version, its id
//	LOCK                              locked by the one program that writes, or shared by those that only look
//	segment-00000000000000000001      groups, one frame each, from the record of that sequence on
//	segment-00000000000000912345
//	checkpoint-00000000000000800000   a checkpoint that starts at that record; two are kept
//	checkpoint-00000000000000900000
//	prepared.tmp                      the next segment, filled with zeros while this one is written
//	*.tmp                             a file on its way to a name, dropped by the next Recover
//
// # What is promised
//
// A group is acknowledged when its frame is on disk: segments are written with O_DSYNC, one write a group. A segment, a
// checkpoint and the marker are complete and synced under a temporary name before they are renamed, and the directory is
// synced behind the rename. A segment is therefore never without its header, and a checkpoint never half there. One group
// is written at a time, so that at most the last frame of the newest segment can be unfinished. Zeros behind the last frame
// are nothing: those of a prepared segment, or of a write that never came.
//
//	crash                                              what the next Recover finds, and does
//	while the journal is made, before the marker       nothing but files of ours with no record: makes it anew
//	within the write of a group                        a frame that does not hold, and only zeros behind: cuts it
//	between that write and its acknowledgement         a whole frame: delivers it, nobody was told
//	within the cutting                                 the same or a shorter unfinished frame: cuts it
//	before a new segment has its name, or lost with it segment.tmp, prepared.tmp or nothing; all groups are in the older ones
//	between a new segment and its first group          a segment without frames: appends to it
//	within a checkpoint, or before it has its name     checkpoint.tmp: drops it, the older checkpoints stand
//	between the checkpoint's name and the removals     more files than needed: the next Commit removes them
//	within the removals, in any order                  holes before the older checkpoint's start: not looked at
//	within Recover                                     what the crash before it left
//
// A kill of the process alone is different: the next program then reads from the kernel's memory what need not be on disk
// yet, and after a failed sync never will be unless it is written again. Recover therefore syncs the directory and
// writes the last frame once more, in place, with the same bytes, before anything is built on it.
//
// Whatever does not hold elsewhere is a Damage, which names file and offset, and nothing is changed: a frame in an older
// segment, a frame with another frame behind it, a missing segment, records that a checkpoint knows of and no segment has.
// Only a damaged checkpoint is survived, by the older one and a longer replay, and noted. What cannot be told apart from
// an unfinished group is damage to the very last frame, unless a checkpoint knows of its records.
//
// After a failed write nothing is appended any more: the state of what a failed sync should have written is unknown, and
// a second sync may report a success that means nothing. What was read stays readable; the caller goes on serving reads.
//
// # Why files of its own
//
// A kept store was measured first, Pebble v2.1.7: three million records of 60 bytes in groups of 1,000, each group synced,
// on two cores and ext4; then the build of a program that only opens the store, with an empty GOCACHE.
//
//	                          records/s    CPU s per million records    cold build    program
//	Pebble, a record a key    3.4 million  0.30                         35 s          27 MB
//	Pebble, a group a key     4.1 million  0.17                         35 s          27 MB
//	these files               5.0 million  0.10                         4.4 s         2.4 MB
//
// The journal appends, reads all of it once and deletes from the front; of what a sorted store does beyond that, nothing
// is needed, and its price would be paid by every build. The decisive difference is another one: Pebble's answer to a
// failed write of its log is to end the process, where a seller must go on answering reads and say why it refuses.
//
// How a group reaches the disk was measured too, in microseconds a group of 4 KB and of 61 KB: write and fdatasync 202
// and 188; the same in space preallocated with FALLOC_FL_KEEP_SIZE 141 and 181; write with O_DSYNC 148 and 189, which needs
// nothing prepared. What is written over zeros that are on disk changes neither the file's size nor its place there, and a
// file system has nothing of its own to write: on another day a group of 15 KB took 218 with O_DSYNC in a growing file, 208
// in space preallocated with fallocate, 114 over zeros; of 120 bytes 172, 119 and 127. So the next segment is filled with
// zeros beside the groups, in small pieces, and used as soon as it is ready. With 1,024 callers a group took 360 to 400 in
// a growing file, 160 to 260 over zeros.
//
//	go test -bench . ./engine/journal/embedded
//
// prints what it comes to on the disk at hand.
package embedded
