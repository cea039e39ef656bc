// Package listing has what is for sale: the session of each pool, and the programme of each session.
package listing

import (
	"fmt"
	"sync/atomic"
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
}

// Init makes room. It is called before all other methods.
func (l *Listing) Init(maxPools, maxSessions int) {
	l.sessions, l.programmes = make([]uint32, maxPools), make([]atomic.Uint32, maxSessions)
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

// Extend sets the session of each pool and the programme of each session; error if they do not fit in. One goroutine
// at a time calls it. A pool that a call may name keeps its session. A session changes its programme only while none
// of its tickets is held or sold, and no call runs that names it. What is given later has to contain all that calls
// may name; other entries may be given anew.
func (l *Listing) Extend(sessions []uint32, programmes []uint8) error {
	if len(sessions) > len(l.sessions) || len(programmes) > len(l.programmes) {
		return fmt.Errorf("%d pools and %d sessions: there is room for %d and %d", len(sessions), len(programmes),
			len(l.sessions), len(l.programmes))
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
	l.version.Add(1)
	for pool, session := range sessions {
		if l.sessions[pool] != session {
			l.sessions[pool] = session
		}
	}
	for session, programme := range programmes {
		l.programmes[session].Store(uint32(programme))
	}
	l.listed.Store(uint32(len(programmes)))
	l.pools.Store(uint32(len(sessions)))
	return nil
}
