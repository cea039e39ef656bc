package catalog

import (
	"fmt"
	"strconv"
	"time"
)

// The functions below return what a definition says of its parts, as text. References are ids.

func saleFacts(s *Sale) []fact {
	return []fact{{"name", s.Name}, {"title", s.Title}, {"currency", s.Currency.Code}}
}

func programmeFacts(_ *Sale, p *Programme) []fact {
	returned := "on_sale"
	if p.WithholdReturned {
		returned = "withheld"
	}
	return []fact{{"title", p.Title}, {"account_cap", grouped(p.AccountCap)}, {"returned_tickets", returned}}
}

func describeProgramme(_ *Sale, p *Programme) string { return "account cap " + grouped(p.AccountCap) }

func sessionFacts(in *Sale, s *Session) []fact {
	zone := ""
	if s.Zone != nil {
		zone = s.Zone.String()
	}
	return []fact{
		{"programme", in.Programmes[s.Programme].ID},
		{"discipline", s.Discipline},
		{"venue", s.Venue},
		{"city", s.City},
		{"starts_at", momentText(s.StartsAt)},
		{"ends_at", momentText(s.EndsAt)},
		{"timezone", zone},
		{"medal_session", yesOrNo(s.Medal)},
		{"events", s.Events},
		{"sales_end_at", momentText(s.SalesEndAt)},
		{"session_limit", grouped(s.Limit)},
		{"on_sale", onSaleText(s)},
	}
}

func describeSession(in *Sale, s *Session) string {
	categories, places := 0, 0
	for _, i := range s.Pools {
		if p := &in.Pools[i]; !p.Removed {
			categories++
			places += p.Capacity
		}
	}
	text := counted(categories, "category", "categories") + ", " + counted(places, "place", "places")
	if !s.OnSale {
		text += ", not on sale: " + s.Reason
	}
	return text
}

func onSaleText(s *Session) string {
	switch {
	case s.OnSale:
		return "yes"
	case s.Reason == "":
		return "no"
	}
	return "no, " + s.Reason
}

// poolFacts returns all but the price, whose currency is the sale's.
func poolFacts(_ *Sale, p *Pool) []fact {
	return []fact{
		{"capacity", grouped(p.Capacity)},
		{"withheld", grouped(p.Withheld)},
		{"capacity_derived", yesOrNo(p.Derived)},
	}
}

func describePool(in *Sale, p *Pool) string {
	text := counted(p.Capacity, "place", "places") + ", " + grouped(p.Withheld) + " withheld"
	if price := priceText(in, p); price != "" {
		text += ", " + price
	}
	return text
}

func priceText(in *Sale, p *Pool) string {
	if p.PriceCents == NoPrice {
		return ""
	}
	return in.Currency.Format(p.PriceCents)
}

func phaseFacts(in *Sale, p *Phase) []fact {
	packSessions, equal := "", ""
	if p.Kind == Pack {
		packSessions, equal = grouped(p.PackSessions), yesOrNo(p.PackEqual)
	}
	facts := []fact{
		{"title", p.Title},
		{"programme", in.Programmes[p.Programme].ID},
		{"kind", kindText(p.Kind)},
		{"pack_sessions", packSessions},
		{"pack_equal_quantities", equal},
		{"opens_at", momentText(p.OpensAt)},
		{"closes_at", momentText(p.ClosesAt)},
		{"access", accessText(p.Access)},
		{"group", groupText(in, p)},
	}
	return append(facts, slotFacts(in, p)...)
}

// slotFacts are empty for a phase without access slots.
func slotFacts(in *Sale, p *Phase) []fact {
	draw, length, step, places, group, days := "", "", "", "", "", ""
	if p.Access == Slots {
		draw, length, step = in.Draws[p.Draw].ID, durationText(p.Slots.Length), durationText(p.Slots.Step)
		places = grouped(p.Slots.Places)
		if p.Slots.Group >= 0 {
			group, days = in.Groups[p.Slots.Group].ID, grouped(p.Slots.PriorityDays)
		}
	}
	return []fact{
		{"draw", draw},
		{"slot_length", length},
		{"slot_step", step},
		{"slot_places", places},
		{"priority_group", group},
		{"priority_days", days},
	}
}

func describePhase(in *Sale, p *Phase) string {
	sells := 0
	for i := range in.Sessions {
		if p.Sells(i) {
			sells++
		}
	}
	access := accessText(p.Access)
	if p.Access == Members {
		access += " " + groupText(in, p)
	}
	return fmt.Sprintf("%s, access %s, %s to %s, sells %s%s", kindText(p.Kind), access, momentText(p.OpensAt),
		momentText(p.ClosesAt), counted(sells, "session", "sessions"), describePlaces(in, p))
}

// describePlaces is empty for a phase that sells as much of each session as there is.
func describePlaces(in *Sale, p *Phase) string {
	bounded := 0
	for i := range in.Quotas {
		if q := &in.Quotas[i]; !q.Removed && &in.Phases[q.Phase] == p {
			bounded++
		}
	}
	if bounded == 0 {
		return ""
	}
	return ", places set for " + grouped(bounded)
}

// placesText returns how many tickets a phase sells of a session, which the sale may not have yet.
func placesText(in *Sale, phase, session int) string {
	if session < len(in.Sessions) {
		if i, bounded := in.QuotaOf(phase, session); bounded && !in.Quotas[i].Removed {
			return grouped(in.Quotas[i].Places)
		}
	}
	return "no bound"
}

func groupText(in *Sale, p *Phase) string {
	if p.Access != Members {
		return ""
	}
	return in.Groups[p.Group].ID
}

func kindText(k Kind) string {
	if k == Pack {
		return "pack"
	}
	return "single"
}

func accessText(a Access) string {
	switch a {
	case Slots:
		return "slots"
	case Members:
		return "group"
	}
	return "open"
}

func drawFacts(in *Sale, d *Draw) []fact {
	b := &d.Beacon
	return []fact{
		{"title", d.Title},
		{"registration_opens", momentText(d.RegistrationOpens)},
		{"registration_closes", momentText(d.RegistrationCloses)},
		{"publish_within", durationText(d.PublishWithin)},
		{"phase", in.Phases[d.Phase].ID},
		{"beacon_chain", b.Chain},
		{"chain_hash", b.ChainHash},
		{"public_key", b.PublicKey},
		{"genesis", momentText(b.Genesis)},
		{"period", b.Period.String()},
		{"round", strconv.FormatUint(b.Round, 10)},
		{"stand_in", yesOrNo(b.StandIn)},
		{"signature", b.Signature},
	}
}

func describeDraw(_ *Sale, d *Draw) string {
	return fmt.Sprintf("registration %s to %s, round %d", momentText(d.RegistrationOpens),
		momentText(d.RegistrationCloses), d.Beacon.Round)
}

func momentText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// durationText is as definitions have it, for whole minutes.
func durationText(d time.Duration) string {
	if d%time.Minute != 0 {
		return d.String()
	}
	return minutes(d)
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// grouped returns a number with commas between thousands.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
