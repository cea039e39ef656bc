// Package journal makes groups of opaque records durable, in order, and gives them back after a crash.
//
// Four nouns explain it. A record is one outcome, bytes that only the engine understands. A group is what one sync
// carries: consecutive records. A checkpoint is a compaction of all groups up to a point. A backend keeps groups and
// checkpoints: journal/embedded in a directory, journal/redis in a Redis stream; both pass the suite in
// journal/journaltest.
//
// Records are numbered from 1 over the whole life of a journal, across restarts and leaders: the record's sequence.
package journal

import (
	"context"
	"errors"
	"time"
)

// Group is what one sync carries: Count consecutive records, the first of which has the sequence First. Records holds
// them one after another, each behind its length (see AppendRecord, Next).
type Group struct {
	First   uint64
	Count   int
	Records []byte
}

// Last returns the sequence of the group's last record.
func (g Group) Last() uint64 { return g.First + uint64(g.Count) - 1 }

// Reader gives back what a journal holds.
type Reader interface {
	// Recover gives the newest intact checkpoint, if there is one, to to.Chunk, chunk by chunk, then every group after
	// that checkpoint's start to to.Group, in order and without a hole. The slices are valid only during the call. A torn
	// tail, which no sync had promised, is cut. Damage before valid records is an error that names the place. An error of
	// a callback ends the recovery and is returned.
	Recover(to Recovery) (Recovered, error)
}

// Backend keeps groups and checkpoints. Recover is called once, first; then Append by one goroutine, one group at a
// time; checkpoints are written by one other goroutine at the same time.
type Backend interface {
	Reader

	// Append makes the group durable, after all groups before it, and returns nil; g.First follows the last record.
	// It retries by itself what a retry can mend (an unreachable Redis), for as long as ctx lives. An error is final:
	// whether the group will be found by the next Recover is then unknown, and nothing may be appended any more.
	Append(ctx context.Context, g Group) error

	// Checkpoint begins a checkpoint that stands for all records up to and including start.
	Checkpoint(ctx context.Context, start uint64) (Checkpoint, error)

	// Close releases the journal. Append has synced all there is.
	Close() error
}

// Shared is a backend that several processes reach, of which one leads and writes (I8). A process begins either by Recover
// and Claim, or by Follow, which may end in Claim.
type Shared interface {
	Backend

	// Follow delivers like Recover and then goes on: every group that the leader makes durable goes to to.Group, in order,
	// and heard is called, by the same goroutine, whenever the leader gave a sign of life, with its address, and all that it
	// had made durable by then was delivered. It returns nil when the leader has
	// been silent for the given time or has stepped down, everything it made durable having been delivered; else ctx's
	// error or a fault of the journal.
	Follow(ctx context.Context, to Recovery, silence time.Duration, heard func(leader string)) (Recovered, error)

	// Claim makes this process the leader, under the address that clients reach it by, and fences every older one: none of
	// their groups can follow any more. Groups that were appended since Recover or Follow returned go to to.Group first.
	// last is the journal's last record.
	Claim(ctx context.Context, address string, to Recovery) (last uint64, err error)

	// Beat tells followers that the leader lives. The writer calls it, from the goroutine that appends, while nothing else is
	// to be appended, and records that come meanwhile wait for it: it returns soon, and a beat that does not get through is
	// no error. An error is final as one of Append is; ErrFenced says that there is a newer leader.
	Beat(ctx context.Context) error

	// StepDown tells followers that they need not wait for silence. Nothing may be appended after it.
	StepDown(ctx context.Context) error

	// Epoch returns this leader's term number; 0 before Claim.
	Epoch() uint64
}

// Recovery is where Recover delivers.
type Recovery struct {
	// Begin is called once before any Chunk with the facts of the checkpoint that is about to be delivered; not at all
	// when there is none.
	Begin func(CheckpointInfo) error
	Chunk func(records []byte) error
	Group func(Group) error
}

// CheckpointInfo describes a complete checkpoint.
type CheckpointInfo struct {
	Start uint64 // replay continues behind this record
	End   uint64 // the chunks may hold effects of records up to this one: only from there on is the state a consistent one
	Bytes int64
}

// Recovered sums up a recovery.
type Recovered struct {
	Last       uint64 // sequence of the last record; 0 for an empty journal
	Checkpoint CheckpointInfo
	Groups     int
	Records    int
	TornBytes  int64    // cut from the tail
	Notes      []string // what an operator should read: a damaged checkpoint passed over, a tail cut
}

// Checkpoint is one being written. Chunks are given in any number, each a run of records as in Group.Records.
type Checkpoint interface {
	Write(chunk []byte) error
	// Commit makes the checkpoint the newest one, durably, and drops what only older ones needed: two are kept. end is the
	// last record of which the chunks may hold an effect; it is durable before Commit is called.
	Commit(end uint64) error
	// Abort drops what was written. It is harmless after Commit.
	Abort()
}

// Errors of Append, all final.
var (
	// ErrFenced: a newer leader writes this journal.
	ErrFenced = errors.New("a newer leader has taken over the journal")
	// ErrFull: no room is left where the journal is kept.
	ErrFull = errors.New("no space is left for the journal")
	// ErrClosed: the journal was closed.
	ErrClosed = errors.New("the journal is closed")
)

// Errors of opening and Recover.
var (
	// ErrLocked: another process has the journal open.
	ErrLocked = errors.New("the journal is in use by another process")
	// ErrForeign: what is there is not a journal of Seathold, or one of a version this program does not read.
	ErrForeign = errors.New("not a journal that this program reads")
	// ErrDamaged: records that were durable are missing or unreadable.
	ErrDamaged = errors.New("the journal is damaged")
)
