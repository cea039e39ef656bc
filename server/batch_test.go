package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// drawnOperation is an operation that can be sent in a single call and in a batch.
type drawnOperation struct{ op, id, members string }

// drawOperation draws an operation of a round, which begins at the instant. Ids are drawn of a window that moves with
// the rounds, so that most are known and few have ended long ago.
func drawOperation(dice *rand.Rand, round int, now time.Time) drawnOperation {
	n := 1 + 3*round + dice.IntN(9)
	o := drawnOperation{id: otherID(n)}
	lines := func(most int) string { // mostly of the session that is the id's
		session := []string{"ATH01", "SWM01", "SKI01", "JUD01", "GYM01", "SRF01", "XYZ99"}[dice.IntN(7)]
		if dice.IntN(4) > 0 {
			session = []string{"ATH01", "SWM01", "SKI01", "JUD01", "GYM01"}[n%5]
		}
		return fmt.Sprintf(`,"lines":[{"session":"%s","category":"A","quantity":%d}]`, session, dice.IntN(most+1))
	}
	switch dice.IntN(12) {
	case 0, 1:
		o.op, o.members = "confirm", []string{"", `,"reference":"pay \u00e9"`, `,"reference":"a\u0007b"`}[dice.IntN(3)]
		o.members += []string{"", `,"again":true`, `,"again":false`}[dice.IntN(3)]
	case 2:
		o.op = "release"
	case 3, 4:
		at := now.Add(time.Duration(dice.IntN(80)-10) * time.Minute)
		o.op, o.members = "extend", `,"expires_at":"`+at.Format(time.RFC3339)+`"`
	case 5, 6:
		o.op, o.members = "reduce", lines(3)
	case 7, 8:
		o.op, o.members = "return", []string{"", `,"reference":"refund"`, `,"reference":"a\u0007b"`}[dice.IntN(3)]
	default:
		o.op = "reserve"
		o.members = fmt.Sprintf(`,"account":"a%d-%d"%s%s`, n/16, n%4,
			[]string{"", "", "", "", `,"ttl_seconds":60`, `,"phase":"early"`, `,"phase":"packs"`}[dice.IntN(7)], lines(5))
		if dice.IntN(4) == 0 {
			o.members += `,"replaces":"` + otherID(max(1, n-4*dice.IntN(3))) + `"`
		}
	}
	return o
}

func (o drawnOperation) json() string {
	return `{"id":"` + o.id + `","op":"` + o.op + `"` + o.members + `}`
}

// alone sends the operation as a single call.
func (o drawnOperation) alone(f *fixture) *answer {
	f.t.Helper()
	if o.op == "reserve" {
		return f.post("/v1/reservations", `{"id":"`+o.id+`"`+o.members+`}`)
	}
	body := strings.TrimPrefix(o.members, ",")
	return f.post("/v1/reservations/"+o.id+"/"+o.op, "{"+body+"}")
}

type batchAnswer struct {
	Results []struct {
		Status               int
		Reservation, Problem json.RawMessage
	}
}

// TestBatchMatchesSingleCalls plays random operations in batches on one server and as single calls on another. Statuses
// and bodies are equal, byte by byte, and so is the stock that remains.
func TestBatchMatchesSingleCalls(t *testing.T) {
	noLeaks(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	// Holds expire when the test says so, on both servers at once.
	begin := func() *fixture {
		clock := clockAt(instantOf(t, early))
		return startWith(t, clock, newEngine(t, clock, func(o *engine.Options) { o.SweepEvery = -1 }), nil)
	}
	one, many := begin(), begin()
	seen, done := map[int]int{}, map[string]int{}
	for round := range 30 {
		drawn := make([]drawnOperation, 1+dice.IntN(60))
		texts := make([]string, len(drawn))
		for i := range drawn {
			drawn[i] = drawOperation(dice, round, one.clock.read())
			texts[i] = drawn[i].json()
		}
		var got batchAnswer
		require.NoError(t, json.Unmarshal(many.post("/v1/batch", `{"operations":[`+strings.Join(texts, ",")+`]}`).body, &got))
		require.Len(t, got.Results, len(drawn))
		for i, o := range drawn {
			want, result := o.alone(one), got.Results[i]
			require.Equal(t, want.status, result.Status, texts[i])
			require.Equal(t, string(want.body), string(result.Reservation)+string(result.Problem), texts[i])
			if seen[want.status]++; want.status < 300 {
				done[o.op]++
			}
		}
		step := time.Duration(dice.IntN(200)) * time.Second
		one.clock.advance(step)
		many.clock.advance(step)
		require.Equal(t, one.engine.ExpireDue(), many.engine.ExpireDue())
	}
	t.Log(done, seen)
	for _, op := range []string{"reserve", "confirm", "release", "extend", "reduce", "return"} {
		require.NotZero(t, done[op], op)
	}
	for _, status := range []int{200, 201, 400, 403, 404, 409, 422} {
		require.NotZero(t, seen[status], status)
	}
	require.Equal(t, string(one.get("/v1/sessions").body), string(many.get("/v1/sessions").body))
}

// batch sends a body to POST /v1/batch. It does not validate the response, which takes seconds for a thousand
// operations.
func (f *fixture) batch(body string) *answer {
	f.t.Helper()
	return f.raw(fmt.Sprintf("POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
}

// TestBatchLimits checks the limits on operations and bytes of a batch, and that the largest intended batch fits.
func TestBatchLimits(t *testing.T) {
	noLeaks(t)
	f := startAt(t, "2024-01-03T09:00:00Z", nil)
	ops := func(n int, make func(i int) string) string {
		texts := []string{}
		for i := range n {
			texts = append(texts, make(i))
		}
		return `{"operations":[` + strings.Join(texts, ",") + `]}`
	}
	release := func(int) string { return `{"op":"release","id":"` + someID + `"}` }
	require.Equal(t, "operations", f.post("/v1/batch", ops(maxBatch+1, release)).json["where"])
	require.Len(t, f.batch(ops(maxBatch, release)).json["results"], maxBatch)

	packs := ops(maxBatch, func(i int) string {
		return fmt.Sprintf(`{"op":"reserve","id":"%s","account":"%064d","phase":"packs","ttl_seconds":1020,"lines":[`+
			`{"session":"ATH01","category":"B","quantity":1},{"session":"SWM01","category":"A","quantity":1},`+
			`{"session":"JUD01","category":"A","quantity":1}]}`, otherID(i+1), i)
	})
	taken := 0
	for _, result := range f.batch(packs).json["results"].([]any) {
		if result.(map[string]any)["status"] == 201. {
			taken++
		}
	}
	require.Equal(t, 90, taken, "as many as there are tickets")

	padded := packs + strings.Repeat(" ", maxBatchBody-len(packs))
	require.Equal(t, 200, f.batch(padded).status)
	require.Equal(t, "payload_too_large", f.batch(padded+" ").code())
	sized := func(line string, length int, rest string) *answer {
		return f.raw(fmt.Sprintf("%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s", line, length, rest))
	}
	expecting := sized("POST /v1/batch", maxBatchBody+1, "Expect: 100-continue\r\n\r\n")
	require.Equal(t, "payload_too_large", expecting.code())
	require.Equal(t, 200, sized("POST http://elsewhere/v1/batch?x=/", len(padded), "\r\n"+padded).status)
	require.Equal(t, "payload_too_large", sized("GET /v1/batch", maxBody+1, "\r\n").code())
}

// TestLargeBatchRequiresSellKey checks that the larger body is read only from callers that may sell.
func TestLargeBatchRequiresSellKey(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) {
		o.Keys = must(ParseKeys(strings.NewReader("read only-for-reading-1\nsell " + sellKey)))(t)
	})
	for key, code := range map[string]string{
		"": "unauthenticated", "wrong-key-wrong-key": "unauthenticated", "only-for-reading-1": "forbidden",
	} {
		// Only a twentieth of the body is sent: an immediate response shows that the server does not wait for the rest.
		c := f.dial()
		_, err := fmt.Fprintf(c, "POST /v1/batch HTTP/1.1\r\nHost: x\r\n"+
			"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
			key, maxBatchBody, strings.Repeat(" ", maxBatchBody/20))
		require.NoError(t, err)
		a := f.readAnswer(bufio.NewReader(c))
		require.Equal(t, code, a.code())
		require.True(t, a.last, "the connection is closed")
		require.NoError(t, c.Close())
	}
	body := `{"operations":[{"op":"release","id":"` + someID + `"}]` + strings.Repeat(" ", maxBody) + `}`
	require.Equal(t, 200, f.call("POST", "/v1/batch", body, "Authorization", "Bearer "+sellKey).status)
}

// FuzzBatchDecoder compares the decoder of a batch with those of single calls: both accept the same operations. Those
// about one reservation have its id before the members of the single call's body.
func FuzzBatchDecoder(f *testing.F) {
	for _, members := range []string{
		`"account":"a","lines":[{"session":"s","category":"c","quantity":1}]`,
		`"id":"018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77","account":"a","lines":[]`,
		`"account":"a","replaces":"018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77","lines":[]`,
		`"reference":"\u00e9"`, `"again":true`, `"again":false,"reference":"r"`, `"again":1`, ``, `"x":1`,
		`"expires_at":"2023-11-30T09:40:00Z"`, `"expires_at":"2023-11-30T10:40:00+01:00"`, `"expires_at":""`,
		`"lines":[{"session":"s","category":"c","quantity":1}]`, `"lines":[]`,
		`"account":"a","lines":[],"reference":"r"`, `"account":"a","phase":"p","ttl_seconds":1,"lines":[]`,
		`"id":"018c1f6e-9d2f-7cc1-b8f6-1f0e4d9b2a77","id":""`,
	} {
		for op := range 1 + len(changeCalls) {
			f.Add(members, uint8(op))
		}
	}
	var d, alone decoder
	var ops []engine.Op
	f.Fuzz(func(t *testing.T, members string, which uint8) {
		i := int(which) % (1 + len(changeCalls))
		if strings.Contains(members, "op") || strings.Contains(members, "id") && i > 0 || strings.Contains(members, `\`) {
			return // single calls have no op, and those about one reservation no id; an escape can spell both
		}
		name, id, single := "reserve", "", engine.Op{}
		var want error
		if i == 0 {
			want = alone.reservation([]byte(`{`+members+`}`), &single.Request)
			single.ID = single.Request.ID
		} else {
			name, id = changeCalls[i-1].name, `,"id":"`+someID+`"`
			want = alone.change([]byte(`{`+members+`}`), changeCalls[i-1].shape, &single)
			single.ID = must(uuid.Parse(someID))(t)
		}
		separator := ","
		if strings.TrimSpace(members) == "" {
			separator = ""
		}
		var err error
		ops, err = d.batch([]byte(`{"operations":[{"op":"`+name+`"`+id+separator+members+`}]}`), ops)
		require.Equal(t, want == nil, err == nil, "%s %s: alone %v, in a batch %v", name, members, want, err)
		if err != nil {
			refusal, ok := err.(*engine.Refusal)
			require.True(t, ok)
			contractSafe(t, refusal)
			return
		}
		require.Len(t, ops, 1)
		got := &ops[0]
		require.Equal(t, append([]engine.Line{}, single.Request.Lines...), append([]engine.Line{}, got.Request.Lines...))
		require.Equal(t, append([]engine.Line{}, got.Request.Lines...), append([]engine.Line{}, got.Lines...))
		require.True(t, single.ExpiresAt.Equal(got.ExpiresAt))
		require.Equal(t, []any{single.ID, single.Reference, single.Again, single.Request.Account, single.Request.Phase,
			single.Request.TTL, single.Request.Replaces}, []any{got.ID, got.Reference, got.Again, got.Request.Account,
			got.Request.Phase, got.Request.TTL, got.Request.Replaces})
	})
}

// wholeBatch is the body of a thousand reservations of one session each, as a gateway sends it.
func wholeBatch(round int) []byte {
	body := []byte(`{"operations":[`)
	for i := range maxBatch {
		body = fmt.Appendf(encode.Comma(body, i),
			`{"op":"reserve","id":"%08x-0000-4000-8000-%012x","account":"buyer-%d-%d","lines":[`+
				`{"session":"SWM01","category":"A","quantity":1}]}`, round+1, i+1, round, i)
	}
	return append(body, `]}`...)
}

// TestBatchAllocatesNothing checks that decoding a batch and encoding its results allocate nothing once warm.
func TestBatchAllocatesNothing(t *testing.T) {
	var d decoder
	var ops []engine.Op
	var err error
	body := wholeBatch(0)
	require.Zero(t, testing.AllocsPerRun(5, func() {
		if ops, err = d.batch(body, ops); err != nil {
			panic(err)
		}
	}), "decoding")
	at := instantOf(t, early)
	for i := range ops {
		q := &ops[i].Request
		ops[i].Result = engine.Reservation{ID: q.ID, Account: q.Account, Phase: "early", State: engine.Held, Lines: q.Lines,
			Tickets: 1, CreatedAt: at, ExpiresAt: at}
	}
	var room []byte
	require.Zero(t, testing.AllocsPerRun(5, func() { room = appendResults(room[:0], ops) }), "encoding")
}

func BenchmarkBatch(b *testing.B) {
	var d decoder
	var ops []engine.Op
	body := wholeBatch(0)
	ops, err := d.batch(body, ops)
	require.NoError(b, err)
	at := instantOf(b, early)
	perOperation := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*maxBatch), "ns/operation")
		b.ReportAllocs()
	}
	b.Run("step=decode", func(b *testing.B) {
		for b.Loop() {
			if ops, err = d.batch(body, ops); err != nil {
				b.Fatal(err)
			}
		}
		perOperation(b)
	})
	b.Run("step=encode", func(b *testing.B) {
		for i := range ops {
			q := &ops[i].Request
			ops[i].Result = engine.Reservation{ID: q.ID, Account: q.Account, Phase: "early", State: engine.Held, Lines: q.Lines,
				Tickets: 1, CreatedAt: at, ExpiresAt: at}
		}
		var room []byte
		for b.Loop() {
			room = appendResults(room[:0], ops)
		}
		perOperation(b)
	})
}
