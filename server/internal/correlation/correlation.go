// Package correlation has the identifiers that join the logs of several programs about one request: Request-Id, and
// traceparent of the W3C's Trace Context.
package correlation

import (
	"encoding/hex"
	"math/rand/v2"
)

// The names of the headers, in canonical form.
const (
	RequestID   = "Request-Id"
	TraceParent = "Traceparent"
)

// MaxRequestID is the most bytes of a client's request id.
const MaxRequestID = 128

// NewSize is the size of an id that AppendNew makes.
const NewSize = 16

// AppendNew appends a new request id: 16 hexadecimal digits, 64 random bits. It needs no secret, only few collisions:
// among ten million requests two have the same id with a probability of 3 in a million.
func AppendNew(dst []byte) []byte {
	var random [NewSize / 2]byte
	n := rand.Uint64()
	for i := range random {
		random[i] = byte(n >> (8 * i))
	}
	return hex.AppendEncode(dst, random[:])
}

// Good reports whether a client's request id is passed on: 1 to 128 letters, digits and - _ . : + / = @ ~ #. Others,
// with blanks or quotes for example, would have to be quoted in logs; a new id replaces them.
func Good(id []byte) bool {
	if len(id) == 0 || len(id) > MaxRequestID {
		return false
	}
	for _, c := range id {
		if !safe[c] {
			return false
		}
	}
	return true
}

var safe = func() (is [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+/=@~#" {
		is[c] = true
	}
	return is
}()

const (
	traceSize = 32
	spanSize  = 16
	// version-traceid-parentid-flags
	parentSize = len("00-") + traceSize + len("-") + spanSize + len("-00")
)

// Trace returns the trace id and the span id of a traceparent header, as slices of it. ok is false for a header that is
// not valid; it must then be ignored. Later versions of the format may continue after a hyphen.
func Trace(header []byte) (trace, span []byte, ok bool) {
	if len(header) < parentSize || header[2] != '-' || header[35] != '-' || header[52] != '-' {
		return nil, nil, false
	}
	version, trace, span, flags := header[:2], header[3:35], header[36:52], header[53:55]
	for _, part := range [][]byte{version, trace, span, flags} {
		if !lowerHex(part) {
			return nil, nil, false
		}
	}
	longer := len(header) > parentSize
	switch {
	case string(version) == "ff", longer && (string(version) == "00" || header[parentSize] != '-'):
		return nil, nil, false
	case zero(trace), zero(span):
		return nil, nil, false
	}
	return trace, span, true
}

func lowerHex(digits []byte) bool {
	for _, c := range digits {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zero(digits []byte) bool {
	for _, c := range digits {
		if c != '0' {
			return false
		}
	}
	return true
}
