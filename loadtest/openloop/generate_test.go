package main

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// However late and irregularly the generator wakes up, every arrival before the end is sent once, never early, at the
// first wake-up after it is due.
func TestScheduleMissesNoArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1, 20_000).Draw(t, "rate")
		begin := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "begin"))
		length := rapid.Int64Range(0, int64(200*time.Millisecond))
		s := newSchedule(rate, begin, time.Duration(length.Draw(t, "warmup")), time.Duration(1+length.Draw(t, "duration")))
		step := rapid.Int64Range(1, int64(20*time.Millisecond))
		sent, previous := 0, time.Duration(-1)
		for now := begin; ; now += time.Duration(step.Draw(t, "step")) {
			for ; s.ready(sent, now); sent++ {
				require.LessOrEqual(t, s.due(sent), now, "sent early")
				require.Greater(t, s.due(sent), previous, "an earlier wake-up missed it")
				require.Less(t, s.due(sent), s.end)
			}
			previous = now
			if now >= s.end {
				break
			}
		}
		require.InDelta(t, math.Ceil(rate*(s.end-begin).Seconds()), sent, 1, "a rounding error at the end at most")
		require.GreaterOrEqual(t, s.due(sent), s.end)
	})
}

// The requests are well-formed HTTP, and the confirmation of a reservation has its id.
func TestWriterWritesRequests(t *testing.T) {
	w := &writer{run: 0xfedcba98, pools: []string{`","lines":[]}`, `","lines":[{}]}`},
		header: "Host: h\r\nAuthorization: Bearer k\r\n"}
	request := func(k kind, n uint64) (*http.Request, string) {
		in := bufio.NewReader(strings.NewReader(string(w.append(nil, k, n))))
		q, err := http.ReadRequest(in)
		require.NoError(t, err)
		body, err := io.ReadAll(q.Body)
		require.NoError(t, err)
		_, err = in.ReadByte()
		require.Equal(t, io.EOF, err, "nothing follows the request")
		require.Equal(t, "h", q.Host)
		require.Equal(t, "Bearer k", q.Header.Get("Authorization"))
		return q, string(body)
	}
	ids := map[uuid.UUID]bool{}
	for _, n := range []uint64{0, 1, 255, 256, 1 << 40} {
		q, body := request(reserving, n)
		require.Equal(t, "POST /v1/reservations", q.Method+" "+q.URL.Path)
		var r struct {
			ID      uuid.UUID
			Account string
			Lines   []any
		}
		require.NoError(t, json.Unmarshal([]byte(body), &r))
		require.False(t, ids[r.ID])
		ids[r.ID] = true
		require.Len(t, r.Lines, int(n%2))
		for k, path := range map[kind]string{confirming: "/confirm", releasing: "/release", reading: ""} {
			q, body := request(k, n)
			require.Equal(t, "/v1/reservations/"+r.ID.String()+path, q.URL.Path)
			require.Empty(t, body)
		}
	}
}
