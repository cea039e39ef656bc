package server

import (
	"bytes"
	"math"
	"strconv"
	"time"
	"unsafe"

	"github.com/seathold/seathold/engine"
)

// decoder turns bodies into the engine's words. It knows which members there are and of which type, and nothing of the
// sale's rules: those are the engine's.
//
// The scanner refuses what is not JSON and bad UTF-8. Beyond that, unknown and repeated members, null, numbers that are not
// integers and bytes behind the value are refused. A member of the wrong type is refused at its first byte, so depth costs
// nothing.
//
// The strings in what it returns share memory with the body and the decoder: they are valid until the request is
// answered or the decoder is used again.
type decoder struct {
	scanner
	operation int // index of the batch's operation being read; -1 outside of one
	line      int // index of the line being read; -1 outside of lines
}

// reservation decodes the body of POST /v1/reservations into q and uses q.Lines again. Errors are *engine.Refusal.
func (d *decoder) reservation(body []byte, q *engine.Request) error {
	*q = engine.Request{Lines: q.Lines[:0]}
	given := memberSet(0)
	err := d.object(body, func(name string) error {
		bit, err := d.requestMember(name, q)
		given |= bit
		return err
	})
	switch {
	case err != nil:
		return err
	case given&memberAccount == 0:
		return d.fault("account", "is missing")
	case given&memberLines == 0:
		return d.fault("lines", "is missing")
	}
	return nil
}

// requestMember reads the value of a member of a reservation's request.
func (d *decoder) requestMember(name string, q *engine.Request) (bit memberSet, err error) {
	switch name {
	case "id":
		q.ID, err = d.id()
		return memberID, err
	case "account":
		q.Account, err = d.string(name)
		return memberAccount, err
	case "phase":
		if q.Phase, err = d.string(name); err == nil && q.Phase == "" {
			err = d.fault(name, "is empty; leave it out for the only open phase that fits")
		}
		return memberPhase, err
	case "ttl_seconds":
		q.TTL, err = d.seconds(name)
		return memberTTL, err
	case "lines":
		q.Lines, err = d.lines(q.Lines)
		return memberLines, err
	}
	return 0, d.unknown(name)
}

// confirmation decodes the body of a confirm, which may be left out.
func (d *decoder) confirmation(body []byte) (reference string, err error) {
	if len(body) == 0 {
		return "", nil
	}
	err = d.object(body, func(name string) (err error) {
		if name != "reference" {
			return d.unknown(name)
		}
		reference, err = d.string(name)
		return err
	})
	return reference, err
}

// nothing decodes a body that has nothing to say: none, or an empty object.
func (d *decoder) nothing(body []byte) error {
	if len(body) == 0 {
		return nil
	}
	return d.object(body, d.unknown)
}

// object reads a body that is one object; member reads the value behind each name.
func (d *decoder) object(body []byte, member func(name string) error) error {
	d.begin(body)
	d.operation, d.line = -1, -1
	if d.peek() == 0 && d.at == len(body) {
		return d.fault("body", "it is empty, a JSON object is expected")
	}
	if err := d.members("body", member); err != nil {
		return err
	}
	if d.peek(); d.at < len(body) {
		return d.fault("body", "something follows the object")
	}
	return nil
}

// members reads an object's members.
func (d *decoder) members(where string, member func(name string) error) error {
	if err := d.open('{', where, "an object is expected"); err != nil {
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

func (d *decoder) member(seen *names, value func(name string) error) error {
	name, err := d.string("body")
	switch {
	case err != nil:
		return err
	case !seen.add(name):
		return d.fault("body", "the member "+strconv.Quote(clip(name))+" is there twice")
	}
	if err := d.take(':'); err != nil {
		return d.syntax(err)
	}
	return value(name)
}

// elements reads an array; element reads each of its values.
func (d *decoder) elements(where string, element func() error) error {
	if err := d.open('[', where, "an array is expected"); err != nil {
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

func (d *decoder) lines(lines []engine.Line) ([]engine.Line, error) {
	err := d.elements("lines", func() error {
		d.line = len(lines)
		line, err := d.oneLine()
		lines = append(lines, line)
		return err
	})
	if err == nil {
		d.line = -1
	}
	return lines, err
}

func (d *decoder) oneLine() (line engine.Line, err error) {
	var session, category, quantity bool
	err = d.members("", func(name string) (err error) {
		switch name {
		case "session":
			session = true
			line.Session, err = d.string(name)
		case "category":
			category = true
			line.Category, err = d.string(name)
		case "quantity":
			quantity = true
			var n int64
			n, err = d.integer(name)
			line.Quantity = int(n)
		default:
			err = d.unknown(name)
		}
		return err
	})
	switch {
	case err != nil:
		return line, err
	case !session:
		return line, d.fault("session", "is missing")
	case !category:
		return line, d.fault("category", "is missing")
	case !quantity:
		return line, d.fault("quantity", "is missing")
	}
	return line, nil
}

// open reads the opening brace or bracket.
func (d *decoder) open(bracket byte, where, expected string) error {
	if err := d.expect(bracket, where, expected); err != nil {
		return err
	}
	d.at++
	return nil
}

// expect refuses a value that does not begin like this.
func (d *decoder) expect(first byte, where, expected string) error {
	switch c := d.peek(); {
	case c == first:
		return nil
	case beginsValue(c):
		return d.fault(where, expected)
	}
	return d.syntax(d.unexpected("a value is expected"))
}

// string reads a string, or an object's next name.
func (d *decoder) string(where string) (string, error) {
	if err := d.expect('"', where, "a string is expected"); err != nil {
		return "", err
	}
	text, err := d.scanner.string()
	if err != nil {
		return "", d.syntax(err)
	}
	return unsafe.String(unsafe.SliceData(text), len(text)), nil
}

// integer reads an integer. One beyond 64 bits becomes the nearest that fits: out of range either way.
func (d *decoder) integer(where string) (int64, error) {
	const expected = "a whole number is expected"
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
			return 0, d.fault(where, expected+", without fraction or exponent")
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

// seconds reads a duration of at least a second. The engine knows the longest; what does not fit a Duration is longer.
func (d *decoder) seconds(where string) (time.Duration, error) {
	n, err := d.integer(where)
	if err == nil && n < 1 {
		err = d.fault(where, "a whole number from 1 is expected")
	}
	return time.Duration(min(n, math.MaxInt64/int64(time.Second))) * time.Second, err
}

func (d *decoder) id() (engine.ID, error) {
	text, err := d.string("id")
	if err != nil {
		return engine.ID{}, err
	}
	id, ok := parseID(unsafe.Slice(unsafe.StringData(text), len(text)))
	if !ok {
		return id, d.fault("id", idRule)
	}
	return id, nil
}

func (d *decoder) unknown(name string) error {
	return d.fault("body", "there is no member "+strconv.Quote(clip(name))+" here")
}

// fault refuses a member. Inside of an operation or a line it names that, too.
func (d *decoder) fault(where, detail string) error {
	if d.line >= 0 {
		where = within("lines", d.line, where)
	}
	if d.operation >= 0 {
		where = within("operations", d.operation, where)
	}
	return malformed(where, detail)
}

// within is where, as seen from outside of an array's element.
func within(array string, i int, where string) string {
	element := array + "[" + strconv.Itoa(i) + "]"
	if where == "" || where == "body" {
		return element
	}
	return element + "." + where
}

// syntax refuses bytes that are not the JSON expected.
func (d *decoder) syntax(err error) error { return d.fault("body", err.Error()) }

// clip keeps what a client sent out of our answers beyond a line's length.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
