package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/seathold/seathold/engine/journal"
)

// pieceBytes is how much of a checkpoint is stored at once, at most: Redis executes nothing else until it has written
// the value to its append-only file and synced. See pace for smaller ones.
const pieceBytes = 512 << 10

const pieceHeaderBytes = 9

// manifest describes a complete checkpoint. Its text, the value in the hash of checkpoints, is
//
//	checkpoint.1 start end record position pieces bytes sum own-sum
//
// The sums are hexadecimal; own-sum is the xxHash64 of the id, a space, and the text before own-sum.
type manifest struct {
	id         string // the leader's epoch and a count of its checkpoints
	start, end uint64
	base       boundary // where replay begins; that entry is not trimmed
	pieces     int
	bytes      int64  // of records
	sum        uint64 // of the last piece
}

const manifestType = "checkpoint.1"

// later matches a manifest of another version than ours. Anything else is ours and may be damaged.
var later = regexp.MustCompile(`^checkpoint\.([02-9]|[1-9][0-9]+) `)

func (m manifest) text() string {
	s := fmt.Sprintf("%s %d %d %d %v %d %d %s", manifestType, m.start, m.end, m.base.record, m.base.at, m.pieces, m.bytes,
		sumText(m.sum))
	return s + " " + sumText(xxhash.Sum64String(m.id+" "+s))
}

func parseManifest(id, text string) (manifest, error) {
	m := manifest{id: id}
	if later.MatchString(text) {
		return m, fmt.Errorf("%w: checkpoint %s: its manifest is %.100q", journal.ErrForeign, id, text)
	}
	var at string
	_, scanErr := fmt.Sscanf(text, manifestType+" %d %d %d %s %d %d %x", &m.start, &m.end, &m.base.record, &at,
		&m.pieces, &m.bytes, &m.sum)
	var err error
	m.base.at, err = parsePosition(at)
	// The comparison includes the own sum.
	if scanErr != nil || err != nil || m.text() != text {
		return m, m.damaged("the checksum of its manifest does not match")
	}
	return m, nil
}

func (m manifest) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: checkpoint %s: %s", journal.ErrDamaged, m.id, fmt.Sprintf(format, args...))
}

// manifests reads the complete checkpoints, oldest first. One whose manifest does not match its checksum has -1 pieces.
// retryFor is as in attempts.
func (l *link) manifests(ctx context.Context, retryFor time.Duration) ([]manifest, error) {
	all, err := l.listCheckpoints(ctx, retryFor)
	if err != nil {
		return nil, err
	}
	var found []manifest
	for id, text := range all {
		if text == "writing" || text == "dropped" {
			continue
		}
		m, err := parseManifest(id, text)
		if errors.Is(err, journal.ErrForeign) {
			return nil, err
		}
		if err != nil {
			m = manifest{id: id, pieces: -1}
		}
		found = append(found, m)
	}
	sortManifests(found)
	return found, nil
}

// sortManifests sorts checkpoints by their ids, oldest first. One whose name is not an id is damaged, and first.
func sortManifests(list []manifest) {
	slices.SortFunc(list, func(a, b manifest) int {
		x, _ := parseID(a.id)
		y, _ := parseID(b.id)
		return x.compare(y)
	})
}

// listCheckpoints reads the hash of checkpoints. A key that is not a hash lists none; a leader that is alive makes it
// again. retryFor is as in attempts.
func (l *link) listCheckpoints(ctx context.Context, retryFor time.Duration) (map[string]string, error) {
	reply, err := l.read(ctx, retryFor, "hgetall", l.checkpoints)
	if errors.Is(err, journal.ErrForeign) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readMap(reply), nil
}

// A piece is stored as
//
//	+----------------+------+---------
//	| sum            | more | part of a chunk
//	+----------------+------+---------
//
//	sum   xxHash64, little-endian, of the previous piece's sum and the bytes after this field; for the first piece,
//	      the previous sum is that of the checkpoint's id
//	more  0 in the last piece of a chunk, 1 in its other pieces
func encodePiece(part []byte, more bool, before uint64) ([]byte, uint64) {
	b := make([]byte, pieceHeaderBytes, pieceHeaderBytes+len(part))
	if more {
		b[8] = 1
	}
	b = append(b, part...)
	sum := pieceSum(before, b)
	binary.LittleEndian.PutUint64(b, sum)
	return b, sum
}

func pieceSum(before uint64, piece []byte) uint64 {
	var d xxhash.Digest
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], before)
	d.Reset()
	d.Write(seed[:])
	d.Write(piece[8:])
	return d.Sum64()
}

// chunks reads a checkpoint and delivers its chunks. Each piece is checked before it is delivered, and the totals of
// the manifest at the end.
func (r *reader) chunks(ctx context.Context, m manifest, deliver func([]byte) error) error {
	if m.pieces < 0 {
		return m.damaged("the checksum of its manifest does not match")
	}
	sum, bytes := xxhash.Sum64String(m.id), int64(0)
	var chunk []byte
	for from := 0; from < m.pieces; from += readPieces {
		args := []any{"mget"}
		for i := from; i < min(from+readPieces, m.pieces); i++ {
			args = append(args, r.link.pieceKey(m.id, i))
		}
		reply, err := r.link.read(ctx, r.retryFor, args...)
		if err != nil {
			return err
		}
		list, _ := reply.([]any)
		for i, item := range list {
			text, _ := item.(string)
			piece := []byte(text)
			if len(piece) < pieceHeaderBytes {
				return m.damaged("piece %d is missing", from+i)
			}
			sum = pieceSum(sum, piece)
			if sum != binary.LittleEndian.Uint64(piece) || len(chunk)+len(piece) > maxRunBytes+pieceBytes {
				return m.damaged("the checksum of piece %d does not match", from+i)
			}
			bytes += int64(len(piece) - pieceHeaderBytes)
			more := piece[8] == 1
			// A chunk of a single piece is delivered without a copy.
			if piece = piece[pieceHeaderBytes:]; more || len(chunk) > 0 {
				chunk = append(chunk, piece...)
				piece = chunk
			}
			if more {
				continue
			}
			if err := deliver(piece); err != nil {
				return err
			}
			chunk = chunk[:0]
		}
	}
	if sum != m.sum || bytes != m.bytes || len(chunk) > 0 {
		return m.damaged("its pieces do not match its manifest")
	}
	return nil
}
