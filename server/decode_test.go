package server

import (
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// naive is the body of a reservation, decoded by reflection.
type naive struct {
	ID      jsontext.Value `json:"id"`
	Account jsontext.Value `json:"account"`
	Phase   jsontext.Value `json:"phase"`
	TTL     jsontext.Value `json:"ttl_seconds"`
	Old     jsontext.Value `json:"replaces"`
	Lines   []naiveLine    `json:"lines"`
}

type naiveLine struct {
	Session  jsontext.Value `json:"session"`
	Category jsontext.Value `json:"category"`
	Quantity jsontext.Value `json:"quantity"`
}

var integers = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// decodeNaively is a simple decoder, the specification of the real one. It returns false for a body that must be
// refused.
func decodeNaively(body []byte) (q engine.Request, ok bool) {
	var raw struct {
		naive
		Lines jsontext.Value `json:"lines"`
	}
	if json.Unmarshal(body, &raw, json.RejectUnknownMembers(true)) != nil ||
		!isString(raw.Account) || raw.Lines.Kind() != '[' {
		return q, false
	}
	q.Account = unquoted(raw.Account)
	if raw.ID != nil {
		id, valid := parseID([]byte(unquoted(raw.ID)))
		if q.ID = id; !isString(raw.ID) || !valid {
			return q, false
		}
	}
	if raw.Old != nil {
		id, valid := parseID([]byte(unquoted(raw.Old)))
		if q.Replaces = id; !isString(raw.Old) || !valid {
			return q, false
		}
	}
	if raw.Phase != nil {
		if q.Phase = unquoted(raw.Phase); !isString(raw.Phase) || q.Phase == "" {
			return q, false
		}
	}
	if raw.TTL != nil {
		if !integers.Match(raw.TTL) || clamped(raw.TTL) < 1 {
			return q, false
		}
		q.TTL = time.Duration(min(clamped(raw.TTL), math.MaxInt64/int64(time.Second))) * time.Second
	}
	q.Lines, ok = decodeLinesNaively(raw.Lines)
	return q, ok
}

func decodeLinesNaively(raw jsontext.Value) (lines []engine.Line, ok bool) {
	var elements []jsontext.Value
	if json.Unmarshal(raw, &elements) != nil {
		return nil, false
	}
	for _, element := range elements {
		var l naiveLine
		if element.Kind() != '{' || json.Unmarshal(element, &l, json.RejectUnknownMembers(true)) != nil ||
			!isString(l.Session) || !isString(l.Category) || !integers.Match(l.Quantity) {
			return nil, false
		}
		lines = append(lines, engine.Line{Session: unquoted(l.Session), Category: unquoted(l.Category),
			Quantity: int(clamped(l.Quantity))})
	}
	return lines, true
}

func isString(v jsontext.Value) bool { return v.Kind() == '"' }

func unquoted(v jsontext.Value) string {
	if !isString(v) {
		return ""
	}
	text, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func clamped(v jsontext.Value) int64 {
	n, _ := new(big.Int).SetString(string(v), 10)
	switch {
	case n.IsInt64() && n.Int64() != math.MinInt64:
		return n.Int64()
	case n.Sign() < 0:
		return -math.MaxInt64
	}
	return math.MaxInt64
}

// FuzzDecoder compares the decoder, which is reused, with the simple one.
func FuzzDecoder(f *testing.F) {
	for _, body := range []string{
		validBody, `{"id":"018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77","account":"a","phase":"p","ttl_seconds":60,"lines":[]}`,
		`{"account":"\u0061","lines":[{"session":"\ud83c\udfab","category":"","quantity":-1}]}`,
		`{}`, ``, ` `, `{"account":"a"`,
		`{"account":"a","lines":[{"session":"s","category":"c","quantity":9223372036854775808}]}`,
		`{"account":"a","lines":[{"session":"s","category":"c","quantity":1e3}]}`, `{"account":"a","lines":[]}x`,
		`{"account":"a","account":"b","lines":[]}`, `{"lines":[null],"account":"a"}`,
		`{"account":"a","lines":[],"ttl_seconds":0}`,
		`{"account":"a","lines":[],"replaces":"018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77"}`,
		`{"account":"a","lines":[],"replaces":"00000000-0000-0000-0000-000000000000"}`,
		`{"account":"a","lines":[],"replaces":""}`,
		"{\"account\":\"\xff\",\"lines\":[]}", `{"account":"a","lines":[],"phase":""}`, strings.Repeat("[", 100),
	} {
		f.Add([]byte(body))
	}
	d := &decoder{}
	q := engine.Request{}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, ok := decodeNaively(body)
		err := d.reservation(body, &q)
		require.Equal(t, ok, err == nil, "%q: %v", body, err)
		if err != nil {
			var refusal *engine.Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, engine.MalformedRequest, refusal.Code)
			contractSafe(t, refusal)
			return
		}
		require.Equal(t, len(want.Lines), len(q.Lines))
		for i := range want.Lines {
			require.Equal(t, want.Lines[i], q.Lines[i])
		}
		want.Lines = q.Lines
		require.Equal(t, want, q)
	})
}

// contractSafe checks that a refusal is valid JSON of bounded length, whatever a client sent.
func contractSafe(t *testing.T, r *engine.Refusal) {
	body := encode.Refusal(nil, r)
	require.True(t, jsontext.Value(body).IsValid(), "%s", body)
	require.Less(t, len(body), 1500)
}

// TestNoAllocation checks that decoding a request and encoding its response allocate nothing once warm.
func TestNoAllocation(t *testing.T) {
	body := []byte(`{"id":"018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77","account":"alice","phase":"packs","ttl_seconds":600,` +
		`"lines":[{"session":"ATH10","category":"A","quantity":2},{"session":"SWM03","category":"B","quantity":2},` +
		`{"session":"JUD01","category":"\u0043","quantity":2}]}`)
	d, q := &decoder{}, &engine.Request{}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := d.reservation(body, q); err != nil {
			panic(err)
		}
	}), "decoding a reservation")
	op := &engine.Op{}
	for body, s := range map[string]shape{
		`{"reference":"pay_9f3c","again":true}`: confirmShape, `{"reference":"refund_5b1d"}`: returnShape,
		`{"expires_at":"2023-11-30T09:40:00.123Z"}`: extendShape, `{"expires_at":"2023-11-30T15:10:00+05:30"}`: extendShape,
		`{"lines":[{"session":"ATH10","category":"A","quantity":1}]}`: reduceShape, "": releaseShape,
	} {
		sent := []byte(body)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if err := d.change(sent, s, op); err != nil {
				panic(err)
			}
		}), "decoding %s", body)
	}
	at := instantOf(t, early)
	r := &engine.Reservation{ID: q.ID, Account: q.Account, Phase: q.Phase, State: engine.Confirmed, Lines: q.Lines,
		Tickets: 6, CreatedAt: at, ExpiresAt: at, ConfirmedAt: at, Reference: "pay_9f3c"}
	room := make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() { room = encode.Reservation(room[:0], r) }), "encoding a reservation")
	f := start(t, nil)
	room = make([]byte, 0, 64<<10)
	everything, stock := &sessionFilter{}, []engine.Stock{}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		text := f.server.board.textOf(f.engine.Shown())
		stock = appendStock(stock[:0], f.engine, len(text.pools))
		room = text.appendSessions(room[:0], everything, stock, 0)
		room = text.appendAvailable(room, everything, stock, 0)
	}), "encoding sessions")
	require.Zero(t, testing.AllocsPerRun(100, func() { room = encode.Phases(room[:0], f.engine) }), "encoding phases")
	keys := must(ParseKeys(strings.NewReader(keyFile)))(t)
	authorization := []byte("Bearer " + sellKey)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if keys.CallerOf(authorization).Role != Sell {
			panic("not recognised")
		}
	}), "checking a key")
	overloaded := &engine.Refusal{Code: engine.Overloaded}
	require.Zero(t, testing.AllocsPerRun(100, func() { room = encode.Refusal(room[:0], overloaded) }),
		"encoding a refusal")
}

func BenchmarkDecode(b *testing.B) {
	d, q, body := &decoder{}, &engine.Request{}, []byte(validBody)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.reservation(body, q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	at := instantOf(b, early)
	r := &engine.Reservation{Account: "alice", Phase: "packs", State: engine.Held,
		Lines:   []engine.Line{{Session: "ATH10", Category: "A", Quantity: 2}},
		Tickets: 2, CreatedAt: at, ExpiresAt: at}
	var room []byte
	b.ReportAllocs()
	for b.Loop() {
		room = encode.Reservation(room[:0], r)
	}
}
