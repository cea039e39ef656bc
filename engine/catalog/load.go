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

// Load reads a sale definition: the bundled one by its name, anything else as a directory of the four files. A directory
// that has the bundled name is reached as ./paris2024. An error for a faulty definition wraps a *FieldError.
func Load(nameOrDir string) (*Sale, error) {
	var files fs.FS
	if nameOrDir == Bundled {
		files = bundledFiles()
	} else {
		info, err := os.Stat(nameOrDir)
		if err != nil {
			return nil, fmt.Errorf("sale definition: neither the bundled %s nor a directory: %w", Bundled, err)
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("sale definition: %s is no directory", nameOrDir)
		}
		files = os.DirFS(nameOrDir)
	}
	sale, err := load(files)
	if err != nil {
		return nil, fmt.Errorf("sale definition %s: %w", nameOrDir, err)
	}
	return sale, nil
}

// LoadFS reads a sale definition whose four files lie at the root of files; see Load.
func LoadFS(files fs.FS) (*Sale, error) {
	sale, err := load(files)
	if err != nil {
		return nil, fmt.Errorf("sale definition: %w", err)
	}
	return sale, nil
}

// Paris2024 returns the bundled sale of the Paris 2024 Olympic and Paralympic Games, read anew at each call.
func Paris2024() *Sale {
	sale, err := load(bundledFiles())
	if err != nil {
		panic("BUG: the bundled sale definition is faulty: " + err.Error())
	}
	return sale
}

func bundledFiles() fs.FS {
	files, err := fs.Sub(bundle, Bundled)
	if err != nil {
		panic("BUG: the bundled sale definition has no valid name: " + err.Error())
	}
	return files
}

// loader holds what the parts of a definition need of one another while it is read.
type loader struct {
	files      fs.FS
	sale       *Sale
	doc        *document
	yaml       map[string]field // sale.yaml by top-level key
	zone       *time.Location
	programmes []programmeRules // by programme
	stock      stockRule
	venues     map[string]*venue
	lines      []int     // by session: its line in sessions.csv
	prices     [][]price // by session
}

type programmeRules struct {
	limit        int
	byDiscipline map[string]int
	disciplines  map[string]bool // those of sessions.csv
	limits       []entry         // of byDiscipline, to name a discipline that has no session
}

type venue struct {
	capacity int // 0 where none is known
	zone     *time.Location
}

type price struct {
	line     int
	category string
	cents    int
	places   int // 0 where the stock rule decides
}

// load reads the files in the order in which they build on one another and stops at the first fault.
func load(files fs.FS) (*Sale, error) {
	root, fault := readDocument(files, saleFile)
	if fault != nil {
		return nil, fault
	}
	l := &loader{
		files: files,
		doc:   root.in,
		yaml: root.object("name", "title", "timezone", "programmes", "venues?", "exclusions?", "stock", "groups?",
			"beacons?", "draws?", "phases"),
		sale: &Sale{
			programmes: map[string]int{}, sessions: map[string]int{}, phases: map[string]int{}, draws: map[string]int{},
			groups: map[string]int{},
		},
		venues: map[string]*venue{},
	}
	for _, step := range []func() error{
		l.readRules, l.readVenues, l.readVenueNotes, l.readSessions, l.readExclusions, l.readPrices, l.fillPools,
		l.readDraws, l.readPhases,
	} {
		if err := step(); err != nil {
			return nil, err
		}
		if l.doc.fault != nil {
			return nil, l.doc.fault
		}
	}
	return l.sale, nil
}

func (l *loader) readVenues() error {
	return eachRow(l.files, venuesFile, []string{"venue", "gross_capacity"}, "", func(r *row) error {
		name, err := r.text("venue", false)
		if err != nil {
			return err
		}
		if l.venues[name] != nil {
			return r.faultf("venue", "%q is there twice", name)
		}
		capacity := 0
		if r.raw("gross_capacity") != "" {
			if capacity, err = r.number("gross_capacity", 1, MaxPlaces); err != nil {
				return err
			}
		}
		l.venues[name] = &venue{capacity: capacity, zone: l.zone}
		return nil
	})
}

func (l *loader) readSessions() error {
	columns := []string{"session", "programme", "discipline", "venue", "city", "date", "start_local", "end_local",
		"medal_session", "events"}
	err := eachRow(l.files, sessionsFile, columns, "", func(r *row) error {
		if len(l.sale.Sessions) == MaxSessions {
			return r.faultf("session", "is one more than the %d a sale can have", MaxSessions)
		}
		session, err := l.readSession(r)
		if err != nil {
			return err
		}
		if first, twice := l.sale.sessions[session.ID]; twice {
			return r.faultf("session", "%s is there twice, first on line %d", session.ID, l.lines[first])
		}
		l.sale.sessions[session.ID] = len(l.sale.Sessions)
		l.sale.Sessions = append(l.sale.Sessions, session)
		l.lines = append(l.lines, r.line)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range l.programmes {
		for _, limit := range l.programmes[i].limits {
			if !l.programmes[i].disciplines[limit.key] {
				limit.at.faultf("the programme has no session of this discipline")
			}
		}
	}
	return nil
}

func (l *loader) readSession(r *row) (s Session, err error) {
	if s.ID, err = r.id("session"); err != nil {
		return s, err
	}
	programme, known := l.sale.programmes[r.raw("programme")]
	if !known {
		return s, r.faultf("programme", "%.40q is not among the programmes of %s", r.raw("programme"), saleFile)
	}
	s.Programme = programme
	if s.Discipline, err = r.text("discipline", false); err != nil {
		return s, err
	}
	rules := &l.programmes[programme]
	rules.disciplines[s.Discipline] = true
	s.Limit = rules.limit
	if limit, special := rules.byDiscipline[s.Discipline]; special {
		s.Limit = limit
	}
	if s.Venue, err = r.text("venue", false); err != nil {
		return s, err
	}
	if l.venues[s.Venue] == nil {
		return s, r.faultf("venue", "%q is not in %s", s.Venue, venuesFile)
	}
	if s.City, err = r.text("city", false); err != nil {
		return s, err
	}
	if s.StartsAt, s.EndsAt, err = readHours(r, l.venues[s.Venue].zone); err != nil {
		return s, err
	}
	switch r.raw("medal_session") {
	case "1":
		s.Medal = true
	case "0", "": // ceremonies are neither
	default:
		return s, r.faultf("medal_session", "%.40q is neither 1, 0 nor empty", r.raw("medal_session"))
	}
	s.Events, err = r.text("events", true)
	return s, err
}

// readHours reads the start and end of a session; an end before the start lies after midnight.
func readHours(r *row, zone *time.Location) (starts, ends time.Time, err error) {
	date, err := time.Parse(dateLayout, r.raw("date"))
	if err != nil {
		return starts, ends, r.faultf("date", "%.40q is no date such as 2024-07-26", r.raw("date"))
	}
	for _, column := range []string{"start_local", "end_local"} {
		clock, err := time.Parse(clockLayout, r.raw(column))
		if err != nil || clock.Format(clockLayout) != r.raw(column) {
			return starts, ends, r.faultf(column, "%.40q is no time of day such as 09:30", r.raw(column))
		}
		if column == "end_local" && r.raw(column) < r.raw("start_local") {
			date = date.AddDate(0, 0, 1)
		}
		instant, err := parseLocal(date.Format(dateLayout)+" "+r.raw(column), zone)
		if err != nil {
			return starts, ends, r.faultf(column, "%s", err)
		}
		starts, ends = ends, instant
	}
	if !ends.After(starts) {
		return starts, ends, r.faultf("end_local", "%s is not after the start", r.raw("end_local"))
	}
	return starts, ends, nil
}

func (l *loader) readPrices() error {
	l.prices = make([][]price, len(l.sale.Sessions))
	count := 0
	return eachRow(l.files, pricesFile, []string{"session", "category", "price_eur"}, "places", func(r *row) error {
		if count++; count > MaxPools {
			return r.faultf("category", "is one more than the %d a sale can have", MaxPools)
		}
		session, known := l.sale.sessions[r.raw("session")]
		if !known {
			return r.faultf("session", "%.40q is not in %s", r.raw("session"), sessionsFile)
		}
		p := price{line: r.line}
		var err error
		if p.category, err = r.id("category"); err != nil {
			return err
		}
		for _, other := range l.prices[session] {
			if other.category == p.category {
				return r.faultf("category", "%s of %s is there twice, first on line %d", p.category, r.raw("session"), other.line)
			}
		}
		if p.cents, err = r.cents("price_eur"); err != nil {
			return err
		}
		if r.raw("places") != "" {
			if p.places, err = r.number("places", 1, MaxPlaces); err != nil {
				return err
			}
		} else if !l.stock.knows(p.category) {
			return r.faultf("category", "%s has neither a weight nor a fixed share under stock in %s", p.category, saleFile)
		}
		l.prices[session] = append(l.prices[session], p)
		return nil
	})
}

// fillPools gives every category with a price its places and decides what is on sale.
func (l *loader) fillPools() error {
	for i := range l.sale.Sessions {
		session := &l.sale.Sessions[i]
		session.FirstPool, session.PoolCount = len(l.sale.Pools), len(l.prices[i])
		if len(l.prices[i]) == 0 {
			if session.Reason == "" {
				session.Reason = NoPublishedPrices
			}
			continue
		}
		session.OnSale = session.Reason == ""
		places, derived, err := l.placesOf(i)
		if err != nil {
			return err
		}
		withheld := l.stock.withhold(places)
		if session.Reason == Excluded {
			withheld = places
		}
		for c, p := range l.prices[i] {
			l.sale.Pools = append(l.sale.Pools, Pool{Session: i, Category: p.category, PriceCents: p.cents,
				Capacity: places[c], Withheld: withheld[c], Derived: derived})
		}
	}
	return nil
}

// placesOf returns the places of a session's categories: as prices.csv states them, or by the stock rule.
func (l *loader) placesOf(session int) (places []int, derived bool, err error) {
	s, prices := &l.sale.Sessions[session], l.prices[session]
	venue := l.venues[s.Venue]
	fault := func(p price, column, format string, facts ...any) error {
		return &FieldError{File: pricesFile, Line: p.line, Field: column, Rule: fmt.Sprintf(format, facts...)}
	}
	places = make([]int, len(prices))
	categories := make([]string, len(prices))
	total := 0
	for c, p := range prices {
		places[c], categories[c] = p.places, p.category
		total += p.places
	}
	most := MaxPlaces
	if venue.capacity > 0 {
		most = venue.capacity
	}
	if total > most {
		return nil, false, fault(prices[0], "places", "%s has %d places in all, %s takes %d", s.ID, total, s.Venue, most)
	}
	if total > 0 {
		if c := slices.Index(places, 0); c >= 0 {
			return nil, false, fault(prices[c], "places", "is missing, other categories of %s state theirs", s.ID)
		}
		return places, false, nil
	}
	if venue.capacity == 0 {
		return nil, false, &FieldError{File: sessionsFile, Line: l.lines[session], Field: "venue", Rule: fmt.Sprintf(
			"%q has no capacity in %s and no share_of in %s, so the places of %s cannot be derived", s.Venue, venuesFile, saleFile, s.ID)}
	}
	places, why := l.stock.split(venue.capacity, categories)
	if why != "" {
		return nil, false, fault(prices[0], "category", "%s %s", s.ID, why)
	}
	return places, true, nil
}
