package server

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// maxPath is the most bytes of a path in the log.
const maxPath = 200

// appendPath appends a request's path as logs have it, without accounts: these may be names and addresses of persons,
// and logs are read by more people and kept for longer than the sale's data. So the path of a route is its template,
// in which only what names no person is replaced by what the client sent. Of a path that is unknown or was not looked
// up it is the beginning only, since nothing shows what the rest is.
func appendPath(to []byte, ctx *fasthttp.RequestCtx, of route) []byte {
	from := len(to)
	switch {
	case routeTemplates[of] != "":
		to = fill(to, routeTemplates[of], ctx.URI().PathOriginal())
	case of == routeDocument:
		to = append(to, ctx.URI().PathOriginal()...)
	default:
		to = append(to, beginning(pathOf(ctx.Request.Header.RequestURI()))...)
	}
	return to[:min(len(to), from+maxPath)]
}

// fill appends the template of a path with the path's own variables, except accounts. An id that is none may be an
// account in the wrong place.
func fill(to []byte, template string, path []byte) []byte {
	for segment := range strings.SplitSeq(template[1:], "/") {
		_, path, _ = bytes.Cut(path, slash)
		sent, _, _ := bytes.Cut(path, slash)
		to = append(to, '/')
		switch segment {
		case "{session}", "{draw}":
			to = append(to, sent...)
		case "{id}":
			if _, ok := parseID(sent); ok {
				to = append(to, sent...)
				continue
			}
			fallthrough
		default:
			to = append(to, segment...)
		}
	}
	return to
}

var slash = []byte("/")

// pathOf returns the path of a request's target: without its query, and without what precedes the path in an absolute
// URL, which may have a password.
func pathOf(uri []byte) []byte {
	if scheme := bytes.Index(uri, []byte("://")); scheme >= 0 && uri[0] != '/' {
		uri = uri[scheme+len("://"):]
		host := bytes.IndexAny(uri, "/?#")
		if host < 0 {
			return nil
		}
		uri = uri[host:]
	}
	if end := bytes.IndexAny(uri, "?#"); end >= 0 {
		uri = uri[:end]
	}
	return uri
}

// beginning returns the beginning of a path that shows what its client meant to call: the first segment, or the second
// after /v1/. It ends at a character that names of calls and files do not have, since an account may follow it, as in
// accounts%2Falice.
func beginning(path []byte) []byte {
	n := len("/")
	if bytes.HasPrefix(path, []byte("/v1/")) {
		n = len("/v1/")
	} else if !bytes.HasPrefix(path, []byte("/")) {
		return nil
	}
	for n < len(path) && (path[n]|0x20 >= 'a' && path[n]|0x20 <= 'z' || path[n] >= '0' && path[n] <= '9' ||
		path[n] == '.' || path[n] == '-' || path[n] == '_') {
		n++
	}
	if n < len(path) && path[n] == '/' {
		n++
	}
	return path[:n]
}
