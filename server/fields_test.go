package server

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// browserHeader is a header with as many lines as browsers and gateways send.
const browserHeader = "POST /v1/reservations HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: Mozilla/5.0 (X11)\r\n" +
	"Accept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\nAuthorization: Bearer 0123456789abcdef\r\n" +
	"Content-Type: application/json\r\nContent-Length: 85\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: keep-alive\r\n\r\n"

// What reading the fields of a header once more costs.
func BenchmarkFields(b *testing.B) {
	for name, text := range map[string]string{"least": "GET /v1/phases HTTP/1.1\r\nHost: x\r\n\r\n",
		"browser": browserHeader} {
		b.Run("header="+name, func(b *testing.B) {
			var h fasthttp.RequestHeader
			require.NoError(b, h.Read(bufio.NewReader(strings.NewReader(text))))
			b.ReportAllocs()
			for b.Loop() {
				if _, fault := readFields(&h); fault != nil {
					b.Fatal(fault.detail)
				}
			}
		})
	}
}
