package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
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
	stockFile    = "stock.csv" // optional
)

// Load reads a sale definition: the bundled one if nameOrDir is Bundled, otherwise a directory with its files. Use
// ./paris2024 for a directory of that name. The error for a faulty definition wraps *Faults, which has all faults.
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
	sale, faults := load(files)
	if faults != nil {
		return nil, fmt.Errorf("sale definition %s: %w", nameOrDir, faults)
	}
	return sale, nil
}

// LoadFS reads a sale definition from the root of a file system. See Load.
func LoadFS(files fs.FS) (*Sale, error) {
	sale, faults := load(files)
	if faults != nil {
		return nil, fmt.Errorf("sale definition: %w", faults)
	}
	return sale, nil
}

// Paris2024 returns the bundled sale of the Paris 2024 Olympic and Paralympic Games. Each call reads it anew.
func Paris2024() *Sale {
	sale, faults := load(bundledFiles())
	if faults != nil {
		panic("BUG: the bundled sale definition is faulty: " + faults.Error())
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
	zone           *time.Location   // nil if it is not known
	sessionLimits  []int            // by programme; 0 if it is not known
	programmeIndex map[string]int   // by id
	stock          stockRule
	stockFaulty    bool // the stock rule was not read whole
	venues         map[string]*venue
	lines          []int        // by session: its line in sessions.csv
	prices         [][]price    // by session
	stated         map[int]bool // the pools that stock.csv has
	placeless      []placeless
	pricesFrom     string   // the file that names the categories: prices.csv, or sale.yaml in a sale without prices
	names          struct { // by kind
		programmes, sessions, disciplines, venues, cities, categories, phases, draws, groups, beacons spellings
	}
	datedDraws []bool // by draw: its closing time and its beacon are known
	loosePhase bool   // the draw of a phase is not known
}

type venue struct {
	line     int
	capacity int  // 0 if unknown
	faulty   bool // it has a capacity that was not read
	zone     *time.Location
}

type price struct {
	line     int
	category string
	amount   int  // minor units, or NoPrice
	places   int  // 0 if the stock rule decides
	faulty   bool // places, or whether the stock rule covers the category, is not known
}

// load reads the sections in the order in which they depend on one another.
func load(files fs.FS) (*Sale, *Faults) {
	l := &loader{files: files, sale: &Sale{sessions: map[string]int{}}, venues: map[string]*venue{},
		stated: map[int]bool{}}
	root := l.readDocument()
	l.yaml = root.object("name", "title", "timezone", "programmes", "session_limits?", "sales_end?", "venues?",
		"exclusions?", "prices?", "stock", "groups?", "beacons?", "draws?", "phases")
	for _, section := range []func(){
		l.readRules, l.readVenues, l.readVenueNotes, l.readSessions, l.readSessionLimits, l.readSalesEnds, l.readExclusions,
		l.readPrices, l.fillPools, l.readStockTable, l.requirePlaces, l.readDraws, l.readPhases,
	} {
		section()
	}
	if faults := l.all(); faults != nil {
		return nil, faults
	}
	l.sale.indexQuotas()
	l.sale.Files = &Files{text: l.kept}
	return l.sale, nil
}

func (l *loader) readVenues() {
	l.eachRow(venuesFile, []string{"venue", "gross_capacity"}, func(r *row) {
		v := &venue{line: r.line, zone: l.zone}
		before := l.count()
		if r.raw("gross_capacity") != "" {
			v.capacity = r.number("gross_capacity", 1, maxPlaces)
		}
		v.faulty = l.count() > before
		name := r.name("venue", &l.names.venues)
		if name == "" {
			r.markUnread(venuesFile)
			return
		}
		if first := l.venues[name]; first != nil {
			r.faultf("venue", "%q is a duplicate of line %d; remove one of them", name, first.line)
			return
		}
		l.venues[name] = v
	})
}

func (l *loader) readSessions() {
	columns := []string{"session", "programme", "discipline", "venue", "city", "date", "start_local", "end_local",
		"medal_session", "events"}
	l.eachRow(sessionsFile, columns, func(r *row) {
		if len(l.sale.Sessions) == maxSessions {
			r.stop("session", maxSessions)
			return
		}
		session := l.readSession(r)
		if first, twice := l.sale.sessions[session.ID]; twice && session.ID != "" {
			r.faultf("session", "%s is a duplicate of line %d; remove or rename one of them", session.ID, l.lines[first])
		} else {
			l.sale.sessions[session.ID] = len(l.sale.Sessions)
		}
		l.sale.Sessions = append(l.sale.Sessions, session)
		l.lines = append(l.lines, r.line)
	})
}

// unknownProgramme is Session.Programme while it is not known. Such a session may belong to any programme.
const unknownProgramme = -1

func (l *loader) readSession(r *row) (s Session) {
	if s.ID = r.id("session"); s.ID == "" {
		r.markUnread(sessionsFile)
	}
	r.note("session", s.ID, &l.names.sessions)
	s.Discipline = r.name("discipline", &l.names.disciplines)
	if s.Programme = l.programmeOf(r); s.Programme != unknownProgramme {
		s.Limit = l.sessionLimits[s.Programme]
	}
	s.Venue = r.raw("venue")
	s.Zone = time.UTC
	if venue := l.venues[s.Venue]; venue != nil {
		if venue.zone != nil {
			s.Zone = venue.zone
		}
	} else if !l.unread[venuesFile] {
		r.faultf("venue", "%q is not in %s%s", s.Venue, venuesFile, l.names.venues.hint(s.Venue))
	}
	s.City = r.name("city", &l.names.cities)
	s.StartsAt, s.EndsAt = readHours(r, s.Zone)
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

// programmeOf reads the programme of a session.
func (l *loader) programmeOf(r *row) int {
	id := r.raw("programme")
	if programme, known := l.programmeIndex[id]; known {
		return programme
	}
	if len(l.sessionLimits) > 0 {
		r.faultf("programme", "%.40q is not defined in %s%s", id, saleFile, l.names.programmes.hint(id))
	}
	return unknownProgramme
}

// readHours reads the start and end of a session. An end before the start is on the next day.
func readHours(r *row, zone *time.Location) (starts, ends time.Time) {
	date, err := time.Parse(dateLayout, r.raw("date"))
	dated := err == nil
	if !dated {
		r.faultf("date", "must be a date such as 2024-07-26, not %.40q", r.raw("date"))
	}
	for _, column := range []string{"start_local", "end_local"} {
		clock, err := time.Parse(clockLayout, r.raw(column))
		if err != nil || clock.Format(clockLayout) != r.raw(column) {
			r.faultf(column, "must be a time of day such as 09:30, not %.40q", r.raw(column))
			dated = false
		}
		if !dated {
			continue
		}
		if column == "end_local" && r.raw(column) < r.raw("start_local") {
			date = date.AddDate(0, 0, 1)
		}
		instant, err := parseLocal(date.Format(dateLayout)+" "+r.raw(column), zone)
		if err != nil {
			r.faultf(column, "%s", err)
			dated = false
		}
		starts, ends = ends, instant
	}
	if dated && !ends.After(starts) {
		r.faultf("end_local", "must be after the start, not %s", r.raw("end_local"))
	}
	return starts, ends
}
