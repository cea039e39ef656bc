package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/bls"
	"github.com/stretchr/testify/require"
)

func at(t *testing.T, text string) time.Time {
	instant, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return instant.UTC()
}

func session(t *testing.T, sale *Sale, id string) *Session {
	i, known := sale.SessionByID(id)
	require.True(t, known, id)
	return &sale.Sessions[i]
}

func phase(t *testing.T, sale *Sale, id string) *Phase {
	i, known := sale.PhaseByID(id)
	require.True(t, known, id)
	return &sale.Phases[i]
}

// TestParisProgramme checks the published counts: 1,026 sessions, 4,036 prices, 739 and 237 sessions with prices.
func TestParisProgramme(t *testing.T) {
	sale, err := Load(Bundled)
	require.NoError(t, err)
	require.Equal(t, sale, Paris2024())
	require.Equal(t, "paris2024", sale.Name)
	require.Equal(t, []Programme{
		{ID: "olympic", Title: "Olympic Games", AccountCap: 30},
		{ID: "paralympic", Title: "Paralympic Games", AccountCap: 30},
	}, sale.Programmes)
	require.Len(t, sale.Sessions, 1026)
	require.Len(t, sale.Pools, 4036)
	checkSale(t, sale)

	listed, onSale, reasons := map[string]int{}, map[string]int{}, map[string]int{}
	overnight := 0
	for i := range sale.Sessions {
		s := &sale.Sessions[i]
		listed[sale.Programmes[s.Programme].ID]++
		if s.OnSale {
			onSale[sale.Programmes[s.Programme].ID]++
		}
		reasons[s.Reason]++
		paris, err := time.LoadLocation("Europe/Paris")
		require.NoError(t, err)
		if s.Discipline != "Surfing" && s.StartsAt.In(paris).Day() != s.EndsAt.In(paris).Day() {
			overnight++
		}
	}
	require.Equal(t, map[string]int{"olympic": 760, "paralympic": 266}, listed)
	require.Equal(t, map[string]int{"olympic": 738, "paralympic": 237}, onSale,
		"739 have prices, the Opening Ceremony is excluded")
	require.Equal(t, map[string]int{"": 738 + 237, excludedReason: 4 + 1, unpricedReason: 17 + 29}, reasons)
	require.Equal(t, 9, overnight, "sessions that end after midnight")

	onSalePlaces := sale.PlacesOnSale()
	t.Logf("places on sale to the public: %d", onSalePlaces)
	require.Equal(t, 12_897_461, onSalePlaces)
}

func TestParisSessions(t *testing.T) {
	sale := Paris2024()
	for _, c := range []struct {
		id, starts, ends string
		limit            int
		onSale           bool
		reason           string
	}{
		{"ATH10", "2024-08-06T08:00:00Z", "2024-08-06T11:00:00Z", 6, true, ""},
		{"SWM03", "2024-07-28T09:00:00Z", "2024-07-28T11:00:00Z", 6, true, ""},
		{"BKB41", "2024-08-10T19:30:00Z", "2024-08-10T22:00:00Z", 6, true, ""},              // ends at midnight
		{"SRF01", "2024-07-27T17:00:00Z", "2024-07-28T02:30:00Z", 6, false, excludedReason}, // Tahiti, UTC-10
		{"OOC01", "2024-07-26T18:00:00Z", "2024-07-26T21:15:00Z", 6, false, excludedReason}, // Opening Ceremony
		{"OCC01", "2024-08-11T18:00:00Z", "2024-08-11T21:15:00Z", 4, true, ""},              // Closing Ceremony
		{"ATH01", "2024-08-01T05:30:00Z", "2024-08-01T09:05:00Z", 6, false, unpricedReason}, // race walk
		{"POC01", "2024-08-28T18:00:00Z", "2024-08-28T21:00:00Z", 4, true, ""},              // ceremonies
		{"PCC01", "2024-09-08T18:00:00Z", "2024-09-08T21:00:00Z", 4, true, ""},
		{"PSWM03", "2024-08-30T07:30:00Z", "2024-08-30T10:30:00Z", 10, true, ""},
		{"PCRD01", "2024-09-04T06:00:00Z", "2024-09-04T16:00:00Z", 10, false, unpricedReason}, // free
	} {
		s := session(t, sale, c.id)
		require.Equal(t, at(t, c.starts), s.StartsAt, c.id)
		require.Equal(t, at(t, c.ends), s.EndsAt, c.id)
		require.Equal(t, c.limit, s.Limit, c.id)
		require.Equal(t, c.onSale, s.OnSale, c.id)
		require.Equal(t, c.reason, s.Reason, c.id)
	}
}

func TestParisPrices(t *testing.T) {
	sale := Paris2024()
	for _, c := range []struct {
		session, category string
		cents             int
	}{
		{"ATH10", "A", 170_00}, {"PATH01", "First", 55_00}, {"ARC03", "A", 100_00}, {"ARC03", "D", 24_00},
		{"OCC01", "A", 1600_00}, {"OOC01", "E+", 250_00}, {"POC01", "C", 150_00},
	} {
		s, known := sale.SessionByID(c.session)
		require.True(t, known)
		pool, known := sale.PoolOf(s, c.category)
		require.True(t, known, c)
		require.Equal(t, s, sale.Pools[pool].Session)
		require.Equal(t, c.cents, sale.Pools[pool].PriceCents, c)
		require.True(t, sale.Pools[pool].Derived)
	}
	s, _ := sale.SessionByID("ARC03")
	_, known := sale.PoolOf(s, "First")
	require.False(t, known)
}

// TestParisStock compares the places of every session with venues.csv, which it reads independently.
func TestParisStock(t *testing.T) {
	file, err := os.Open("paris2024/venues.csv")
	require.NoError(t, err)
	rows, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	require.NoError(t, file.Close())
	capacities := map[string]int{}
	for _, row := range rows[1:] {
		if row[1] != "" {
			capacities[row[0]], err = strconv.Atoi(row[1])
			require.NoError(t, err)
		}
	}
	for _, arena := range []string{"La Concorde 1", "La Concorde 2", "La Concorde 3", "La Concorde 4"} {
		require.NotContains(t, capacities, arena)
		capacities[arena] = capacities["La Concorde"] / 4
	}

	sale := Paris2024()
	for i := range sale.Sessions {
		s := &sale.Sessions[i]
		if len(s.Pools) == 0 {
			continue
		}
		capacity, withheld := 0, 0
		for _, pool := range s.Pools {
			p := &sale.Pools[pool]
			capacity += p.Capacity
			withheld += p.Withheld
		}
		require.Equal(t, capacities[s.Venue], capacity, s.ID)
		if s.OnSale {
			require.Equal(t, capacity*20/100, withheld, s.ID)
		} else {
			require.Equal(t, capacity, withheld, s.ID)
		}
	}
}

func TestParisCalendar(t *testing.T) {
	sale := Paris2024()
	for i, c := range []struct {
		id, programme, opens, closes string
		kind                         Kind
		access                       Access
		sessions                     int
	}{
		{"packs", "olympic", "2023-02-15T10:00:00+01:00", "2023-03-16T00:00:00+01:00", Pack, Slots, 738},
		{"singles", "olympic", "2023-05-11T10:00:00+02:00", "2023-07-01T00:00:00+02:00", Single, Slots, 738},
		{"outside-paris", "olympic", "2023-07-05T10:00:00+02:00", "2023-11-30T10:00:00+01:00", Single, Open, 124},
		{"all-venues", "olympic", "2023-11-30T10:00:00+01:00", "2024-08-12T00:00:00+02:00", Single, Open, 738},
		{"paralympic", "paralympic", "2023-10-09T10:00:00+02:00", "2024-09-09T00:00:00+02:00", Single, Open, 237},
	} {
		p := phase(t, sale, c.id)
		require.Same(t, &sale.Phases[i], p)
		require.Equal(t, c.programme, sale.Programmes[p.Programme].ID)
		require.Equal(t, at(t, c.opens), p.OpensAt, c.id)
		require.Equal(t, at(t, c.closes), p.ClosesAt, c.id)
		require.Equal(t, c.kind, p.Kind, c.id)
		require.Equal(t, c.access, p.Access, c.id)
		offered := 0
		for i := range sale.Sessions {
			if p.Sells(i) {
				offered++
			}
		}
		require.Equal(t, c.sessions, offered, c.id)
	}
	require.Len(t, sale.Phases, 5)
	require.Equal(t, 3, phase(t, sale, "packs").PackSessions)
	require.True(t, phase(t, sale, "packs").PackEqual)

	football, _ := sale.SessionByID("FBL01") // Parc des Princes
	require.False(t, phase(t, sale, "outside-paris").Sells(football))
	surfing, _ := sale.SessionByID("SRF01")
	opening, _ := sale.SessionByID("OOC01")
	paralympic, _ := sale.SessionByID("PSWM03")
	for i := range sale.Phases {
		require.False(t, sale.Phases[i].Sells(surfing), "excluded")
		require.False(t, sale.Phases[i].Sells(opening), "excluded")
		require.Equal(t, sale.Phases[i].ID == "paralympic", sale.Phases[i].Sells(paralympic))
	}
}

func TestParisSlots(t *testing.T) {
	sale := Paris2024()
	packs, singles := phase(t, sale, "packs"), phase(t, sale, "singles")

	require.Equal(t, 639, packs.SlotCount())
	require.Equal(t, 96, packs.PrioritySlotCount(), "one an hour in four days")
	require.Equal(t, 3_834_000, packs.SlotCount()*packs.Slots.Places)
	require.Equal(t, 576_000, packs.PrioritySlotCount()*packs.Slots.Places)
	club, known := sale.GroupByID("club")
	require.True(t, known)
	require.Equal(t, club, packs.Slots.Group)

	opens, closes := packs.Slot(0)
	require.Equal(t, packs.OpensAt, opens)
	require.Equal(t, 48*time.Hour, closes.Sub(opens))
	opens, _ = packs.Slot(96)
	require.Equal(t, at(t, "2023-02-19T10:00:00+01:00"), opens, "the fifth day begins")
	_, closes = packs.Slot(638)
	require.Equal(t, packs.ClosesAt, closes, "the last slot ends with the phase")

	require.Equal(t, 1167, singles.SlotCount())
	require.Equal(t, 0, singles.PrioritySlotCount())
	require.Equal(t, 4_668_000, singles.SlotCount()*singles.Slots.Places)
	require.Equal(t, -1, singles.Slots.Group)

	require.Zero(t, phase(t, sale, "all-venues").SlotCount())
}

// TestParisDraws checks the calendar of the draws, and that their stand-ins are rounds that quicknet published. A
// signature is a point of G1 over the SHA-256 of the round's number, by drand's scheme bls-unchained-g1-rfc9380.
func TestParisDraws(t *testing.T) {
	sale := Paris2024()
	require.Len(t, sale.Draws, 2)
	for i, c := range []struct{ id, opens, closes, phase, published string }{
		{"draw1", "2022-12-01T00:00:00+01:00", "2023-02-01T00:00:00+01:00", "packs", "2023-08-23T15:59:24Z"},
		{"draw2", "2023-03-15T00:00:00+01:00", "2023-04-20T18:00:00+02:00", "singles", "2024-10-14T17:13:33Z"},
	} {
		index, known := sale.DrawByID(c.id)
		require.True(t, known)
		require.Equal(t, i, index)
		draw := &sale.Draws[i]
		require.Equal(t, at(t, c.opens), draw.RegistrationOpens)
		require.Equal(t, at(t, c.closes), draw.RegistrationCloses)
		require.Equal(t, c.phase, sale.Phases[draw.Phase].ID)
		require.Equal(t, i, sale.Phases[draw.Phase].Draw)
		require.True(t, draw.Beacon.StandIn)
		require.Equal(t, at(t, c.published), draw.Beacon.PublishedAt())

		keyBytes, err := hex.DecodeString(draw.Beacon.PublicKey)
		require.NoError(t, err)
		key := new(bls.PublicKey[bls.KeyG2SigG1])
		require.NoError(t, key.UnmarshalBinary(keyBytes))
		signature, err := hex.DecodeString(draw.Beacon.Signature)
		require.NoError(t, err)
		message := sha256.Sum256(binary.BigEndian.AppendUint64(nil, draw.Beacon.Round))
		require.True(t, bls.Verify(key, message[:], signature))
		message = sha256.Sum256(binary.BigEndian.AppendUint64(nil, draw.Beacon.Round+1))
		require.False(t, bls.Verify(key, message[:], signature), "the signature of another round")
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if len(Paris2024().Pools) == 0 {
			b.Fatal("no pools")
		}
	}
}
