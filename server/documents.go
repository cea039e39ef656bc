package server

import (
	_ "embed" // the files below
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"
)

// document describes the API, in OpenAPI 3.1.
//
//go:embed openapi.yaml
var document string

// The page at /docs shows the document. It is Scalar's API reference, which scripts/page takes from npm.
var (
	//go:embed page/index.html
	pageIndex string
	//go:embed page/start.js
	pageStart string
	//go:embed page/scalar.js.gz
	pageProgram []byte
)

// pagePolicy is the Content-Security-Policy of the page: nothing comes from elsewhere or goes there. Scalar sets styles
// of single elements.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// publicFile is a file that every caller may read. It is the same until the program ends.
type publicFile struct {
	contentType string
	policy      string
	plain       *rendering // nil for a file that exists compressed only
	zipped      *rendering
}

// publicFiles returns the files by their paths. They are compressed at the first request.
var publicFiles = sync.OnceValue(func() map[string]*publicFile {
	program := &rendering{body: pageProgram, coding: gzipped, etag: appendETag(nil, xxhash.Sum64(pageProgram), gzipped)}
	return map[string]*publicFile{
		"/openapi.yaml":   newPublicFile("application/yaml", "", document),
		"/docs":           newPublicFile("text/html; charset=utf-8", pagePolicy, pageIndex),
		"/docs/start.js":  newPublicFile(scriptType, "", pageStart),
		"/docs/scalar.js": {contentType: scriptType, zipped: program},
	}
})

const scriptType = "text/javascript; charset=utf-8"

func newPublicFile(contentType, policy, content string) *publicFile {
	hash := xxhash.Sum64String(content)
	plain := &rendering{body: []byte(content), etag: appendETag(nil, hash, identity)}
	return &publicFile{contentType: contentType, policy: policy, plain: plain, zipped: encodedAs(gzipped, plain, hash)}
}

// readPublicFile responds with the file of the path, or with 304 if the client has it. Caches must revalidate each
// time, so an update of the server is seen at once.
func (x *exchange) readPublicFile() {
	file := publicFiles()[string(x.ctx.URI().PathOriginal())]
	content := file.zipped
	if file.plain != nil && codingWeights(&x.ctx.Request.Header)[gzipped] <= 0 {
		content = file.plain
	}
	h := &x.ctx.Response.Header
	h.SetBytesV(fasthttp.HeaderETag, content.etag)
	h.Set(fasthttp.HeaderCacheControl, "public, no-cache")
	h.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	if file.policy != "" {
		h.Set(fasthttp.HeaderContentSecurityPolicy, file.policy)
	}
	if noneMatches(&x.ctx.Request.Header, content.etag) {
		x.ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	x.ctx.SetContentType(file.contentType)
	if content.coding != identity {
		h.SetContentEncoding(codingNames[content.coding])
	}
	x.ctx.Response.SetBodyRaw(content.body)
}
