package server

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// splitter finds where requests begin and end in the bytes that a connection has received.
type splitter struct {
	bodyLeft    int    // bytes of a body that are still to come
	header      []byte // the beginning of a header that continues in the next read
	passthrough bool   // a request is framed in another way than by one Content-Length: nothing is split from here on
	partial     int    // where in the bytes split last an incomplete request begins; -1 for none, or before them

	lastHeader []byte // the previous header of a reservation; most connections repeat it
	lastBody   int    // the length of the body that it announces
}

// segment is a piece of what was read: a complete request to reserve, or anything else.
type segment struct {
	end     int // in the bytes that were read together
	reserve bool
	refuse  bool
}

func reservations(segments []segment) (n int) {
	for _, s := range segments {
		if s.reserve {
			n++
		}
	}
	return n
}

var (
	endOfHeader = []byte("\r\n\r\n")
	reserveLine = []byte("POST /v1/reservations HTTP/1.1\r\n")
)

// split cuts b into segments and appends them. b is at an offset of the bytes that were read together.
func (s *splitter) split(b []byte, offset int, to []segment) []segment {
	s.partial = -1
	for len(b) > 0 {
		between := s.bodyLeft == 0 && len(s.header) == 0 && !s.passthrough // a request begins here
		n, reserve := s.next(b)
		if between {
			s.partial = offset
		}
		offset += n
		b = b[n:]
		if last := len(to) - 1; !reserve && last >= 0 && !to[last].reserve {
			to[last].end = offset
			continue
		}
		to = append(to, segment{end: offset, reserve: reserve})
	}
	if s.bodyLeft == 0 && len(s.header) == 0 || s.passthrough {
		s.partial = -1
	}
	return to
}

// next returns how many bytes of b belong together, and whether they are a complete request to reserve.
func (s *splitter) next(b []byte) (n int, reserve bool) {
	switch {
	case s.passthrough:
		return len(b), false
	case s.bodyLeft > 0:
		n = min(s.bodyLeft, len(b))
		s.bodyLeft -= n
		return n, false
	case len(s.header) > 0:
		return s.continueHeader(b), false
	}
	whole := len(s.lastHeader) + s.lastBody
	if len(s.lastHeader) > 0 && whole <= len(b) && bytes.HasPrefix(b, s.lastHeader) {
		return whole, true
	}
	end := bytes.Index(b, endOfHeader)
	if end < 0 {
		s.header = append(s.header, b[:min(len(b), MaxHeader+1)]...)
		s.passthrough = len(b) > MaxHeader
		return len(b), false
	}
	end += len(endOfHeader)
	length := s.bodyLength(b[:end])
	if whole := end + length; !s.passthrough && whole <= len(b) {
		if reserve = bytes.HasPrefix(b, reserveLine); reserve {
			s.lastHeader, s.lastBody = append(s.lastHeader[:0], b[:end]...), length
		}
		return whole, reserve
	}
	s.bodyLeft = length
	return end, false
}

// continueHeader looks for the end of a header that began in an earlier read.
func (s *splitter) continueHeader(b []byte) (n int) {
	before := len(s.header)
	s.header = append(s.header, b[:min(len(b), MaxHeader)]...)
	from := max(0, before-len(endOfHeader)+1)
	end := bytes.Index(s.header[from:], endOfHeader)
	if end < 0 {
		s.passthrough = len(s.header) > MaxHeader
		return len(b)
	}
	end += from + len(endOfHeader)
	s.bodyLeft = s.bodyLength(s.header[:end])
	s.header = s.header[:0]
	return end - before
}

// bodyLength returns the length of the body that a header announces. Any other field that affects the framing of the
// body or the connection ends the splitting.
func (s *splitter) bodyLength(header []byte) (length int) {
	announced := false
	for line := range bytes.Lines(header) {
		switch line[0] | 0x20 {
		case 'c':
			if named(line, "Connection") {
				s.passthrough = true
			} else if named(line, "Content-Length") {
				digits := bytes.TrimSpace(line[len("Content-Length:"):])
				n, err := fasthttp.ParseUint(digits)
				s.passthrough = s.passthrough || announced || err != nil || len(digits) > 9
				length, announced = n, true
			}
		case 'e', 't', 'u':
			s.passthrough = s.passthrough || named(line, "Expect") || named(line, "Transfer-Encoding") || named(line, "Upgrade")
		case ' ', '\t' | 0x20:
			s.passthrough = true // a field that is folded over two lines
		}
	}
	return length
}
