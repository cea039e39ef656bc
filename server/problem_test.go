package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// ownRules are the rules of the API that the engine does not have.
func ownRules() []engine.Rule {
	return []engine.Rule{encode.Unauthenticated, encode.Forbidden, encode.NotFound, encode.MethodNotAllowed,
		encode.PayloadTooLarge, encode.UnsupportedMedia, encode.ExpectationFailed, encode.Internal}
}

// The table of refusals and the document have the same codes, and for each the same status and facts, of the same
// types.
func TestTableOfRefusalsIsDocumented(t *testing.T) {
	contract.load(t)
	rules := map[string]engine.Rule{}
	for _, rule := range append(ownRules(), engine.Rules()...) {
		require.NotContains(t, rules, string(rule.Code))
		rules[string(rule.Code)] = rule
	}
	for name, schema := range contract.doc.Components.Schemas {
		code := schema.Value.Properties["code"]
		if code == nil || code.Value.Const == nil {
			continue
		}
		rule, known := rules[code.Value.Const.(string)]
		require.True(t, known, "schema %s: no rule has the code %v", name, code.Value.Const)
		delete(rules, string(rule.Code))
		require.EqualValues(t, rule.Status, schema.Value.Properties["status"].Value.Const, rule.Code)
		names := []string{"code", "status"}
		var required []string
		for _, fact := range rule.Facts {
			names = append(names, fact.Name)
			if !fact.Optional {
				required = append(required, fact.Name)
			}
			require.Contains(t, schema.Value.Properties, fact.Name, rule.Code)
			require.Equal(t, factType(fact), schemaType(schema.Value.Properties[fact.Name]), "%s of %s", fact.Name, rule.Code)
		}
		for property := range schema.Value.Properties {
			require.Contains(t, names, property, "%s has no such fact", rule.Code)
		}
		require.ElementsMatch(t, required, schema.Value.Required, rule.Code)
	}
	require.Empty(t, rules, "rules without a schema")
}

func factType(f engine.Fact) string {
	switch {
	case f.Text != nil:
		return "string"
	case f.Number != nil:
		return "Count"
	case f.Flag != nil:
		return "boolean"
	}
	return "Time"
}

func schemaType(s *openapi3.SchemaRef) string {
	if s.Ref != "" {
		return strings.TrimPrefix(s.Ref, "#/components/schemas/")
	}
	return strings.Join(s.Value.Type.Slice(), " ")
}

// Every refusal, as it is encoded, matches the schema of its code. Its title is that of the document's examples.
func TestEncodedRefusalsMatchTheirSchemas(t *testing.T) {
	at := instantOf(t, early)
	titles := map[string]string{}
	for _, rule := range engine.Rules() {
		r := engine.Refusal{Code: rule.Code, Where: "lines: at least one", Phase: "p", Session: "S", Category: "A",
			Programme: "x", Leader: "y:1", Limit: 6, Held: 1, Confirmed: 2, Requested: 4, Available: 3,
			OpensAt: at, ClosesAt: at}
		contract.checkProblem(t, string(rule.Code), encode.Refusal(nil, &r))
		titles[string(rule.Code)] = rule.Title
	}
	for _, rule := range ownRules() {
		contract.checkProblem(t, string(rule.Code), encode.Problem(nil, &rule, "why"))
		titles[string(rule.Code)] = rule.Title
	}
	examples := strings.Split(document, "type: urn:seathold:problem:")[1:]
	require.Greater(t, len(examples), 20)
	for _, example := range examples {
		lines := strings.SplitN(example, "\n", 3)
		require.Equal(t, "title: "+titles[lines[0]], strings.TrimSpace(lines[1]), lines[0])
	}
}

// The codes of the table are distinct, and every row has a title and a detail.
func TestTableOfRefusalsIsComplete(t *testing.T) {
	var codes []engine.Code
	for _, rule := range engine.Rules() {
		codes = append(codes, rule.Code)
		r := engine.Refusal{Code: rule.Code, Where: "lines"}
		require.NotEmpty(t, r.Detail(), rule.Code)
		require.NotEmpty(t, rule.Title, rule.Code)
	}
	slices.Sort(codes)
	require.Len(t, slices.Compact(codes), len(engine.Rules()))
}

// What refusing costs, encoded into a buffer that is large enough.
func BenchmarkRefusal(b *testing.B) {
	at := instantOf(b, early)
	for _, code := range []engine.Code{engine.Overloaded, engine.SoldOut, engine.PhaseNotOpen, engine.ReservationExpired} {
		b.Run("code="+string(code), func(b *testing.B) {
			r := &engine.Refusal{Code: code, Session: "S", Category: "A", Phase: "packs", Requested: 400, Available: 300,
				OpensAt: at, ClosesAt: at}
			var room []byte
			b.ReportAllocs()
			for b.Loop() {
				room = encode.Refusal(room[:0], r)
			}
		})
	}
}
