package server

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine"
)

// decoder reads JSON values of a request's body, strictly. bodies.go reads each call's body with it. It checks which
// members there are, and their types; the rules of the sale are the engine's.
//
// The scanner refuses what is not JSON, and bad UTF-8. The decoder also refuses unknown and repeated members, null,
// numbers that are not integers, and bytes after the value. A value of the wrong type is refused at its first byte, so
// nesting costs nothing.
//
// The returned strings share memory with the body and the decoder. They are valid until the request is answered or the
// decoder is used again. Every error is an *engine.Refusal.
type decoder struct {
	scanner
	operation int // index of the operation of a batch that is being read; -1 outside of one
	line      int // index of the line that is being read; -1 outside of lines
}

// object reads a body that is one object; member reads the value of each member.
func (d *decoder) object(body []byte, member func(name string) error) error {
	d.begin(body)
	d.operation, d.line = -1, -1
	if d.peek() == 0 && d.at == len(body) {
		return d.fault("body", "it is empty; a JSON object is required")
	}
	if err := d.members("body", member); err != nil {
		return err
	}
	if d.peek(); d.at < len(body) {
		return d.fault("body", "the object is followed by more")
	}
	return nil
}

// members reads an object; member reads the value of each member.
func (d *decoder) members(where string, member func(name string) error) error {
	if err := d.open('{', where, "must be an object"); err != nil {
		return err
	}
	var seen names
	for first := true; ; first = false {
		another, err := d.more('}', first)
		if err != nil {
			return d.syntax(err)
		}
		if !another {
			return nil
		}
		if err := d.member(&seen, member); err != nil {
			return err
		}
	}
}

// member reads a name and its value.
func (d *decoder) member(seen *names, value func(name string) error) error {
	name, err := d.string("body")
	switch {
	case err != nil:
		return err
	case !seen.add(name):
		return d.fault("body", "the member "+strconv.Quote(clip(name))+" is repeated")
	}
	if err := d.take(':'); err != nil {
		return d.syntax(err)
	}
	return value(name)
}

// elements reads an array; element reads each of its values.
func (d *decoder) elements(where string, element func() error) error {
	if err := d.open('[', where, "must be an array"); err != nil {
		return err
	}
	for first := true; ; first = false {
		another, err := d.more(']', first)
		if err != nil {
			return d.syntax(err)
		}
		if !another {
			return nil
		}
		if err := element(); err != nil {
			return err
		}
	}
}

// open reads the opening brace or bracket.
func (d *decoder) open(bracket byte, where, expected string) error {
	if err := d.expect(bracket, where, expected); err != nil {
		return err
	}
	d.at++
	return nil
}

// expect refuses a value that begins with another byte.
func (d *decoder) expect(first byte, where, expected string) error {
	switch c := d.peek(); {
	case c == first:
		return nil
	case strings.IndexByte(`{["tfn-0123456789`, c) >= 0: // a value of another type
		return d.fault(where, expected)
	}
	return d.syntax(d.unexpected("a value is required"))
}

// string reads a string, or an object's next name.
func (d *decoder) string(where string) (string, error) {
	if err := d.expect('"', where, "must be a string"); err != nil {
		return "", err
	}
	text, err := d.scanner.string()
	if err != nil {
		return "", d.syntax(err)
	}
	return unsafe.String(unsafe.SliceData(text), len(text)), nil
}

// integer reads an integer. One beyond 64 bits becomes the nearest that fits, which is out of range too.
func (d *decoder) integer(where string) (int64, error) {
	const expected = "must be a whole number"
	if c := d.peek(); c != '-' && (c < '0' || c > '9') {
		return 0, d.expect('0', where, expected)
	}
	raw, err := d.number()
	if err != nil {
		return 0, d.syntax(err)
	}
	digits, negative := bytes.CutPrefix(raw, []byte("-"))
	n := int64(0)
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, d.fault(where, expected+" without fraction or exponent")
		}
		if digit := int64(c - '0'); n > (math.MaxInt64-digit)/10 {
			n = math.MaxInt64
		} else {
			n = 10*n + digit
		}
	}
	if negative {
		n = -n
	}
	return n, nil
}

// seconds reads a duration of at least a second. The engine checks the maximum; what does not fit a Duration exceeds
// it.
func (d *decoder) seconds(where string) (time.Duration, error) {
	n, err := d.integer(where)
	if err == nil && n < 1 {
		err = d.fault(where, "must be a whole number of at least 1")
	}
	return time.Duration(min(n, math.MaxInt64/int64(time.Second))) * time.Second, err
}

// boolean reads true or false.
func (d *decoder) boolean(where string) (value bool, err error) {
	switch d.peek() {
	case 't':
		value, err = true, d.word("true")
	case 'f':
		err = d.word("false")
	default:
		return false, d.expect('t', where, "must be true or false")
	}
	if err != nil {
		err = d.syntax(err)
	}
	return value, err
}

// instant reads a time.
func (d *decoder) instant(where string) (at time.Time, err error) {
	text, err := d.string(where)
	if err != nil {
		return at, err
	}
	at, ok := parseInstant(text)
	if !ok {
		return at, d.fault(where, "must be a time in RFC 3339, such as 2023-11-30T09:17:00Z")
	}
	return at, nil
}

// id reads a reservation's id.
func (d *decoder) id(where string) (engine.ID, error) {
	text, err := d.string(where)
	if err != nil {
		return engine.ID{}, err
	}
	id, ok := parseID(unsafe.Slice(unsafe.StringData(text), len(text)))
	if !ok {
		return id, d.fault(where, idRule)
	}
	return id, nil
}

// unknown refuses a member that is not expected.
func (d *decoder) unknown(name string) error {
	return d.fault("body", "the member "+strconv.Quote(clip(name))+" is unknown")
}

// missing is the fault of a required member that is not there.
const missing = "is missing"

// fault refuses a member. Within an operation or a line, where begins with its index.
func (d *decoder) fault(where, detail string) error {
	if d.line >= 0 {
		where = within("lines", d.line, where)
	}
	if d.operation >= 0 {
		where = within("operations", d.operation, where)
	}
	return malformed(where, detail)
}

// within returns where, prefixed with the element of an array that contains it.
func within(array string, i int, where string) string {
	element := array + "[" + strconv.Itoa(i) + "]"
	if where == "" || where == "body" {
		return element
	}
	return element + "." + where
}

// syntax refuses bytes that are not well-formed JSON.
func (d *decoder) syntax(err error) error { return d.fault("body", err.Error()) }

// clip bounds the text of a client that a refusal repeats.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

const idRule = "must be a UUID in the form 018c1f6e-0000-7000-8000-000000000000, not all zeros"

// parseID reads a reservation's id in its only accepted form.
func parseID(text []byte) (engine.ID, bool) {
	if len(text) != 36 { // ParseBytes accepts other forms too
		return engine.ID{}, false
	}
	id, err := uuid.ParseBytes(text)
	return id, err == nil && id != engine.ID{}
}
