package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seathold/seathold/server/internal/encode"
)

// scanner reads the tokens of JSON text (RFC 8259), as strictly as possible: bad UTF-8, lone surrogates, control
// characters in strings and repeated names are faults. Which members there are, and their types, is the decoder's.
//
// A general tokenizer took three quarters of the time of decoding a request: it keeps a stack, the names of every open
// object, and can resume within a token. Bodies here are complete, small and at most four levels deep. A value of the
// wrong type is refused at its first byte, so nesting costs nothing.
type scanner struct {
	body []byte
	at   int    // index of the next byte
	text []byte // decoded strings that had escapes
}

// notPlain tests eight bytes at a time. The lowest bit that is set in the result is in the first byte that is not
// plain; higher bits may be wrong, since the subtraction borrows beyond that byte. The result is 0 if all bytes are
// plain.
func notPlain(eight uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash := eight^each*'"', eight^each*'\\'
	return (eight | (eight-each*' ')&^eight | (quote-each)&^quote | (backslash-each)&^backslash) & high
}

func (s *scanner) begin(body []byte) { s.body, s.at, s.text = body, 0, s.text[:0] }

// peek skips white space and returns the next byte, 0 at the end. A zero byte is not JSON either.
func (s *scanner) peek() byte {
	for ; s.at < len(s.body); s.at++ {
		switch c := s.body[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take skips white space and reads the byte c.
func (s *scanner) take(c byte) error {
	if s.peek() != c {
		return s.unexpected("'" + string(rune(c)) + "' is required")
	}
	s.at++
	return nil
}

// more reads the separator of members or elements, or the closing brace or bracket end. It reports whether another
// member or element follows. first is set before the first one.
func (s *scanner) more(end byte, first bool) (bool, error) {
	switch c := s.peek(); {
	case c == end:
		s.at++
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, s.unexpected("',' or '" + string(rune(end)) + "' is required")
	}
	s.at++
	return true, nil
}

// unexpected returns the fault of the next byte.
func (s *scanner) unexpected(what string) error {
	if s.at >= len(s.body) {
		return errors.New("it ends too early")
	}
	return errors.New("at byte " + strconv.Itoa(s.at) + ", " + what)
}

// string reads a string whose quote is the next byte. The result shares memory with the body or with the scanner.
func (s *scanner) string() ([]byte, error) {
	from := s.at + 1
	for i := from; i < len(s.body); {
		if i+8 <= len(s.body) {
			stop := notPlain(binary.LittleEndian.Uint64(s.body[i:]))
			if i += bits.TrailingZeros64(stop) / 8; stop == 0 {
				continue
			}
		}
		c := s.body[i]
		switch {
		case encode.Plain(c):
			i++
		case c == '"':
			s.at = i + 1
			return s.body[from:i], nil
		case c == '\\':
			return s.escaped(from, i)
		case c < ' ':
			s.at = i
			return nil, s.unexpected("a string contains a control character")
		default:
			r, size := utf8.DecodeRune(s.body[i:])
			if r == utf8.RuneError && size == 1 {
				s.at = i
				return nil, s.unexpected("the text is not UTF-8")
			}
			i += size
		}
	}
	s.at = len(s.body)
	return nil, s.unexpected("")
}

// escaped reads a string with its first escape at i. Escapes are rare, so jsontext decodes them.
func (s *scanner) escaped(from, i int) ([]byte, error) {
	for ; i < len(s.body) && s.body[i] != '"'; i++ {
		if s.body[i] == '\\' {
			i++
		}
	}
	if i >= len(s.body) {
		s.at = len(s.body)
		return nil, s.unexpected("")
	}
	start := len(s.text)
	text, err := jsontext.AppendUnquote(s.text, s.body[from-1:i+1])
	if err != nil {
		s.at = from - 1
		return nil, s.unexpected("the string is not well-formed")
	}
	s.at, s.text = i+1, text
	return text[start:], nil
}

// number reads a number and returns its text.
func (s *scanner) number() ([]byte, error) {
	from := s.at
	s.skip('-')
	ok := s.skip('0') || s.digits()
	if ok && s.skip('.') {
		ok = s.digits()
	}
	if ok && (s.skip('e') || s.skip('E')) {
		_ = s.skip('+') || s.skip('-')
		ok = s.digits()
	}
	if !ok {
		return nil, s.unexpected("a digit is required")
	}
	return s.body[from:s.at], nil
}

// word reads a word such as true, whose first byte is the next one.
func (s *scanner) word(text string) error {
	if !bytes.HasPrefix(s.body[s.at:], []byte(text)) {
		return s.unexpected("'" + text + "' is required")
	}
	s.at += len(text)
	return nil
}

// skip reads the byte c if it is next.
func (s *scanner) skip(c byte) bool {
	if s.at < len(s.body) && s.body[s.at] == c {
		s.at++
		return true
	}
	return false
}

// digits reads any digits, and reports whether there was one.
func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.body) && s.body[s.at] >= '0' && s.body[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}

// names are the names that an object has had so far.
type names struct {
	known [16]string
	count int
}

// add records a name and reports whether it is new. No object of the API has 16 members, and an unknown member is
// refused when it is read, so the array never fills up.
func (n *names) add(name string) bool {
	if slices.Contains(n.known[:n.count], name) {
		return false
	}
	n.known[n.count] = name
	n.count++
	return true
}
