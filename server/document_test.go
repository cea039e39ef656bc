package server

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/seathold/seathold/engine"
)

// TestReferences checks that every reference of the document is to a whole component, and that the document has it.
// Generators cannot name the types of other references.
func TestReferences(t *testing.T) {
	components := componentNames(t)
	references := regexp.MustCompile(`\$ref: '([^']*)'`).FindAllStringSubmatch(document, -1)
	require.Len(t, references, strings.Count(document, "$ref:"), "references are in single quotes")
	for _, reference := range references {
		path := strings.Split(reference[1], "/")
		require.True(t, len(path) == 4 && path[0] == "#" && path[1] == "components", "%s is no component", reference[1])
		require.Contains(t, components[path[2]], path[3], "%s does not exist", reference[1])
	}
}

// componentNames returns the names of the document's components, by their kinds.
func componentNames(t testing.TB) map[string][]string {
	var parsed struct {
		Components map[string]map[string]any
	}
	require.NoError(t, yaml.Unmarshal([]byte(document), &parsed))
	names := map[string][]string{}
	for kind, components := range parsed.Components {
		for name := range components {
			names[kind] = append(names[kind], name)
		}
	}
	return names
}

// TestNames checks that no two names that generators derive from the document are the same. They ignore case and
// punctuation, put all components into one package, and derive types of their own from calls.
func TestNames(t *testing.T) {
	contract.load(t)
	taken := map[string]string{}
	take := func(name, source string) {
		name = strings.ToLower(notAlphanumeric.ReplaceAllString(name, ""))
		require.Empty(t, taken[name], "the name of this is also that of %s", source)
		taken[name] = source
	}
	for kind, names := range componentNames(t) {
		if kind == "examples" || kind == "securitySchemes" {
			continue // no types are made of them
		}
		for _, name := range names {
			take(name, kind+" "+name)
		}
	}
	for _, path := range contract.doc.Paths.InMatchingOrder() {
		for method, call := range contract.doc.Paths.Value(path).Operations() {
			require.NotEmpty(t, call.OperationID, "%s %s", method, path)
			require.Len(t, call.Tags, 1, call.OperationID)
			take(call.OperationID, "call "+call.OperationID)
			for _, suffix := range []string{"Response", "Responses", "Error", "Errors", "Data", "Params", "Body", "JSONBody",
				"JSONRequestBody", "Request", "RequestObject", "ResponseObject"} {
				take(call.OperationID+suffix, fmt.Sprintf("the %s of call %s", suffix, call.OperationID))
			}
		}
	}
}

var notAlphanumeric = regexp.MustCompile(`[^A-Za-z0-9]`)

// TestRefusalsAreListed checks that the table in the document's description has each code once, with its status and
// facts.
func TestRefusalsAreListed(t *testing.T) {
	var rows []string
	row := regexp.MustCompile("(?m)^    \\| ([0-9]{3}) \\| `([a-z_]+)` \\| (.*?) \\| .+ \\|$")
	for _, columns := range row.FindAllStringSubmatch(document, -1) {
		rows = append(rows, strings.Join(columns[1:], " "))
	}
	var want []string
	for _, rule := range append(ownRules(), engine.Rules()...) {
		var facts []string
		for _, fact := range rule.Facts {
			facts = append(facts, "`"+fact.Name+"`")
		}
		between := ", "
		if len(rule.Facts) > 0 && rule.Facts[0].Optional {
			between = " or "
		}
		want = append(want, fmt.Sprint(rule.Status, " ", rule.Code, " ", strings.Join(facts, between)))
	}
	require.ElementsMatch(t, want, rows)
}

// TestTemporaryRefusals checks that exactly the responses with the status 503 have the header Retry-After, and those
// with 401 the challenge.
func TestTemporaryRefusals(t *testing.T) {
	contract.load(t)
	for _, path := range contract.doc.Paths.InMatchingOrder() {
		for _, call := range contract.doc.Paths.Value(path).Operations() {
			for status, response := range call.Responses.Map() {
				_, retry := response.Value.Headers["Retry-After"]
				require.Equal(t, status == fmt.Sprint(http.StatusServiceUnavailable), retry, "%s %s", call.OperationID, status)
				_, challenge := response.Value.Headers["WWW-Authenticate"]
				require.Equal(t, status == fmt.Sprint(http.StatusUnauthorized), challenge, "%s %s", call.OperationID, status)
			}
		}
	}
}
