package client

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIdentifiers checks what calls send of their context, on all attempts, and that errors have the request's id.
func TestIdentifiers(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	var sent []http.Header
	var given atomic.Pointer[string]
	given.Store(new(string))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header)
		if id := *given.Load(); id != "" {
			w.Header().Set("Request-Id", id)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"code": "overloaded", "detail": "retry later"}`))
	}))
	defer server.Close()
	c, _ := client(t, Options{URL: server.URL, Attempts: 3})
	calls := map[string]func(ctx context.Context) error{
		"a call": func(ctx context.Context) error { _, err := c.Phases(ctx); return err },
		"a list": func(ctx context.Context) error { _, err := c.Stock(ctx, Filter{}, nil); return err },
	}
	for name, call := range calls {
		sent = nil
		err := call(WithTraceParent(WithRequestID(t.Context(), "order-17"), parent))
		require.EqualError(t, err, "overloaded: retry later (request order-17)", name)
		require.Len(t, sent, 3)
		for _, header := range sent {
			require.Equal(t, []string{"order-17"}, header.Values("Request-Id"), name)
			require.Equal(t, []string{parent}, header.Values("Traceparent"), name)
		}
		sent = nil
		for _, bad := range []string{"", "a b", "a\r\nAuthorization: Bearer stolen"} {
			err = call(WithRequestID(WithTraceParent(t.Context(), "00-0-"+bad), bad))
			made := sent[0].Get("Request-Id")
			require.Regexp(t, "^[0-9a-f]{16}$", made, name)
			require.ErrorContains(t, err, "(request "+made+")", name)
			for _, header := range sent {
				require.Equal(t, []string{made}, header.Values("Request-Id"), "%s: all attempts have one id", name)
				require.Empty(t, header.Values("Traceparent"), name)
			}
			sent = nil
		}
	}
	named := "of-the-server"
	given.Store(&named)
	_, err := c.Phases(t.Context())
	refusal := &Error{}
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, named, refusal.RequestID, "where the server has another id, it logs that one")
}

// TestBrokenCallsNameTheirRequest checks the errors of requests without a complete answer.
func TestBrokenCallsNameTheirRequest(t *testing.T) {
	gone, _ := client(t, Options{URL: "http://127.0.0.1:1", Attempts: 1})
	_, err := gone.Phases(WithRequestID(t.Context(), "order-17"))
	require.ErrorContains(t, err, "connection refused (request order-17)")
	stalling := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer stalling.Close()
	c, err := newCaller(Options{URL: stalling.URL, Attempts: 1}, 20*time.Millisecond)
	require.NoError(t, err)
	_, err = c.call(WithRequestID(t.Context(), "order-18"), http.MethodGet, "/v1/phases", nil, &struct{}{})
	require.ErrorContains(t, err, "(request order-18)")
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	other, _ := client(t, Options{URL: page.URL})
	_, err = other.Phases(WithRequestID(t.Context(), "order-19"))
	require.ErrorContains(t, err, "is this a Seathold server? (request order-19)")
}
