package record

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
)

// The facts of a version are what its content lacks of the sale: what only people read, and what is removed. They are:
//
//	title string | currency: code string, digits
//	programmes   flags, title string
//	sessions     flags, discipline, venue, city strings, starts, ends, [zone string], events, reason strings
//	pools        flags, price + 1, 0 for none
//	groups       flags, title string
//	draws        flags, title, chain, signature strings
//	phases       flags, title string
//
// There are as many of each as the content has. Flag 1 is for what is removed, 2 for a session that is on sale and for
// a pool whose capacity is derived, 4 for a session with medals, and 8 for one whose zone is known. Times are ms since
// 1970, plus 1; 0 for none.
const (
	flagRemoved = 1 << iota
	flagOnSale
	flagMedal
	flagZone
)

const flagDerived = flagOnSale

// maxFact is how many bytes a text has that only people read.
const maxFact = 1024

// DigestOf returns the digest of all that a sale says: the SHA-256 of its content, its facts and its quotas. The files
// that it was loaded from are not in it.
func DigestOf(s *catalog.Sale) draw.Digest {
	return sha256.Sum256(appendQuotas(appendFacts(appendContent(nil, s), s), s))
}

func appendFacts(run []byte, s *catalog.Sale) []byte {
	run = appendText(appendText(run, s.Title), s.Currency.Code)
	run = appendCount(run, s.Currency.Digits)
	for i := range s.Programmes {
		run = appendText(appendFlags(run, s.Programmes[i].Removed), s.Programmes[i].Title)
	}
	for i := range s.Sessions {
		run = appendSessionFacts(run, &s.Sessions[i])
	}
	for i := range s.Pools {
		p := &s.Pools[i]
		run = appendCount(appendFlags(run, p.Removed, p.Derived), p.PriceCents+1)
	}
	for i := range s.Groups {
		run = appendText(appendFlags(run, s.Groups[i].Removed), s.Groups[i].Title)
	}
	for i := range s.Draws {
		d := &s.Draws[i]
		run = appendText(appendFlags(run, d.Removed), d.Title)
		run = appendText(appendText(run, d.Beacon.Chain), d.Beacon.Signature)
	}
	for i := range s.Phases {
		run = appendText(appendFlags(run, s.Phases[i].Removed), s.Phases[i].Title)
	}
	return run
}

func appendSessionFacts(run []byte, x *catalog.Session) []byte {
	run = appendFlags(run, x.Removed, x.OnSale, x.Medal, x.Zone != nil)
	run = appendText(appendText(appendText(run, x.Discipline), x.Venue), x.City)
	run = appendMoment(appendMoment(run, x.StartsAt), x.EndsAt)
	if x.Zone != nil {
		run = appendText(run, x.Zone.String())
	}
	return appendText(appendText(run, x.Events), x.Reason)
}

// appendFlags appends a byte with a bit for each fact, the lowest one first.
func appendFlags(run []byte, set ...bool) []byte {
	flags := byte(0)
	for i, is := range set {
		if is {
			flags |= 1 << i
		}
	}
	return append(run, flags)
}

// appendMoment appends an instant that may be unknown.
func appendMoment(run []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(run, 0)
	}
	return binary.AppendUvarint(run, uint64(t.UnixMilli()+1))
}

// factReader reads the facts into a sale that has the content.
type factReader struct {
	*fields
	texts map[string]string // those that occurred: venues and disciplines repeat
	zones map[string]*time.Location
}

func (f *fields) facts(s *catalog.Sale) {
	r := factReader{fields: f, texts: map[string]string{}, zones: map[string]*time.Location{}}
	s.Title, s.Currency.Code, s.Currency.Digits = r.fact(), r.fact(), f.int(maxName)
	for i := range s.Programmes {
		p := &s.Programmes[i]
		p.Removed, p.Title = f.choice(flagRemoved) != 0, r.fact()
	}
	for i := range s.Sessions {
		r.session(&s.Sessions[i])
	}
	for i := range s.Pools {
		flags, p := f.choice(flagRemoved|flagDerived), &s.Pools[i]
		p.Removed, p.Derived = flags&flagRemoved != 0, flags&flagDerived != 0
		p.PriceCents = f.int(maxUnits) - 1
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		g.Removed, g.Title = f.choice(flagRemoved) != 0, r.fact()
	}
	for i := range s.Draws {
		d := &s.Draws[i]
		d.Removed, d.Title = f.choice(flagRemoved) != 0, r.fact()
		d.Beacon.Chain, d.Beacon.Signature = r.fact(), r.fact()
	}
	for i := range s.Phases {
		p := &s.Phases[i]
		p.Removed, p.Title = f.choice(flagRemoved) != 0, r.fact()
	}
}

func (r *factReader) session(x *catalog.Session) {
	flags := r.choice(flagRemoved | flagOnSale | flagMedal | flagZone)
	x.Removed, x.OnSale, x.Medal = flags&flagRemoved != 0, flags&flagOnSale != 0, flags&flagMedal != 0
	x.Discipline, x.Venue, x.City = r.fact(), r.fact(), r.fact()
	x.StartsAt, x.EndsAt = r.moment(), r.moment()
	if flags&flagZone != 0 {
		x.Zone = r.zone()
	}
	x.Events, x.Reason = r.fact(), r.fact()
}

// fact reads a text. Equal ones share their memory.
func (r *factReader) fact() string {
	b := r.text(maxFact)
	text, known := r.texts[string(b)]
	if !known {
		text = string(b)
		r.texts[text] = text
	}
	return text
}

func (r *factReader) moment() time.Time {
	ms := r.number(maxTimeMs + 1)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms - 1)).UTC()
}

// zone reads the name of a time zone. One that this machine does not know has the times of UTC: a journal must be
// readable everywhere, and only people read the zone.
func (r *factReader) zone() *time.Location {
	name := r.fact()
	zone, known := r.zones[name]
	if known {
		return zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil || zone.String() != name || name == "Local" {
		zone = time.FixedZone(name, 0)
	}
	r.zones[name] = zone
	return zone
}
