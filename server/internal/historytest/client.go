package historytest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seathold/seathold/engine/spec"
)

// Client is a connection to a server. It reconnects when the connection is lost, and sends every request at most once.
// It is not safe for concurrent use.
type Client struct {
	Timeout time.Duration // from the first byte of a request to the last of its response

	address string
	conn    net.Conn
	reader  *bufio.Reader
}

// Reply is the outcome of a request.
type Reply struct {
	Answers []spec.Answer // one for each operation, spec.Unknown without an answer; nil if nothing was sent
	Standby bool          // the server does not lead, so its reads may be stale
}

// Sent reports whether the server can have received the request.
func (r Reply) Sent() bool { return r.Answers != nil }

// Unknown reports whether it is unknown if some operation took effect.
func (r Reply) Unknown() bool { return r.Refused(spec.Unknown) }

// Refused reports whether some operation was refused with the code.
func (r Reply) Refused(code string) bool {
	return slices.ContainsFunc(r.Answers, func(a spec.Answer) bool { return a.Code == code })
}

// Send sends operations to a server, several as a batch. An error is an answer that violates the contract; the answers
// are spec.Unknown then.
func (c *Client) Send(address string, ops []spec.Operation) (Reply, error) {
	if c.connect(address) != nil {
		return Reply{}, nil
	}
	status, header, body, err := c.exchange(c.encode(ops))
	if err != nil {
		c.Close()
		return Reply{Answers: unknown(ops)}, nil
	}
	answers, err := answersOf(ops, status, body)
	if err == nil {
		err = checkHeader(status, header, ops, answers)
	}
	if err != nil {
		answers = unknown(ops)
	}
	return Reply{Answers: answers, Standby: header.Get("Seathold-Role") == "standby"}, err
}

func unknown(ops []spec.Operation) []spec.Answer {
	all := make([]spec.Answer, len(ops))
	for i := range all {
		all[i].Code = spec.Unknown
	}
	return all
}

// connect connects to the address, unless the connection leads there already.
func (c *Client) connect(address string) error {
	if c.conn != nil && c.address == address {
		return nil
	}
	c.Close()
	conn, err := net.DialTimeout("tcp", address, c.Timeout)
	if err != nil {
		return err
	}
	c.address, c.conn, c.reader = address, conn, bufio.NewReader(conn)
	return nil
}

// Close closes the connection. The next request opens a new one.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close() // no request is in progress
		c.conn = nil
	}
}

// encode builds the request.
func (c *Client) encode(ops []spec.Operation) *http.Request {
	method, path, content := http.MethodPost, "/v1/batch", batchOf(ops)
	if len(ops) == 1 {
		method, path, content = requestOf(ops[0])
	}
	var body []byte
	var err error
	if content != nil {
		body, err = json.Marshal(content)
	}
	request, fault := http.NewRequest(method, "http://"+c.address+path, bytes.NewReader(body))
	if err = errors.Join(err, fault); err != nil {
		panic("BUG: " + err.Error())
	}
	request.Header.Set("Content-Type", "application/json")
	return request
}

// exchange sends the request and reads the response.
func (c *Client) exchange(request *http.Request) (status int, header http.Header, body []byte, err error) {
	if err = c.conn.SetDeadline(time.Now().Add(c.Timeout)); err != nil {
		return 0, nil, nil, err
	}
	if err = request.Write(c.conn); err != nil {
		return 0, nil, nil, err
	}
	r, err := http.ReadResponse(c.reader, request)
	if err != nil {
		return 0, nil, nil, err
	}
	if body, err = io.ReadAll(r.Body); err != nil {
		return 0, nil, nil, err
	}
	if err = r.Body.Close(); err == nil && r.Close {
		c.Close()
	}
	return r.StatusCode, r.Header, body, err
}

// answersOf returns the answers in a response. A refused batch is the answer of each of its operations.
func answersOf(ops []spec.Operation, status int, body []byte) ([]spec.Answer, error) {
	answers := make([]spec.Answer, len(ops))
	if len(ops) == 1 || status != http.StatusOK {
		for i, op := range ops {
			var err error
			if answers[i], err = answerOf(op, status, body); err != nil {
				return nil, err
			}
		}
		return answers, nil
	}
	var all results
	if err := decode(body, &all); err != nil {
		return nil, fmt.Errorf("batch: %s: %w", body, err)
	}
	if len(all.Results) != len(ops) {
		return nil, fmt.Errorf("batch of %d: %s", len(ops), body)
	}
	for i, r := range all.Results {
		if refused := r.Status >= 400; (r.Reservation == nil) != refused || (r.Problem == nil) == refused {
			return nil, fmt.Errorf("result %d of %s", i, body)
		}
		var err error
		if answers[i], err = answerOf(ops[i], r.Status, append(r.Reservation, r.Problem...)); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// checkHeader checks the header of a response.
func checkHeader(status int, header http.Header, ops []spec.Operation, answers []spec.Answer) error {
	kind, location := "application/json", ""
	if status >= 400 {
		kind = "application/problem+json"
	}
	if status == http.StatusCreated {
		location = "/v1/reservations/" + answers[0].Reservation.ID
	}
	if header.Get("Content-Type") != kind || header.Get("Location") != location {
		return fmt.Errorf("%s: status %d with the header %v", ops[0], status, header)
	}
	return nil
}
