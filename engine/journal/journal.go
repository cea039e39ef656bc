// Package journal makes groups of opaque records durable, in order, and delivers them again after a restart.
//
// Four nouns explain it:
//
//   - A record is one outcome: bytes that only the engine interprets. Records are numbered from 1 over the whole life
//     of a journal, across restarts and leaders. The number is the record's sequence.
//   - A group is what one sync carries: consecutive records.
//   - A checkpoint is a compaction of all records up to its start. Replay is the newest checkpoint and the groups after
//     it.
//   - A backend stores groups and checkpoints: journal/embedded in a directory, journal/redis in a Redis stream.
//
// # The life of a backend
//
// The engine calls a Backend in this order:
//
//	call        times    by                        while
//	Recover     once     the goroutine that opens  nothing else is called
//	Append      any      one goroutine, a Writer   at most one call at a time
//	Checkpoint  any      one other goroutine       groups are appended; one checkpoint at a time
//	Close       once     any goroutine             after the last Append
//
// A Shared backend is used by several processes, one of which leads and writes. There, Claim comes before the first
// Append; Shared has the order of the calls.
//
// # What a backend guarantees
//
//   - A group for which Append returned nil survives every crash, and so does a checkpoint for which Commit returned
//     nil.
//   - Groups are delivered as they were appended: in order, byte for byte, without a gap. At most the last group, for
//     which Append had not returned, may be missing.
//   - After a failed Append nothing more becomes durable. What a failed sync has stored is unknown, so the backend
//     returns an error from every later Append.
//   - Damage to durable records is an error, never a silently shorter journal. Only a damaged checkpoint is survived,
//     by the one before it and a longer replay, and Recovered.Notes says so.
//
// The suite in engine/internal/journaltest holds every backend to these sentences.
package journal

import (
	"context"
	"errors"
	"time"
)

// Group is what one sync carries: Count consecutive records, the first of which has the sequence First. Records is a
// run: the records one after another, each after its length (see AppendRecord and Next).
type Group struct {
	First   uint64
	Count   int
	Records []byte
}

// Last returns the sequence of the group's last record.
func (g Group) Last() uint64 { return g.First + uint64(g.Count) - 1 }

// Reader delivers what a journal holds.
type Reader interface {
	// Recover delivers the newest intact checkpoint, if there is one, chunk by chunk to to.Chunk, then every group after
	// that checkpoint's start to to.Group, in order and without a gap. The slices are valid only during the call. An
	// unfinished group at the end is cut off, and Recovered.Notes says what is known of it. Damage to durable records is
	// an error that wraps ErrDamaged and names the place. An error of a callback ends the recovery and is returned.
	Recover(to Recovery) (Recovered, error)
}

// Backend stores groups and checkpoints. The package documentation has the order of the calls.
type Backend interface {
	Reader

	// Append makes the group durable, after all groups before it, and returns nil. g.First follows the last record.
	// Append retries what a retry can fix, such as an unreachable Redis, until ctx is done. An error is final: whether
	// the next Recover finds the group is unknown, and nothing may be appended any more.
	Append(ctx context.Context, g Group) error

	// Checkpoint begins a checkpoint that replaces all records up to and including start, which must be durable.
	Checkpoint(ctx context.Context, start uint64) (Checkpoint, error)

	// Close releases the journal. It has nothing to flush, since Append has synced every group.
	Close() error
}

// Beater is a backend that has something to do while there is nothing to append. Every Shared backend is one.
type Beater interface {
	// Beat is called by the writer, on the goroutine that appends, every half second without a group. Records that arrive
	// meanwhile wait, so it returns soon. An error is as final as one of Append.
	Beat(ctx context.Context) error
}

// Shared is a backend that several processes reach, one of which leads and writes (I8).
//
// A process first calls Recover or Follow, on a new backend. It calls Claim when it knows that no other process leads:
// when Recovered.Led is false, or when Follow has returned nil. After Recover, and after a Claim that returned
// ErrNotSilent, it may call Follow, which continues where the last delivery ended. One goroutine makes all these
// calls. After any other error the backend can only be closed.
type Shared interface {
	Backend

	// Follow delivers as Recover does, or continues after it, and then delivers every group that the leader makes durable
	// to to.Group, in order. It calls alive, on the same goroutine, with the leader's address whenever the leader has
	// shown that it is alive and all that it had made durable by then is delivered.
	//
	// It returns nil, with everything durable delivered, once the leader has been silent for the given time or has
	// stepped down. A leader is silent from its last entry of any kind on, and no earlier than from the call of Follow
	// on. A journal without a leader is silent. Time in which the journal does not respond is not silence, because the
	// leader could not be heard. Otherwise Follow returns ctx's error or a fault of the journal. Recovered sums up all
	// deliveries of this backend.
	Follow(ctx context.Context, to Recovery, silence time.Duration, alive func(leader string)) (Recovered, error)

	// Claim makes this process the leader, with the address at which clients reach it, and fences every older leader: no
	// group of theirs can follow any more. The journal continues after Recovered.Last of the last delivery.
	//
	// It claims only the journal that was delivered. When anything was added after that, be it a group, a beat or another
	// claim, it changes nothing and returns ErrNotSilent: the leader is alive, or another process was faster. Of several
	// processes that claim after the same silence, one leads.
	Claim(ctx context.Context, address string) error

	// Beat shows followers that the leader is alive. The writer calls it on the goroutine that appends, while there is
	// nothing to append. Records that arrive meanwhile wait, so it returns soon, and a beat that does not get through is
	// no error. An error is as final as one of Append; ErrFenced means that there is a newer leader.
	Beat(ctx context.Context) error

	// StepDown lets followers take over without waiting for silence. Nothing may be appended after it.
	StepDown(ctx context.Context) error

	// Epoch returns this leader's term number; 0 before Claim.
	Epoch() uint64
}

// Recovery receives what Recover delivers.
type Recovery struct {
	// Begin is called once, before any Chunk, with the facts of the checkpoint that follows; not at all when there is
	// none.
	Begin func(CheckpointInfo) error
	// Chunk is called with each chunk of the checkpoint, a run of records.
	Chunk func(records []byte) error
	// Group is called with each group.
	Group func(Group) error
}

// CheckpointInfo describes a complete checkpoint.
type CheckpointInfo struct {
	Start uint64 // replay continues after this record
	End   uint64 // chunks may hold effects of records up to this one; the state is consistent only once it is replayed
	Bytes int64
}

// Recovered sums up a recovery.
type Recovered struct {
	Last       uint64 // sequence of the last record; 0 for an empty journal
	Checkpoint CheckpointInfo
	Groups     int
	Records    int
	TornBytes  int64    // cut off the end
	Notes      []string // what an operator should read: a damaged checkpoint that was skipped, an unfinished group

	// Of a Shared journal.

	Led    bool   // a leader has claimed the journal and has not stepped down; it may be alive
	Leader string // the address of the leader that claimed last; empty if it gave none
}

// Checkpoint is a checkpoint being written, in any number of chunks. Each chunk is a run of records, as in
// Group.Records.
type Checkpoint interface {
	// Write adds a chunk. After an error the checkpoint can only be aborted.
	Write(chunk []byte) error
	// Commit makes the checkpoint the newest one, durably, and then drops what only older checkpoints needed. Two
	// checkpoints are kept. end is the last record whose effects the chunks may hold; it is durable before the call.
	Commit(end uint64) error
	// Abort drops what was written. It is a no-op after Commit.
	Abort()
}

// Pacer is a Checkpoint whose Write waits by itself until the journal has room for a chunk beside groups. Its caller
// pauses after its own work, for the sake of the processors. After Write of any other checkpoint it also pauses for
// the time that Write took, for the sake of the journal.
type Pacer interface {
	PacesItself() bool
}

// Errors of Append. They are final.
var (
	// ErrFenced: a newer leader writes this journal.
	ErrFenced = errors.New("a newer leader has taken over the journal")
	// ErrFull: there is no room left where the journal is stored.
	ErrFull = errors.New("no space is left for the journal")
	// ErrGone: what the journal was stored in is not there: it was removed or replaced while the journal was open, or
	// there is nothing where a journal was begun before.
	ErrGone = errors.New("the journal is no longer where it was opened")
	// ErrClosed: the journal was closed.
	ErrClosed = errors.New("the journal is closed")
)

// ErrNotSilent is returned by Shared.Claim when another process writes the journal. The claim changed nothing.
var ErrNotSilent = errors.New("another server writes the journal")

// Errors of opening and of Recover.
var (
	// ErrLocked: another process has the journal open.
	ErrLocked = errors.New("the journal is in use by another process")
	// ErrForeign: what is there is not a journal of Seathold, or has a version that this program does not read.
	ErrForeign = errors.New("not a journal that this program reads")
	// ErrDamaged: durable records are missing or unreadable.
	ErrDamaged = errors.New("the journal is damaged")
)
