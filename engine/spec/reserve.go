package spec

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seathold/seathold/engine/catalog"
)

// The limits of a request in the contract.
const (
	maxLines     = 30
	maxQuantity  = 4095
	maxReference = 64 // bytes
	maxTTL       = 366 * 24 * time.Hour
)

// reserve applies the rules in the order of the contract and reports the first violation. A repeated id is answered
// before any rule of the sale is applied. A replacement is judged as if the other reservation were already gone.
func (m *Model) reserve(op Operation) Answer {
	if r := shape(op); r.Code != "" {
		return Answer{Refusal: r}
	}
	if m.reservations[op.ID] != nil {
		return m.repeat(op)
	}
	judges := m
	if op.Replaces != "" {
		old := m.current(op.Replaces, op.At)
		if old == nil || old.Account != op.Account {
			return refuse("reservation_not_found")
		}
		if old.State != "held" {
			return m.refuseState(old, op.At)
		}
		judges = m.Clone()
		judges.end(op.Replaces, "released")
	}
	if op.TTL > m.rules.TTL {
		return refuse("malformed_request")
	}
	phase, refused := judges.judge(op)
	if len(refused) > 0 {
		return Answer{Refusal: refused[0], short: refused}
	}
	ttl := op.TTL
	if ttl == 0 {
		ttl = m.rules.TTL
	}
	now := &reservation{phaseGiven: op.Phase, ttlGiven: op.TTL, replaces: op.Replaces, Reservation: Reservation{
		ID: op.ID, Account: op.Account, Phase: phase.ID, State: "held", Lines: slices.Clone(op.Lines),
		CreatedAt: op.At, ExpiresAt: op.At.Add(ttl)}}
	if op.Replaces != "" {
		m.end(op.Replaces, "released")
	}
	m.add(now)
	return Answer{Reservation: now.Reservation}
}

// judge applies the rules of a new reservation: phase, access, pauses, what is on sale, pack shape, limits and
// caps, stock. It returns the violation of the first violated rule; if that is stock, one for each line with too few
// tickets, and then one for each session of which the phase has too few places left.
func (m *Model) judge(op Operation) (*catalog.Phase, []Refusal) {
	phase, r := m.choosePhase(op)
	for _, rule := range []func() Refusal{
		func() Refusal { return r },
		func() Refusal { return m.access(op, phase) },
		func() Refusal { return m.stopped(op, phase) },
		func() Refusal { return m.onSale(op, phase) },
		func() Refusal { return m.packShape(op, phase) },
		func() Refusal { return m.sessionLimits(op) },
		func() Refusal { return m.accountCap(op) },
	} {
		if r := rule(); r.Code != "" {
			return nil, []Refusal{r}
		}
	}
	return phase, append(m.short(op), m.shortOfPlaces(op, phase)...)
}

// shape refuses what no sale could accept.
func shape(op Operation) Refusal {
	if !validAccount(op.Account) || op.TTL < 0 || op.TTL > maxTTL || op.TTL%time.Second != 0 ||
		op.Replaces == op.ID {
		return Refusal{Code: "malformed_request"}
	}
	return shapeOfLines(op.Lines)
}

// shapeOfLines refuses lines that no reservation could have.
func shapeOfLines(lines []Line) Refusal {
	if len(lines) == 0 {
		return Refusal{Code: "malformed_request"}
	}
	if len(lines) > maxLines {
		return Refusal{Code: "too_many_lines", Limit: maxLines, Requested: len(lines)}
	}
	for i, l := range lines {
		if l.Quantity < 1 || l.Quantity > maxQuantity {
			return Refusal{Code: "invalid_quantity"}
		}
		same := func(before Line) bool { return before.Session == l.Session && before.Category == l.Category }
		if slices.ContainsFunc(lines[:i], same) {
			return Refusal{Code: "duplicate_line", Session: l.Session, Category: l.Category}
		}
	}
	return Refusal{}
}

// repeat answers a request whose id is in use: the same content gets the present reservation while it is held or
// confirmed, and the refusal of its end afterwards. Other content is refused (I9).
func (m *Model) repeat(op Operation) Answer {
	r := m.current(op.ID, op.At)
	if !m.sameContent(r, op) {
		return refuse("id_reused")
	}
	if r.State != "held" && r.State != "confirmed" {
		return m.refuseState(r, op.At)
	}
	return Answer{Reservation: r.Reservation, Repeated: true}
}

// sameContent reports whether the request may be the one that made the reservation. What the present reservation no
// longer has is not compared: the duration of a hold that was extended, and what a reduction has removed.
func (m *Model) sameContent(r *reservation, op Operation) bool {
	if r.Account != op.Account || r.phaseGiven != op.Phase || r.replaces != op.Replaces {
		return false
	}
	if r.ttlGiven != op.TTL && (!r.extended || r.ttlGiven == 0 || op.TTL == 0) {
		return false
	}
	if !r.reduced {
		return sameLines(r.Lines, op.Lines)
	}
	return !slices.ContainsFunc(op.Lines, func(l Line) bool { return !m.everDefined(l) }) &&
		!slices.ContainsFunc(r.Lines, func(l Line) bool {
			return l.Quantity > quantityOf(op.Lines, l.Session, l.Category)
		})
}

// access refuses an account that may not buy in the phase.
func (m *Model) access(op Operation, phase *catalog.Phase) Refusal {
	switch {
	case phase.Access == catalog.Open:
		return Refusal{}
	case phase.Access == catalog.Members && m.members[m.rules.Sale.Groups[phase.Group].ID][op.Account]:
		return Refusal{}
	case phase.Access == catalog.Members:
		return Refusal{Code: "no_access_slot", Phase: phase.ID}
	case m.rules.Access == nil:
		return Refusal{Code: "no_access_slot", Phase: phase.ID}
	}
	return m.rules.Access(op.Account, phase.ID, op.At)
}

// onSale refuses the first line whose session or category is unknown or not on sale in the phase, or whose session's
// sales have ended.
func (m *Model) onSale(op Operation, phase *catalog.Phase) Refusal {
	for _, l := range op.Lines {
		if r := m.known(l); r.Code != "" {
			return r
		}
		if session, _ := m.rules.Sale.SessionByID(l.Session); !phase.Sells(session) {
			return Refusal{Code: "not_on_sale", Session: l.Session, Phase: phase.ID}
		}
		if r := m.ended(l, op.At); r.Code != "" {
			return r
		}
	}
	return Refusal{}
}

// ended refuses a line of a session whose sales have ended.
func (m *Model) ended(l Line, at time.Time) Refusal {
	session, _ := m.rules.Sale.SessionByID(l.Session)
	if end := m.rules.Sale.Sessions[session].SalesEndAt; !end.IsZero() && !at.Before(end) {
		return Refusal{Code: "sales_ended", Session: l.Session, EndedAt: end}
	}
	return Refusal{}
}

// known refuses a line that can never be sold.
func (m *Model) known(l Line) Refusal {
	session, ok := m.rules.Sale.SessionByID(l.Session)
	if !ok {
		return Refusal{Code: "unknown_session", Session: l.Session}
	}
	if len(m.rules.Sale.Sessions[session].Pools) == 0 {
		return Refusal{Code: "not_on_sale", Session: l.Session} // only listed
	}
	if _, ok := m.rules.Sale.PoolOf(session, l.Category); !ok {
		return Refusal{Code: "unknown_category", Session: l.Session, Category: l.Category}
	}
	return Refusal{}
}

// everDefined reports whether the pool of a line is defined, or was.
func (m *Model) everDefined(l Line) bool {
	return slices.ContainsFunc(m.rules.Sale.Pools, func(p catalog.Pool) bool {
		return m.rules.Sale.Sessions[p.Session].ID == l.Session && p.Category == l.Category
	})
}

// packShape refuses a pack that does not have exactly the phase's number of different sessions, or not equally many
// tickets for each of them where the phase requires that.
func (m *Model) packShape(op Operation, phase *catalog.Phase) Refusal {
	if n := len(sessionsOf(op.Lines)); phase.Kind == catalog.Pack && n != phase.PackSessions {
		return Refusal{Code: "pack_shape", Phase: phase.ID, Limit: phase.PackSessions, Requested: n}
	}
	if phase.PackEqual && !evenly(op.Lines) {
		return Refusal{Code: "pack_shape", Phase: phase.ID, Limit: phase.PackSessions, Requested: phase.PackSessions}
	}
	return Refusal{}
}

// sessionLimits refuses a request that would take an account's held and confirmed tickets for a session above its limit
// (I2). The lines of a session are summed first (I4).
func (m *Model) sessionLimits(op Operation) Refusal {
	for _, id := range sessionsOf(op.Lines) {
		session, _ := m.rules.Sale.SessionByID(id)
		held, confirmed := m.ofSession(op.Account, id)
		requested := ticketsOf(op.Lines, func(l Line) bool { return l.Session == id })
		if limit := m.rules.Sale.Sessions[session].Limit; held+confirmed+requested > limit {
			return Refusal{Code: "session_limit_exceeded", Session: id, Limit: limit, Held: held, Confirmed: confirmed,
				Requested: requested}
		}
	}
	return Refusal{}
}

// accountCap refuses a request that would take an account's held and confirmed tickets, over all phases of the
// programme, above its cap (I2).
func (m *Model) accountCap(op Operation) Refusal {
	programme := m.programme(op.Lines[0])
	p := &m.rules.Sale.Programmes[programme]
	held, confirmed := m.ofProgramme(op.Account, programme)
	requested := (&Reservation{Lines: op.Lines}).Tickets()
	if held+confirmed+requested > p.AccountCap {
		return Refusal{Code: "account_cap_exceeded", Programme: p.ID, Limit: p.AccountCap, Held: held, Confirmed: confirmed,
			Requested: requested}
	}
	return Refusal{}
}

// short returns a refusal for each line with too few available tickets, in the order of the request.
func (m *Model) short(op Operation) []Refusal {
	var all []Refusal
	for _, l := range op.Lines {
		session, _ := m.rules.Sale.SessionByID(l.Session)
		pool, _ := m.rules.Sale.PoolOf(session, l.Category)
		if available := m.ofPool(pool).Available; available < l.Quantity {
			all = append(all, Refusal{Code: "sold_out", Session: l.Session, Category: l.Category, Requested: l.Quantity,
				Available: available})
		}
	}
	return all
}

func sessionsOf(lines []Line) []string {
	var ids []string
	for _, l := range lines {
		if !slices.Contains(ids, l.Session) {
			ids = append(ids, l.Session)
		}
	}
	return ids
}

var accountPattern = regexp.MustCompile(`^[A-Za-z0-9._:@-]{1,64}$`)

func validAccount(s string) bool { return accountPattern.MatchString(s) }

func validReference(s string) bool {
	return len(s) <= maxReference && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
