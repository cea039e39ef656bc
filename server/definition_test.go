package server

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
)

// saleWith loads the test sale with replacements: file, old, new.
func saleWith(t *testing.T, changes ...[3]string) *catalog.Sale {
	dir := filepath.Join(t.TempDir(), "sale")
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/sale")))
	for _, c := range changes {
		text := string(must(os.ReadFile(filepath.Join(dir, c[0])))(t))
		require.Contains(t, text, c[1])
		require.NoError(t, os.WriteFile(filepath.Join(dir, c[0]), []byte(strings.Replace(text, c[1], c[2], 1)), 0o600))
	}
	return must(catalog.Load(dir))(t)
}

// TestListsFollowTheDefinition checks that lists and phases are those of a new definition as soon as it is applied,
// also where the stock has not changed: sessions and categories are added, excluded and removed, and so is a phase.
func TestListsFollowTheDefinition(t *testing.T) {
	f := start(t, nil)
	lists := []string{"/v1/sessions", "/v1/stock", "/v1/sessions?phase=early", "/v1/sessions/SWM01", "/v1/phases"}
	tags := map[string]string{}
	for _, path := range lists {
		tags[path] = f.get(path).header.Get("ETag")
	}
	require.Equal(t, 201, f.reserveOne("00000000-0000-4000-8000-000000000001", "a", "SWM01", "2").status)
	_, err := f.engine.Apply(t.Context(), saleWith(t,
		[3]string{"sessions.csv", "JUD01,summer,Judo,Arena,Paris,2024-07-20,10:00,12:00,1,Heavy\n", ""},
		[3]string{"prices.csv", "JUD01,A,80,100\n", "SWM01,B,80,50\n"},
		[3]string{"prices.csv", "ATH01,B,90.50,100\n", ""},
		[3]string{"sale.yaml", "{discipline: Surfing}", "{discipline: Surfing}\n  - {discipline: Swimming}"},
		[3]string{"sale.yaml", "  regional: # only", "  lyon: # only"}), draw.Digest{})
	require.NoError(t, err)
	for _, path := range lists[:4] {
		require.NotEqual(t, tags[path], f.get(path).header.Get("ETag"), path)
	}

	sessions := map[string]map[string]any{}
	for _, s := range f.get("/v1/sessions").json["sessions"].([]any) {
		sessions[s.(map[string]any)["session"].(string)] = s.(map[string]any)
	}
	require.Len(t, sessions, 7)
	require.Equal(t, false, sessions["JUD01"]["on_sale"], "it was removed")
	require.Equal(t, false, sessions["SWM01"]["on_sale"], "it was excluded")
	require.Len(t, sessions["SWM01"]["pools"], 2)
	require.Equal(t, "2", member(sessions["SWM01"], "pools.0.held"))
	require.Len(t, sessions["ATH01"]["pools"], 1)
	stock := f.get("/v1/stock").json
	require.Equal(t, "not_on_sale", member(stock, "states.JUD01"))
	require.Equal(t, "-", member(stock, "stock.ATH01.B"))
	require.Equal(t, "9", member(stock, "stock.ATH01.A"))
	require.NotContains(t, string(f.get("/v1/phases").body), "regional")
	require.Contains(t, string(f.get("/v1/phases").body), `"phase":"lyon"`)
	require.Equal(t, 422, f.get("/v1/stock?phase=regional").status)
	require.Equal(t, 200, f.get("/v1/stock?phase=lyon").status)
	require.Equal(t, "2", member(f.get("/v1/accounts/a").json, "programmes.0.held"))
}

// TestFilterOfAnotherDefinition checks that a filter whose phase has been removed since it was read selects nothing.
func TestFilterOfAnotherDefinition(t *testing.T) {
	f := start(t, nil)
	filter := must(parseSessionFilter([]byte("phase=regional"), f.engine.Sale()))(t)
	_, err := f.engine.Apply(t.Context(), saleWith(t, [3]string{"sale.yaml", "  regional: # only", "  lyon: # only"}),
		draw.Digest{})
	require.NoError(t, err)
	r, err := f.server.board.rendering(f.engine, variant{form: inFull, filter: filter}, identity, f.clock.read())
	require.NoError(t, err)
	require.Equal(t, `{"sessions":[],"currency":{"code":"EUR","digits":2}}`, string(r.body))
}

// TestCurrencyOfPrices checks that the list and a session name the currency of their prices once, follow a definition
// with another one, and name none in a sale without prices.
func TestCurrencyOfPrices(t *testing.T) {
	f, table := start(t, nil), string(must(os.ReadFile("testdata/sale/prices.csv"))(t))
	named := func(want string) {
		t.Helper()
		for _, path := range []string{"/v1/sessions", "/v1/sessions?programme=winter", "/v1/sessions/ATH01"} {
			body := string(f.get(path).body)
			if want == "" {
				require.NotContains(t, body, "currency", path)
				continue
			}
			require.Equal(t, 1, strings.Count(body, `"currency":`), path)
			require.True(t, strings.HasSuffix(body, `],"currency":`+want+`}`), "%s: %s", path, body)
		}
		require.NotContains(t, string(f.get("/v1/stock").body), "currency")
	}
	apply := func(prices string) {
		t.Helper()
		_, err := f.engine.Apply(t.Context(), saleWith(t, [3]string{"prices.csv", table, prices}), draw.Digest{})
		require.NoError(t, err)
	}
	named(`{"code":"EUR","digits":2}`)
	apply(strings.NewReplacer("price_eur", "price_kwd", "90.50", "90.500").Replace(table))
	named(`{"code":"KWD","digits":3}`)
	require.Equal(t, "90500", member(f.get("/v1/sessions/ATH01").json, "pools.1.price_cents"))
	apply(regexp.MustCompile(`(?m)^([^,]*,[^,]*),[^,]*`).ReplaceAllString(table, "$1"))
	named("")
	require.Equal(t, "-", member(f.get("/v1/sessions/ATH01").json, "pools.1.price_cents"))
	apply(table)
	named(`{"code":"EUR","digits":2}`)
}
