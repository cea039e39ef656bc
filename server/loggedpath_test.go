package server

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
	"go.yaml.in/yaml/v3"
)

// The templates of routes are the paths of the OpenAPI document, and lead to their routes.
func TestRouteTemplates(t *testing.T) {
	var parsed struct{ Paths map[string]any }
	require.NoError(t, yaml.Unmarshal([]byte(document), &parsed))
	templates := map[string]bool{}
	for of, template := range routeTemplates {
		if template == "" {
			require.Contains(t, []route{routeUnread, routeUnknown, routeDocument}, route(of))
			continue
		}
		templates[template] = true
		r, found := (&exchange{}).find([]byte(template))
		require.True(t, found, template)
		require.Equal(t, routeNames[of], routeNames[r.route], template)
	}
	for path := range parsed.Paths {
		require.True(t, templates[path] != (publicFiles()[path] != nil), "%s is no template of a route", path)
		delete(templates, path)
	}
	require.Empty(t, templates, "the document has no such path")
}

// A line has the path's template instead of accounts, and instead of an id that may be an account in the wrong place.
// It has what is needed to find a request: the ids of reservations, sessions and draws.
func TestLoggedPaths(t *testing.T) {
	f, log := startLogged(t, AccessLog{PerSecond: 1_000_000, Slow: 1}, nil)
	const id = "0190b3a1-7c5e-7d80-8a3e-2f4b5c6d7e8f"
	long := "/v1/sessions/" + strings.Repeat("x", 2*maxPath)
	paths := [][2]string{
		{"/v1/accounts/SECRET", "/v1/accounts/{account}"},
		{"/v1/accounts/SECRET%40example.com", "/v1/accounts/{account}"},
		{"/v1/accounts/SECRET%zz?SECRET", "/v1/accounts/{account}"},
		{"/v1/draws/ballot/entries/SECRET", "/v1/draws/ballot/entries/{account}"},
		{"/v1/draws/accounts/entries/SECRET", "/v1/draws/accounts/entries/{account}"},
		{"/v1/draws/ballot", "/v1/draws/ballot"},
		{"/v1/draws/ballot/entries", "/v1/draws/ballot/entries"},
		{"/v1/reservations/" + id, "/v1/reservations/" + id},
		{"/v1/reservations/" + id + "/confirm", "/v1/reservations/" + id + "/confirm"},
		{"/v1/reservations/SECRET", "/v1/reservations/{id}"},
		{"/v1/reservations/SECRET/confirm", "/v1/reservations/{id}/confirm"},
		{"/v1/reservations/SECRET/release", "/v1/reservations/{id}/release"},
		{"/v1/reservations/" + id + "/extend", "/v1/reservations/" + id + "/extend"},
		{"/v1/reservations/SECRET/reduce", "/v1/reservations/{id}/reduce"},
		{"/v1/reservations/SECRET/return?SECRET", "/v1/reservations/{id}/return"},
		{"/v1/reservations/" + id + "/SECRET", "/v1/reservations/"},
		{"/v1/reservations", "/v1/reservations"},
		{"/v1/sessions?fields=SECRET", "/v1/sessions"},
		{"/v1/sessions/SWM01", "/v1/sessions/SWM01"},
		{long, long[:maxPath]},
		{"/openapi.yaml?SECRET", "/openapi.yaml"},
		{"http://SECRET@x/v1/accounts/SECRET", "/v1/accounts/{account}"},
		{"//SECRET@x/v1/accounts/SECRET?://", "/v1/accounts/{account}"}, // fasthttp takes it for an absolute URL
		{"//SECRET@x/v1/phases?://", "/v1/phases"},
	}
	var want []any
	for _, p := range paths {
		f.raw("OPTIONS " + p[0] + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		want = append(want, p[1])
	}
	requireLoggedPaths(t, log, want)
}

// Logging a path allocates nothing once there is room for it.
func TestLoggedPathsDoNotAllocate(t *testing.T) {
	for of, path := range map[route]string{routeEntry: "/v1/draws/ballot/entries/alice",
		routeConfirm: "/v1/reservations/0190b3a1-7c5e-7d80-8a3e-2f4b5c6d7e8f/confirm", routeUnknown: "/v1/accountz/alice"} {
		ctx, room := &fasthttp.RequestCtx{}, make([]byte, 0, maxPath)
		request := bufio.NewReader(strings.NewReader("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, ctx.Request.Header.Read(request))
		require.Zero(t, testing.AllocsPerRun(100, func() { room = appendPath(room[:0], ctx, of) }), path)
	}
}
