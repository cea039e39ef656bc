package catalog

import (
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// An edit of the small sale's files, and the lines that it makes.
func TestDifference(t *testing.T) {
	for _, c := range []struct {
		file, old, new string
		want           []string
	}{
		{saleFile, "title: A small sale\n", "title: A sale\n", []string{"sale: title A small sale → A sale"}},
		{saleFile, "    account_cap: 12\n", "    account_cap: 1200\n", []string{"programme summer: account cap 12 → 1,200"}},
		{saleFile, "    session_limit: 6\n", "    session_limit: 6\n    returned_tickets: withheld\n",
			[]string{"programme summer: returned tickets on_sale → withheld"}},
		{saleFile, "  - {discipline: Gala, limit: 2}\n", "  - {discipline: Gala, limit: 1}\n",
			[]string{"session S1: limit 2 → 1"}},
		{saleFile, "  - {session: S4}\n", "  - {session: S4}\n  - {session: S3}\n", []string{
			"session S3: on sale yes → no, excluded",
			"phase packs: sells 3 sessions → 2 sessions: no longer S3"}},
		{saleFile, "  withheld_percent: 20\n", "  withheld_percent: 0\n", []string{
			"session S1, category A: withheld 66 → 0", "session S1, category B: withheld 133 → 0",
			"session S1, category PFR-A: withheld 1 → 0", "session S2, category A: withheld 22 → 0",
			"session S2, category B: withheld 44 → 0", "session S3, category B: withheld 120 → 0"}},
		{saleFile, "    closes_at: 2024-07-01 10:00\n", "    closes_at: 2024-07-02 10:00\n",
			[]string{"phase late: closes 2024-07-01T08:00:00Z → 2024-07-02T08:00:00Z"}},
		{saleFile, "      round: 4650000\n", "      round: 4650001\n", []string{"draw ballot: round 4650000 → 4650001"}},
		{saleFile, "      priority_group: club\n      priority_days: 4\n", "", []string{
			"phase packs: priority group club → none", "phase packs: priority days 4 → none"}},
		{saleFile, "groups:\n", "groups:\n  fans: {title: Fans}\n", []string{"group fans: added, Fans"}},
		{saleFile, "    only:\n      - {city: Paris}\n", "", []string{
			"phase late: sells 2 sessions → 3 sessions: now also S3"}},
		{saleFile, "    access: open\n    only:\n      - {city: Paris}\n", "    access: open\n  later: {title: L, " +
			"programme: summer, kind: single, opens_at: 2024-07-02 10:00, closes_at: 2024-07-03 10:00, access: open}\n",
			[]string{"phase late: sells 2 sessions → 3 sessions: now also S3",
				"phase later: added, single, access open, 2024-07-02T08:00:00Z to 2024-07-03T08:00:00Z, sells 3 sessions"}},
		{saleFile, "    access: open\n", "    access: group\n    group: club\n", []string{
			"phase late: access open → group", "phase late: group none → club"}},
		{saleFile, "      - {city: Paris}\n", "      - {city: Paris}\n      - {session: S2, places: 1500}\n",
			[]string{"phase late, session S2: places no bound → 1,500"}},
		{saleFile, "    access: open\n    only:\n      - {city: Paris}\n", "    access: open\n  later: {title: L, " +
			"programme: summer, kind: single, opens_at: 2024-07-02 10:00, closes_at: 2024-07-03 10:00, access: group, " +
			"group: club, only: [{venue: Hall 1, places: 5}]}\n",
			[]string{"phase late: sells 2 sessions → 3 sessions: now also S3", "phase later: added, single, " +
				"access group club, 2024-07-02T08:00:00Z to 2024-07-03T08:00:00Z, sells 1 session, places set for 1"}},
		{pricesFile, "S1,B,24.50\n", "S1,B,25\n", []string{"session S1, category B: price 24.50 EUR → 25.00 EUR"}},
		{pricesFile, "session,category,price_eur\n", "session,category,price_gbp\n", []string{"sale: currency EUR → GBP"}},
		{pricesFile, "S3,B,0\n", "", []string{
			"session S3: on sale yes → no, no published prices",
			"phase packs: sells 3 sessions → 2 sessions: no longer S3"}},
		{pricesFile, "S3,B,0\n", "S3,B,0\nS3,A,7\n", []string{
			"session S3, category B: capacity 600 → 400", "session S3, category B: withheld 120 → 80",
			"session S3, category A: added, 200 places, 40 withheld, 7.00 EUR"}},
		{pricesFile, "S2,B,10\n", "", []string{"session S2, category A: capacity 111 → 333",
			"session S2, category A: withheld 22 → 66", "session S2, category B: removed"}},
		{sessionsFile, "S4,summer,Judo,Street,Paris,2024-07-28,09:00,11:00,0,\n",
			"S4,summer,Judo,Hall,Lyon,2024-07-28,09:30,12:00,1,Final\n", []string{
				"session S4: venue Street → Hall", "session S4: city Paris → Lyon",
				"session S4: starts 2024-07-28T07:00:00Z → 2024-07-28T07:30:00Z",
				"session S4: ends 2024-07-28T09:00:00Z → 2024-07-28T10:00:00Z", "session S4: medal session no → yes",
				"session S4: events none → Final",
				"session S4: sales end 2024-07-28T07:00:00Z → 2024-07-28T07:30:00Z"}},
	} {
		was, err := LoadFS(smallSale(t))
		require.NoError(t, err)
		files := smallSale(t)
		edit(t, files, c.file, c.old, c.new)
		require.Equal(t, c.want, differences(t, was, files), "%s: %q", c.file, c.new)
	}
}

// Places of a phase change, end, and hold again; those of a session that is removed are no change of their own.
func TestDifferenceOfPlaces(t *testing.T) {
	with := func(only string) fstest.MapFS {
		files := smallSale(t)
		edit(t, files, saleFile, "      - {city: Paris}\n", only)
		return files
	}
	in, err := LoadFS(with("      - {city: Paris, places: 500}\n"))
	require.NoError(t, err)
	for _, step := range []struct {
		files fstest.MapFS
		want  []string
	}{
		{with("      - {city: Paris, places: 500}\n      - {session: S2, places: 400}\n"),
			[]string{"phase late, session S2: places 500 → 400"}},
		{with("      - {city: Paris, places: 500}\n      - {session: S2}\n"),
			[]string{"phase late, session S2: places 400 → no bound"}},
		{with("      - {city: Paris, places: 500}\n"), []string{"phase late, session S2: places no bound → 500"}},
		{withoutSession(t, with("      - {city: Paris, places: 500}\n")), []string{"session S4: removed"}},
		{with("      - {city: Paris, places: 500}\n"), []string{
			"session S4: added, 0 categories, 0 places, not on sale: excluded",
			"phase late, session S4: places no bound → 500"}},
	} {
		require.Equal(t, step.want, differences(t, in, step.files))
		now, err := LoadFS(step.files)
		require.NoError(t, err)
		in, err = Continue(in, now)
		require.NoError(t, err)
		require.Len(t, in.Quotas, 3)
	}
}

// withoutSession removes the session that the small sale excludes.
func withoutSession(t *testing.T, files fstest.MapFS) fstest.MapFS {
	edit(t, files, sessionsFile, "S4,summer,Judo,Street,Paris,2024-07-28,09:00,11:00,0,\n", "")
	edit(t, files, saleFile, "exclusions:\n  - {session: S4}\n", "")
	return files
}

// differences returns the lines from a sale to the next version in some files.
func differences(t *testing.T, was *Sale, files fs.FS) (lines []string) {
	now, err := LoadFS(files)
	require.NoError(t, err)
	next, err := Continue(was, now)
	require.NoError(t, err)
	for _, c := range Difference(was, next) {
		lines = append(lines, c.String())
	}
	return lines
}

// Whole sessions, phases, draws and groups are one line each, whether they go, come back or are new.
func TestDifferenceOfParts(t *testing.T) {
	whole, err := LoadFS(smallSale(t))
	require.NoError(t, err)
	files := smallSale(t)
	edit(t, files, sessionsFile, "S3,summer,Surfing,Lagoon,Tahiti,2024-07-27,07:00,16:30,0,Heats\n", "")
	edit(t, files, pricesFile, "S3,B,0\n", "")
	text := string(files[saleFile].Data)
	from, to := strings.Index(text, "groups:\n"), strings.Index(text, "phases:\n")
	late := strings.Index(text, "  late:\n")
	files[saleFile].Data = []byte(text[:from] + "phases:\n" + text[late:])
	require.Less(t, to, late)
	gone := []string{"session S3: removed", "phase packs: removed", "draw ballot: removed", "group club: removed"}
	require.Equal(t, gone, differences(t, whole, files))
	less, err := LoadFS(files)
	require.NoError(t, err)
	removed, err := Continue(whole, less)
	require.NoError(t, err)
	back := []string{"session S3: added, 1 category, 600 places",
		"phase packs: added, pack, access slots, 2024-02-15T09:00:00Z to 2024-02-25T09:00:00Z, sells 3 sessions",
		"draw ballot: added, registration 2023-12-31T23:00:00Z to 2024-01-30T23:00:00Z, round 4650000",
		"group club: added, The club"}
	require.Equal(t, back, differences(t, removed, smallSale(t)))
	slices.Sort(back)
	again := differences(t, less, smallSale(t))
	slices.Sort(again)
	require.Equal(t, back, again)
}

// A version that says the same is no change, and any field of any part that differs is one, which names the part.
func TestDifferenceOfOneField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		was, err := Continue(randomSale(t), randomSale(t))
		require.NoError(t, err)
		require.Empty(t, Difference(was, was))
		same, err := Continue(was, was)
		require.NoError(t, err)
		require.Empty(t, Difference(was, same))
		kinds := map[string]reflect.Value{}
		for kind, parts := range map[string]any{"programme": same.Programmes, "session": same.Sessions, "pool": same.Pools,
			"phase": same.Phases, "draw": same.Draws, "group": same.Groups} {
			kinds[kind] = reflect.ValueOf(parts)
		}
		kind := rapid.SampledFrom([]string{"programme", "session", "pool", "phase", "draw", "group"}).Draw(t, "kind")
		var there []int
		for i := range kinds[kind].Len() {
			if part := kinds[kind].Index(i); !part.FieldByName("Removed").Bool() &&
				(kind != "pool" || !same.Sessions[same.Pools[i].Session].Removed) {
				there = append(there, i)
			}
		}
		if len(there) == 0 {
			return
		}
		i := rapid.SampledFrom(there).Draw(t, "part")
		part := kinds[kind].Index(i)
		field := mutate(t, part, same, kind)
		if field == "" {
			return
		}
		what := kind + " " + part.FieldByName("ID").String()
		if kind == "pool" {
			what = "session " + same.Sessions[same.Pools[i].Session].ID + ", category " + same.Pools[i].Category
		}
		changes := Difference(was, same)
		require.NotEmpty(t, changes, "%s %s", what, field)
		for _, c := range changes {
			require.Equal(t, what, c.What, "%s", field)
		}
	})
}

// mutate changes one field of a part, or of its slots or beacon, and returns its name; "" if the field may not differ
// or means nothing there.
func mutate(t *rapid.T, part reflect.Value, in *Sale, kind string) string {
	fields := reflect.VisibleFields(part.Type())
	field := rapid.SampledFrom(fields).Draw(t, "field")
	at := part.FieldByIndex(field.Index)
	unslotted := kind == "phase" && part.FieldByName("Access").Uint() != uint64(Slots)
	skip := []string{"ID", "Pools", "Session", "Category", "sells", "Zone"} // what a part is, or what other parts say
	skip = append(skip, "Access", "Draw", "Phase", "Group")                 // they hang together; see TestDifference
	switch {
	case slices.Contains(skip, field.Name),
		unslotted && field.Name == "Slots",
		kind == "session" && field.Name == "Reason" && part.FieldByName("OnSale").Bool(),
		kind == "phase" && (field.Name == "PackSessions" || field.Name == "PackEqual"): // without meaning in one of single
		return ""
	case field.Name == "Programme":
		if len(in.Programmes) == 1 {
			return ""
		}
		at.SetInt((at.Int() + 1) % int64(len(in.Programmes)))
	case field.Name == "PriorityDays" && part.FieldByName("Group").Int() < 0:
		return ""
	case at.Type() == reflect.TypeFor[time.Time]():
		at.Set(reflect.ValueOf(at.Interface().(time.Time).Add(time.Minute)))
	case at.Kind() == reflect.Struct:
		return mutate(t, at, in, "")
	case at.Kind() == reflect.String:
		at.SetString(at.String() + "x")
	case at.Kind() == reflect.Bool:
		at.SetBool(!at.Bool())
	case at.CanInt():
		at.SetInt(at.Int() + 1)
	default:
		at.SetUint(at.Uint() + 1)
	}
	return field.Name
}
