package engine

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/seathold/seathold/engine/journal"
)

// Dump writes a journal that nobody writes as one JSON line a record: first the newest checkpoint's reservations, without
// "seq", then the records behind it. It needs no sale definition: the journal names its sessions itself.
func Dump(b journal.Reader, w io.Writer) error {
	out := bufio.NewWriter(w)
	d := dumper{out: json.NewEncoder(out)}
	_, err := b.Recover(journal.Recovery{
		Begin: func(journal.CheckpointInfo) error { return nil },
		Chunk: func(run []byte) error {
			d.seq = 0
			return eachRecord(run, d.line)
		},
		Group: func(g journal.Group) error {
			d.seq = g.First - 1
			return eachRecord(g.Records, func(b []byte) error {
				d.seq++
				return d.line(b)
			})
		},
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

type dumper struct {
	out    *json.Encoder
	seq    uint64
	record record
	names  definition
}

// dumpLine is a record as JSON.
type dumpLine struct {
	Seq         uint64         `json:"seq,omitempty"`
	Kind        string         `json:"kind"`
	ID          string         `json:"id,omitempty"`
	Account     string         `json:"account,omitempty"`
	Phase       string         `json:"phase,omitempty"`
	State       string         `json:"state,omitempty"`
	Lines       []dumpedTicket `json:"lines,omitempty"`
	CreatedAt   string         `json:"created_at,omitempty"`
	ExpiresAt   string         `json:"expires_at,omitempty"`
	ConfirmedAt string         `json:"confirmed_at,omitempty"`
	Reference   string         `json:"reference,omitempty"`
	Sale        string         `json:"sale,omitempty"`
	Phases      int            `json:"phases,omitempty"`
	Pools       int            `json:"pools,omitempty"`
	Draw        string         `json:"draw,omitempty"`
	Group       string         `json:"priority_group,omitempty"`
	Rank        uint32         `json:"rank,omitempty"`
	Slot        int            `json:"slot,omitempty"`
	Entries     int            `json:"entries,omitempty"`
	Root        string         `json:"root,omitempty"`
	Round       uint64         `json:"round,omitempty"`
	Randomness  string         `json:"randomness,omitempty"`
}

type dumpedTicket struct {
	Session  string `json:"session"`
	Category string `json:"category"`
	Quantity uint32 `json:"quantity"`
}

func (k recordKind) String() string {
	switch k {
	case definitionRecord:
		return "definition"
	case takenRecord:
		return "taken"
	case confirmedRecord:
		return "confirmed"
	case releasedRecord:
		return "released"
	case expiredRecord:
		return "expired"
	case reservationRecord:
		return "reservation"
	case entryRecord:
		return "entry"
	case frozenRecord:
		return "frozen"
	case drawnRecord:
		return "drawn"
	case rankedRecord:
		return "ranked"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

func (d *dumper) line(b []byte) error {
	r := &d.record
	if err := r.decode(b); err != nil {
		return err
	}
	line := dumpLine{Seq: d.seq, Kind: r.kind.String()}
	if r.kind == definitionRecord {
		d.names = r.definition
		line.Sale, line.Phases, line.Pools = d.names.sale, len(d.names.phases), len(d.names.pools)
		return d.out.Encode(line)
	}
	if r.kind >= entryRecord {
		return d.drawLine(&line, &r.entry, r.kind)
	}
	q := &r.request
	line.ID = ID(q.ID).String()
	if r.kind == takenRecord || r.kind == reservationRecord {
		if int(q.Phase) >= len(d.names.phases) {
			return fmt.Errorf("record %d: %w: phase %d of %d", d.seq, errRecord, q.Phase, len(d.names.phases))
		}
		line.Account, line.Phase = q.Account, d.names.phases[q.Phase]
		line.CreatedAt, line.ExpiresAt = precise(q.Created), precise(q.Expires)
		for _, l := range q.Lines {
			if int(l.Pool) >= len(d.names.pools) {
				return fmt.Errorf("record %d: %w: pool %d of %d", d.seq, errRecord, l.Pool, len(d.names.pools))
			}
			p := d.names.pools[l.Pool]
			line.Lines = append(line.Lines, dumpedTicket{Session: p.session, Category: p.category, Quantity: l.Quantity})
		}
	}
	if r.kind == reservationRecord {
		line.State = r.state.String()
	}
	if r.confirmedMs != 0 {
		line.ConfirmedAt, line.Reference = precise(r.confirmedMs), r.reference
	}
	return d.out.Encode(line)
}

func (d *dumper) drawLine(line *dumpLine, f *entryFields, kind recordKind) error {
	if f.draw >= len(d.names.draws) || f.group > len(d.names.groups) {
		return fmt.Errorf("record %d: %w: draw %d, group %d", d.seq, errRecord, f.draw, f.group)
	}
	line.Draw, line.Account, line.Rank, line.Slot = d.names.draws[f.draw], f.account, f.rank, f.slot
	if f.group > 0 {
		line.Group = d.names.groups[f.group-1]
	}
	switch kind {
	case frozenRecord:
		line.Entries, line.Root = f.size, f.root.String()
	case drawnRecord:
		line.Round, line.Randomness = f.beacon.Round, f.beacon.Randomness.String()
	}
	return d.out.Encode(line)
}

func precise(ms int64) string { return instant(ms).Format("2006-01-02T15:04:05.000Z") }
