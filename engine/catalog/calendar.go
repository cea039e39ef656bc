package catalog

import (
	"fmt"
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
	beacons := l.index(l.yaml["beacons"], maxDraws, func(e entry) {
		keys := e.at.object("chain_hash", "public_key", "genesis", "period")
		chains = append(chains, Beacon{
			Chain:     e.key,
			ChainHash: keys["chain_hash"].hex(32),
			PublicKey: keys["public_key"].hex(96), // a compressed point of the group G2 of BLS12-381
			Genesis:   time.Unix(int64(keys["genesis"].number(0, maxGenesis)), 0).UTC(),
			Period:    time.Duration(keys["period"].number(1, maxPeriod)) * time.Second,
		})
	})
	l.sale.draws = l.index(l.yaml["draws"], maxDraws, func(e entry) {
		keys := e.at.object("title", "registration_opens", "registration_closes", "publish_within?", "beacon")
		draw := Draw{
			ID:                 e.key,
			Title:              keys["title"].text(),
			RegistrationOpens:  keys["registration_opens"].moment(l.zone),
			RegistrationCloses: keys["registration_closes"].moment(l.zone),
			Phase:              -1,
			PublishWithin:      defaultPublishWithin,
		}
		if keys["publish_within"].present() {
			draw.PublishWithin = keys["publish_within"].duration(maxSpan)
		}
		if !draw.RegistrationOpens.Before(draw.RegistrationCloses) {
			keys["registration_closes"].faultf("must be after registration_opens")
		}
		beacon := keys["beacon"].object("chain", "round", "stand_in?", "signature?")
		if chain := reference(beacon["chain"], beacons, "beacons"); chain < len(chains) {
			draw.Beacon = chains[chain]
		}
		draw.Beacon.Round = uint64(beacon["round"].number(1, maxRound))
		draw.Beacon.StandIn = beacon["stand_in"].truth()
		if beacon["signature"].present() && !draw.Beacon.StandIn {
			beacon["signature"].faultf("is allowed only with stand_in: true; any other round has yet to be published")
		}
		draw.Beacon.Signature = beacon["signature"].hex(48) // a compressed point of the group G1
		checkPublishWithin(beacon["round"], &draw)
		l.sale.Draws = append(l.sale.Draws, draw)
	})
}

// checkPublishWithin refuses a round that is due too soon after registration closes: entries could be frozen with the
// beacon in hand, and nobody could have seen their digest before. claimDraw reports a round before the close.
func checkPublishWithin(round field, draw *Draw) {
	b := &draw.Beacon
	if round.in.fault != nil || b.StandIn {
		return
	}
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
	l.sale.phases = l.index(l.yaml["phases"], maxPhases, func(e entry) {
		if l.fault == nil {
			l.readPhase(e)
		}
	})
	if f := l.yaml["phases"]; f.present() && len(l.sale.Phases) == 0 {
		f.faultf("must define at least one phase")
	}
	for _, e := range l.yaml["draws"].entries() {
		if draw := l.sale.draws[e.key]; l.fault == nil && l.sale.Draws[draw].Phase < 0 {
			e.at.faultf("has no slots to give; name it as the draw of a phase, or remove it")
		}
	}
}

func (l *loader) readPhase(e entry) {
	keys := e.at.object("title", "programme", "kind", "pack_sessions?", "opens_at", "closes_at", "access", "draw?",
		"slots?", "only?")
	p := Phase{
		ID:        e.key,
		Title:     keys["title"].text(),
		Programme: reference(keys["programme"], l.programmeIndex, "programmes"),
		OpensAt:   keys["opens_at"].moment(l.zone),
		ClosesAt:  keys["closes_at"].moment(l.zone),
		Draw:      -1,
		Slots:     SlotRule{Group: -1},
	}
	if !p.OpensAt.Before(p.ClosesAt) {
		keys["closes_at"].faultf("must be after opens_at")
	} else if p.ClosesAt.Sub(p.OpensAt) > maxPhase {
		keys["closes_at"].faultf("must be at most %d days after opens_at", maxPhase/(24*time.Hour))
	}
	if keys["kind"].oneOf("single", "pack") == "pack" {
		p.Kind = Pack
	}
	needs(keys["pack_sessions"], p.Kind == Pack, "kind: pack")
	if p.Kind == Pack {
		p.PackSessions = keys["pack_sessions"].number(2, min(maxPackSessions, l.sale.Programmes[p.Programme].AccountCap))
	}
	if keys["access"].oneOf("open", "slots") == "slots" {
		p.Access = Slots
	}
	needs(keys["draw"], p.Access == Slots, "access: slots")
	needs(keys["slots"], p.Access == Slots, "access: slots")
	l.readSells(keys["only"], e.at, &p)
	if p.Access == Slots && l.fault == nil {
		l.readSlots(keys["slots"], &p)
		l.claimDraw(keys["draw"], &p)
	}
	l.sale.Phases = append(l.sale.Phases, p)
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

// readSells marks the sessions that the phase sells. at is the definition of the phase.
func (l *loader) readSells(only, at field, p *Phase) {
	p.sells = make([]bool, len(l.sale.Sessions))
	chosen := l.matching(only)
	sellsAny := false
	for i := range l.sale.Sessions {
		session := &l.sale.Sessions[i]
		p.sells[i] = session.OnSale && session.Programme == p.Programme && (chosen[i] || !only.present())
		sellsAny = sellsAny || p.sells[i]
	}
	if !sellsAny {
		at.faultf("sells no session that is on sale; see exclusions and %s", pricesFile)
	}
}

// readSlots reads the access slots of a phase and checks that they fit into it.
func (l *loader) readSlots(f field, p *Phase) {
	keys := f.object("length", "step", "places", "priority_group?", "priority_days?")
	p.Slots.Length = keys["length"].duration(maxSpan)
	p.Slots.Step = keys["step"].duration(maxSpan)
	p.Slots.Places = keys["places"].number(1, maxSlotPlaces)
	if keys["priority_group"].present() {
		p.Slots.Group = reference(keys["priority_group"], l.sale.groups, "groups")
	}
	needs(keys["priority_days"], keys["priority_group"].present(), "priority_group")
	if keys["priority_days"].present() {
		p.Slots.PriorityDays = keys["priority_days"].number(1, maxPriorityDays)
	}
	if l.fault != nil {
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
	p.Draw = reference(f, l.sale.draws, "draws")
	if l.fault != nil {
		return
	}
	draw := &l.sale.Draws[p.Draw]
	beacon := &draw.Beacon
	published := beacon.PublishedAt()
	switch {
	case draw.Phase >= 0:
		f.faultf("%s already gives the slots of phase %s; a draw serves one phase", draw.ID, l.sale.Phases[draw.Phase].ID)
	case draw.RegistrationCloses.After(p.OpensAt):
		f.faultf("registration of %s must not close after the phase opens", draw.ID)
	case !beacon.StandIn && (!published.After(draw.RegistrationCloses) || !published.Before(p.OpensAt)):
		f.faultf("round %d of the beacon of %s is published at %s; choose one between the close of registration "+
			"and the opening of the phase", beacon.Round, draw.ID, published.Format(time.RFC3339))
	}
	draw.Phase = len(l.sale.Phases)
}
