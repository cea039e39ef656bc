package peers

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
)

// lineText is the JSON of a line of one ticket.
func lineText(p Place) string {
	return fmt.Sprintf(`{"session":%q,"category":%q,"quantity":1}`, p.Session, p.Category)
}

// httpAnswer finds the end of an answer and checks its status; length 0 says that it is not all there.
func httpAnswer(in []byte, status string) (body []byte, length int, err error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, 0, nil
	}
	const field = "Content-Length: "
	at := bytes.Index(in[:end], []byte(field))
	if at < 0 || !bytes.HasPrefix(in, []byte("HTTP/1.1 "+status)) {
		return nil, 0, fmt.Errorf("instead of %s: %s", status, in[:min(len(in), 600)])
	}
	size := 0
	for _, c := range in[at+len(field) : end] {
		if c < '0' || c > '9' {
			break
		}
		size = 10*size + int(c-'0')
	}
	length = end + len("\r\n\r\n") + size
	if length > len(in) {
		return nil, 0, nil
	}
	return in[length-size : length], length, nil
}

// appendUUID appends an id in its usual form.
func appendUUID(dst []byte, id ID) []byte {
	dst = append(hex.AppendEncode(dst, id[0:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:16])
}

// singles makes one reservation a request, of one ticket of so many pools.
type singles struct {
	crowd  *Crowd
	next   uint64
	count  int // lines
	status string
	lines  []string // by place
}

func newSingles(crowd *Crowd, places []Place, first uint64, count int, status string) *singles {
	s := &singles{crowd: crowd, next: first, count: count, status: status}
	for _, p := range places {
		s.lines = append(s.lines, lineText(p))
	}
	return s
}

func (s *singles) Ask(_ int, out []byte) []byte {
	n := s.next
	s.next++
	var texts [3]string
	size := len(`{"id":"","account":"buyer-00000000","lines":[]}`) + 36 + s.count - 1
	for i := range s.count {
		place := s.crowd.Place(n, i)
		if s.status == "409" {
			place = s.crowd.Places // the one that is sold out
		}
		texts[i] = s.lines[place]
		size += len(texts[i])
	}
	out = append(out, "POST /v1/reservations HTTP/1.1\r\nHost: x\r\nContent-Length: "...)
	out = append(strconv.AppendInt(out, int64(size), 10), "\r\n\r\n"...)
	out = appendUUID(append(out, `{"id":"`...), s.crowd.ID(n))
	out = appendAccount(append(out, `","account":"`...), s.crowd.Account(n))
	out = append(out, `","lines":[`...)
	for _, text := range texts[:s.count] {
		out = append(append(out, text...), ',')
	}
	return append(out[:len(out)-1], `]}`...)
}

func (s *singles) Hear(_ int, in []byte) (length, operations int, err error) {
	_, length, err = httpAnswer(in, s.status)
	return length, 1, err
}

// batches sends batches of so many operations: reservations of one ticket; or packs of three, of which half of each batch
// reserves and the other half confirms what the batch before on this connection reserved.
type batches struct {
	crowd   *Crowd
	next    uint64
	size    int
	packs   bool
	lines   []string // by place
	body    []byte
	reserve []uint64 // by connection: the first reservation of the batch before; 0 for none
}

func newBatches(crowd *Crowd, places []Place, first uint64, size, connections int, packs bool) *batches {
	b := &batches{crowd: crowd, next: first, size: size, packs: packs, reserve: make([]uint64, connections)}
	for _, p := range places {
		b.lines = append(b.lines, lineText(p))
	}
	return b
}

func (b *batches) Ask(connection int, out []byte) []byte {
	b.body = append(b.body[:0], `{"operations":[`...)
	count, lines := b.size, 1
	if b.packs {
		count, lines = b.size/2, 3
	}
	for i := range count {
		n := b.next + uint64(i)
		b.body = appendUUID(append(b.body, `{"op":"reserve","id":"`...), b.crowd.ID(n))
		b.body = appendAccount(append(b.body, `","account":"`...), b.crowd.Account(n))
		b.body = append(b.body, `","lines":[`...)
		for line := range lines {
			b.body = append(append(b.body, b.lines[b.crowd.Place(n, line)]...), ',')
		}
		b.body = append(b.body[:len(b.body)-1], `]},`...)
	}
	if before := b.reserve[connection]; b.packs && before > 0 {
		for i := range count {
			b.body = appendUUID(append(b.body, `{"op":"confirm","id":"`...), b.crowd.ID(before+uint64(i)))
			b.body = append(b.body, `"},`...)
		}
	}
	b.reserve[connection] = b.next
	b.next += uint64(count)
	b.body = append(b.body[:len(b.body)-1], `]}`...)
	out = append(out, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(b.body)), 10)
	return append(append(out, "\r\n\r\n"...), b.body...)
}

func (b *batches) Hear(_ int, in []byte) (length, operations int, err error) {
	body, length, err := httpAnswer(in, "200")
	if length == 0 || err != nil {
		return 0, 0, err
	}
	if bytes.Contains(body, []byte(`"problem"`)) {
		return 0, 0, fmt.Errorf("an operation was refused: %s", body[max(0, bytes.Index(body, []byte(`"problem"`))-20):][:300])
	}
	if operations = b.size; b.packs {
		operations = bytes.Count(body, []byte(`{"status":20`))
	}
	return length, operations, nil
}

// scripts calls the two scripts of lua/ by turns: a reservation of three lines, and the confirmation of the one before on
// this connection.
type scripts struct {
	crowd            *Crowd
	next             uint64
	reserve, confirm string // their SHA1
	sessions         []string
	held             []uint64 // by connection: reserved and not yet confirmed; 0 for none
	args             [][]byte
	text             []byte
}

func newScripts(crowd *Crowd, sessions []string, first uint64, connections int, sha [2]string) *scripts {
	return &scripts{crowd: crowd, next: max(first, 1), reserve: sha[0], confirm: sha[1], sessions: sessions, held: make([]uint64, connections)}
}

// scriptNow is the instant that scripts are told, in ms.
const scriptNow = 1_700_000_000_000

func (s *scripts) Ask(connection int, out []byte) []byte {
	s.text, s.args = s.text[:0], s.args[:0]
	if n := s.held[connection]; n > 0 {
		s.held[connection] = 0
		s.begin(s.confirm, n)
		s.arg(appendUUID(s.text, s.crowd.ID(n)))
		s.arg(strconv.AppendInt(s.text, scriptNow+1, 10))
		return appendCommand(out, s.args)
	}
	n := s.next
	s.next++
	s.held[connection] = n
	s.begin(s.reserve, n)
	s.arg(appendUUID(s.text, s.crowd.ID(n)))
	s.arg(appendAccount(s.text, s.crowd.Account(n)))
	s.arg(strconv.AppendInt(s.text, scriptNow, 10))
	s.arg(strconv.AppendInt(s.text, scriptNow+1_020_000, 10))
	for line := range 3 {
		place := s.crowd.Place(n, line)
		s.arg(strconv.AppendInt(s.text, int64(place), 10))
		s.arg(append(s.text, s.sessions[place]...))
		s.arg(append(s.text, '1'))
	}
	return appendCommand(out, s.args)
}

// begin gives what both calls begin with: the script and its keys.
func (s *scripts) begin(sha string, n uint64) {
	s.arg(append(s.text, "EVALSHA"...))
	s.arg(append(s.text, sha...))
	s.arg(append(s.text, '4'))
	s.arg(appendUUID(append(s.text, "reservation:"...), s.crowd.ID(n)))
	s.arg(appendAccount(append(s.text, "account:"...), s.crowd.Account(n)))
	s.arg(append(s.text, "pools"...))
	s.arg(append(s.text, "holds"...))
}

// arg takes what was appended to s.text as the next argument.
func (s *scripts) arg(text []byte) {
	s.args = append(s.args, text[len(s.text):])
	s.text = text
}

func appendCommand(out []byte, args [][]byte) []byte {
	out = append(strconv.AppendInt(append(out, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		out = append(strconv.AppendInt(append(out, '$'), int64(len(a)), 10), "\r\n"...)
		out = append(append(out, a...), "\r\n"...)
	}
	return out
}

func (s *scripts) Hear(_ int, in []byte) (length, operations int, err error) {
	const done = "$4\r\ndone\r\n"
	if len(in) < len(done) && bytes.HasPrefix([]byte(done), in) {
		return 0, 0, nil
	}
	if !bytes.HasPrefix(in, []byte(done)) {
		return 0, 0, fmt.Errorf("instead of done: %q", in[:min(len(in), 200)])
	}
	return len(done), 1, nil
}
