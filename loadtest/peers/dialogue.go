package peers

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/seathold/seathold/engine/inventory"
)

// linesOf returns a line of one ticket as JSON for each pool.
func linesOf(pools []Pool) []string {
	lines := make([]string, len(pools))
	for i, p := range pools {
		lines[i] = fmt.Sprintf(`{"session":%q,"category":%q,"quantity":1}`, p.Session, p.Category)
	}
	return lines
}

// httpAnswer checks the status of an answer and returns its body and its length; length 0 if it is incomplete.
func httpAnswer(in []byte, status string) (body []byte, length int, err error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, 0, nil
	}
	const field = "Content-Length: "
	at := bytes.Index(in[:end], []byte(field))
	if at < 0 || !bytes.HasPrefix(in, []byte("HTTP/1.1 "+status)) {
		return nil, 0, fmt.Errorf("expected status %s, got: %s", status, in[:min(len(in), 600)])
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

// appendUUID appends an id in the usual text form of a UUID.
func appendUUID(dst []byte, id inventory.ID) []byte {
	dst = append(hex.AppendEncode(dst, id[0:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:16])
}

// writer writes reservations of one ticket a line as JSON, and requests over HTTP.
type writer struct {
	crowd *Crowd
	next  uint64   // reservation
	lines []string // by pool
	body  []byte
}

// reservation appends the n-th reservation, from its id on, to the body.
func (w *writer) reservation(n uint64, lines int, soldOut bool) {
	w.body = appendUUID(w.body, w.crowd.id(n))
	w.body = appendAccount(append(w.body, `","account":"`...), w.crowd.account(n))
	w.body = append(w.body, `","lines":[`...)
	for line := range lines {
		pool := w.crowd.pool(n, line)
		if soldOut {
			pool = w.crowd.pools
		}
		w.body = append(append(w.body, w.lines[pool]...), ',')
	}
	w.body = append(w.body[:len(w.body)-1], `]}`...)
}

// post appends a request with the body.
func (w *writer) post(out []byte, path string) []byte {
	out = append(append(append(out, "POST "...), path...), " HTTP/1.1\r\nHost: x\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(w.body)), 10)
	return append(append(out, "\r\n\r\n"...), w.body...)
}

// singles makes one reservation a request, of one ticket of each of a number of pools.
type singles struct {
	writer
	count  int    // lines of a reservation
	status string // expected of the answers; "409" is for a sold-out pool
}

func newSingles(crowd *Crowd, pools []Pool, first uint64, count int, status string) *singles {
	return &singles{writer: writer{crowd: crowd, next: first, lines: linesOf(pools)}, count: count, status: status}
}

func (s *singles) request(_ int, out []byte) []byte {
	s.body = append(s.body[:0], `{"id":"`...)
	s.reservation(s.next, s.count, s.status == "409")
	s.next++
	return s.post(out, "/v1/reservations")
}

func (s *singles) answer(_ int, in []byte) (length, operations int, err error) {
	_, length, err = httpAnswer(in, s.status)
	return length, 1, err
}

// batches sends batches of batchSize operations: reservations of one ticket, or packs of three. With packs, half of a
// batch reserves and the other half confirms the reservations of the previous batch on the connection.
type batches struct {
	writer
	packs bool
	held  []uint64 // by connection: the first reservation of the previous batch; 0 for none
}

func newBatches(crowd *Crowd, pools []Pool, first uint64, connections int, packs bool) *batches {
	return &batches{writer: writer{crowd: crowd, next: first, lines: linesOf(pools)}, packs: packs,
		held: make([]uint64, connections)}
}

func (b *batches) request(connection int, out []byte) []byte {
	b.body = append(b.body[:0], `{"operations":[`...)
	count, lines := batchSize, 1
	if b.packs {
		count, lines = batchSize/2, 3
	}
	for i := range count {
		b.body = append(b.body, `{"op":"reserve","id":"`...)
		b.reservation(b.next+uint64(i), lines, false)
		b.body = append(b.body, ',')
	}
	if before := b.held[connection]; b.packs && before > 0 {
		for i := range count {
			b.body = appendUUID(append(b.body, `{"op":"confirm","id":"`...), b.crowd.id(before+uint64(i)))
			b.body = append(b.body, `"},`...)
		}
	}
	b.held[connection] = b.next
	b.next += uint64(count)
	b.body = append(b.body[:len(b.body)-1], `]}`...)
	return b.post(out, "/v1/batch")
}

func (b *batches) answer(_ int, in []byte) (length, operations int, err error) {
	body, length, err := httpAnswer(in, "200")
	if length == 0 || err != nil {
		return 0, 0, err
	}
	if bytes.Contains(body, []byte(`"problem"`)) {
		at := bytes.Index(body, []byte(`"problem"`))
		return 0, 0, fmt.Errorf("an operation was refused: %.300s", body[max(0, at-20):])
	}
	if operations = batchSize; b.packs {
		operations = bytes.Count(body, []byte(`{"status":20`))
	}
	return length, operations, nil
}

// scripts calls the two scripts of lua/ alternately on each connection: a reservation of three lines, and its
// confirmation.
type scripts struct {
	crowd            *Crowd
	next             uint64
	reserve, confirm string   // their SHA1
	sessions         []string // by pool
	held             []uint64 // by connection: the reservation to confirm next; 0 for none
	args             [][]byte
	text             []byte // of the arguments
}

func newScripts(crowd *Crowd, sessions []string, first uint64, connections int, sha [2]string) *scripts {
	return &scripts{crowd: crowd, next: first, reserve: sha[0], confirm: sha[1], sessions: sessions,
		held: make([]uint64, connections)}
}

// scriptNow is the time that is passed to the scripts, in ms.
const scriptNow = 1_700_000_000_000

func (s *scripts) request(connection int, out []byte) []byte {
	s.text, s.args = s.text[:0], s.args[:0]
	if n := s.held[connection]; n > 0 {
		s.held[connection] = 0
		s.begin(s.confirm, n)
		s.arg(appendUUID(s.text, s.crowd.id(n)))
		s.arg(strconv.AppendInt(s.text, scriptNow+1, 10))
		return appendCommand(out, s.args)
	}
	n := s.next
	s.next++
	s.held[connection] = n
	s.begin(s.reserve, n)
	s.arg(appendUUID(s.text, s.crowd.id(n)))
	s.arg(appendAccount(s.text, s.crowd.account(n)))
	s.arg(strconv.AppendInt(s.text, scriptNow, 10))
	s.arg(strconv.AppendInt(s.text, scriptNow+1_020_000, 10))
	for line := range 3 {
		pool := s.crowd.pool(n, line)
		s.arg(strconv.AppendInt(s.text, int64(pool), 10))
		s.arg(append(s.text, s.sessions[pool]...))
		s.arg(append(s.text, '1'))
	}
	return appendCommand(out, s.args)
}

// begin appends the arguments that both calls begin with: the script and its keys.
func (s *scripts) begin(sha string, n uint64) {
	s.arg(append(s.text, "EVALSHA"...))
	s.arg(append(s.text, sha...))
	s.arg(append(s.text, '4'))
	s.arg(appendUUID(append(s.text, "reservation:"...), s.crowd.id(n)))
	s.arg(appendAccount(append(s.text, "account:"...), s.crowd.account(n)))
	s.arg(append(s.text, "pools"...))
	s.arg(append(s.text, "holds"...))
}

// arg adds an argument: the part of text that was appended to s.text.
func (s *scripts) arg(text []byte) {
	s.args = append(s.args, text[len(s.text):])
	s.text = text
}

// appendCommand appends a command of the Redis protocol.
func appendCommand(out []byte, args [][]byte) []byte {
	out = append(strconv.AppendInt(append(out, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		out = append(strconv.AppendInt(append(out, '$'), int64(len(a)), 10), "\r\n"...)
		out = append(append(out, a...), "\r\n"...)
	}
	return out
}

func (s *scripts) answer(_ int, in []byte) (length, operations int, err error) {
	const done = "$4\r\ndone\r\n"
	if len(in) < len(done) && bytes.HasPrefix([]byte(done), in) {
		return 0, 0, nil
	}
	if !bytes.HasPrefix(in, []byte(done)) {
		return 0, 0, fmt.Errorf("expected done, got %q", in[:min(len(in), 200)])
	}
	return len(done), 1, nil
}
