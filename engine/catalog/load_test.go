package catalog

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// checkSale checks what Load guarantees for any definition that it accepts.
func checkSale(t testing.TB, sale *Sale) {
	next := 0
	for i := range sale.Sessions {
		s := &sale.Sessions[i]
		index, known := sale.SessionByID(s.ID)
		require.True(t, known && index == i, s.ID)
		require.Equal(t, s.OnSale, s.Reason == "" && len(s.Pools) > 0, s.ID)
		require.True(t, s.EndsAt.After(s.StartsAt), s.ID)
		require.Equal(t, time.UTC, s.StartsAt.Location())
		require.True(t, 1 <= s.Limit && s.Limit <= sale.Programmes[s.Programme].AccountCap, s.ID)
		for _, pool := range s.Pools {
			require.Equal(t, next, pool, "pools are in the order of their sessions")
			next++
			p := &sale.Pools[pool]
			require.Equal(t, i, p.Session)
			require.True(t, 1 <= p.Capacity && p.Capacity <= maxPlaces, "%s %s", s.ID, p.Category)
			require.True(t, 0 <= p.Withheld && p.Withheld <= p.Capacity, "%s %s", s.ID, p.Category)
			require.True(t, p.PriceCents == NoPrice || 0 <= p.PriceCents && p.PriceCents <= maxPriceCents)
			found, known := sale.PoolOf(i, p.Category)
			require.True(t, known && found == pool, "%s %s", s.ID, p.Category)
		}
	}
	require.Len(t, sale.Pools, next)
	require.LessOrEqual(t, next, maxPools)
	require.NotEmpty(t, sale.Phases)
	for i := range sale.Phases {
		checkPhase(t, sale, i)
	}
	for i := range sale.Draws {
		draw := &sale.Draws[i]
		require.True(t, draw.RegistrationOpens.Before(draw.RegistrationCloses))
		require.False(t, draw.RegistrationCloses.After(sale.Phases[draw.Phase].OpensAt))
		require.Equal(t, i, sale.Phases[draw.Phase].Draw)
	}
}

func checkPhase(t testing.TB, sale *Sale, index int) {
	p := &sale.Phases[index]
	found, known := sale.PhaseByID(p.ID)
	require.True(t, known && found == index)
	require.True(t, p.OpensAt.Before(p.ClosesAt))
	offers := 0
	for i := range sale.Sessions {
		if p.Sells(i) {
			offers++
			require.True(t, sale.Sessions[i].OnSale)
			require.Equal(t, p.Programme, sale.Sessions[i].Programme)
		}
	}
	require.Positive(t, offers)
	if require.Equal(t, p.Access == Members, p.Group >= 0); p.Access != Slots {
		return
	}
	count, priority := p.SlotCount(), p.PrioritySlotCount()
	require.True(t, 1 <= count && count <= maxSlots)
	require.True(t, 0 <= priority && priority < count)
	require.True(t, 1 <= p.Slots.Places && count*p.Slots.Places <= maxPlaces)
	_, closes := p.Slot(count - 1)
	require.False(t, closes.After(p.ClosesAt), "the last slot fits")
	_, closes = p.Slot(count)
	require.True(t, closes.After(p.ClosesAt), "no further slot fits")
	if priority > 0 {
		fifth := p.OpensAt.Add(time.Duration(p.Slots.PriorityDays) * 24 * time.Hour)
		last, _ := p.Slot(priority - 1)
		next, _ := p.Slot(priority)
		require.True(t, last.Before(fifth) && !next.Before(fifth))
	}
}

// TestSmallSale covers the parts of the format that Paris 2024 does not use.
func TestSmallSale(t *testing.T) {
	sale, err := LoadFS(smallSale(t))
	require.NoError(t, err)
	checkSale(t, sale)
	require.Equal(t, []Pool{
		{Session: 0, Category: "A", PriceCents: 100_00, Capacity: 332, Withheld: 66, Derived: true},
		{Session: 0, Category: "B", PriceCents: 24_50, Capacity: 664, Withheld: 133, Derived: true},
		{Session: 0, Category: "PFR-A", PriceCents: 15_00, Capacity: 5, Withheld: 1, Derived: true},
		{Session: 1, Category: "A", PriceCents: 30_00, Capacity: 111, Withheld: 22, Derived: true},
		{Session: 1, Category: "B", PriceCents: 10_00, Capacity: 222, Withheld: 44, Derived: true},
		{Session: 2, Category: "B", PriceCents: 0, Capacity: 600, Withheld: 120, Derived: true},
	}, sale.Pools)
	require.Equal(t, at(t, "2024-07-26T22:30:00Z"), sale.Sessions[0].EndsAt, "half past midnight")
	require.Equal(t, 2, sale.Sessions[0].Limit)
	require.True(t, sale.Sessions[1].Medal)
	require.Equal(t, excludedReason, sale.Sessions[3].Reason)
	require.Equal(t, at(t, "2024-02-01T02:09:24Z"), sale.Draws[0].Beacon.PublishedAt())
	require.Equal(t, 10*time.Minute, sale.Draws[0].PublishWithin)
}

// TestStatedPlaces checks that places stated in prices.csv are used unchanged and not marked derived.
func TestStatedPlaces(t *testing.T) {
	files := smallSale(t)
	prices := "session,category,price_eur,places\nS1,A,100,700\nS1,Box,900,12\nS2,A,30,\n"
	files[pricesFile] = &fstest.MapFile{Data: []byte(prices)}
	sale, err := LoadFS(files)
	require.NoError(t, err)
	checkSale(t, sale)
	require.Equal(t, []Pool{
		{Session: 0, Category: "A", PriceCents: 100_00, Capacity: 700, Withheld: 140},
		{Session: 0, Category: "Box", PriceCents: 900_00, Capacity: 12, Withheld: 2},
		{Session: 1, Category: "A", PriceCents: 30_00, Capacity: 333, Withheld: 66, Derived: true},
	}, sale.Pools)
}

// TestReturnedTickets checks both choices and the default, for each programme by itself.
func TestReturnedTickets(t *testing.T) {
	twoProgrammes := func(first, second string) *Sale {
		files := smallSale(t)
		edit(t, files, saleFile, "    session_limit: 6\n", "    session_limit: 6\n"+first)
		edit(t, files, saleFile, "session_limits:\n",
			"  winter:\n    title: Winter\n    account_cap: 9\n    session_limit: 3\n"+second+"session_limits:\n")
		sale, err := LoadFS(files)
		require.NoError(t, err)
		return sale
	}
	const onSale, withheld = "    returned_tickets: on_sale\n", "    returned_tickets: withheld\n"
	for _, test := range []struct {
		first, second string
		want          [2]bool
	}{
		{"", "", [2]bool{}},
		{onSale, onSale, [2]bool{}},
		{withheld, "", [2]bool{true, false}},
		{onSale, withheld, [2]bool{false, true}},
	} {
		sale := twoProgrammes(test.first, test.second)
		require.Equal(t, test.want, [2]bool{sale.Programmes[0].WithholdReturned, sale.Programmes[1].WithholdReturned})
	}
}

// TestSessionLimits: of the limits that match a session, the one that names it holds, otherwise the one with more keys.
func TestSessionLimits(t *testing.T) {
	limits := []string{
		"{programme: summer, limit: 12}", "{venue: Hall, limit: 11}",
		"{discipline: Judo, limit: 5}", "{city: Paris, discipline: Judo, limit: 4}", "{session: S2, limit: 3}",
		"{city: Paris, discipline: Judo, venue: Hall 1, limit: 2}",
		"{venue: Lagoon, city: Tahiti, limit: 1}", "{discipline: Surfing, city: Tahiti, limit: 1}",
	}
	for range 2 { // the order does not matter
		files := smallSale(t)
		edit(t, files, saleFile, "  - {discipline: Gala, limit: 2}\n", "  - "+strings.Join(limits, "\n  - ")+"\n")
		sale, err := LoadFS(files)
		require.NoError(t, err)
		for i, want := range []int{11, 3, 1, 4} {
			require.Equal(t, want, sale.Sessions[i].Limit, sale.Sessions[i].ID)
		}
		slices.Reverse(limits)
	}
}

// TestSpellings checks that the changes that editors and spreadsheets make to files have no effect.
func TestSpellings(t *testing.T) {
	want, err := LoadFS(smallSale(t))
	require.NoError(t, err)
	for title, change := range map[string]func(text []byte) []byte{
		"CRLF":               func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")) },
		"byte order mark":    func(text []byte) []byte { return append([]byte("\ufeff"), text...) },
		"no end of line":     func(text []byte) []byte { return bytes.TrimSuffix(text, []byte("\n")) },
		"empty lines at end": func(text []byte) []byte { return append(text, "\n\n"...) },
	} {
		t.Run(title, func(t *testing.T) {
			files := smallSale(t)
			for _, file := range files {
				file.Data = change(file.Data)
			}
			sale, err := LoadFS(files)
			require.NoError(t, err)
			sale.Files, want.Files = nil, nil // as they were written
			require.Equal(t, want, sale)
		})
	}
}

// TestZones: a zone means the same on every machine, and is no other file of a zone database.
func TestZones(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Paris", "Etc/GMT-14", "America/Argentina/Salta"} {
		_, err := LoadZone(name)
		require.NoError(t, err)
	}
	for _, name := range []string{"", "Local", "localtime", "posixrules", "right/UTC", "posix/Europe/Paris", "Factory",
		"Mars"} {
		_, err := LoadZone(name)
		require.ErrorContains(t, err, "must be an IANA time zone such as Europe/Paris or UTC, not")
	}
}

func TestLocalTime(t *testing.T) {
	for _, c := range []struct{ zone, local, want string }{
		{"Europe/Paris", "2023-11-30 10:00", "2023-11-30T09:00:00Z"},
		{"Europe/Paris", "2024-08-11 23:15", "2024-08-11T21:15:00Z"},
		{"Europe/Paris", "2024-03-31 01:59", "2024-03-31T00:59:00Z"},
		{"Europe/Paris", "2024-03-31 03:00", "2024-03-31T01:00:00Z"},
		{"Europe/Paris", "2024-10-27 02:30", "2024-10-27T00:30:00Z"}, // shown twice: the earlier one
		{"Europe/Paris", "2024-10-27 03:00", "2024-10-27T02:00:00Z"},
		{"Australia/Lord_Howe", "2024-04-07 01:45", "2024-04-06T14:45:00Z"}, // half an hour of summer time, shown twice
		{"Pacific/Tahiti", "2024-07-27 07:00", "2024-07-27T17:00:00Z"},
		{"Pacific/Apia", "2011-12-31 00:00", "2011-12-30T10:00:00Z"}, // the day after the one Samoa skipped
	} {
		zone, err := LoadZone(c.zone)
		require.NoError(t, err)
		instant, err := parseLocal(c.local, zone)
		require.NoError(t, err, c.local)
		require.Equal(t, at(t, c.want), instant, "%s %s", c.zone, c.local)
		require.Equal(t, c.local, instant.In(zone).Format(momentLayout))
	}
	for _, c := range []struct{ zone, local string }{
		{"Europe/Paris", "2024-03-31 02:00"}, {"Europe/Paris", "2024-03-31 02:59"}, {"Pacific/Apia", "2011-12-30 12:00"},
	} {
		zone, err := LoadZone(c.zone)
		require.NoError(t, err)
		_, err = parseLocal(c.local, zone)
		require.ErrorContains(t, err, "does not exist in "+c.zone+" because clocks skip it; choose another time")
	}
}

// FuzzTables and FuzzYAML search for definitions that crash the loader, that it refuses without a location, or that it
// accepts although they break its guarantees.
func FuzzTables(f *testing.F) {
	seed := smallSale(f)
	f.Add(seed[sessionsFile].Data, seed[pricesFile].Data, seed[venuesFile].Data)
	prices := "session,category,price_eur,places\nS1,A,1.50,7\nS2,A,0,\n"
	f.Add(seed[sessionsFile].Data, []byte(prices), seed[venuesFile].Data)
	f.Fuzz(func(t *testing.T, sessions, prices, venues []byte) {
		files := smallSale(t)
		files[sessionsFile].Data, files[pricesFile].Data, files[venuesFile].Data = sessions, prices, venues
		loadAnything(t, files)
	})
}

func FuzzYAML(f *testing.F) {
	f.Add(smallSale(f)[saleFile].Data)
	paris, err := os.ReadFile("paris2024/sale.yaml")
	require.NoError(f, err)
	f.Add(paris)
	f.Fuzz(func(t *testing.T, text []byte) {
		files := smallSale(t)
		files[saleFile].Data = text
		loadAnything(t, files)
	})
}

func loadAnything(t *testing.T, files fstest.MapFS) {
	sale, err := LoadFS(files)
	if err != nil {
		requireLocation(t, err)
		return
	}
	checkSale(t, sale)
}
