package record

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

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
	r := decoded(t, was.Append(nil, goldenAt))
	require.Equal(t, KindVersion, r.Kind)
	return was, r.Definition
}

// decoded returns the only record of a run.
func decoded(t testing.TB, run []byte) (r Record) {
	b, rest, err := journal.Next(run)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.NoError(t, r.Decode(b))
	return r
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

// A version keeps any sale, and its encoding is the same again after it was decoded.
func TestVersionKeepsRandomSales(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		was, is := versioned(t, randomSale(t, rng))
		requireSame(t, was, is)
		is.packed = nil
		require.NoError(t, is.Pack())
		require.Equal(t, was.packed, is.packed)
	}
}

// randomSale returns a small sale with any facts, of which some parts are removed.
func randomSale(t *testing.T, rng *rand.Rand) *catalog.Sale {
	some := func(most int) int { return 1 + rng.IntN(most) }
	yes := func() bool { return rng.IntN(2) == 0 }
	text := func() string { return strings.Repeat("ü,x\n"[:rng.IntN(5)], rng.IntN(4)) }
	zones := []string{"", "UTC", "Europe/Paris", "Pacific/Auckland"}
	at := func() time.Time { return time.UnixMilli(rng.Int64N(maxTimeMs)).UTC() }
	span := func() time.Duration { return time.Duration(some(1<<20)) * time.Minute }
	s := catalog.Sale{Name: "random", Title: text(), Currency: catalog.Currency{Code: text(), Digits: rng.IntN(4)}}
	for i := range some(3) {
		s.Programmes = append(s.Programmes, catalog.Programme{ID: fmt.Sprint("p", i), Title: text(), AccountCap: some(4095),
			WithholdReturned: yes(), Removed: yes()})
	}
	for i := range some(20) {
		x := catalog.Session{ID: fmt.Sprint("s", i), Programme: rng.IntN(len(s.Programmes)), Limit: some(4095),
			Discipline: text(), Venue: text(), City: text(), Medal: yes(), Events: text(), OnSale: yes(), Reason: text(),
			Removed: yes()}
		if yes() {
			x.StartsAt, x.EndsAt, x.SalesEndAt = at(), at(), at()
		}
		if name := zones[rng.IntN(len(zones))]; name != "" {
			var err error
			x.Zone, err = time.LoadLocation(name)
			require.NoError(t, err)
		}
		s.Sessions = append(s.Sessions, x)
	}
	for i := range rng.IntN(40) {
		places := some(maxUnits)
		s.Pools = append(s.Pools, catalog.Pool{Session: rng.IntN(len(s.Sessions)), Category: fmt.Sprint(i), Capacity: places,
			Withheld: rng.IntN(places + 1), PriceCents: rng.IntN(1e9) - 1, Derived: yes(), Removed: yes()})
	}
	for i := range some(3) {
		s.Groups = append(s.Groups, catalog.Group{ID: fmt.Sprint("g", i), Title: text(), Removed: yes()})
		s.Draws = append(s.Draws, catalog.Draw{ID: fmt.Sprint("d", i), Title: text(), RegistrationOpens: at(),
			RegistrationCloses: at(), PublishWithin: span(), Removed: yes(), Beacon: catalog.Beacon{Chain: text(),
				ChainHash: text(), PublicKey: text(), Genesis: at(), Period: span(), Round: rng.Uint64(), StandIn: yes(),
				Signature: text()}})
	}
	var sells [][]bool
	for i := range len(s.Draws) {
		p := catalog.Phase{ID: fmt.Sprint("f", i), Title: text(), Programme: rng.IntN(len(s.Programmes)), OpensAt: at(),
			Kind: catalog.Kind(rng.IntN(2)), PackSessions: rng.IntN(9), Draw: -1, Slots: catalog.SlotRule{Group: -1},
			Removed: yes()}
		p.ClosesAt, p.PackEqual = p.OpensAt.Add(span()), p.Kind == catalog.Pack && yes()
		if p.ClosesAt.UnixMilli() > maxTimeMs {
			p.ClosesAt = p.OpensAt
		}
		if p.Group = -1; yes() {
			p.Access, p.Group = catalog.Members, rng.IntN(len(s.Groups))
		} else if yes() {
			p.Access, p.Draw = catalog.Slots, i
			p.Slots = catalog.SlotRule{Length: span(), Step: span() + 24*time.Hour, Places: some(1e6),
				PriorityDays: rng.IntN(9), Group: rng.IntN(len(s.Groups)+1) - 1}
		}
		marks := make([]bool, len(s.Sessions))
		for x := range marks {
			marks[x] = yes() && !p.Removed && !s.Sessions[x].Removed
		}
		for x := range marks {
			if q := (catalog.Quota{Phase: i, Session: x, Places: some(maxUnits), Removed: yes()}); yes() {
				q.Removed = q.Removed || p.Removed || s.Sessions[x].Removed
				s.Quotas = append(s.Quotas, q)
			}
		}
		s.Phases, sells = append(s.Phases, p), append(sells, marks)
	}
	rng.Shuffle(len(s.Quotas), func(i, j int) { s.Quotas[i], s.Quotas[j] = s.Quotas[j], s.Quotas[i] })
	sale, err := catalog.Assemble(s, sells)
	require.NoError(t, err)
	return sale
}

// What the golden file of versions contains must stay readable for ever. Compression may give other bytes one day.
func TestGoldenVersions(t *testing.T) {
	s := goldenSale(t)
	s.Draws[0].Removed, s.Title, s.Currency = true, "Games", catalog.Currency{Code: "EUR", Digits: 2}
	s.Sessions[0].Venue, s.Sessions[0].StartsAt, s.Sessions[0].Zone = "Stade", time.UnixMilli(goldenAt).UTC(), time.UTC
	s.Pools[0].PriceCents, s.Pools[2].Removed, s.Pools[1].Derived = 2400, true, true
	s, err := catalog.Continue(s, s)
	require.NoError(t, err)
	d := DefinitionOf(s)
	d.Version, d.FilesDigest, d.Earlier = 3, draw.Digest{9}, []draw.Digest{{1}, {2}}
	d.Above, d.Files = Above{Programmes: []Most{{1, 31}}, Sessions: []Most{{0, 7}}}, []byte("no tar")
	places := d.Next(withPlaces(t, s))
	places.FilesDigest, places.Files = draw.Digest{10}, d.Files
	freed, freedPlaces := d.Next(s), places.Next(places.Rules)
	freed.Freed, freedPlaces.Freed = []Freed{{0, 1<<31 - 1}}, []Freed{{0, 1}, {2, 300}}
	written := []*Definition{&d, &d, &places, &places, &freed, &freed, &freedPlaces, &freedPlaces}
	if os.Getenv("SEATHOLD_WRITE_GOLDEN") != "" {
		var text strings.Builder
		for i, name := range []string{"version", "version-row", "version-places", "version-places-row", "version-freed",
			"version-freed-row", "version-places-freed", "version-places-freed-row"} {
			run := written[i].Append(nil, goldenAt)
			if i%2 == 1 {
				run = written[i].AppendRow(nil, Stamp{AtMs: goldenAt, Seq: goldenSeq})
			}
			text.WriteString(name + " " + hex.EncodeToString(run) + "\n")
		}
		require.NoError(t, os.WriteFile(goldenVersions, []byte(text.String()), 0o644))
	}
	all := goldenRecords(t, goldenVersions)
	require.Len(t, all, len(written))
	for i, g := range all {
		r := decoded(t, g.run)
		require.Equal(t, g.run, encode(&r), "its bytes are kept")
		r.Definition.packed, r.Definition.content = nil, 0
		requireSame(t, *written[i], r.Definition)
		b, _, err := journal.Next(g.run)
		require.NoError(t, err)
		requireFaults(t, g.name, b)
		for i := len(b) - 10; i < len(b); i++ {
			b[i] ^= 1
			require.ErrorIs(t, new(Record).Decode(b), ErrInvalid, "byte %d", i)
			b[i] ^= 1
		}
	}
}

// withPlaces returns the sale with a phase for the members of a group, and with places of phases.
func withPlaces(t testing.TB, s *catalog.Sale) *catalog.Sale {
	with, sells := *s, [][]bool{}
	with.Phases = slices.Clone(s.Phases)
	for i := range s.Phases {
		marks := make([]bool, len(s.Sessions))
		for session := range marks {
			marks[session] = s.Phases[i].Sells(session)
		}
		sells = append(sells, marks)
	}
	with.Phases[0].Access, with.Phases[0].Group = catalog.Members, 0
	with.Quotas = []catalog.Quota{{Phase: 0, Session: 1, Places: 1<<31 - 1}, {Phase: 1, Session: 0, Places: 1},
		{Phase: 0, Session: 0, Places: 1<<31 - 1, Removed: true}}
	again, err := catalog.Assemble(with, sells)
	require.NoError(t, err)
	return again
}

// The digests of a sale cover the members' group of a phase and every fact of its quotas. Those of a sale without
// quotas are what they were before there were any.
func TestDigestsOfPlaces(t *testing.T) {
	is := DigestOf(goldenSale(t))
	require.Equal(t, "78c69d7a7962f500a74c7277231165892f06ffcf5c58a97c6c8ec4999724f5ee", is.String())
	seen := map[draw.Digest]bool{is: true}
	judged := map[draw.Digest]bool{}
	for i, change := range []func(s *catalog.Sale){
		func(s *catalog.Sale) { s.Quotas = nil },
		func(*catalog.Sale) {},
		func(s *catalog.Sale) { s.Quotas = s.Quotas[:2] },
		func(s *catalog.Sale) { s.Quotas[0].Session = 2 },
		func(s *catalog.Sale) { s.Quotas[0].Phase = 1 },
		func(s *catalog.Sale) { s.Quotas[0].Places-- },
		func(s *catalog.Sale) { s.Quotas[0].Removed = true },
		func(s *catalog.Sale) { s.Quotas[2].Removed = false },
		func(s *catalog.Sale) { s.Phases[0].Group = 1 },
	} {
		s := withPlaces(t, goldenSale(t))
		change(s)
		d := DefinitionOf(s)
		require.False(t, seen[DigestOf(s)] || judged[d.Digest], "change %d", i)
		seen[DigestOf(s)], judged[d.Digest] = true, true
	}
}

// A version whose quotas are none, twice the same, or of a phase that the sale does not have, is no record.
func TestVersionRefusesQuotas(t *testing.T) {
	d := (&Definition{}).Next(goldenSale(t))
	text := d.appendText(nil)
	for name, quotas := range map[string][]byte{"none": {0}, "cut": {1, 0, 1}, "without places": {1, 0, 1, 0},
		"of no phase": {1, 2, 0, 5}, "of no session": {1, 0, 3, 5}, "twice": {2, 0, 1, 5, 0, 1, 6},
		"fewer than counted": {3, 0, 1, 5}, "a rest": {1, 0, 1, 5, 0}} {
		forged := Definition{Version: 1}
		forged.packed = forged.pack(append(slices.Clone(text), quotas...))
		b, _, err := journal.Next(forged.Append(nil, 0))
		require.NoError(t, err)
		require.ErrorIs(t, new(Record).Decode(b), ErrInvalid, name)
	}
	forged := Definition{Version: 1}
	forged.packed = forged.pack(append(slices.Clone(text), 1, 0, 1, 5))
	require.Equal(t, []catalog.Quota{{Phase: 0, Session: 1, Places: 5}}, decoded(t, forged.Append(nil, 0)).Definition.
		Rules.Quotas)
}

// A version whose freed places are none, of no pool or twice of one is no record. They come after the quotas, also
// after none.
func TestVersionRefusesFreedPlaces(t *testing.T) {
	d := (&Definition{}).Next(goldenSale(t))
	text := d.appendText(nil)
	version := func(rest []byte) []byte {
		forged := Definition{Version: 1}
		forged.packed = forged.pack(append(slices.Clone(text), rest...))
		return forged.Append(nil, 0)
	}
	for name, rest := range map[string][]byte{"none": {0, 0}, "none of a pool": {0, 1, 0, 0}, "cut": {0, 1, 0},
		"of no pool": {0, 1, 3, 5}, "twice": {0, 2, 1, 5, 1, 5}, "descending": {0, 2, 1, 5, 0, 5},
		"fewer than counted": {0, 2, 1, 5}, "a rest": {0, 1, 1, 5, 0}, "none after quotas": {1, 0, 1, 5, 0}} {
		b, _, err := journal.Next(version(rest))
		require.NoError(t, err)
		require.ErrorIs(t, new(Record).Decode(b), ErrInvalid, name)
	}
	require.Equal(t, []Freed{{1, 5}}, decoded(t, version([]byte{0, 1, 1, 5})).Definition.Freed)
	r := decoded(t, version([]byte{1, 0, 1, 5, 2, 0, 6, 2, 7}))
	require.Equal(t, []Freed{{0, 6}, {2, 7}}, r.Definition.Freed)
	require.Len(t, r.Definition.Rules.Quotas, 1)
}

// A decoder has freed places in the numbers of the first version, whatever the order of a later one.
func TestDecoderTranslatesFreedPlaces(t *testing.T) {
	s := goldenSale(t)
	first := (&Definition{}).Next(s)
	d := NewDecoder(nil)
	_, err := decodeRun(t, d, first.Append(nil, 1), 1)
	require.NoError(t, err)
	second := first.Next(reordered(t, goldenSale(t)))
	last := len(s.Pools) - 1
	second.Freed = []Freed{{0, 4}, {last, 2}}
	r, err := decodeRun(t, d, second.Append(nil, 2), 2)
	require.NoError(t, err)
	names, turned := first.Pools, second.Pools
	require.Equal(t, []Pool{turned[last], turned[0]}, []Pool{names[r.Definition.Freed[0].Pool],
		names[r.Definition.Freed[1].Pool]})
	require.Equal(t, []int{2, 4}, []int{r.Definition.Freed[0].Tickets, r.Definition.Freed[1].Tickets})
}

// A decoder has quotas in the numbers of the first version that had them, whatever the order of a later one.
func TestDecoderTranslatesQuotas(t *testing.T) {
	s := withPlaces(t, goldenSale(t))
	first := (&Definition{}).Next(s)
	d := NewDecoder(nil)
	_, err := decodeRun(t, d, first.Append(nil, 1), 1)
	require.NoError(t, err)
	turned := reordered(t, withPlaces(t, goldenSale(t)))
	turned.Quotas = nil
	for _, q := range []int{2, 0} {
		at := s.Quotas[q]
		turned.Quotas = append(turned.Quotas, catalog.Quota{Phase: len(s.Phases) - 1 - at.Phase,
			Session: len(s.Sessions) - 1 - at.Session, Places: 100 + q})
	}
	second := first
	second.Version, second.Rules, second.packed = 2, turned, nil
	_, err = decodeRun(t, d, second.Append(nil, 2), 2)
	require.NoError(t, err)
	want := slices.Clone(s.Quotas)
	want[0].Places, want[1].Removed, want[2] = 100, true, catalog.Quota{Phase: 0, Session: 0, Places: 102}
	in, _ := d.InForce()
	require.Equal(t, want, in.Rules.Quotas)
	require.Equal(t, DefinitionOf(in.Rules).Digest, in.Digest)
}

// A zone that this machine does not know is no fault, and keeps its name: a journal must be readable everywhere.
func TestVersionOfUnknownZone(t *testing.T) {
	for _, name := range []string{"Mars/Olympus", "Local", "../zones", ""} {
		s := goldenSale(t)
		s.Sessions[0].Zone = time.FixedZone(name, 3600)
		_, is := versioned(t, s)
		require.Equal(t, name, is.Rules.Sessions[0].Zone.String())
		require.Equal(t, DigestOf(s), DigestOf(is.Rules))
	}
}

// A record of a few bytes cannot ask for much memory, whatever it says.
func TestVersionIsBounded(t *testing.T) {
	d := DefinitionOf(goldenSale(t))
	d.Version, d.Files = 1, make([]byte, maxVersionTar)
	require.NoError(t, d.Pack())
	require.Less(t, len(d.packed), 64<<10)
	is := decoded(t, d.Append(nil, 0)).Definition
	require.True(t, bytes.Equal(d.Files, is.Files))

	text := d.appendText(nil)
	for name, forged := range map[string]Definition{
		"a tar beyond the limit":  {Version: 1, Files: make([]byte, maxVersionTar+1), Rules: d.Rules},
		"a text beyond the limit": {Version: 1, Rules: d.Rules, Files: nil},
		"a text with a rest":      {Version: 1, Rules: d.Rules},
	} {
		bad := text
		switch {
		case strings.HasSuffix(name, "rest"):
			bad = append(slices.Clone(text), 0)
		case forged.Files == nil:
			bad = append(slices.Clone(text), make([]byte, maxVersionText)...)
		}
		forged.packed = forged.pack(bad)
		b, _, err := journal.Next(forged.Append(nil, 0))
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.ErrorIs(t, new(Record).Decode(b), ErrInvalid, name)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), name)
	}
}

// A definition that does not fit in a record is refused before it is placed.
func TestPackRefusesTheTooLarge(t *testing.T) {
	d := DefinitionOf(goldenSale(t))
	d.Version = 1
	d.Files = make([]byte, maxVersionTar+1)
	require.ErrorIs(t, d.Pack(), ErrTooLarge)
	rng := rand.NewChaCha8([32]byte{})
	d.Files = make([]byte, journal.MaxRecord)
	rng.Read(d.Files)
	require.ErrorIs(t, d.Pack(), ErrTooLarge)
	d.Files = d.Files[:journal.MaxRecord-1<<16]
	require.NoError(t, d.Pack())
	decoded(t, d.Append(nil, maxTimeMs))
}

// An account may keep what it could have before a limit was lowered, however often that happens.
func TestNextAllowsWhatWasAllowed(t *testing.T) {
	s := goldenSale(t)
	s.Files = &catalog.Files{}
	next := func(was *Definition, capped, limit int) Definition {
		now := *s
		now.Programmes, now.Sessions = slices.Clone(s.Programmes), slices.Clone(s.Sessions)
		now.Programmes[1].AccountCap, now.Sessions[2].Limit = capped, limit
		return was.Next(&now)
	}
	first := next(&Definition{}, 20, 200)
	require.Equal(t, 1, first.Version)
	require.Empty(t, first.Earlier)
	require.Zero(t, first.Above)
	second := next(&first, 10, 200)
	require.Equal(t, Above{Programmes: []Most{{1, 20}}}, second.Above)
	third := next(&second, 15, 100)
	require.Equal(t, Above{Programmes: []Most{{1, 20}}, Sessions: []Most{{2, 200}}}, third.Above)
	require.Equal(t, []draw.Digest{first.FilesDigest, second.FilesDigest}, third.Earlier)
	fourth := next(&third, 20, 200)
	require.Zero(t, fourth.Above)
	for range MaxEarlier + 2 {
		fourth = next(&fourth, 20, 200)
	}
	require.Len(t, fourth.Earlier, MaxEarlier)
}

// A decoder passes over what the checkpoint has already, and translates what comes with it.
func TestDecoderOfStaleRecords(t *testing.T) {
	s := goldenSale(t)
	first := (&Definition{}).Next(s)
	renamed := *s
	renamed.Title = "Games"
	second := first.Next(&renamed)
	d := NewDecoder(nil)
	row := func(run []byte) *Record {
		b, _, err := journal.Next(run)
		require.NoError(t, err)
		r, err := d.Decode(0, b)
		require.NoError(t, err)
		require.False(t, r.Stale)
		return r
	}
	row(second.AppendRow(nil, Stamp{AtMs: 5, Seq: 10}))
	row(Stock{Pool: 2, Capacity: 4}.AppendRow(nil, Stamp{AtMs: 7, Seq: 14}))
	row(Pause{Paused: true}.AppendRow(nil, Stamp{AtMs: 6, Seq: 12}))
	require.EqualValues(t, 14, d.Latest())
	for _, c := range []struct {
		seq   uint64
		run   []byte
		stale bool
	}{
		{3, first.Append(nil, 1), true}, {10, second.Append(nil, 5), true}, {12, Pause{}.Append(nil, 6), true},
		{14, Stock{}.Append(nil, 7), true}, {15, Stock{Pool: 1}.Append(nil, 8), false},
		{16, Pause{Of: OneSession, Index: 2}.Append(nil, 8), false},
	} {
		r, err := decodeRun(t, d, c.run, c.seq)
		require.NoError(t, err)
		require.Equal(t, c.stale, r.Stale, "record %d", c.seq)
		in, since := d.InForce()
		require.Equal(t, 2, in.Version)
		require.Equal(t, Stamp{AtMs: 5, Seq: 10}, since)
		require.Equal(t, "Games", d.Sale().Title)
	}
	third := second.Next(s)
	_, err := decodeRun(t, d, third.Append(nil, 9), 17)
	require.NoError(t, err)
	in, since := d.InForce()
	require.Equal(t, 3, in.Version)
	require.Equal(t, Stamp{AtMs: 9, Seq: 17}, since)
}

// A definition of kind 1 has the facts of the sale that the caller has, and keeps what that one lacks.
func TestDecoderBorrowsFacts(t *testing.T) {
	given := catalog.Paris2024()
	was := reordered(t, given)
	was.Sessions[0].ID = "GONE"
	definition := DefinitionOf(was)
	d := NewDecoder(given)
	_, err := decodeRun(t, d, definition.Append(nil, 0))
	require.NoError(t, err)
	sale := d.Sale()
	require.Equal(t, given.Title, sale.Title)
	for i := range sale.Sessions {
		x := sale.Sessions[i]
		if i == 0 {
			require.Equal(t, "GONE", x.ID)
			require.True(t, x.OnSale, "a phase sells it")
			continue
		}
		from, found := given.SessionByID(x.ID)
		require.True(t, found)
		want := given.Sessions[from]
		want.Pools, want.Programme = x.Pools, x.Programme
		require.Equal(t, want, x)
	}
	in, _ := d.InForce()
	require.Same(t, sale, in.Rules)
}
