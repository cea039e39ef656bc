package catalog

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// assembled takes the sale of Paris 2024 apart and puts it together again, after a change.
func assembled(t *testing.T, change func(s *Sale, sells [][]bool)) (*Sale, error) {
	loaded, err := Load(Bundled)
	require.NoError(t, err)
	s, sells := *loaded, [][]bool{}
	for i := range s.Phases {
		sells = append(sells, slices.Clone(s.Phases[i].sells))
		s.Phases[i].sells = nil
	}
	s.sessions, s.phases, s.draws, s.groups, s.quotas = nil, nil, nil, nil, nil
	for i := range s.Sessions {
		s.Sessions[i].Pools = nil
	}
	change(&s, sells)
	return Assemble(s, sells)
}

// What Assemble makes of the parts of a loaded sale is that sale, apart from its files: with other facts, they would
// say something else.
func TestAssemble(t *testing.T) {
	again, err := assembled(t, func(*Sale, [][]bool) {})
	require.NoError(t, err)
	loaded, err := Load(Bundled)
	require.NoError(t, err)
	loaded.unstated, loaded.Files = nil, nil // known of files only
	require.True(t, reflect.DeepEqual(loaded, again))
}

// Parts that do not fit each other are refused, and no index is followed before it is checked.
func TestAssembleRefuses(t *testing.T) {
	for want, change := range map[string]func(s *Sale, sells [][]bool){
		"session ARC01 names programme 2 of 2":   func(s *Sale, _ [][]bool) { s.Sessions[0].Programme = 2 },
		"draw draw1 names phase -1 of":           func(s *Sale, _ [][]bool) { s.Draws[0].Phase = -1 },
		"phase packs names programme 9 of 2":     func(s *Sale, _ [][]bool) { s.Phases[0].Programme = 9 },
		"phase packs names draw 7 of 2":          func(s *Sale, _ [][]bool) { s.Phases[0].Draw = 7 },
		"phase packs names group 1 of 1":         func(s *Sale, _ [][]bool) { s.Phases[0].Slots.Group = 1 },
		"phase packs: slots of 48h0m0s every 0s": func(s *Sale, _ [][]bool) { s.Phases[0].Slots.Step = 0 },
		"every 1ns":                              func(s *Sale, _ [][]bool) { s.Phases[0].Slots.Step = time.Nanosecond },
		"phase packs: what it sells":             func(_ *Sale, sells [][]bool) { sells[0] = sells[0][1:] },
		`programme 1 has the id "olympic"`:       func(s *Sale, _ [][]bool) { s.Programmes[1].ID = "olympic" },
		`phase 0 has the id ""`:                  func(s *Sale, _ [][]bool) { s.Phases[0].ID = "" },
		"pool 0 is of session 99999 of":          func(s *Sale, _ [][]bool) { s.Pools[0].Session = 99_999 },
		"pool 0 is of session -1 of":             func(s *Sale, _ [][]bool) { s.Pools[0].Session = -1 },
		"it is listed twice":                     func(s *Sale, _ [][]bool) { s.Pools[1].Category = s.Pools[0].Category },
		"withheld":                               func(s *Sale, _ [][]bool) { s.Pools[0].Withheld = s.Pools[0].Capacity + 1 },
		"phase packs sells session ARC01":        func(s *Sale, m [][]bool) { s.Sessions[0].Removed, m[0][0] = true, true },
		"and one of the two is removed":          func(s *Sale, _ [][]bool) { s.Phases[0].Removed = true },
		"phase singles names group 5 of 1": func(s *Sale, _ [][]bool) {
			s.Phases[1].Access, s.Phases[1].Group = Members, 5
		},
		"quota 0 is of phase 9 of":            func(s *Sale, _ [][]bool) { s.Quotas = []Quota{{9, 0, 1, false}} },
		"session -1 of":                       func(s *Sale, _ [][]bool) { s.Quotas = []Quota{{0, -1, 1, false}} },
		"phase packs has 0 places of session": func(s *Sale, _ [][]bool) { s.Quotas = []Quota{{0, 0, 0, true}} },
		"has 2147483648 places of session":    func(s *Sale, _ [][]bool) { s.Quotas = []Quota{{0, 0, 1 << 31, false}} },
		"quotas 0 and 1 are of the same": func(s *Sale, _ [][]bool) {
			s.Quotas = []Quota{{1, 2, 10, false}, {1, 2, 20, true}}
		},
		"phase packs has places of session ARC01, and one of the two is removed": func(s *Sale, sells [][]bool) {
			s.Quotas, s.Sessions[0].Removed = []Quota{{0, 0, 10, false}}, true
			for _, marks := range sells {
				marks[0] = false
			}
		},
		"60001 quotas": func(s *Sale, _ [][]bool) { s.Quotas = make([]Quota, maxQuotas+1) },
	} {
		_, err := assembled(t, change)
		require.ErrorContains(t, err, want)
	}
}
