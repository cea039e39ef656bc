package rehearsal

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/record"
)

// The audit finds every kind of damage to a state that is clean without it.
func TestPoolAuditFindsDamage(t *testing.T) { // I1
	sale := catalog.Paris2024()
	const at = 7
	clean := func(i int) engine.Stock {
		p := &sale.Pools[i]
		return engine.Stock{Capacity: p.Capacity, Withheld: p.Withheld, Sold: p.Capacity - p.Withheld}
	}
	counted := make([]int64, len(sale.Pools))
	for i := range counted {
		counted[i] = int64(clean(i).Sold)
	}
	var sound findings
	auditPools(&sound, sale, clean, counted)
	require.Zero(t, sound.Broken)
	for _, c := range []struct {
		damage  func(s *engine.Stock)
		message string
	}{
		{func(s *engine.Stock) { s.Sold++ }, "I1"},
		{func(s *engine.Stock) { s.Sold++; s.Available-- }, "I1"},
		{func(s *engine.Stock) { s.Sold--; s.Held++ }, "I3"},
		{func(s *engine.Stock) { s.Sold--; s.Available++ }, "the buyers counted"},
		{func(s *engine.Stock) { s.Withheld--; s.Sold++ }, "I1"},
	} {
		var a findings
		auditPools(&a, sale, func(i int) engine.Stock {
			s := clean(i)
			if i == at {
				c.damage(&s)
			}
			return s
		}, counted)
		require.Equal(t, 1, a.Broken)
		require.Contains(t, a.Problems[0], c.message)
		require.Contains(t, a.Problems[0], poolName(sale, at))
	}
}

func TestLedgerAuditFindsDamage(t *testing.T) { // I2, I3, I4
	sale := catalog.Paris2024()
	var sessions []string
	for i := range sale.Sessions {
		if s := &sale.Sessions[i]; s.OnSale && s.Programme == 0 && sale.Pools[s.Pools[0]].Category == "A" {
			sessions = append(sessions, s.ID)
		}
	}
	endOf := func(i int) time.Time {
		session, _ := sale.SessionByID(sessions[i])
		return sale.Sessions[session].SalesEndAt
	}
	// Six tickets of each of five sessions: exactly at the cap.
	ledger := func() *engine.Account {
		a := &engine.Account{Account: "a", Programmes: []engine.ProgrammeTickets{
			{Programme: "olympic", Cap: 30, Confirmed: 30}, {Programme: "paralympic", Cap: 30}}}
		for _, session := range sessions[:5] {
			a.Reservations = append(a.Reservations, engine.Reservation{Account: "a", Phase: "singles", State: engine.Confirmed,
				Tickets: 6, Lines: []engine.Line{{Session: session, Category: "A", Quantity: 6}}})
		}
		return a
	}
	for _, c := range []struct {
		damage  func(a *engine.Account)
		message string
	}{
		{func(*engine.Account) {}, ""},
		{func(a *engine.Account) { a.Programmes[0].Confirmed = 29 }, "I2"},
		{func(a *engine.Account) { a.Programmes[0].Held = 1 }, "I2"},
		{func(a *engine.Account) { // over the cap, with a correct sum
			a.Reservations = append(a.Reservations, engine.Reservation{Account: "a", Phase: "singles", State: engine.Confirmed,
				Tickets: 1, Lines: []engine.Line{{Session: sessions[5], Category: "A", Quantity: 1}}})
			a.Programmes[0].Confirmed = 31
		}, "the cap is 30"},
		{func(a *engine.Account) { // over the limit of one session
			a.Reservations[0].Lines[0].Session = sessions[1]
		}, "12 tickets of session " + sessions[1] + ", the limit is 6"},
		{func(a *engine.Account) { a.Reservations[0].State = engine.Held }, "I3"},
		{func(a *engine.Account) { a.Reservations[4].CreatedAt = endOf(4).Add(-1) }, ""},
		{func(a *engine.Account) { a.Reservations[4].CreatedAt = endOf(4) }, "sales of it ended at"},
		{func(a *engine.Account) { a.Reservations[0].Account = "b" }, "I3"},
		{func(a *engine.Account) { a.Reservations[0].Tickets = 5 }, "I4"},
		{func(a *engine.Account) { a.Reservations[0].Phase = "packs" }, "a pack of 1 sessions, not of 3"},
		{func(a *engine.Account) { // one of three sessions has fewer tickets
			r := &a.Reservations[0]
			r.Phase, r.Tickets = "packs", 11
			r.Lines = []engine.Line{{Session: sessions[0], Category: "A", Quantity: 4},
				{Session: sessions[1], Category: "A", Quantity: 4}, {Session: sessions[2], Category: "A", Quantity: 3}}
		}, "different numbers of tickets"},
	} {
		l := newLedgerAudit(sale)
		a := ledger()
		c.damage(a)
		l.check(a)
		if c.message == "" {
			require.Empty(t, l.found.Problems)
			continue
		}
		require.NotEmpty(t, l.found.Problems)
		require.Contains(t, l.found.Problems[0], c.message)
	}
}

// oversold returns the sale with one ticket less, of a pool that is sold out.
func oversold(s *catalog.Sale) *catalog.Sale {
	less := scaled(s, 1)
	for i := range less.Pools {
		if p := &less.Pools[i]; p.Capacity-p.Withheld > 1 {
			p.Capacity--
			break
		}
	}
	return less
}

// redefined is a journal whose first record, its definition, is another one.
type redefined struct {
	journal.Reader
	definition record.Definition
}

func (r redefined) Recover(to journal.Recovery) (journal.Recovered, error) {
	group := to.Group
	to.Group = func(g journal.Group) error {
		if g.First == 1 {
			_, rest, err := journal.Next(g.Records)
			if err != nil {
				return err
			}
			g.Records = append(r.definition.Append(nil, 0), rest...)
		}
		return group(g)
	}
	return r.Reader.Recover(to)
}

func TestJournalAuditFindsDamage(t *testing.T) { // I1, I3
	mine, other := t.TempDir(), t.TempDir()
	sale := catalog.Paris2024()
	o := Options{Sale: sale, Scale: MinScale, Seed: 1}
	report := run(t, journalled(t, mine, o))
	o.Seed = 2
	run(t, journalled(t, other, o))
	verify := func(dir string, sale *catalog.Sale) audit.Findings {
		b, err := embedded.OpenReadOnly(dir)
		require.NoError(t, err)
		found, err := audit.Verify(redefined{b, record.DefinitionOf(sale)}, nil)
		require.NoError(t, err)
		require.NoError(t, b.Close())
		return found
	}
	compare := func(found audit.Findings) (a findings) {
		a.compare(&found, report)
		return a
	}
	check := func(dir string, sale *catalog.Sale) findings { return compare(verify(dir, sale)) }
	require.Empty(t, check(mine, scaled(sale, MinScale)).Problems)
	sold := check(mine, oversold(scaled(sale, MinScale)))
	require.NotZero(t, sold.Broken)
	require.Contains(t, sold.Problems[0], "I1")
	exchanged := check(other, scaled(sale, MinScale))
	require.NotZero(t, exchanged.Broken)
	require.Contains(t, exchanged.Problems[0], "I3: the journal has")
	returned := verify(mine, scaled(sale, MinScale))
	returned.ByState[engine.Returned] = 1
	require.Equal(t, []string{"I3: the journal has 1 returned reservations, the buyers counted 0"},
		compare(returned).Problems)
}
