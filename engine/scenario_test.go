package engine_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/spec"
)

// The engine passes the scenarios of the rules, without a journal and with each kind of journal.
func TestScenarios(t *testing.T) {
	sale, err := spec.ScenarioSale()
	require.NoError(t, err)
	all, err := spec.Scenarios()
	require.NoError(t, err)
	play := func(name string, journalOf func(t *testing.T) func() (journal.Backend, error)) {
		t.Run(name, func(t *testing.T) {
			for i := range all {
				s := newSeller(sale, journalOf(t))
				require.NoError(t, s.start())
				require.NoError(t, all[i].Play(sale, s))
				require.NoError(t, s.e.Close())
			}
		})
	}
	play("journal=none", func(*testing.T) func() (journal.Backend, error) { return nil })
	play("journal=memory", func(t *testing.T) func() (journal.Backend, error) {
		kept := newStore()
		t.Cleanup(func() { verify(t, kept.open(), sale) })
		return func() (journal.Backend, error) { return kept.open(), nil }
	})
	play("journal=embedded", func(t *testing.T) func() (journal.Backend, error) {
		dir := filepath.Join(t.TempDir(), "journal")
		return func() (journal.Backend, error) { return embedded.Open(dir, embedded.Options{}) }
	})
}
