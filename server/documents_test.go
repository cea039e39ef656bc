package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPublicFiles checks that the document and the files of the page need no key, and that they are conditional and
// compressed.
func TestPublicFiles(t *testing.T) {
	noLeaks(t)
	f := start(t, func(o *Options) { o.Keys = must(ParseKeys(strings.NewReader("sell " + sellKey)))(t) })
	for path, want := range map[string]string{"/openapi.yaml": document, "/docs": pageIndex, "/docs/start.js": pageStart,
		"/docs/scalar.js": string(unzip(t, pageProgram))} {
		for _, coding := range []string{"gzip, br", "", "gzip;q=0"} {
			status, header, body := fetchFile(t, f, path, "Accept-Encoding", coding)
			require.Equal(t, 200, status, path)
			require.Equal(t, "Accept-Encoding", header.Get("Vary"))
			if header.Get("Content-Encoding") == "gzip" {
				body = unzip(t, body)
			} else {
				require.Empty(t, header.Get("Content-Encoding"))
				require.True(t, coding != "gzip, br" || len(body) < leastCoded, path)
			}
			require.Equal(t, want, string(body), path)

			tag := header.Get("ETag")
			require.Equal(t, "public, no-cache", header.Get("Cache-Control"))
			status, header, body = fetchFile(t, f, path, "Accept-Encoding", coding, "If-None-Match", tag)
			require.Equal(t, 304, status, path)
			require.Equal(t, tag, header.Get("ETag"))
			require.Empty(t, body)
			status, _, _ = fetchFile(t, f, path, "Accept-Encoding", coding, "If-None-Match", `"other"`)
			require.Equal(t, 200, status, path)
		}
	}
	for _, path := range []string{"/docs/", "/docs/index.html", "/doc", "/docs/scalar.js.gz"} {
		status, _, _ := fetchFile(t, f, path)
		require.Equal(t, 401, status, path)
	}
}

// TestPageLoadsOwnFiles checks that the page refers to files of this server only, by relative paths, and that its
// policy forbids all others.
func TestPageLoadsOwnFiles(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	_, header, _ := fetchFile(t, f, "/docs")
	policy := header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotRegexp(t, `https?:|\*|unsafe-eval|script-src[^;]*unsafe`, policy)
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(pageIndex, -1)
	require.Len(t, links, 4)
	for _, link := range links {
		if link[1] == "data:," { // no icon
			continue
		}
		status, _, _ := fetchFile(t, f, "/"+link[1])
		require.Equal(t, 200, status, link[1])
	}
}

func unzip(t testing.TB, zipped []byte) []byte {
	return must(io.ReadAll(must(gzip.NewReader(bytes.NewReader(zipped)))(t)))(t)
}

// fetchFile sends a GET for a path that is not in the document. Nothing is decompressed.
func fetchFile(t testing.TB, f *fixture, path string, header ...string) (int, http.Header, []byte) {
	t.Helper()
	request := must(http.NewRequest(http.MethodGet, "http://"+f.address+path, nil))(t)
	request.Header.Set("Accept-Encoding", "")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body := must(io.ReadAll(response.Body))(t)
	return response.StatusCode, response.Header, body
}
