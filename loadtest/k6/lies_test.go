package k6

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
)

// call makes a call of the API and returns its response.
type call func(method, path string, body map[string]any) (status int, answer map[string]any)

// serve serves the API of a new sale on the day of its last opening until the end of the test. It returns the URL.
func serve(t *testing.T, sale *catalog.Sale) string {
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Durability: engine.None,
		Clock: saleclock.From(time.Date(2023, 11, 30, 9, 0, 0, 0, time.UTC))})
	require.NoError(t, err)
	s, err := server.New(t.Context(), server.Options{Engine: e})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		assert.NoError(t, s.Shutdown(context.WithoutCancel(t.Context())))
		assert.NoError(t, <-ended)
		assert.NoError(t, e.Close())
	})
	return "http://" + ln.Addr().String()
}

// honest serves the API of a new sale until the end of the test and returns its calls.
func honest(t *testing.T) call {
	url := serve(t, catalog.Paris2024())
	connections := &http.Transport{MaxIdleConnsPerHost: 200}
	t.Cleanup(connections.CloseIdleConnections) // before the server ends
	return func(method, path string, body map[string]any) (status int, answer map[string]any) {
		var sent []byte
		if body != nil {
			sent, _ = json.Marshal(body) // it was decoded from JSON
		}
		q, err := http.NewRequest(method, url+path, bytes.NewReader(sent))
		if !assert.NoError(t, err) {
			return http.StatusBadGateway, nil
		}
		r, err := (&http.Client{Transport: connections}).Do(q)
		if !assert.NoError(t, err) {
			return http.StatusBadGateway, nil
		}
		defer func() { assert.NoError(t, r.Body.Close()) }()
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&answer))
		return r.StatusCode, answer
	}
}

// lie is a call of a server that is not correct.
type lie func(honest call) call

// lying serves an API with a lie until the end of the test and returns its URL.
func lying(t *testing.T, l lie) string {
	answer := l(honest(t))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil && err != io.EOF {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		status, said := answer(r.Method, r.URL.RequestURI(), body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		assert.NoError(t, json.NewEncoder(w).Encode(said))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// instead makes other calls instead of those about a reservation that are named so.
func instead(name string, other func(honest call, path string, body map[string]any) (int, map[string]any)) lie {
	return func(honest call) call {
		return func(method, path string, body map[string]any) (int, map[string]any) {
			if of, ok := strings.CutSuffix(path, "/"+name); ok && method == http.MethodPost {
				return other(honest, of, body)
			}
			return honest(method, path, body)
		}
	}
}

// alternately makes one of two lies, in turn.
func alternately(name string, lies ...func(honest call, path string, body map[string]any) (int, map[string]any)) lie {
	var n atomic.Int64
	return instead(name, func(honest call, path string, body map[string]any) (int, map[string]any) {
		return lies[n.Add(1)%int64(len(lies))](honest, path, body)
	})
}

// forgottenExtension leaves the end of a hold where it is.
func forgottenExtension(honest call, path string, body map[string]any) (int, map[string]any) {
	status, r := honest(http.MethodGet, path, nil)
	r["expires_at"] = body["expires_at"]
	return status, r
}

// longExtension moves the end of a hold two seconds too far.
func longExtension(honest call, path string, body map[string]any) (int, map[string]any) {
	asked, _ := body["expires_at"].(string)
	end, err := time.Parse(time.RFC3339, asked)
	if err != nil {
		return http.StatusBadRequest, map[string]any{"code": "malformed_request", "detail": err.Error()}
	}
	status, r := honest(http.MethodPost, path+"/extend", map[string]any{"expires_at": end.Add(2 * time.Second)})
	r["expires_at"] = asked
	return status, r
}

// forgottenReturn leaves a reservation confirmed.
func forgottenReturn(honest call, path string, _ map[string]any) (int, map[string]any) {
	status, r := honest(http.MethodGet, path, nil)
	r["state"] = "returned"
	return status, r
}

// inTwoSteps lets go of the old hold before it tries to take the new one.
func inTwoSteps(honest call) call {
	return func(method, path string, body map[string]any) (int, map[string]any) {
		if old, ok := body["replaces"].(string); ok {
			delete(body, "replaces")
			honest(http.MethodPost, "/v1/reservations/"+old+"/release", nil)
		}
		return honest(method, path, body)
	}
}

// soldTwice shows one reservation in the ledgers of two accounts.
func soldTwice(honest call) call {
	var twice atomic.Pointer[any]
	return func(method, path string, body map[string]any) (int, map[string]any) {
		status, r := honest(method, path, body)
		if list, _ := r["reservations"].([]any); len(list) == 1 && strings.HasPrefix(path, "/v1/accounts/") {
			if !twice.CompareAndSwap(nil, &list[0]) {
				r["reservations"] = append(list, *twice.Load())
			}
		}
		return status, r
	}
}

// TestAuditsFindLies: the audits of reservations that change fail on a server that breaks the promises of these calls.
func TestAuditsFindLies(t *testing.T) {
	for scenario, c := range map[string]struct {
		lie   lie
		found []string
	}{
		"abandon": {alternately("extend", forgottenExtension, longExtension), []string{
			`every extended hold ended at its end +\S+ observations +[1-9]\S* +NO`, "ended before", "lives beyond"}},
		"refund": {func(honest call) call { return soldTwice(inTwoSteps(instead("return", forgottenReturn)(honest))) },
			[]string{
				`every acknowledged outcome exists \(I5\) +\S+ reservations +[1-9]\S* +NO`, "was returned, .* is now confirmed",
				`every place is available or of one reservation +2 pools +[1-9]\S* +NO`,
				`checks +rate==1 +NO`,
			}},
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			out, err := load(t, scenario, "API="+lying(t, c.lie))
			require.Error(t, err, out)
			for _, found := range c.found {
				require.Regexp(t, found, out)
			}
		})
	}
}
