// Package listing has what is for sale: the session of each pool, the programme of each session, and of which sessions
// a phase has a quota.
package listing

import (
	"fmt"
	"sync/atomic"

	"github.com/seathold/seathold/engine/inventory/internal/table"
)

// MaxProgrammes is how many programmes a sale may have; their numbers are below it.
const MaxProgrammes = 16

// Several is the programme of lines whose sessions are in several programmes.
const Several = 0xff

// Listing grows while calls run. A number keeps its meaning from when a call can name it, so that its entry needs no
// synchronisation: it is written before then. The programme of a session may change later. It is a plain atomic, since
// no step of a call depends on the instant: see Extend.
type Listing struct {
	sessions   []uint32        // by pool
	programmes []atomic.Uint32 // by session
	pools      atomic.Uint32   // entries in use
	listed     atomic.Uint32   // sessions in use
	version    atomic.Uint32   // rises before programmes change
	quotas     table.Pointer[Quotas]
	maxQuotas  int
}

// Init makes room. It is called before all other methods.
func (l *Listing) Init(maxPools, maxSessions, maxQuotas int) {
	l.sessions, l.programmes = make([]uint32, maxPools), make([]atomic.Uint32, maxSessions)
	l.maxQuotas = maxQuotas
}

// Pools returns how many pools there are.
func (l *Listing) Pools() int { return int(l.pools.Load()) }

// Sessions returns how many sessions there are.
func (l *Listing) Sessions() int { return int(l.listed.Load()) }

// Version changes whenever the number of pools or sessions does, or the programme of a session.
func (l *Listing) Version() uint32 { return l.version.Load() }

// SessionOf returns the session of a pool.
func (l *Listing) SessionOf(pool uint32) uint32 { return l.sessions[pool] }

// ProgrammeOf returns the programme of a session.
func (l *Listing) ProgrammeOf(session uint32) uint8 { return uint8(l.programmes[session].Load()) }

// Quotas returns the quotas by their phase and session; nil if there are none.
func (l *Listing) Quotas() *Quotas { return l.quotas.Load() }

// Extend sets the session of each pool, the programme of each session and the quotas; error if they do not fit in. One
// goroutine at a time calls it. A pool that a call may name keeps its session. A session changes its programme only
// while none of its tickets is held or sold, and no call runs that names it; and it gets a quota only while that is so
// in its phase. What is given later has to contain all that calls may name; other entries may be given anew.
func (l *Listing) Extend(sessions []uint32, programmes []uint8, quotas []Quota) error {
	if len(sessions) > len(l.sessions) || len(programmes) > len(l.programmes) || len(quotas) > l.maxQuotas {
		return fmt.Errorf("%d pools, %d sessions and %d quotas: there is room for %d, %d and %d", len(sessions),
			len(programmes), len(quotas), len(l.sessions), len(l.programmes), l.maxQuotas)
	}
	for pool, session := range sessions {
		if int(session) >= len(programmes) {
			return fmt.Errorf("pool %d: session %d of %d", pool, session, len(programmes))
		}
	}
	for session, programme := range programmes {
		if programme >= MaxProgrammes {
			return fmt.Errorf("session %d: programme %d of at most %d", session, programme, MaxProgrammes)
		}
	}
	for quota, of := range quotas {
		if int(of.Session) >= len(programmes) {
			return fmt.Errorf("quota %d: session %d of %d", quota, of.Session, len(programmes))
		}
	}
	all, err := QuotasOf(quotas)
	if err != nil {
		return err
	}
	l.version.Add(1)
	for pool, session := range sessions {
		if l.sessions[pool] != session {
			l.sessions[pool] = session
		}
	}
	for session, programme := range programmes {
		l.programmes[session].Store(uint32(programme))
	}
	l.quotas.Store(all)
	l.listed.Store(uint32(len(programmes)))
	l.pools.Store(uint32(len(sessions)))
	return nil
}
