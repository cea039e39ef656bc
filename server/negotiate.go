package server

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"
)

// coding is a content coding (RFC 9110, 8.4.1).
type coding uint8

const (
	identity coding = iota
	gzipped
	brotli
	codings
)

var codingNames = [codings]string{"identity", "gzip", "br"}

// codingWeights returns the weight of each coding in Accept-Encoding (RFC 9110, 12.5.3), in thousandths. The weight of
// one that is not accepted is 0 or negative.
func codingWeights(h *fasthttp.RequestHeader) [codings]int {
	const absent = -1
	weights, others := [codings]int{absent, absent, absent}, absent
	lines := h.PeekAll(fasthttp.HeaderAcceptEncoding)
	if len(lines) == 0 {
		return [codings]int{identity: 1000}
	}
	for _, line := range lines {
		for element := range bytes.SplitSeq(line, []byte(",")) {
			name, parameter, weighted := bytes.Cut(element, []byte(";"))
			weight := 1000
			if weighted {
				weight = weightOf(parameter)
			}
			switch name = bytes.TrimSpace(name); {
			case string(name) == "*":
				others = weight
			case bytes.EqualFold(name, []byte("br")):
				weights[brotli] = weight
			case bytes.EqualFold(name, []byte("gzip")), bytes.EqualFold(name, []byte("x-gzip")):
				weights[gzipped] = weight
			case bytes.EqualFold(name, []byte("identity")):
				weights[identity] = weight
			}
		}
	}
	if weights[identity] == absent && others == absent {
		weights[identity] = 1 // acceptable, and the last choice
	}
	for c := range weights {
		if weights[c] == absent {
			weights[c] = others
		}
	}
	return weights
}

// preferredCoding returns the coding that Accept-Encoding prefers, and of those the shortest. A client that accepts
// none gets identity, as the RFC permits.
func preferredCoding(h *fasthttp.RequestHeader) coding {
	best, most := identity, 0
	for c, weight := range codingWeights(h) {
		if weight > 0 && weight >= most {
			best, most = coding(c), weight
		}
	}
	return best
}

// weightOf returns a weight, such as q=0.8, in thousandths. One that is malformed accepts nothing.
func weightOf(parameter []byte) int {
	value, ok := bytes.CutPrefix(bytes.ToLower(bytes.TrimSpace(parameter)), []byte("q="))
	if !ok || len(value) == 0 || len(value) > 5 || value[0] > '1' || value[0] < '0' || len(value) > 1 && value[1] != '.' {
		return 0
	}
	weight := int(value[0]-'0') * 1000
	for i, unit := 2, 100; i < len(value); i, unit = i+1, unit/10 {
		if value[i] < '0' || value[i] > '9' {
			return 0
		}
		weight += int(value[i]-'0') * unit
	}
	return min(weight, 1000)
}

// noneMatches reports whether If-None-Match has the tag, or is `*`. Tags are compared weakly (RFC 9110, 13.1.2).
func noneMatches(h *fasthttp.RequestHeader, etag []byte) bool {
	for _, line := range h.PeekAll(fasthttp.HeaderIfNoneMatch) {
		if string(bytes.TrimSpace(line)) == "*" {
			return true
		}
		for len(line) > 0 {
			open := bytes.IndexByte(line, '"') // what precedes it is a comma, spaces or W/
			if open < 0 {
				break
			}
			end := bytes.IndexByte(line[open+1:], '"')
			if end < 0 {
				break
			}
			end += open + 2
			if bytes.Equal(line[open:end], etag) {
				return true
			}
			line = line[end:]
		}
	}
	return false
}

// respondShared responds with a body that other responses share, or with 304 if the client has it.
func (x *exchange) respondShared(r *rendering, contentType string) {
	h := &x.ctx.Response.Header
	h.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	if x.unchanged(r.etag) {
		return
	}
	x.ctx.SetContentType(contentType)
	if r.coding != identity {
		h.SetContentEncoding(codingNames[r.coding])
	}
	x.ctx.Response.SetBodyRaw(r.body)
	if len(r.body) > exempt {
		c := x.conn()
		x.server.budget.attach(r, c)
		c.held.shared = r
	}
	x.markStandby()
}

// respondTagged responds with a body of this response only, or with 304 if the client has it.
func (x *exchange) respondTagged(body []byte) {
	x.etag = appendETag(x.etag[:0], xxhash.Sum64(body), identity)
	if x.unchanged(x.etag) {
		x.ctx.Response.SwapBody(body[:0]) // keeps its room
		return
	}
	x.respond(fasthttp.StatusOK, body)
}

// unchanged sets the headers of an answer with a tag, and makes it a 304 if the client has it. Caches must revalidate
// each time. Shared ones may keep it only if no key is required.
func (x *exchange) unchanged(etag []byte) bool {
	h := &x.ctx.Response.Header
	h.SetBytesV(fasthttp.HeaderETag, etag)
	if x.server.keys == nil {
		h.Set(fasthttp.HeaderCacheControl, "public, no-cache")
	} else {
		h.Set(fasthttp.HeaderCacheControl, "private, no-cache")
	}
	if !noneMatches(&x.ctx.Request.Header, etag) {
		return false
	}
	x.ctx.SetStatusCode(fasthttp.StatusNotModified)
	x.markStandby()
	return true
}
