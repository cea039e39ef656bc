package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxBatch is the largest number of operations in one request. [Client.Batch] splits longer lists.
const MaxBatch = 1000

// Client makes the calls of the API.
type Client struct{ c *caller }

// New returns a client of the API at o.URL. It makes no connection yet. It fails only if o.URL is not a URL of a
// server.
func New(o Options) (*Client, error) {
	c, err := newCaller(o, answerTimeout)
	return &Client{c}, err
}

// Close closes the idle connections.
func (c *Client) Close() { c.c.http.CloseIdleConnections() }

// Reserve holds tickets, all lines or none. It sets r.ID to a new UUIDv7 if that is empty; after an error, calling
// again with the same r has one effect. Refused among others with sold_out, account_cap_exceeded and
// session_limit_exceeded; with reservation_expired, reservation_released or reservation_returned if an earlier call
// made the reservation and it has ended since. Where r.Replaces names a hold, these and reservation_confirmed can also
// be about that one, which then is as it was.
func (c *Client) Reserve(ctx context.Context, r *Request) (held Reservation, err error) {
	r.identify()
	status, err := c.c.call(ctx, http.MethodPost, "/v1/reservations", r, &held)
	held.Repeated = status == http.StatusOK
	return held, err
}

// Confirm sells what a reservation holds. The reference, such as a payment's, is kept with it; "" for none. Another
// reference for a confirmed reservation is refused with reservation_confirmed, whose fact reference is the one kept. An
// expired reservation is refused with reservation_expired, whose fact can_take_again is true if ConfirmAgain would
// succeed at that moment.
func (c *Client) Confirm(ctx context.Context, id, reference string) (sold Reservation, err error) {
	return c.change(ctx, id, "confirm", confirmation{reference, false})
}

// ConfirmAgain is Confirm for a payment that may have come too late: of an expired reservation it takes the tickets
// once more and sells them, in one step. They can be refused as those of a new reservation, for example with sold_out.
func (c *Client) ConfirmAgain(ctx context.Context, id, reference string) (sold Reservation, err error) {
	return c.change(ctx, id, "confirm", confirmation{reference, true})
}

// Release gives back what a reservation holds.
func (c *Client) Release(ctx context.Context, id string) (released Reservation, err error) {
	return c.change(ctx, id, "release", nil)
}

// Extend moves the end of a hold to an instant of the sale clock, which must be in the future. The server rounds it
// down to the millisecond. One that is later than the server allows is refused with hold_limit_exceeded, whose fact
// max_expires_at is the latest.
func (c *Client) Extend(ctx context.Context, id string, expiresAt time.Time) (held Reservation, err error) {
	return c.change(ctx, id, "extend", extension{expiresAt})
}

// Reduce makes a reservation, held or confirmed, keep only these lines. The other tickets are on sale again. More than
// it has is refused with not_a_reduction, and lines that break a pack with pack_shape.
func (c *Client) Reduce(ctx context.Context, id string, keep []Line) (reduced Reservation, err error) {
	return c.change(ctx, id, "reduce", reduction{keep})
}

// Return gives back all tickets of a confirmed reservation. The reference, such as a refund's, replaces that of the
// confirmation; "" keeps it. A hold is refused with reservation_held; Release gives it back.
func (c *Client) Return(ctx context.Context, id, reference string) (returned Reservation, err error) {
	return c.change(ctx, id, "return", confirmation{reference, false})
}

// change makes a call about one reservation, and returns that.
func (c *Client) change(ctx context.Context, id, call string, content any) (r Reservation, err error) {
	_, err = c.c.call(ctx, http.MethodPost, pathOf("reservations", id, call), content, &r)
	return r, err
}

// Reservation returns a reservation.
func (c *Client) Reservation(ctx context.Context, id string) (r Reservation, err error) {
	_, err = c.c.call(ctx, http.MethodGet, pathOf("reservations", id), nil, &r)
	return r, err
}

// Batch makes any number of operations, MaxBatch in a request, and returns one result for each in their order. They
// are carried out in order and independently of each other. It sets the ids of reservations that have none. A result
// with a status of 500 or more was not retried; send that operation again. An error ends the list: the results of the
// requests before it are returned with it.
func (c *Client) Batch(ctx context.Context, operations []Operation) (results []Result, err error) {
	for i := range operations {
		if operations[i].Op == Reserve {
			operations[i].identify()
		}
	}
	for len(operations) > 0 {
		n := min(len(operations), MaxBatch)
		content, answer := map[string][]Operation{"operations": operations[:n]}, map[string][]Result{}
		one := identified(ctx)
		if _, err := c.c.call(one, http.MethodPost, "/v1/batch", content, &answer); err != nil {
			return results, err
		}
		if len(answer["results"]) != n {
			return results, noAnswer(http.StatusOK, identifiersOf(one).request,
				"the batch has another number of results than operations")
		}
		results, operations = append(results, answer["results"]...), operations[n:]
	}
	return results, nil
}

// Sessions returns the selected sessions with their stock, which may lag by a tenth of a second, in the order of the
// sale definition. known is an earlier answer to the same filter, or nil. While nothing has changed, Sessions returns
// known itself, and the server sends no list.
func (c *Client) Sessions(ctx context.Context, f Filter, known *SessionList) (*SessionList, error) {
	l, err := list(ctx, c, "/v1/sessions"+f.query(), known, func(l *SessionList) *string { return &l.tag })
	if err != nil || l == known {
		return l, err
	}
	for i := range l.Sessions {
		l.Sessions[i].Currency = l.Currency // a list sends it once
	}
	return l, nil
}

// Stock returns what is available of the selected sessions: a tenth of what Sessions returns, for frequent calls. known
// is an earlier answer to the same filter, or nil. While nothing has changed, Stock returns known itself.
func (c *Client) Stock(ctx context.Context, f Filter, known *Stock) (*Stock, error) {
	return list(ctx, c, "/v1/stock"+f.query(), known, func(s *Stock) *string { return &s.tag })
}

// list reads a list, unless known is what the server would send; known may be nil. tag returns where a list has its
// entity tag.
func list[T any](ctx context.Context, c *Client, path string, known *T, tag func(*T) *string) (*T, error) {
	answer, before := new(T), ""
	if known != nil {
		before = *tag(known)
	}
	changed := false
	_, err := c.c.retry(ctx, func(ctx context.Context) (_ int, err error) {
		*tag(answer), changed, err = c.c.list(ctx, path, before, answer)
		return 0, err
	})
	switch {
	case err != nil:
		return nil, err
	case !changed:
		return known, nil
	}
	return answer, nil
}

// Session returns a session with its stock.
func (c *Client) Session(ctx context.Context, id string) (s Session, err error) {
	_, err = c.c.call(ctx, http.MethodGet, pathOf("sessions", id), nil, &s)
	return s, err
}

// Account returns an account's ledger. One that never reserved has an empty ledger.
func (c *Client) Account(ctx context.Context, account string) (a Account, err error) {
	_, err = c.c.call(ctx, http.MethodGet, pathOf("accounts", account), nil, &a)
	return a, err
}

// Phases returns the phases in the order of the sale definition.
func (c *Client) Phases(ctx context.Context) ([]Phase, error) {
	answer := map[string][]Phase{}
	_, err := c.c.call(ctx, http.MethodGet, "/v1/phases", nil, &answer)
	return answer["phases"], err
}

// Enter enters an account for a draw, with a priority group or "". An account that has entered keeps its first entry,
// which is returned as Repeated.
func (c *Client) Enter(ctx context.Context, draw, account, group string) (e Entry, err error) {
	status, err := c.c.call(ctx, http.MethodPost, pathOf("draws", draw, "entries"), entryRequest{account, group}, &e)
	e.Repeated = status == http.StatusOK
	return e, err
}

// Entry returns an account's entry for a draw that was run, with its rank, slot and proof. Refused with draw_not_run
// before that, and with entry_not_found.
func (c *Client) Entry(ctx context.Context, draw, account string) (e Entry, err error) {
	_, err = c.c.call(ctx, http.MethodGet, pathOf("draws", draw, "entries", account), nil, &e)
	return e, err
}

// Draw returns how far a draw has come and what is published of it.
func (c *Client) Draw(ctx context.Context, draw string) (d Draw, err error) {
	_, err = c.c.call(ctx, http.MethodGet, pathOf("draws", draw), nil, &d)
	return d, err
}

// pathOf returns the path of the API with these segments.
func pathOf(segments ...string) string {
	path := "/v1"
	for _, s := range segments {
		path += "/" + escaped(s)
	}
	return path
}

// escaped returns a name as a segment of a path. The names . and .. would be directories there.
func escaped(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}
