package record

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
)

// Definition is what the numbers in records mean and what outcomes are judged by: limits, stock, phases and draws. With
// it a journal is read and verified without the sale's files. A journal begins with one, and has another one wherever
// the sale changed between two starts. Its content is, in version 2:
//
//	sale string
//	programmes   count | (id string, account cap, plus 65,536 if the places of returned reservations are withheld)…
//	sessions     count | (id string, programme, limit, plus 65,536 if its sales end, [end of sales])…
//	pools        count | (session, category string, capacity, withheld)…
//	groups       count | id string…
//	draws        count | (id string, registration opens, closes, time to publish, phase, chain hash string,
//	             public key string, genesis, period, round, stand-in 1 byte)…
//	phases       count | (id string, programme, kind 1 byte: 0 single, 1 pack, 2 pack with equally many tickets for each
//	             session, sessions of a pack, opens, closes, access 1 byte: 0 open, 1 slots, 2 members,
//	             [draw, length, step, places, priority days, group + 1], [members' group],
//	             what it sells: a bit a session)…
//
// Programmes, sessions, phases, draws and groups are named by their positions; a priority group of 0 means none. The
// parts in brackets are there where sales end, with access by slots, and with access of members. Times are ms since
// 1970, durations ms, integers unsigned varints.
//
// The digest is the SHA-256 of the content and the quotas, which only versions have. It is the same on every machine,
// as long as the sale's files say the same in the same order. Titles, venues, prices and whatever else only people
// read are not in it.
//
// The content of Paris 2024 has 44 kilobytes.
type Definition struct {
	Sale   string
	Phases []string
	Draws  []string
	Groups []string
	Pools  []Pool

	// Rules is the content: the sale without what only people read. It is nil in version 1, which has only the names
	// above.
	Rules  *catalog.Sale
	Digest draw.Digest // of the content and the quotas; zero in version 1

	// Version counts the definitions of a sale from 1; it is 0 in a record of KindDefinition, which nothing writes any
	// more. FilesDigest is catalog.Files.Digest of the organiser's files, and Earlier has that of every version before,
	// the first one first. Files are the files as a tar, shared and not to be changed; nil if the sale was not loaded
	// from files.
	Version     int
	FilesDigest draw.Digest
	Earlier     []draw.Digest
	Files       []byte

	packed  []byte // the body of the version's record; nil before Pack
	content uint64 // of Rules; 0 before Pack

	// Above is what accounts had beyond the caps and limits when the definition came into force. Such tickets were rightly
	// taken under an earlier definition, or before a session moved to another programme (I2).
	Above Above

	// Freed are the freed places when a version comes into force, in ascending order of their pools.
	Freed []Freed
}

// Above has, for each programme whose cap, and each session whose limit is exceeded by an account, how many tickets the
// account with the most tickets has. Both are in ascending order of Of.
type Above struct{ Programmes, Sessions []Most }

// Most is the most tickets that one account has of a programme or session, by its position.
type Most struct{ Of, Tickets int }

// Pool names a pool.
type Pool struct{ Session, Category string }

// DefinitionOf returns the definition of a sale. Its numbers are the indices in the sale's slices.
func DefinitionOf(s *catalog.Sale) Definition {
	d := Definition{Sale: s.Name, Groups: GroupNames(s), Rules: s,
		Digest: sha256.Sum256(appendQuotas(appendContent(nil, s), s))}
	for i := range s.Phases {
		d.Phases = append(d.Phases, s.Phases[i].ID)
	}
	for i := range s.Draws {
		d.Draws = append(d.Draws, s.Draws[i].ID)
	}
	for i := range s.Pools {
		d.Pools = append(d.Pools, Pool{Session: s.Sessions[s.Pools[i].Session].ID, Category: s.Pools[i].Category})
	}
	if s.Files != nil {
		d.FilesDigest, d.Files = s.Files.Digest(), s.Files.AppendTar(nil)
	}
	return d
}

// Append appends the definition's record to a run of records of the journal: it is in force from atMs on.
func (d *Definition) Append(run []byte, atMs int64) []byte {
	return seal(d.appendBody(begin(run, d.kind(), atMs)), len(run))
}

// AppendRow appends the record of the definition in force to a run of records of a checkpoint, with the instant and the
// sequence since which it is.
func (d *Definition) AppendRow(run []byte, since Stamp) []byte {
	return seal(d.appendBody(beginRow(run, d.kind(), since)), len(run))
}

func (d *Definition) kind() Kind {
	if d.Version > 0 {
		return KindVersion
	}
	return KindDefinition
}

func (d *Definition) appendBody(run []byte) []byte {
	if d.Version > 0 {
		return append(run, d.versionBody()...)
	}
	return appendAbove(appendContent(append(run, d.Digest[:]...), d.Rules), &d.Above)
}

func appendAbove(run []byte, above *Above) []byte {
	for _, list := range [][]Most{above.Programmes, above.Sessions} {
		run = appendCount(run, len(list))
		for _, m := range list {
			run = appendCount(appendCount(run, m.Of), m.Tickets)
		}
	}
	return run
}

func appendContent(run []byte, s *catalog.Sale) []byte {
	run = appendCount(appendText(run, s.Name), len(s.Programmes))
	for i := range s.Programmes {
		p := &s.Programmes[i]
		rule := p.AccountCap
		if p.WithholdReturned {
			rule += withholdReturned
		}
		run = appendCount(appendText(run, p.ID), rule)
	}
	run = appendCount(run, len(s.Sessions))
	for i := range s.Sessions {
		x := &s.Sessions[i]
		run = appendCount(appendText(run, x.ID), x.Programme)
		if x.SalesEndAt.IsZero() {
			run = appendCount(run, x.Limit)
		} else {
			run = appendTime(appendCount(run, x.Limit+salesEnd), x.SalesEndAt)
		}
	}
	run = appendCount(run, len(s.Pools))
	for i := range s.Pools {
		p := &s.Pools[i]
		run = appendText(appendCount(run, p.Session), p.Category)
		run = appendCount(appendCount(run, p.Capacity), p.Withheld)
	}
	run = appendCount(run, len(s.Groups))
	for i := range s.Groups {
		run = appendText(run, s.Groups[i].ID)
	}
	run = appendCount(run, len(s.Draws))
	for i := range s.Draws {
		run = appendDraw(run, &s.Draws[i])
	}
	run = appendCount(run, len(s.Phases))
	for i := range s.Phases {
		run = appendPhase(run, &s.Phases[i], len(s.Sessions))
	}
	return run
}

func appendDraw(run []byte, d *catalog.Draw) []byte {
	run = appendTime(appendTime(appendText(run, d.ID), d.RegistrationOpens), d.RegistrationCloses)
	run, b := appendDuration(run, d.PublishWithin), &d.Beacon
	run = appendText(appendText(appendCount(run, d.Phase), b.ChainHash), b.PublicKey)
	run = appendDuration(appendTime(run, b.Genesis), b.Period)
	run = binary.AppendUvarint(run, b.Round)
	if b.StandIn {
		return append(run, 1)
	}
	return append(run, 0)
}

func appendPhase(run []byte, p *catalog.Phase, sessions int) []byte {
	kind := byte(p.Kind)
	if p.PackEqual {
		kind = equalPack
	}
	run = append(appendCount(appendText(run, p.ID), p.Programme), kind)
	run = appendTime(appendTime(appendCount(run, p.PackSessions), p.OpensAt), p.ClosesAt)
	run = append(run, byte(p.Access))
	switch p.Access {
	case catalog.Slots:
		r := &p.Slots
		run = appendDuration(appendDuration(appendCount(run, p.Draw), r.Length), r.Step)
		run = appendCount(appendCount(appendCount(run, r.Places), r.PriorityDays), r.Group+1)
	case catalog.Members:
		run = appendCount(run, p.Group)
	}
	for first := 0; first < sessions; first += 8 {
		bits := byte(0)
		for i := first; i < min(first+8, sessions); i++ {
			if p.Sells(i) {
				bits |= 1 << (i - first)
			}
		}
		run = append(run, bits)
	}
	return run
}

// equalPack is the kind of a phase whose packs have equally many tickets for each session.
const equalPack = 2

func appendCount(run []byte, n int) []byte { return binary.AppendUvarint(run, uint64(n)) }

func appendTime(run []byte, t time.Time) []byte { return appendCount(run, int(t.UnixMilli())) }

func appendDuration(run []byte, d time.Duration) []byte {
	return appendCount(run, int(d.Milliseconds()))
}

// Limits of what a definition may say. Those of a loaded sale are not higher.
const (
	maxName  = 255     // bytes of a name
	maxParts = 1 << 20 // of one kind, where a part is named

	maxProgrammes = 16
	maxSessions   = 60_000
	maxPools      = 60_000
	maxFew        = 64      // groups, draws, phases
	maxSpan       = 1 << 40 // ms of a duration
	maxUnits      = 1<<31 - 1
)

// withholdReturned is added to the account cap of a programme that withholds the places of returned reservations. A cap
// is lower.
const withholdReturned = 1 << 16

// salesEnd is added to the limit of a session whose sales end at an instant. A limit is lower.
const salesEnd = 1 << 16

func (f *fields) definition(first bool) Definition {
	if first {
		return f.names()
	}
	var digest draw.Digest
	copy(digest[:], f.take(len(digest)))
	content := f.rest
	sale := f.content()
	if f.bad || digest != sha256.Sum256(content[:len(content)-len(f.rest)]) {
		f.bad = true
		return Definition{}
	}
	d := DefinitionOf(sale)
	d.Above = Above{Programmes: f.beyond(len(sale.Programmes)), Sessions: f.beyond(len(sale.Sessions))}
	return d
}

// beyond reads a list of Above.
func (f *fields) beyond(parts int) (list []Most) {
	for n := f.count(); n > 0 && !f.bad; n-- {
		m := Most{Of: int(f.number(maxParts)), Tickets: int(f.number(maxUnits))}
		f.bad = f.bad || m.Of >= parts || len(list) > 0 && m.Of <= list[len(list)-1].Of
		list = append(list, m)
	}
	return list
}

// names reads a definition of version 1.
func (f *fields) names() Definition {
	if f.byte() != 1 {
		f.bad = true
	}
	d := Definition{Sale: string(f.text(maxName))}
	for _, list := range []*[]string{&d.Phases, &d.Draws, &d.Groups} {
		for range f.count() {
			*list = append(*list, string(f.text(maxName)))
		}
	}
	for n := f.count(); n > 0 && !f.bad; n-- {
		d.Pools = append(d.Pools, Pool{Session: string(f.text(maxName)), Category: string(f.text(maxName))})
	}
	return d
}

// content reads the sale of a definition.
func (f *fields) content() *catalog.Sale {
	s, sells := f.parts()
	if f.bad {
		return nil
	}
	sale, err := catalog.Assemble(s, sells)
	f.bad = err != nil
	return sale
}

// parts reads the content: the parts of a sale, and what its phases sell.
func (f *fields) parts() (s catalog.Sale, sells [][]bool) {
	s.Name = string(f.text(maxName))
	for n := f.most(maxProgrammes); n > 0 && !f.bad; n-- {
		id, rule := string(f.text(maxName)), f.int(2*withholdReturned-1)
		s.Programmes = append(s.Programmes, catalog.Programme{ID: id, AccountCap: rule % withholdReturned,
			WithholdReturned: rule >= withholdReturned})
	}
	for n := f.most(maxSessions); n > 0 && !f.bad; n-- {
		x := catalog.Session{ID: string(f.text(maxName)), Programme: f.int(maxParts), Limit: f.int(2*salesEnd - 1)}
		if x.Limit >= salesEnd {
			x.Limit, x.SalesEndAt = x.Limit-salesEnd, f.instant()
		}
		s.Sessions = append(s.Sessions, x)
	}
	for n := f.most(maxPools); n > 0 && !f.bad; n-- {
		s.Pools = append(s.Pools, catalog.Pool{Session: f.int(maxParts), Category: string(f.text(maxName)),
			Capacity: f.int(maxUnits), Withheld: f.int(maxUnits)})
	}
	for n := f.most(maxFew); n > 0 && !f.bad; n-- {
		s.Groups = append(s.Groups, catalog.Group{ID: string(f.text(maxName))})
	}
	for n := f.most(maxFew); n > 0 && !f.bad; n-- {
		s.Draws = append(s.Draws, f.drawRules())
	}
	for n := f.most(maxFew); n > 0 && !f.bad; n-- {
		s.Phases = append(s.Phases, f.phaseRules())
		sells = append(sells, f.bits(len(s.Sessions)))
	}
	return s, sells
}

func (f *fields) drawRules() catalog.Draw {
	d := catalog.Draw{ID: string(f.text(maxName)), RegistrationOpens: f.instant(), RegistrationCloses: f.instant(),
		PublishWithin: f.duration(), Phase: f.int(maxParts)}
	d.Beacon = catalog.Beacon{ChainHash: string(f.text(maxName)), PublicKey: string(f.text(maxName)),
		Genesis: f.instant(), Period: f.duration(), Round: f.number(1<<64 - 1), StandIn: f.choice(1) == 1}
	return d
}

func (f *fields) phaseRules() catalog.Phase {
	p := catalog.Phase{ID: string(f.text(maxName)), Programme: f.int(maxParts)}
	kind := f.choice(equalPack)
	p.Kind, p.PackEqual = catalog.Kind(min(kind, byte(catalog.Pack))), kind == equalPack
	p.PackSessions, p.OpensAt, p.ClosesAt = f.int(maxParts), f.instant(), f.instant()
	p.Access, p.Group = catalog.Access(f.choice(byte(catalog.Members))), -1
	p.Draw, p.Slots = -1, catalog.SlotRule{Group: -1}
	switch p.Access {
	case catalog.Slots:
		p.Draw = f.int(maxParts)
		p.Slots = catalog.SlotRule{Length: f.duration(), Step: f.duration(), Places: f.int(maxUnits),
			PriorityDays: f.int(maxParts), Group: f.int(maxParts) - 1}
	case catalog.Members:
		p.Group = f.int(maxParts)
	}
	return p
}

// most reads how many elements follow, each of at least one byte: limit of them or fewer.
func (f *fields) most(limit int) int { return f.int(min(limit, len(f.rest))) }

func (f *fields) int(limit int) int { return int(f.number(uint64(limit))) }

func (f *fields) instant() time.Time { return time.UnixMilli(f.time()).UTC() }

func (f *fields) duration() time.Duration { return time.Duration(f.number(maxSpan)) * time.Millisecond }

// choice reads a byte from 0 to most.
func (f *fields) choice(most byte) byte {
	b := f.byte()
	f.bad = f.bad || b > most
	return b
}

// bits reads n bits, and zeroes up to a whole byte.
func (f *fields) bits(n int) []bool {
	packed := f.take((n + 7) / 8)
	if f.bad {
		return nil
	}
	set := make([]bool, n)
	for i := range len(packed) * 8 {
		bit := packed[i/8]>>(i%8)&1 == 1
		switch {
		case i < n:
			set[i] = bit
		case bit:
			f.bad = true
		}
	}
	return set
}

// Same reports whether both definitions give numbers the same meaning and outcomes the same judgement. A definition of
// version 1 is the same as no other, since what it judges by is not known.
func (d *Definition) Same(other *Definition) bool {
	return d.Rules != nil && other.Rules != nil && d.Digest == other.Digest
}

// Lowers reports whether an account that is within the caps and limits of d can be beyond those of to: one of them is
// lower there, or counts other sessions.
func (d *Definition) Lowers(to *catalog.Sale) bool {
	if d.Rules == nil || len(d.Above.Programmes)+len(d.Above.Sessions) > 0 {
		return true
	}
	programme := func(s *catalog.Sale, i int) string { return s.Programmes[s.Sessions[i].Programme].ID }
	for i := range d.Rules.Programmes {
		p := &d.Rules.Programmes[i]
		now := slices.IndexFunc(to.Programmes, func(n catalog.Programme) bool { return n.ID == p.ID })
		if now < 0 || to.Programmes[now].AccountCap < p.AccountCap {
			return true
		}
	}
	for i := range d.Rules.Sessions {
		x := &d.Rules.Sessions[i]
		now, there := to.SessionByID(x.ID)
		if there && (to.Sessions[now].Limit < x.Limit || programme(to, now) != programme(d.Rules, i)) {
			return true
		}
	}
	return false
}
