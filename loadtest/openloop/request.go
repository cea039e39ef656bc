package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"

	"github.com/seathold/seathold/server/client"
)

// kind is the call that a request makes.
type kind uint8

const (
	reserving kind = iota
	confirming
	releasing
	reading
	kinds
)

func (k kind) String() string { return [kinds]string{"reserve", "confirm", "release", "read"}[k] }

// writer writes requests, most of which is prepared text.
type writer struct {
	run    uint32   // random: keeps the ids of two runs apart
	pools  []string // ends of bodies; a pool is listed once, and once more for every 500 available tickets
	host   string
	header string
}

// newWriter makes a writer for the pools that the server sells now.
func newWriter(ctx context.Context, t *target) (*writer, error) {
	at, err := url.Parse(t.URL)
	if err != nil || at.Scheme != "http" || at.Host == "" {
		return nil, fmt.Errorf("--url %s: need an address like http://127.0.0.1:8080", t.URL)
	}
	w := &writer{run: rand.Uint32(), host: at.Host, header: "Host: " + at.Host + "\r\n"}
	if t.Key != "" {
		w.header += "Authorization: Bearer " + t.Key + "\r\n"
	}
	lots, err := stockOf(ctx, t)
	if err != nil {
		return nil, err
	}
	if t.SoldOut {
		lots = lots[:1]
	}
	for _, l := range lots {
		end := fmt.Sprintf(`","lines":[{"session":"%s","category":"%s","quantity":%d}]}`, l.session, l.category, t.Quantity)
		for range 1 + l.available/500 {
			w.pools = append(w.pools, end)
		}
	}
	rand.Shuffle(len(w.pools), func(i, j int) { w.pools[i], w.pools[j] = w.pools[j], w.pools[i] })
	return w, nil
}

// lot is a pool that an open phase sells, with its available tickets.
type lot struct {
	session, category string
	available         int
}

// stockOf lists the pools of one programme that are on sale now, the smallest first.
func stockOf(ctx context.Context, t *target) ([]lot, error) {
	c, err := client.New(client.Options{URL: t.URL, Key: t.Key, Attempts: 1})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	phases, err := c.Phases(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := c.Sessions(ctx, "", 0)
	if err != nil {
		return nil, err
	}
	var lots []lot
	if open := slices.IndexFunc(phases, func(p client.Phase) bool { return p.Open }); open >= 0 {
		for _, s := range sessions {
			for _, p := range s.Pools {
				if s.OnSale && s.Programme == phases[open].Programme && p.Available > 0 {
					lots = append(lots, lot{session: s.Session, category: p.Category, available: p.Available})
				}
			}
		}
	}
	if len(lots) == 0 {
		return nil, errors.New("the server has no tickets on sale now")
	}
	slices.SortFunc(lots, func(a, b lot) int { return a.available - b.available })
	return lots, nil
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
	switch k {
	case reserving:
		dst = append(append(dst, "POST /v1/reservations HTTP/1.1\r\n"...), w.header...)
		end := w.pools[n%uint64(len(w.pools))]
		const fixed = len(`{"id":"","account":"`) + 36 + 36
		dst = append(dst, "Content-Type: application/json\r\nContent-Length: "...)
		dst = fmt.Append(dst, fixed+len(end))
		dst = append(dst, "\r\n\r\n"+`{"id":"`...)
		dst = append(w.appendID(dst, n), `","account":"`...)
		return append(w.appendID(dst, n), end...)
	case confirming, releasing:
		dst = w.appendID(append(dst, "POST /v1/reservations/"...), n)
		dst = append(append(append(dst, '/'), k.String()...), " HTTP/1.1\r\n"...)
		return append(append(dst, w.header...), "Content-Length: 0\r\n\r\n"...)
	}
	dst = w.appendID(append(dst, "GET /v1/reservations/"...), n)
	return append(append(append(dst, " HTTP/1.1\r\n"...), w.header...), "\r\n"...)
}

// codeOf returns the result code of an answer: ok, the refusal's code, or the status where there is none.
func codeOf(status int, body []byte) string {
	if status < 300 {
		return "ok"
	}
	_, rest, _ := strings.Cut(string(body), `"code":"`)
	code, _, found := strings.Cut(rest, `"`)
	if !found {
		return fmt.Sprintf("status %d", status)
	}
	return code
}
