// Package origin protects a server without keys from web pages. Such a server trusts every program of its machine. The
// browser is one of them, and sends requests for any page that is open in it.
package origin

import "bytes"

// The details of refusals.
const (
	HostRule = "without keys, the server accepts only requests for localhost or a loopback address, and Host is another " +
		"name; connect by one of these, or start the server with --keys"
	PageRule = "without keys, the server does not accept requests of web pages of other origins; start it with --keys, " +
		"and call it from a program that has a key"
)

// Fault describes why a request to a server without keys is refused; it is empty for one that is not. The arguments are
// the request's fields Host, Origin and Sec-Fetch-Site, empty where there is none.
//
// A browser sends Origin with every request that a page makes to another origin, except simple GETs, whose responses
// the page cannot read. A page can pass for one of the server's own if its domain resolves to 127.0.0.1 (DNS
// rebinding). The Host is then that domain.
func Fault(host, origin, fetchSite []byte) string {
	switch {
	case !isLocal(hostname(host)):
		return HostRule
	case len(origin) > 0 && !isOwn(origin, host):
		return PageRule
	case len(fetchSite) > 0 && string(fetchSite) != "same-origin" && string(fetchSite) != "none":
		return PageRule
	}
	return ""
}

// isOwn reports whether the origin is that of a page from the host, by http or https.
func isOwn(origin, host []byte) bool {
	scheme, authority, ok := bytes.Cut(origin, []byte("://"))
	return ok && (string(scheme) == "http" || string(scheme) == "https") && bytes.EqualFold(authority, host)
}

// hostname returns the host without its port, and without the brackets of an IPv6 address.
func hostname(host []byte) []byte {
	if address, bracketed := bytes.CutPrefix(host, []byte("[")); bracketed {
		address, _, _ = bytes.Cut(address, []byte("]"))
		return address
	}
	name, _, _ := bytes.Cut(host, []byte(":"))
	return bytes.TrimSuffix(name, []byte("."))
}

// isLocal reports whether a name can only be one of this machine or its network: localhost, a loopback address, or a
// name without a dot, which no domain of the Internet has. A client of HTTP/1.0 may send none.
func isLocal(name []byte) bool {
	switch {
	case string(name) == "::1":
		return true
	case bytes.IndexByte(name, ':') >= 0:
		return false
	case bytes.IndexByte(name, '.') < 0:
		return true
	case bytes.HasPrefix(name, []byte("127.")):
		return len(bytes.Trim(name, "0123456789.")) == 0
	}
	const local = ".localhost"
	return len(name) > len(local) && bytes.EqualFold(name[len(name)-len(local):], []byte(local))
}
