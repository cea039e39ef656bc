package record

// Pause is the content of KindPaused: from the record on nothing new is held of a phase, of a session or of the whole
// sale, or it is again. It is absolute: a pause of what is paused changes nothing.
type Pause struct {
	Of     Pausable
	Index  int // of the phase or the session; 0 for the sale
	Paused bool
}

// Pausable is what can be paused.
type Pausable byte

// What can be paused.
const (
	WholeSale  Pausable = 0
	OnePhase   Pausable = 1
	OneSession Pausable = 2
)

// Append appends the record of the pause, or of its end, to a run of records of the journal.
func (p Pause) Append(run []byte, atMs int64) []byte {
	return seal(p.appendBody(begin(run, KindPaused, atMs)), len(run))
}

// AppendRow appends the record of a pause to a run of records of a checkpoint.
func (p Pause) AppendRow(run []byte, s Stamp) []byte {
	return seal(p.appendBody(beginRow(run, KindPaused, s)), len(run))
}

func (p Pause) appendBody(run []byte) []byte {
	run = appendCount(append(run, byte(p.Of)), p.Index)
	if p.Paused {
		return append(run, 1)
	}
	return append(run, 0)
}

func (f *fields) pause() Pause {
	p := Pause{Of: Pausable(f.choice(byte(OneSession))), Index: f.int(maxParts), Paused: f.choice(1) == 1}
	f.bad = f.bad || p.Of == WholeSale && p.Index != 0
	return p
}
