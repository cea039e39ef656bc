package catalog

import (
	"fmt"
	"slices"
	"time"
)

const (
	maxSpan         = 366 * 24 * time.Hour // of a slot's length and step
	maxPhase        = 3660 * 24 * time.Hour
	maxPriorityDays = 366
	maxRound        = 1 << 40
	maxGenesis      = 1 << 36 // seconds since 1970
	maxPeriod       = 3600    // seconds

	defaultPublishWithin = 10 * time.Minute
)

// readDraws reads the beacons and draws. readPhases connects each draw with its phase later.
func (l *loader) readDraws() {
	var chains []Beacon
	var chainRead []bool
	beacons := l.index(l.yaml["beacons"], maxDraws, &l.names.beacons, func(e entry) {
		before := l.count()
		keys := e.at.object("chain_hash", "public_key", "genesis", "period")
		chains = append(chains, Beacon{
			Chain:     e.key,
			ChainHash: keys["chain_hash"].hex(32),
			PublicKey: keys["public_key"].hex(96), // a compressed point of the group G2 of BLS12-381
			Genesis:   time.Unix(int64(keys["genesis"].number(0, maxGenesis)), 0).UTC(),
			Period:    time.Duration(keys["period"].number(1, maxPeriod)) * time.Second,
		})
		chainRead = append(chainRead, l.count() == before)
	})
	l.sale.draws = l.index(l.yaml["draws"], maxDraws, &l.names.draws, func(e entry) {
		keys := e.at.object("title", "registration_opens", "registration_closes", "publish_within?", "beacon")
		draw := Draw{
			ID:                 e.key,
			Title:              keys["title"].text(),
			RegistrationOpens:  keys["registration_opens"].moment(l.zone),
			RegistrationCloses: keys["registration_closes"].moment(l.zone),
			Phase:              -1,
			PublishWithin:      defaultPublishWithin,
		}
		before := l.count()
		if keys["publish_within"].present() {
			draw.PublishWithin = keys["publish_within"].duration(maxSpan)
		}
		if opens, closes := draw.RegistrationOpens, draw.RegistrationCloses; known(opens, closes) && !opens.Before(closes) {
			keys["registration_closes"].faultf("must be after registration_opens")
		}
		beacon := keys["beacon"].object("chain", "round", "stand_in?", "signature?")
		chain := reference(beacon["chain"], l.yaml["beacons"], beacons)
		if chain >= 0 {
			draw.Beacon = chains[chain]
		}
		draw.Beacon.Round = uint64(beacon["round"].number(1, maxRound))
		draw.Beacon.StandIn = beacon["stand_in"].truth()
		dated := l.count() == before && l.zone != nil && chain >= 0 && chainRead[chain] && draw.Beacon.Round > 0 &&
			known(draw.RegistrationCloses)
		if beacon["signature"].present() && !draw.Beacon.StandIn {
			beacon["signature"].faultf("is allowed only with stand_in: true; any other round has yet to be published")
		}
		draw.Beacon.Signature = beacon["signature"].hex(48) // a compressed point of the group G1
		if dated && !draw.Beacon.StandIn {
			checkPublishWithin(beacon["round"], &draw)
		}
		l.sale.Draws = append(l.sale.Draws, draw)
		l.datedDraws = append(l.datedDraws, dated)
	})
}

// known reports whether all of these times could be read.
func known(times ...time.Time) bool { return !slices.ContainsFunc(times, time.Time.IsZero) }

// checkPublishWithin refuses a round that is due too soon after registration closes: entries could be frozen with the
// beacon in hand, and nobody could have seen their digest before. claimDraw reports a round before the close.
func checkPublishWithin(round field, draw *Draw) {
	b := &draw.Beacon
	published, earliest := b.PublishedAt(), draw.RegistrationCloses.Add(draw.PublishWithin)
	if published.After(draw.RegistrationCloses) && published.Before(earliest) {
		missing := (earliest.Sub(published) + b.Period - 1) / b.Period // rounds
		round.faultf("round %d is published at %s, %s after registration closes; the digest of the entries must be "+
			"published before: choose round %d or a later one, at least publish_within: %s after the close", b.Round,
			published.Format(time.RFC3339), published.Sub(draw.RegistrationCloses), b.Round+uint64(missing),
			minutes(draw.PublishWithin))
	}
}

// minutes formats a duration of whole minutes as a definition has it: 90m or 48h.
func minutes(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}

// readPhases reads the phases and checks each against its programme, its sessions and its draw.
func (l *loader) readPhases() {
	f := l.yaml["phases"]
	l.sale.phases = l.index(f, maxPhases, &l.names.phases, l.readPhase)
	if len(l.sale.Phases) == 0 {
		if f.isEmpty() {
			f.faultf("must define at least one phase")
		}
		return
	}
	if l.loosePhase {
		return
	}
	for id, draw := range l.sale.draws {
		if l.sale.Draws[draw].Phase < 0 {
			l.yaml["draws"].key(id).faultf("has no slots to give; name it as the draw of a phase, or remove it")
		}
	}
}

func (l *loader) readPhase(e entry) {
	keys := e.at.object("title", "programme", "kind", "pack_sessions?", "pack_equal_quantities?", "opens_at",
		"closes_at", "access", "draw?", "slots?", "group?", "only?")
	p := Phase{
		ID:        e.key,
		Title:     keys["title"].text(),
		Programme: l.programme(keys["programme"]),
		OpensAt:   keys["opens_at"].moment(l.zone),
		ClosesAt:  keys["closes_at"].moment(l.zone),
		Draw:      -1,
		Slots:     SlotRule{Group: -1},
		Group:     -1,
	}
	switch {
	case !known(p.OpensAt, p.ClosesAt):
	case !p.OpensAt.Before(p.ClosesAt):
		keys["closes_at"].faultf("must be after opens_at")
	case p.ClosesAt.Sub(p.OpensAt) > maxPhase:
		keys["closes_at"].faultf("must be at most %d days after opens_at", maxPhase/(24*time.Hour))
	}
	l.readKind(keys["kind"], keys["pack_sessions"], keys["pack_equal_quantities"], &p)
	l.readSells(keys["only"], e.at, &p)
	before := l.count()
	access := keys["access"].oneOf("open", "slots", "group")
	if access != "" {
		needs(keys["draw"], access == "slots", "access: slots")
		needs(keys["slots"], access == "slots", "access: slots")
	}
	if access == "slots" {
		p.Access = Slots
		l.readSlots(keys["slots"], &p)
		l.claimDraw(keys["draw"], &p)
	}
	l.loosePhase = l.loosePhase || access == "" || l.count() > before
	if access != "" {
		needs(keys["group"], access == "group", "access: group")
	}
	if access == "group" {
		p.Access, p.Group = Members, reference(keys["group"], l.yaml["groups"], l.sale.groups)
	}
	l.sale.Phases = append(l.sale.Phases, p)
}

// readKind reads the shape of a phase's reservations.
func (l *loader) readKind(kind, sessions, equal field, p *Phase) {
	word := kind.oneOf("single", "pack")
	if word == "" {
		return
	}
	needs(sessions, word == "pack", "kind: pack")
	if word == "single" {
		needs(equal, false, "kind: pack")
		return
	}
	p.Kind, p.PackEqual = Pack, equal.truth()
	most := maxPackSessions
	if p.Programme >= 0 {
		if limit := l.sale.Programmes[p.Programme].AccountCap; limit > 0 {
			most = min(most, limit)
		}
	}
	p.PackSessions = sessions.number(2, most)
}

// needs refuses an optional key that is absent although another requires it, or present although that other is not.
func needs(f field, needed bool, by string) {
	switch {
	case needed && !f.present():
		f.faultf("is required with %s", by)
	case !needed && f.present():
		f.faultf("is allowed only with %s", by)
	}
}

// readSells marks the sessions that the phase sells, and reads how many tickets of them. at is the definition of the
// phase. Sessions that are not on sale have their places as well, for when they are on sale again.
func (l *loader) readSells(only, at field, p *Phase) {
	before := l.count()
	p.sells = make([]bool, len(l.sale.Sessions))
	quotas := len(l.sale.Quotas)
	l.eachNumbered(only, "places?", 1, maxPlaces, func(i int, line *numbered) {
		session := &l.sale.Sessions[i]
		chosen := (session.Programme == p.Programme || session.Programme == unknownProgramme) &&
			(line != nil || !only.present())
		p.sells[i] = chosen && session.OnSale
		if chosen && line != nil && line.number > 0 && len(l.sale.Quotas) <= maxQuotas {
			l.sale.Quotas = append(l.sale.Quotas, Quota{Phase: len(l.sale.Phases), Session: i, Places: line.number})
		}
	})
	if quotas <= maxQuotas && len(l.sale.Quotas) > maxQuotas {
		only.faultf("has places for too many sessions; all phases together may have them for %d", maxQuotas)
	}
	sellsAny := p.Programme < 0 || l.unread[sessionsFile] || l.unread[pricesFile] || l.count() > before
	if !sellsAny && !slices.Contains(p.sells, true) {
		at.faultf("sells no session that is on sale; see exclusions and %s", l.pricesFrom)
	}
}

// readSlots reads the access slots of a phase and checks that they fit into it.
func (l *loader) readSlots(f field, p *Phase) {
	before := l.count()
	keys := f.object("length", "step", "places", "priority_group?", "priority_days?")
	p.Slots.Length = keys["length"].duration(maxSpan)
	p.Slots.Step = keys["step"].duration(maxSpan)
	p.Slots.Places = keys["places"].number(1, maxSlotPlaces)
	if keys["priority_group"].present() {
		p.Slots.Group = reference(keys["priority_group"], l.yaml["groups"], l.sale.groups)
	}
	needs(keys["priority_days"], keys["priority_group"].present(), "priority_group")
	if keys["priority_days"].present() {
		p.Slots.PriorityDays = keys["priority_days"].number(1, maxPriorityDays)
	}
	if l.count() > before || !f.present() || !p.OpensAt.Before(p.ClosesAt) || !known(p.OpensAt) {
		return
	}
	switch count := p.SlotCount(); {
	case count == 0:
		keys["length"].faultf("must not exceed the length of the phase, %s; it is %s", p.ClosesAt.Sub(p.OpensAt),
			p.Slots.Length)
	case count > maxSlots:
		keys["step"].faultf("makes %d slots; at most %d are allowed", count, maxSlots)
	case count > maxPlaces/p.Slots.Places:
		keys["places"].faultf("makes more than %d places over all %d slots", maxPlaces, count)
	case p.PrioritySlotCount() == count:
		keys["priority_days"].faultf("covers all %d slots; at least one must be left for the other winners", count)
	}
}

// claimDraw connects a phase with its draw, whose registration must have closed when the phase opens.
func (l *loader) claimDraw(f field, p *Phase) {
	p.Draw = reference(f, l.yaml["draws"], l.sale.draws)
	if p.Draw < 0 {
		return
	}
	draw := &l.sale.Draws[p.Draw]
	switch {
	case draw.Phase >= 0:
		f.faultf("%s already gives the slots of phase %s; a draw serves one phase", draw.ID, l.sale.Phases[draw.Phase].ID)
	case known(draw.RegistrationCloses, p.OpensAt) && draw.RegistrationCloses.After(p.OpensAt):
		f.faultf("registration of %s must not close after the phase opens", draw.ID)
	case l.datedDraws[p.Draw] && !draw.Beacon.StandIn && known(p.OpensAt):
		published := draw.Beacon.PublishedAt()
		if !published.After(draw.RegistrationCloses) || !published.Before(p.OpensAt) {
			f.faultf("round %d of the beacon of %s is published at %s; choose one between the close of registration "+
				"and the opening of the phase", draw.Beacon.Round, draw.ID, published.Format(time.RFC3339))
		}
	}
	draw.Phase = len(l.sale.Phases)
}
