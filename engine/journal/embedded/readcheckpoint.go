package embedded

import (
	"encoding/binary"
	"errors"
	"io"
)

// readCheckpoint delivers the chunks of a checkpoint and returns its footer. It checks a chunk's checksum before it
// delivers the chunk, and the footer's at the end.
func (d *directory) readCheckpoint(f numbered, deliver func(records []byte) error) (end footer, err error) {
	in, err := d.fs.openRead(d.join(f.name))
	if err != nil {
		return end, err
	}
	r := checkpointReader{name: f.name, read: in.readAt, size: f.bytes}
	end, err = r.run(d.id, f.sequence, deliver)
	return end, errors.Join(err, in.close())
}

// checkpointReader reads a checkpoint from its beginning, at least readBytes at a time where the file has them.
type checkpointReader struct {
	name string
	read func(b []byte, offset int64) (int, error)
	size int64 // of the file

	at     int64  // offset of the next byte to return
	buffer []byte // the bytes from at on that were read from the file
	store  []byte // the array that buffer is a part of

	sum    uint32 // of the previous chunk, or of the header
	chunks uint32
	bytes  uint64
}

const readBytes = 1 << 20

func (r *checkpointReader) run(id, start uint64, deliver func(records []byte) error) (end footer, err error) {
	b, err := r.next(headerBytes)
	if err != nil {
		return end, err
	}
	header, sum, err := decodeFileHeader(r.name, checkpointMagic, id, b)
	if err != nil {
		return end, err
	}
	if header.sequence != start {
		return end, damaged(r.name, 0, "by its header it starts at record %d", header.sequence)
	}
	r.sum = sum
	for r.size-r.at > footerBytes {
		records, err := r.chunk()
		if err != nil {
			return end, err
		}
		if err := deliver(records); err != nil {
			return end, err
		}
	}
	b, err = r.next(footerBytes)
	if err != nil {
		return end, err
	}
	end, ok := decodeFooter(b, r.sum)
	if !ok || end.chunks != r.chunks || end.bytes != r.bytes || end.start != start || end.end < start {
		return end, damaged(r.name, r.at-footerBytes, "its footer is invalid")
	}
	return end, nil
}

func (r *checkpointReader) chunk() (records []byte, err error) {
	at := r.at
	b, err := r.next(chunkHeaderBytes)
	if err != nil {
		return nil, err
	}
	header := [chunkHeaderBytes]byte(b)
	length := binary.LittleEndian.Uint32(header[:])
	if length == 0 || length > maxRunBytes {
		return nil, damaged(r.name, at, "a chunk of %d bytes", length)
	}
	if records, err = r.next(int(length)); err != nil {
		return nil, err
	}
	r.sum = chunkSum(header[:], records, r.sum)
	if r.sum != binary.LittleEndian.Uint32(header[4:]) {
		return nil, damaged(r.name, at, "the checksum of a chunk is wrong")
	}
	r.chunks++
	r.bytes += uint64(length)
	return records, nil
}

// next returns the next n bytes, valid until the next call. It never allocates more memory than the file is long.
func (r *checkpointReader) next(n int) ([]byte, error) {
	if int64(n) > r.size-r.at {
		return nil, damaged(r.name, r.at, "the file ends where %d more bytes are expected", n)
	}
	if len(r.buffer) < n {
		want := int(min(int64(max(n, readBytes)), r.size-r.at))
		if cap(r.store) < want {
			r.store = make([]byte, want)
		}
		kept := copy(r.store[:want], r.buffer)
		read, err := r.read(r.store[kept:want], r.at+int64(kept))
		if read < want-kept {
			if err == nil || errors.Is(err, io.EOF) {
				err = damaged(r.name, r.at, "the file became shorter while it was read")
			}
			return nil, err
		}
		r.buffer = r.store[:want]
	}
	b := r.buffer[:n:n]
	r.buffer = r.buffer[n:]
	r.at += int64(n)
	return b, nil
}
