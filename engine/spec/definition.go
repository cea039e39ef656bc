package spec

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// Definition is a small sale for tests. It states the stock of every pool.
type Definition struct {
	Programmes []DefinedProgramme
	Groups     []string
	Sessions   []DefinedSession
	Phases     []DefinedPhase
}

// DefinedProgramme is a programme with its limits.
type DefinedProgramme struct {
	ID           string
	AccountCap   int
	SessionLimit int
	// WithholdReturned makes the places of returned reservations withheld, instead of on sale again.
	WithholdReturned bool
}

// DefinedSession is a session with its pools. The categories are A, B, C and so on.
type DefinedSession struct {
	ID        string
	Programme string
	Places    []int // stock by category, 0 for a category that it does not have; empty for a session that is only listed
	Withheld  []int // the part of Places that is not sold; nil for nothing
	Limit     int   // of the session; 0 for that of its programme
	Excluded  bool
	// StartsAt is a whole minute, in UTC. Sales of the session end then. If it is zero, that is in 2030.
	StartsAt time.Time
}

// DefinedPhase is a phase with open access, or for the members of a group.
type DefinedPhase struct {
	ID           string
	Programme    string
	PackSessions int  // 0 for single
	PackEqual    bool // with equally many tickets for each session
	OpensAt      time.Time
	ClosesAt     time.Time
	Group        string         // whose members alone buy; empty for everybody
	Only         []string       // sessions; empty for all
	Places       map[string]int // how many tickets it sells of single sessions, also of those that it sells all of
}

// Category returns the name of a defined session's i-th category.
func Category(i int) string { return string(rune('A' + i)) }

// Load returns the sale.
func (d *Definition) Load() (*catalog.Sale, error) { return catalog.LoadFS(d.Files()) }

// Files returns the files of the definition, for a program that reads them from a directory.
func (d *Definition) Files() fs.FS {
	sessions := &strings.Builder{}
	sessions.WriteString("session,programme,discipline,venue,city,date,start_local,end_local,medal_session,events\n")
	prices := &strings.Builder{}
	prices.WriteString("session,category,price_eur,places\n")
	stock := &strings.Builder{}
	stock.WriteString("session,category,capacity,withheld\n")
	for _, s := range d.Sessions {
		starts := s.StartsAt
		if starts.IsZero() {
			starts = time.Date(2030, 7, 26, 10, 0, 0, 0, time.UTC)
		}
		fmt.Fprintf(sessions, "%s,%s,Sport,Hall,Town,%s,%s,0,\n", s.ID, s.Programme, starts.Format("2006-01-02,15:04"),
			starts.Add(2*time.Hour).Format("15:04"))
		for i, n := range s.Places {
			if n > 0 {
				fmt.Fprintf(prices, "%s,%s,10,%d\n", s.ID, Category(i), n)
			}
			if n > 0 && i < len(s.Withheld) && s.Withheld[i] > 0 && !s.Excluded {
				fmt.Fprintf(stock, "%s,%s,%d,%d\n", s.ID, Category(i), n, s.Withheld[i])
			}
		}
	}
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"sale.yaml":    file(d.yaml()),
		"sessions.csv": file(sessions.String()),
		"prices.csv":   file(prices.String()),
		"stock.csv":    file(stock.String()),
		"venues.csv":   file("venue,gross_capacity\nHall,1000000\n"),
	}
}

func (d *Definition) yaml() string {
	b := &strings.Builder{}
	b.WriteString("name: defined\ntitle: Defined\ntimezone: UTC\nprogrammes:\n")
	for _, p := range d.Programmes {
		returned := ""
		if p.WithholdReturned {
			returned = ", returned_tickets: withheld"
		}
		fmt.Fprintf(b, "  %s: {title: %s, account_cap: %d, session_limit: %d%s}\n", p.ID, p.ID, p.AccountCap, p.SessionLimit,
			returned)
	}
	var excluded []string
	limits := ""
	for _, s := range d.Sessions {
		if s.Limit > 0 {
			limits += fmt.Sprintf("  - {session: %s, limit: %d}\n", s.ID, s.Limit)
		}
		if s.Excluded {
			excluded = append(excluded, s.ID)
		}
	}
	if limits != "" {
		b.WriteString("session_limits:\n" + limits)
	}
	writeSessions(b, "exclusions", excluded)
	b.WriteString("stock:\n  withheld_percent: 0\n  weights: {A: 1, B: 1, C: 1, D: 1, E: 1}\n")
	for i, id := range d.Groups {
		if i == 0 {
			b.WriteString("groups:\n")
		}
		fmt.Fprintf(b, "  %s: {title: %s}\n", id, id)
	}
	b.WriteString("phases:\n")
	for _, p := range d.Phases {
		kind := "single"
		if p.PackSessions > 0 {
			kind = fmt.Sprintf("pack\n    pack_sessions: %d\n    pack_equal_quantities: %t", p.PackSessions, p.PackEqual)
		}
		access := "open"
		if p.Group != "" {
			access = "group\n    group: " + p.Group
		}
		const layout = "2006-01-02 15:04"
		fmt.Fprintf(b, "  %s:\n    title: %s\n    programme: %s\n    kind: %s\n    opens_at: %s\n    closes_at: %s\n"+
			"    access: %s\n", p.ID, p.ID, p.Programme, kind, p.OpensAt.Format(layout), p.ClosesAt.Format(layout), access)
		p.writeOnly(b)
	}
	return b.String()
}

// writeOnly writes what the phase sells. A session is named in more detail than a programme, so its places hold.
func (p *DefinedPhase) writeOnly(b *strings.Builder) {
	if len(p.Places) == 0 {
		writeSessions(b, "    only", p.Only)
		return
	}
	b.WriteString("    only:\n")
	for _, id := range slices.Sorted(maps.Keys(p.Places)) {
		fmt.Fprintf(b, "      - {session: %s, places: %d}\n", id, p.Places[id])
	}
	for _, id := range p.Only {
		if p.Places[id] == 0 {
			fmt.Fprintf(b, "      - {session: %s}\n", id)
		}
	}
	if len(p.Only) == 0 {
		fmt.Fprintf(b, "      - {programme: %s}\n", p.Programme)
	}
}

// writeSessions writes a list of sessions under a key. An empty list is omitted.
func writeSessions(b *strings.Builder, key string, ids []string) {
	if len(ids) > 0 {
		fmt.Fprintf(b, "%s: [{session: %s}]\n", key, strings.Join(ids, "}, {session: "))
	}
}
