package server

import (
	"bufio"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The log has the faults of requests that cannot be read, but not what the clients sent: neither keys nor accounts.
func TestConnectionLogHasNothingOfRequests(t *testing.T) {
	log := &safeBuffer{}
	f := start(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for _, is := range []struct{ request, fault string }{
		{"GET/v1/accounts/SECRET HTTP/1.1\r\nHost: x\r\n\r\n", "unsupported http request method"},
		{"GET /v1/accounts/SECRET\r\nHost: x\r\n\r\n", "cannot find whitespace in the first line of request"},
		{"GET /v1/accounts/SEC\x01RET HTTP/1.1\r\nHost: x\r\n\r\n", "invalid request uri"},
		{"GET SEC://SECRET@x/ HTTP/1.1\r\nHost: SECRET\x01\"\\\r\n\r\n", "invalid header value"},
		{"GET /v1/phases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer SECRET\x00\r\n\r\n", "invalid header value"},
		{"GET /v1/phases HTTP/1.1\r\nHost: x\r\nSECRET\r\n\r\n", "missing colon"},
		{"GET /v1/phases HTTP/1.1\r\nHost: x\r\nSECRET : x\r\n\r\n", "invalid header key"},
		{"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: SECRET\r\n\r\n", "cannot parse content-length"},
		{"POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: SECRET\r\n\r\n", "unsupported transfer-encoding"},
	} {
		c := f.dial()
		_, err := io.WriteString(c, is.request)
		require.NoError(t, err)
		require.Equal(t, 400, f.readAnswer(bufio.NewReader(c)).status, "%q", is.request)
		require.NoError(t, c.Close())
		until(t, func() bool { return strings.Contains(log.String(), is.fault) }, is.fault)
	}
	require.NotContains(t, log.String(), "SEC")
	require.NotContains(t, log.String(), "RET")
	require.Contains(t, log.String(), "127.0.0.1:", "the addresses of the connection")
}
