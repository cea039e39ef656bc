package rehearsal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
)

// fullSale loads the template with every key. Its presale is for the members of a group. Each edit replaces the first
// text in sale.yaml by the second.
func fullSale(t *testing.T, edits ...[2]string) *catalog.Sale {
	from, dir := filepath.Join("..", "catalog", "templates", "full"), t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
	file := filepath.Join(dir, "sale.yaml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, edit := range edits {
		require.Contains(t, string(text), edit[0])
		text = []byte(strings.Replace(string(text), edit[0], edit[1], 1))
	}
	require.NoError(t, os.WriteFile(file, text, 0o644))
	sale, err := catalog.Load(dir)
	require.NoError(t, err)
	return sale
}

// phase returns the result of a phase.
func (r *Report) phase(t *testing.T, id string) *phaseReport {
	for i := range r.Phases {
		if r.Phases[i].Phase == id {
			return &r.Phases[i]
		}
	}
	require.Fail(t, "the report lacks the phase", id)
	return nil
}

// A phase for the members of a group sells to them, and to nobody else.
func TestMembersBuyInTheirPhase(t *testing.T) {
	sale := fullSale(t)
	r := run(t, journalled(t, t.TempDir(), Options{Sale: sale, Scale: 0.05, Seed: 1, Workers: 2}))
	requireSold(t, r)
	require.Len(t, r.Groups, 1)
	g := r.Groups[0]
	require.Equal(t, "club", g.Group)
	require.InEpsilon(t, 0.15*float64(r.Audit.Accounts), g.Members, 0.02)
	require.NotZero(t, g.Repeated)

	p := r.phase(t, "presale")
	require.Equal(t, "club", p.Group)
	require.NotZero(t, p.Tickets)
	require.NotZero(t, p.Outsiders)
	require.LessOrEqual(t, p.Refused[engine.NoAccessSlot], p.Outsiders)
	require.NotZero(t, p.Refused[engine.NoAccessSlot])
	require.Zero(t, r.phase(t, "general").Outsiders)

	var table strings.Builder
	require.NoError(t, r.WriteTable(&table))
	require.Contains(t, table.String(), "club: "+comma(g.Members)+" members\n")
	require.Contains(t, table.String(), "presale: for the members of club; "+comma(p.Visits)+" visits, "+
		comma(p.Outsiders)+" of them by others, who were refused\n")
}

// Who is a member depends on the seed alone.
func TestMembershipIsReproducible(t *testing.T) {
	sale := fullSale(t)
	one := func(seed uint64) string {
		o := Options{Sale: sale, Scale: 0.01, Seed: seed, Workers: 1, Durability: engine.None}
		return reproducible(t, run(t, o))
	}
	first := one(5)
	require.Equal(t, first, one(5))
	require.NotEqual(t, first, strings.Replace(one(6), `"seed": 6`, `"seed": 5`, 1))
}

// Two phases sell the same sessions at once. Buyers who name no phase must then name one.
func TestMembersPhaseBesideAnOpenOne(t *testing.T) {
	sale := fullSale(t, [2]string{"2034-05-11 10:00", "2034-06-11 10:00"})
	r := run(t, Options{Sale: sale, Scale: 0.05, Seed: 1, Workers: 2, Durability: engine.None})
	requireSold(t, r)
	require.NotZero(t, r.phase(t, "presale").Refused[engine.PhaseRequired])
	require.NotZero(t, r.phase(t, "presale").Tickets)
}

func TestAuditFindsMissingMembers(t *testing.T) {
	r := Report{Groups: []groupReport{{Group: "club", Members: 3}}}
	var a findings
	a.compare(&audit.Findings{Members: map[string]int{"club": 2}}, &r)
	require.Equal(t, []string{"I9: group club: the journal has 2 members, 3 joined"}, a.Problems)
}
