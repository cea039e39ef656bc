package origin

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFault checks which requests are taken for those of this machine's own programs.
func TestFault(t *testing.T) {
	for _, c := range []struct{ host, origin, site, fault string }{
		{"127.0.0.1:8080", "", "", ""}, // curl, a form of `curl -d` too
		{"localhost:8080", "", "", ""},
		{"LOCALHOST.", "", "", ""},
		{"a.localhost:8080", "", "", ""},
		{"127.7.0.9", "", "", ""},
		{"[::1]:8080", "", "", ""},
		{"seathold:8080", "", "", ""},
		{"", "", "", ""},
		{"127.0.0.1:8080", "http://127.0.0.1:8080", "same-origin", ""},
		{"localhost:8443", "https://LOCALHOST:8443", "", ""},
		{"127.0.0.1:8080", "", "none", ""}, // typed into the address bar

		{"127.0.0.1:8080", "http://127.0.0.1:3000", "same-site", PageRule},
		{"127.0.0.1:8080", "", "same-site", PageRule},
		{"127.0.0.1:8080", "", "cross-site", PageRule},
		{"127.0.0.1:8080", "https://tickets.example", "", PageRule},
		{"127.0.0.1:8080", "null", "", PageRule}, // a file, or a sandboxed frame
		{"127.0.0.1:8080", "file://127.0.0.1:8080", "", PageRule},
		{"127.0.0.1:8080", "http://127.0.0.1:8080.evil.example", "", PageRule},
		{"localhost:8080", "http://127.0.0.1:8080", "", PageRule},

		{"evil.example:8080", "http://evil.example:8080", "same-origin", HostRule}, // DNS rebinding
		{"evil.example:8080", "", "", HostRule},
		{"127.0.0.1.evil.example", "", "", HostRule},
		{"localhost.evil.example", "", "", HostRule},
		{"evillocalhost.example", "", "", HostRule},
		{"192.168.1.7:8080", "", "", HostRule},
		{"[fe80::1]:8080", "", "", HostRule},
		{"[::1", "", "", ""},
	} {
		require.Equal(t, c.fault, Fault([]byte(c.host), []byte(c.origin), []byte(c.site)), "%+v", c)
	}
}
