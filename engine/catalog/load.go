package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Bundled is the name of the sale definition that is part of the program.
const Bundled = "paris2024"

//go:embed paris2024/sale.yaml paris2024/sessions.csv paris2024/prices.csv paris2024/venues.csv
var bundle embed.FS

// The files of a sale definition.
const (
	saleFile     = "sale.yaml"
	sessionsFile = "sessions.csv"
	pricesFile   = "prices.csv"
	venuesFile   = "venues.csv"
)

// Load reads a sale definition: the bundled one if nameOrDir is Bundled, otherwise a directory with the four files. Use
// ./paris2024 for a directory of that name. The error for a faulty definition wraps a *FieldError.
func Load(nameOrDir string) (*Sale, error) {
	files := bundledFiles()
	if nameOrDir != Bundled {
		info, err := os.Stat(nameOrDir)
		if err != nil {
			return nil, fmt.Errorf("sale definition: must be %s or a directory: %w", Bundled, err)
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("sale definition: %s is not a directory", nameOrDir)
		}
		files = os.DirFS(nameOrDir)
	}
	sale, fault := load(files)
	if fault != nil {
		return nil, fmt.Errorf("sale definition %s: %w", nameOrDir, fault)
	}
	return sale, nil
}

// LoadFS reads a sale definition from the root of a file system. See Load.
func LoadFS(files fs.FS) (*Sale, error) {
	sale, fault := load(files)
	if fault != nil {
		return nil, fmt.Errorf("sale definition: %w", fault)
	}
	return sale, nil
}

// Paris2024 returns the bundled sale of the Paris 2024 Olympic and Paralympic Games. Each call reads it anew.
func Paris2024() *Sale {
	sale, fault := load(bundledFiles())
	if fault != nil {
		panic("BUG: the bundled sale definition is faulty: " + fault.Error())
	}
	return sale
}

func bundledFiles() fs.FS {
	files, err := fs.Sub(bundle, Bundled)
	if err != nil {
		panic("BUG: the bundled sale definition has an invalid name: " + err.Error())
	}
	return files
}

// loader holds what the sections of a definition need from one another while it is read.
type loader struct {
	report
	files          fs.FS
	sale           *Sale
	yaml           map[string]field // sale.yaml by top-level key
	zone           *time.Location
	programmes     []programmeRules // by programme
	programmeIndex map[string]int   // by id
	stock          stockRule
	venues         map[string]*venue
	lines          []int     // by session: its line in sessions.csv
	prices         [][]price // by session
}

type programmeRules struct {
	limit        int
	byDiscipline map[string]int
	disciplines  map[string]bool // those of the programme's sessions
	limits       []entry         // of byDiscipline, to report a discipline that has no session
}

type venue struct {
	line     int
	capacity int // 0 if unknown
	zone     *time.Location
}

type price struct {
	line     int
	category string
	cents    int
	places   int // 0 if the stock rule decides
}

// load reads the sections in the order in which they depend on one another and stops after the first faulty one.
func load(files fs.FS) (*Sale, *FieldError) {
	l := &loader{files: files, sale: &Sale{sessions: map[string]int{}}, venues: map[string]*venue{}}
	root := l.readDocument()
	l.yaml = root.object("name", "title", "timezone", "programmes", "venues?", "exclusions?", "stock", "groups?",
		"beacons?", "draws?", "phases")
	for _, section := range []func(){
		l.readRules, l.readVenues, l.readVenueNotes, l.readSessions, l.readExclusions, l.readPrices, l.fillPools,
		l.readDraws, l.readPhases,
	} {
		if l.fault == nil {
			section()
		}
	}
	if l.fault != nil {
		return nil, l.fault
	}
	return l.sale, nil
}

func (l *loader) readVenues() {
	l.eachRow(venuesFile, []string{"venue", "gross_capacity"}, "", func(r *row) {
		v := &venue{line: r.line, zone: l.zone}
		name := r.text("venue")
		if first := l.venues[name]; first != nil {
			r.faultf("venue", "%q is a duplicate of line %d; remove one of them", name, first.line)
		}
		if r.raw("gross_capacity") != "" {
			v.capacity = r.number("gross_capacity", 1, maxPlaces)
		}
		l.venues[name] = v
	})
}

func (l *loader) readSessions() {
	columns := []string{"session", "programme", "discipline", "venue", "city", "date", "start_local", "end_local",
		"medal_session", "events"}
	l.eachRow(sessionsFile, columns, "", func(r *row) {
		if len(l.sale.Sessions) == maxSessions {
			r.faultf("session", "exceeds the limit of %d per sale", maxSessions)
			return
		}
		session := l.readSession(r)
		if first, twice := l.sale.sessions[session.ID]; twice {
			r.faultf("session", "%s is a duplicate of line %d; remove or rename one of them", session.ID, l.lines[first])
		}
		l.sale.sessions[session.ID] = len(l.sale.Sessions)
		l.sale.Sessions = append(l.sale.Sessions, session)
		l.lines = append(l.lines, r.line)
	})
	if l.fault != nil {
		return
	}
	for i := range l.programmes {
		for _, limit := range l.programmes[i].limits {
			if !l.programmes[i].disciplines[limit.key] {
				limit.at.faultf("the programme has no session of this discipline; check the spelling")
			}
		}
	}
}

func (l *loader) readSession(r *row) (s Session) {
	s.ID = r.id("session")
	programme, known := l.programmeIndex[r.raw("programme")]
	if !known {
		r.faultf("programme", "%.40q is not defined in %s", r.raw("programme"), saleFile)
	}
	s.Programme = programme
	s.Discipline = r.text("discipline")
	rules := &l.programmes[programme]
	rules.disciplines[s.Discipline] = true
	s.Limit = rules.limit
	if limit, special := rules.byDiscipline[s.Discipline]; special {
		s.Limit = limit
	}
	s.Venue = r.text("venue")
	venue := l.venues[s.Venue]
	if venue == nil {
		r.faultf("venue", "%q is not in %s", s.Venue, venuesFile)
		return s
	}
	s.City, s.Zone = r.text("city"), venue.zone
	s.StartsAt, s.EndsAt = readHours(r, venue.zone)
	switch r.raw("medal_session") {
	case "1":
		s.Medal = true
	case "0", "": // a ceremony leaves the column empty
	default:
		r.faultf("medal_session", "must be 1, 0 or empty, not %.40q", r.raw("medal_session"))
	}
	if r.raw("events") != "" {
		s.Events = r.text("events")
	}
	return s
}

// readHours reads the start and end of a session. An end before the start is on the next day.
func readHours(r *row, zone *time.Location) (starts, ends time.Time) {
	date, err := time.Parse(dateLayout, r.raw("date"))
	if err != nil {
		r.faultf("date", "must be a date such as 2024-07-26, not %.40q", r.raw("date"))
	}
	for _, column := range []string{"start_local", "end_local"} {
		clock, err := time.Parse(clockLayout, r.raw(column))
		if err != nil || clock.Format(clockLayout) != r.raw(column) {
			r.faultf(column, "must be a time of day such as 09:30, not %.40q", r.raw(column))
		}
		if column == "end_local" && r.raw(column) < r.raw("start_local") {
			date = date.AddDate(0, 0, 1)
		}
		instant, err := parseLocal(date.Format(dateLayout)+" "+r.raw(column), zone)
		if err != nil {
			r.faultf(column, "%s", err)
		}
		starts, ends = ends, instant
	}
	if !ends.After(starts) {
		r.faultf("end_local", "must be after the start, not %s", r.raw("end_local"))
	}
	return starts, ends
}

func (l *loader) readPrices() {
	l.prices = make([][]price, len(l.sale.Sessions))
	count := 0
	l.eachRow(pricesFile, []string{"session", "category", "price_eur"}, "places", func(r *row) {
		if count++; count > maxPools {
			r.faultf("category", "exceeds the limit of %d per sale", maxPools)
		}
		session, known := l.sale.sessions[r.raw("session")]
		if !known {
			r.faultf("session", "%.40q is not in %s", r.raw("session"), sessionsFile)
			return
		}
		p := price{line: r.line, category: r.id("category")}
		for _, other := range l.prices[session] {
			if other.category == p.category {
				r.faultf("category", "%s of %s is a duplicate of line %d; remove one of them", p.category, r.raw("session"),
					other.line)
			}
		}
		p.cents = r.cents("price_eur")
		if r.raw("places") != "" {
			p.places = r.number("places", 1, maxPlaces)
		} else if !l.stock.covers(p.category) {
			r.faultf("category", "%s has no weight and no fixed share under stock in %s; add one, or fill the column places",
				p.category, saleFile)
		}
		l.prices[session] = append(l.prices[session], p)
	})
}

// fillPools sets the capacity of every category with a price and decides what is on sale.
func (l *loader) fillPools() {
	for i := range l.sale.Sessions {
		session := &l.sale.Sessions[i]
		session.FirstPool, session.PoolCount = len(l.sale.Pools), len(l.prices[i])
		if len(l.prices[i]) == 0 {
			if session.Reason == "" {
				session.Reason = unpricedReason
			}
			continue
		}
		session.OnSale = session.Reason == ""
		places, derived := l.placesOf(i)
		if l.fault != nil {
			return
		}
		withheld := l.stock.withhold(places)
		if !session.OnSale {
			withheld = places
		}
		for c, p := range l.prices[i] {
			l.sale.Pools = append(l.sale.Pools, Pool{Session: i, Category: p.category, PriceCents: p.cents,
				Capacity: places[c], Withheld: withheld[c], Derived: derived})
		}
	}
}

// placesOf returns the places of a session's categories: those stated in prices.csv, or those given by the stock rule.
func (l *loader) placesOf(session int) (places []int, derived bool) {
	s, prices := &l.sale.Sessions[session], l.prices[session]
	venue := l.venues[s.Venue]
	places = make([]int, len(prices))
	categories := make([]string, len(prices))
	total, most := 0, maxPlaces
	for c, p := range prices {
		places[c], categories[c] = p.places, p.category
		total += p.places
	}
	if venue.capacity > 0 {
		most = venue.capacity
	}
	first := prices[0].line
	switch {
	case total > most:
		l.faultf(pricesFile, first, "places", "the places of %s add up to %d; %s has at most %d", s.ID, total, s.Venue, most)
	case total > 0:
		if c := slices.Index(places, 0); c >= 0 {
			l.faultf(pricesFile, prices[c].line, "places", "is required, because other categories of %s state theirs", s.ID)
		}
		return places, false
	case venue.capacity == 0:
		l.faultf(sessionsFile, l.lines[session], "venue", "%q has no capacity in %s and no share_of in %s; add one, "+
			"or state the places of %s in %s", s.Venue, venuesFile, saleFile, s.ID, pricesFile)
	default:
		var why string
		if places, why = l.stock.split(venue.capacity, categories); why != "" {
			l.faultf(pricesFile, first, "category", "%s %s", s.ID, why)
		}
	}
	return places, true
}
