package spec

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/seathold/seathold/engine/catalog"
)

// Rules are the rules of a sale.
type Rules struct {
	Sale *catalog.Sale
	TTL  time.Duration // the duration of a hold, unless the request has a shorter one

	// MaxHold is how long after its creation a hold ends at the latest, however often it is extended.
	MaxHold time.Duration

	// Access refuses an account that may not buy at that instant in a phase with access by slots. If it is nil, no account
	// has a slot.
	Access func(account, phase string, at time.Time) Refusal
}

// Model is the state of a sale. New returns the initial one.
type Model struct {
	rules        *Rules
	reservations map[string]*reservation // by id; replaced, never changed in place
	byAccount    map[string][]string     // ids; replaced, never changed in place
	paused       map[string]bool         // "sale", "phase packs", "session SWIM"; replaced, never changed in place
	allowed      map[string]int          // before a cap or limit was lowered; replaced, never changed in place
	members      enrolled
	freed        map[int]int // withheld after a return and on sale again, by pool; replaced, never changed in place
}

// reservation is a reservation, the parameters of its request, and what has changed since.
type reservation struct {
	Reservation
	phaseGiven string
	ttlGiven   time.Duration
	replaces   string // the id of the reservation whose place it took
	extended   bool
	reduced    bool
	withheld   bool      // its tickets were returned and are not on sale again
	endedAt    time.Time // in a history that forgets: when it was released or returned, at the earliest; zero otherwise
}

// New returns the model of a sale in which nothing is sold yet.
func New(rules *Rules) *Model {
	return &Model{rules: rules, reservations: map[string]*reservation{}, byAccount: map[string][]string{},
		paused: map[string]bool{}, allowed: map[string]int{}, members: enrolled{}, freed: map[int]int{}}
}

// Clone returns an independent copy.
func (m *Model) Clone() *Model {
	return &Model{rules: m.rules, reservations: maps.Clone(m.reservations), byAccount: maps.Clone(m.byAccount),
		paused: m.paused, allowed: m.allowed, members: m.members, freed: m.freed}
}

// Sale returns the sale in force. What was ever defined has the same number in all that come after.
func (m *Model) Sale() *catalog.Sale { return m.rules.Sale }

// Find returns the reservation with the id, not expired even if it is overdue; the zero value if there is none. It is
// for tests that draw operations which fit.
func (m *Model) Find(id string) Reservation {
	if r := m.reservations[id]; r != nil {
		return r.Reservation
	}
	return Reservation{}
}

// Do executes one operation.
func (m *Model) Do(op Operation) Answer {
	switch op.Kind {
	case Reserve:
		return m.reserve(op)
	case Confirm:
		return m.confirm(op)
	case Release:
		return m.release(op)
	case Extend:
		return m.extend(op)
	case Reduce:
		return m.reduce(op)
	case Return:
		return m.giveBack(op)
	case ReadReservation:
		return m.read(op)
	case ReadAccount:
		return m.account(op)
	case ReadStock:
		return Answer{Stock: m.stock()}
	case ReadPlaces:
		return Answer{Places: m.places()}
	case Sweep:
		return Answer{Ended: m.sweep(op.At)}
	case Apply:
		return m.apply(op)
	case Pause:
		return m.pause(op)
	case SetStock:
		return m.setStock(op)
	case Join, Leave:
		return m.enrol(op)
	}
	panic(fmt.Sprintf("BUG: unknown operation kind %d", op.Kind))
}

// Restart does nothing: every answered outcome survives a restart. It makes Model a System.
func (m *Model) Restart() error { return nil }

func refuse(code string) Answer { return Answer{Refusal: Refusal{Code: code}} }

// refuseState refuses a call that the state of the reservation does not permit.
func (m *Model) refuseState(r *reservation, at time.Time) Answer {
	refusal := Refusal{Code: "reservation_" + r.State}
	switch r.State {
	case "confirmed":
		refusal.Reference = r.Reference
	case "expired":
		_, refused := m.judgeAgain(r, at)
		refusal.CanTakeAgain = len(refused) == 0
	}
	return Answer{Refusal: refusal}
}

func (m *Model) read(op Operation) Answer {
	r := m.current(op.ID, op.At)
	if r == nil {
		return refuse("reservation_not_found")
	}
	return Answer{Reservation: r.Reservation}
}

func (m *Model) account(op Operation) Answer {
	if !validAccount(op.Account) {
		return refuse("malformed_request")
	}
	a := Account{Account: op.Account}
	for _, id := range m.byAccount[op.Account] {
		m.expireIfOver(id, op.At)
		if r := m.reservations[id]; r.State == "held" || r.State == "confirmed" {
			a.Reservations = append(a.Reservations, r.Reservation)
		}
	}
	slices.SortFunc(a.Reservations, func(r, s Reservation) int {
		return cmp.Or(s.CreatedAt.Compare(r.CreatedAt), cmp.Compare(s.ID, r.ID))
	})
	for i := range m.rules.Sale.Programmes {
		p := &m.rules.Sale.Programmes[i]
		held, confirmed := m.ofProgramme(op.Account, i)
		a.Programmes = append(a.Programmes, ProgrammeTickets{p.ID, p.AccountCap, held, confirmed})
	}
	return Answer{Account: a}
}

func (m *Model) stock() []Stock {
	var all []Stock
	for i := range m.rules.Sale.Pools {
		all = append(all, m.ofPool(i))
	}
	return all
}

func (m *Model) sweep(at time.Time) int {
	ended := 0
	for id := range m.reservations {
		if m.expireIfOver(id, at) {
			ended++
		}
	}
	return ended
}

// current returns the reservation with the id, expired if it is overdue; nil if there is none.
func (m *Model) current(id string, at time.Time) *reservation {
	m.expireIfOver(id, at)
	return m.reservations[id]
}

// expireIfOver expires an overdue hold.
func (m *Model) expireIfOver(id string, at time.Time) bool {
	r := m.reservations[id]
	if r == nil || !r.overdue(at) {
		return false
	}
	m.end(id, "expired")
	return true
}

// overdue reports whether the reservation is a hold whose time is over.
func (r *reservation) overdue(at time.Time) bool { return r.State == "held" && !at.Before(r.ExpiresAt) }

// end moves a hold to its final state, which gives its tickets back.
func (m *Model) end(id, state string) {
	next := *m.reservations[id]
	next.State = state
	m.put(&next)
}

// put stores the reservation in the place of the one with its id.
func (m *Model) put(r *reservation) { m.reservations[r.ID] = r }

// add stores a new reservation.
func (m *Model) add(r *reservation) {
	m.byAccount[r.Account] = append(slices.Clip(m.byAccount[r.Account]), r.ID)
	m.put(r)
}

// ofPool counts a pool's tickets. What is neither withheld, held nor sold is available (I1).
func (m *Model) ofPool(pool int) Stock {
	p := &m.rules.Sale.Pools[pool]
	session := m.rules.Sale.Sessions[p.Session].ID
	ofIt := func(l Line) bool { return l.Session == session && l.Category == p.Category }
	held, sold := m.count(maps.Keys(m.reservations), ofIt)
	withheld := p.Withheld - m.freed[pool]
	for _, r := range m.reservations {
		if r.withheld {
			withheld += ticketsOf(r.Lines, ofIt)
		}
	}
	return Stock{Capacity: p.Capacity, Available: p.Capacity - withheld - held - sold, Held: held, Sold: sold,
		Withheld: withheld}
}

// ofSession counts the account's tickets for a session.
func (m *Model) ofSession(account, session string) (held, confirmed int) {
	return m.count(slices.Values(m.byAccount[account]), func(l Line) bool { return l.Session == session })
}

// ofProgramme counts the account's tickets for a programme.
func (m *Model) ofProgramme(account string, programme int) (held, confirmed int) {
	return m.count(slices.Values(m.byAccount[account]), func(l Line) bool { return m.programme(l) == programme })
}

// count counts the tickets of the given reservations in the lines that satisfy the condition.
func (m *Model) count(ids iter.Seq[string], condition func(Line) bool) (held, confirmed int) {
	for id := range ids {
		switch r := m.reservations[id]; r.State {
		case "held":
			held += ticketsOf(r.Lines, condition)
		case "confirmed":
			confirmed += ticketsOf(r.Lines, condition)
		}
	}
	return held, confirmed
}

// ticketsOf counts the tickets in the lines that satisfy the condition.
func ticketsOf(lines []Line, condition func(Line) bool) int {
	n := 0
	for _, l := range lines {
		if condition(l) {
			n += l.Quantity
		}
	}
	return n
}

// programme returns the index of the programme of a line's session, which must exist.
func (m *Model) programme(l Line) int {
	session, _ := m.rules.Sale.SessionByID(l.Session)
	return m.rules.Sale.Sessions[session].Programme
}

// Check checks I1 and I2 of the model itself.
func (m *Model) Check() error {
	for i := range m.rules.Sale.Pools {
		if s := m.ofPool(i); s.Available < 0 {
			return fmt.Errorf("I1: pool %d has %d available, %d held, %d sold", i, s.Available, s.Held, s.Sold)
		}
	}
	if err := m.checkPlaces(); err != nil {
		return err
	}
	for account := range m.byAccount {
		for i := range m.rules.Sale.Programmes {
			p := &m.rules.Sale.Programmes[i]
			if held, confirmed := m.ofProgramme(account, i); held+confirmed > max(p.AccountCap, m.allowed["programme "+p.ID]) {
				return fmt.Errorf("I2: account %s has %d+%d tickets of %s", account, held, confirmed, p.ID)
			}
		}
		for i := range m.rules.Sale.Sessions {
			s := &m.rules.Sale.Sessions[i]
			if held, confirmed := m.ofSession(account, s.ID); held+confirmed > max(s.Limit, m.allowed["session "+s.ID]) {
				return fmt.Errorf("I2: account %s has %d+%d tickets of %s", account, held, confirmed, s.ID)
			}
		}
	}
	return nil
}
