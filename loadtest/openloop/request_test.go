package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

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
		for k, path := range map[kind]string{confirming: "/confirm", releasing: "/release"} {
			q, body := request(k, n)
			require.Equal(t, "/v1/reservations/"+r.ID.String()+path, q.URL.Path)
			require.Empty(t, body)
		}
	}
}
