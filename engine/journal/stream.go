package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A stream carries the state of a journal from one process to another: a checkpoint without the groups after it.
//
//	offset  bytes
//	0       16      "seathold-state 1" in ASCII
//	16      8       sequence of the last record whose effects the chunks hold
//	then any number of chunks, each a run of records, and an end, which is a chunk without records:
//	0       4       length of the run; 0 for the end
//	4       4       CRC-32C of the previous sum (for the first, of the sequence), this length and the run
//	8       length  the run
//
// Numbers are big-endian. A stream without its end is incomplete and is refused.
const streamMagic = "seathold-state 1"

// maxChunk bounds a chunk that a reader accepts, in bytes.
const maxChunk = 64 << 20

var streamTable = crc32.MakeTable(crc32.Castagnoli)

// StreamWriter writes a stream. It is a Checkpoint: Commit ends the stream.
type StreamWriter struct {
	w    *bufio.Writer
	last uint64
	sum  uint32
	err  error // of the first failed write, or why nothing can follow
}

var errStreamEnded = errors.New("the stream has ended")

// NewStreamWriter begins a stream on w, of the state after record last.
func NewStreamWriter(w io.Writer, last uint64) *StreamWriter {
	s := &StreamWriter{w: bufio.NewWriter(w), last: last}
	head := binary.BigEndian.AppendUint64([]byte(streamMagic), last)
	s.sum = crc32.Checksum(head[len(streamMagic):], streamTable)
	_, s.err = s.w.Write(head)
	return s
}

// Write adds a chunk.
func (s *StreamWriter) Write(chunk []byte) error {
	if len(chunk) == 0 || s.err != nil {
		return s.err
	}
	if len(chunk) > maxChunk {
		return fmt.Errorf("BUG: a chunk of %d bytes; the limit is %d", len(chunk), maxChunk)
	}
	return s.frame(chunk)
}

// Commit ends the stream. end is the record of NewStreamWriter: no group follows a stream.
func (s *StreamWriter) Commit(end uint64) error {
	if s.err == nil && end != s.last {
		s.err = fmt.Errorf("BUG: a stream after record %d ends with record %d", s.last, end)
	}
	if s.err != nil {
		return s.err
	}
	if err := s.frame(nil); err != nil {
		return err
	}
	if s.err = s.w.Flush(); s.err != nil {
		return s.err
	}
	s.err = errStreamEnded
	return nil
}

// Abort leaves the stream without an end, so that its reader refuses it. It is a no-op after Commit.
func (s *StreamWriter) Abort() { s.err = errors.Join(s.err, errStreamEnded) }

func (s *StreamWriter) frame(run []byte) error {
	var header [8]byte
	binary.BigEndian.PutUint32(header[:], uint32(len(run)))
	s.sum = streamSum(s.sum, header[:4], run)
	binary.BigEndian.PutUint32(header[4:], s.sum)
	_, err := s.w.Write(header[:])
	if err == nil {
		_, err = s.w.Write(run)
	}
	s.err = err
	return err
}

// streamSum covers the previous sum too, so that no chunk can be missing or repeated.
func streamSum(previous uint32, length, run []byte) uint32 {
	var chained [4]byte
	binary.BigEndian.PutUint32(chained[:], previous)
	sum := crc32.Update(0, streamTable, chained[:])
	return crc32.Update(crc32.Update(sum, streamTable, length), streamTable, run)
}

// StreamReader reads a stream.
type StreamReader struct {
	// Last is the last record whose effects the chunks hold. It is verified with the first chunk.
	Last uint64

	in  *bufio.Reader
	sum uint32
}

// NewStreamReader reads the head of a stream.
func NewStreamReader(r io.Reader) (*StreamReader, error) {
	s := &StreamReader{in: bufio.NewReader(r)}
	head := make([]byte, len(streamMagic)+8)
	if _, err := io.ReadFull(s.in, head); err != nil {
		return nil, fmt.Errorf("%w: the head of the stream: %w", ErrDamaged, unexpected(err))
	}
	if string(head[:len(streamMagic)]) != streamMagic {
		return nil, fmt.Errorf("%w: it is not a stream of a journal's state", ErrDamaged)
	}
	s.Last = binary.BigEndian.Uint64(head[len(streamMagic):])
	s.sum = crc32.Checksum(head[len(streamMagic):], streamTable)
	return s, nil
}

// Read reads to the end and calls chunk with each run of records, which is valid during the call. The error wraps
// ErrDamaged where the stream is cut short or altered; what was delivered before is then worthless.
func (s *StreamReader) Read(chunk func(records []byte) error) error {
	var run []byte
	for at := 1; ; at++ {
		var header [8]byte
		if _, err := io.ReadFull(s.in, header[:]); err != nil {
			return fmt.Errorf("%w: chunk %d of the stream: %w", ErrDamaged, at, unexpected(err))
		}
		length := binary.BigEndian.Uint32(header[:])
		if length > maxChunk {
			return fmt.Errorf("%w: chunk %d of the stream has %d bytes", ErrDamaged, at, length)
		}
		if cap(run) < int(length) {
			run = make([]byte, length)
		}
		run = run[:length]
		if _, err := io.ReadFull(s.in, run); err != nil {
			return fmt.Errorf("%w: chunk %d of the stream: %w", ErrDamaged, at, unexpected(err))
		}
		if s.sum = streamSum(s.sum, header[:4], run); s.sum != binary.BigEndian.Uint32(header[4:]) {
			return fmt.Errorf("%w: the checksum of chunk %d of the stream is wrong", ErrDamaged, at)
		}
		if length == 0 {
			return nil
		}
		if err := chunk(run); err != nil {
			return err
		}
	}
}

// unexpected returns err, with io.EOF as what it is in the middle of a stream.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
