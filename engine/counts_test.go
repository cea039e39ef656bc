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
)

// Every code that refusal.go declares has its own count.
func TestEveryCodeIsCounted(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "refusal.go", nil, 0)
	require.NoError(t, err)
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			require.True(t, slices.Contains(countedCodes[:], Code(text)), "%s counts as another code", text)
			declared++
		}
		return true
	})
	require.Greater(t, declared, 25, "refusal.go no longer declares the codes in the form that this test reads")
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
