package record

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/journal"
)

// versioned returns the definition of a version of the sale that has earlier ones, as its record has it.
func versioned(t testing.TB, s *catalog.Sale) (was, is Definition) {
	was = DefinitionOf(s)
	was.Version, was.Earlier = 3, []draw.Digest{{1}, {2}}
	require.NoError(t, was.Pack())
	b, rest, err := journal.Next(was.Append(nil, goldenAt))
	require.NoError(t, err)
	require.Empty(t, rest)
	var r Record
	require.NoError(t, r.Decode(b))
	require.Equal(t, KindVersion, r.Kind)
	return was, r.Definition
}

// A version keeps all that the sale says, and its files.
func TestVersionKeepsTheSale(t *testing.T) {
	small, err := catalog.Load("../catalog/testdata/small")
	require.NoError(t, err)
	for _, loaded := range []*catalog.Sale{catalog.Paris2024(), small, goldenSale(t)} {
		s, err := catalog.Continue(loaded, loaded)
		require.NoError(t, err)
		was, is := versioned(t, s)
		requireSame(t, was, is)
		require.Equal(t, DigestOf(s), DigestOf(is.Rules))
		plain := len(was.appendText(nil)) + len(was.Files)
		t.Logf("%s: %d bytes, of %d before compression", s.Name, len(was.packed), plain)
	}
}

// requireSame is require.Equal for large values: it names the first field that differs, and prints no more.
func requireSame(t testing.TB, was, is Definition) {
	a, b := reflect.ValueOf(*was.Rules), reflect.ValueOf(*is.Rules)
	for i := range a.NumField() {
		if a.Type().Field(i).IsExported() {
			same := reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface())
			require.True(t, same, "the sale's %s", a.Type().Field(i).Name)
		}
	}
	require.True(t, reflect.DeepEqual(was, is), "the definition beside the sale's parts")
}
