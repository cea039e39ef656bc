package engine

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/rules"
)

// Every code that package rules declares has its own count, and its name here.
func TestEveryCodeIsCountedAndExported(t *testing.T) {
	declared, exported := declaredIn(t, "rules/refusal.go"), declaredIn(t, "refusal.go")
	codes := 0
	for name, spec := range declared {
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			continue
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		require.True(t, slices.Contains(countedCodes[:], Code(text)), "%s counts as another code", text)
		require.Contains(t, exported, name)
		require.Equal(t, name, exported[name].Values[0].(*ast.SelectorExpr).Sel.Name)
		codes++
	}
	require.Equal(t, rules.Codes, codes, "refusal.go no longer declares the codes in the form that this test reads")
}

// declaredIn returns the constants and variables that a file declares, by name.
func declaredIn(t *testing.T, path string) map[string]*ast.ValueSpec {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	declared := map[string]*ast.ValueSpec{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			declared[spec.Names[0].Name] = spec
		}
		return true
	})
	return declared
}

// The cost that counting adds to a call.
func BenchmarkCount(b *testing.B) {
	for _, timed := range []bool{false, true} {
		b.Run(fmt.Sprintf("timed=%v", timed), func(b *testing.B) {
			c := newCounts(timed)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := new(Reservation)
				for pb.Next() {
					_ = c.end(callReserve, c.begin(r), r, nil)
				}
			})
		})
	}
}
