package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
)

// kind is the call that a request makes.
type kind uint8

const (
	reserving kind = iota
	confirming
	releasing
	kinds
)

func (k kind) String() string { return [kinds]string{"reserve", "confirm", "release"}[k] }

// writer writes requests, most of which is prepared text.
type writer struct {
	run    uint32   // random: keeps the ids of two runs apart
	pools  []string // ends of bodies; a pool is listed once, and once more for every 500 available tickets
	header string
}

// newWriter makes a writer for the pools that the server sells now.
func newWriter(ctx context.Context, t *target, e *endpoint) (*writer, error) {
	lots, err := stockOf(ctx, t, e)
	if err != nil {
		return nil, err
	}
	w := &writer{run: rand.Uint32(), header: e.header}
	for _, l := range lots {
		end := fmt.Sprintf(`","lines":[{"session":"%s","category":"%s","quantity":%d}]}`, l.session, l.category, t.Quantity)
		for range 1 + l.available/500 {
			w.pools = append(w.pools, end)
		}
	}
	rand.Shuffle(len(w.pools), func(i, j int) { w.pools[i], w.pools[j] = w.pools[j], w.pools[i] })
	return w, nil
}

// appendID appends the n-th id of the run, a UUID.
func (w *writer) appendID(dst []byte, n uint64) []byte {
	raw := [16]byte{byte(w.run >> 24), byte(w.run >> 16), byte(w.run >> 8), byte(w.run), 0, 1, 0x70, 1, 0x80, 1,
		byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, raw[[...]int{0, 4, 6, 8, 10}[i]:end])
	}
	return dst
}

// append appends a request about the n-th reservation. Every reservation has an account of its own.
func (w *writer) append(dst []byte, k kind, n uint64) []byte {
	if k == reserving {
		dst = append(append(dst, "POST /v1/reservations HTTP/1.1\r\n"...), w.header...)
		end := w.pools[n%uint64(len(w.pools))]
		const fixed = len(`{"id":"","account":"`) + 36 + 36
		dst = append(dst, "Content-Type: application/json\r\nContent-Length: "...)
		dst = fmt.Append(dst, fixed+len(end))
		dst = append(dst, "\r\n\r\n"+`{"id":"`...)
		dst = append(w.appendID(dst, n), `","account":"`...)
		return append(w.appendID(dst, n), end...)
	}
	dst = w.appendID(append(dst, "POST /v1/reservations/"...), n)
	dst = append(append(append(dst, '/'), k.String()...), " HTTP/1.1\r\n"...)
	return append(append(dst, w.header...), "Content-Length: 0\r\n\r\n"...)
}
