package outcomes

import (
	"time"

	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// chunkBytes is how much of a checkpoint is written at once: large enough for the disk, small enough to pause after.
const chunkBytes = 32 << 10

// Write writes the definition, the clock, the draws, the members and the reservations, as far as their outcomes are
// logged. It calls pause after each piece with the time that the piece took, and stops at its first error. The sale may
// run meanwhile. It returns how many reservations and bytes were written, also after an error.
func (m *Memory) Write(to journal.Checkpoint, s *State,
	pause func(took time.Duration) error) (reservations int, bytes int64, err error) {
	w := checkpointWriter{to: to, state: s, pause: pause, began: time.Now()}
	err = w.write(m)
	return w.rows, w.bytes, err
}

// checkpointWriter writes a checkpoint piece by piece.
type checkpointWriter struct {
	to    journal.Checkpoint
	state *State
	wrote *InForce // last
	pause func(took time.Duration) error
	run   []byte
	began time.Time // of the present piece
	rows  int       // reservations so far
	bytes int64
}

func (w *checkpointWriter) write(m *Memory) error {
	w.inForce()
	w.run = record.AppendClock(w.run, m.Now(), w.state.Last)
	for _, b := range m.Ballots.All() {
		if err := b.Write(w.draw); err != nil {
			return err
		}
	}
	if err := m.Members.Write(w.member); err != nil {
		return err
	}
	if err := w.reservations(m); err != nil {
		return err
	}
	return w.flush(1)
}

// inForce writes what is in force, unless it is written already. Whatever was read before may have numbers of it: the
// outcomes that it shows were drained after the record of the definition that they need.
func (w *checkpointWriter) inForce() {
	f := w.state.InForce()
	if f == w.wrote {
		return
	}
	w.wrote = f
	w.run = f.Definition.AppendRow(w.run, f.Applied)
	if len(f.Earlier.Versions)+len(f.Earlier.Stock) > 0 {
		w.run = f.Earlier.AppendRow(w.run, f.Applied)
	}
	for _, c := range f.Stock {
		w.run = c.AppendRow(w.run, c.Since)
	}
	for _, phase := range f.Paused.Phases() {
		w.run = record.Pause{Of: record.OnePhase, Index: phase, Paused: true}.AppendRow(w.run, f.Since)
	}
	for _, session := range f.Paused.Sessions() {
		w.run = record.Pause{Of: record.OneSession, Index: session, Paused: true}.AppendRow(w.run, f.Since)
	}
	if f.Paused.Sale() || f.Since != f.Applied { // also says when the last change was, if it was the end of a pause
		w.run = record.Pause{Of: record.WholeSale, Paused: f.Paused.Sale()}.AppendRow(w.run, f.Since)
	}
}

func (w *checkpointWriter) draw(kind record.Kind, s record.Stamp, f *record.Draw) error {
	w.inForce()
	w.run = f.AppendRow(w.run, kind, s)
	return w.flush(chunkBytes)
}

func (w *checkpointWriter) member(member record.Member) error {
	w.inForce()
	w.run = member.AppendRow(w.run, record.Stamp{}) // a member's bit has no room for its stamp
	return w.flush(chunkBytes)
}

func (w *checkpointWriter) reservations(m *Memory) error {
	before := m.Now() - m.Forget.Milliseconds()
	var s inventory.Snapshot
	// Read once, or a checkpoint would chase the rows that callers keep adding. Every outcome before its start has been
	// drained already, so its row is below this end.
	end := m.Inventory.Rows()
	for row := uint32(1); row < end; row++ {
		call := m.Inventory.Begin(row)
		if m.Inventory.ReadLogged(row, &s) && !inventory.MayForget(s.State, s.Flags,
			inventory.Over(s.State, s.ExpiresMs, s.AtMs), before) {
			w.inForce()
			w.run = record.AppendReservation(w.run, &s)
			w.rows++
		}
		call.End()
		if err := w.flush(chunkBytes); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the run if it has at least so many bytes, and then pauses.
func (w *checkpointWriter) flush(least int) error {
	if len(w.run) < least {
		return nil
	}
	took := time.Since(w.began)
	if err := w.to.Write(w.run); err != nil {
		return err
	}
	if p, ok := w.to.(journal.Pacer); !ok || !p.PacesItself() {
		took = time.Since(w.began)
	}
	w.bytes += int64(len(w.run))
	w.run = w.run[:0]
	err := w.pause(took)
	w.began = time.Now()
	return err
}
