package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// Dump writes a journal that no process is writing as JSON, one line a record: first the records of the newest
// checkpoint, without "seq", then those after it. It needs no sale definition: the journal names its sessions, and the
// line of a definition has in "content" what outcomes are judged by.
//
// "at" is the instant on the sale clock; a release, an expiry and a draw's record of version 1 have none. A record of a
// checkpoint has the sequence of the outcome that it stands for as "last_seq".
//
// The records of changes, "extended", "reduced", "replaced", "taken_again" and "returned", have the whole reservation
// as the change leaves it; so has "changed", its record in a checkpoint. "state" is there where the kind does not imply
// it: a reduced one is held or confirmed. "confirmed_at" and "reference" are those of a confirmed or returned
// reservation; a return may have given it another reference. "replaces" is the id whose place the reservation took,
// also after later changes. "withheld" is true for returned tickets that were not on sale again at once.
//
// The line of a version has its number, its digest and that of its files. "changes" is what it changes, a line each,
// if the version before it is in the journal too. "paused" names a phase or a session, and neither for the whole sale;
// it is false for the end of a pause. "stock" has the capacity of a pool and how many of its places are withheld, but
// for those of returned tickets; "places_freed" is how many of the latter are on sale again, as "freed" is in a
// version. "earlier" stands for what was in force before, as numbers that are not printed.
// "joined" and "left" have an account and the "group" that it is a member of from there on, or no longer.
func Dump(b journal.Reader, w io.Writer) error {
	out := bufio.NewWriter(w)
	d := dumper{out: json.NewEncoder(out)}
	begin := func(journal.CheckpointInfo) error { return nil }
	if _, err := b.Recover(record.Replay(begin, d.line)); err != nil {
		return err
	}
	return out.Flush()
}

type dumper struct {
	out    *json.Encoder
	record record.Record
	names  record.Definition
}

// dumpedRecord is a record as JSON.
type dumpedRecord struct {
	Seq         uint64       `json:"seq,omitempty"`
	LastSeq     uint64       `json:"last_seq,omitempty"`
	Kind        string       `json:"kind"`
	At          string       `json:"at,omitempty"`
	ID          string       `json:"id,omitempty"`
	Account     string       `json:"account,omitempty"`
	Phase       string       `json:"phase,omitempty"`
	State       string       `json:"state,omitempty"`
	Lines       []dumpedLine `json:"lines,omitempty"`
	CreatedAt   string       `json:"created_at,omitempty"`
	ExpiresAt   string       `json:"expires_at,omitempty"`
	ConfirmedAt string       `json:"confirmed_at,omitempty"`
	Reference   string       `json:"reference,omitempty"`
	Replaces    string       `json:"replaces,omitempty"`
	Withheld    bool         `json:"withheld,omitempty"`
	Sale        string       `json:"sale,omitempty"`
	Digest      string       `json:"digest,omitempty"`

	Version     int      `json:"version,omitempty"`
	FilesDigest string   `json:"files_digest,omitempty"`
	Changes     []string `json:"changes,omitempty"`

	Content *dumpedContent `json:"content,omitempty"`

	Session        string `json:"session,omitempty"`
	Category       string `json:"category,omitempty"`
	Capacity       *int   `json:"capacity,omitempty"`
	PlacesWithheld *int   `json:"places_withheld,omitempty"` // but for those of returned tickets
	PlacesFreed    int    `json:"places_freed,omitempty"`    // of returned tickets whose places were withheld
	Paused         *bool  `json:"paused,omitempty"`

	Phases     int    `json:"phases,omitempty"`
	Pools      int    `json:"pools,omitempty"`
	Draw       string `json:"draw,omitempty"`
	Group      string `json:"priority_group,omitempty"`
	MemberOf   string `json:"group,omitempty"` // of an account that has joined it or left it
	Rank       uint32 `json:"rank,omitempty"`
	Slot       int    `json:"slot,omitempty"`
	Entries    int    `json:"entries,omitempty"`
	Root       string `json:"root,omitempty"`
	Round      uint64 `json:"round,omitempty"`
	Randomness string `json:"randomness,omitempty"`
	Commitment string `json:"secret_commitment,omitempty"` // of the secret, which is not printed
	MachineAt  string `json:"machine_at,omitempty"`
}

type dumpedLine struct {
	Session  string `json:"session"`
	Category string `json:"category"`
	Quantity uint32 `json:"quantity"`
}

func (d *dumper) line(seq uint64, b []byte) error {
	r := &d.record
	if err := r.Decode(b); err != nil {
		return err
	}
	to := dumpedRecord{Seq: seq, LastSeq: r.Seq, Kind: r.Kind.String()}
	if r.AtMs != 0 {
		to.At = precise(r.AtMs)
	}
	var err error
	switch {
	case r.Kind == record.KindDefinition || r.Kind == record.KindVersion:
		d.definition(&to, r)
	case r.Kind == record.KindPaused:
		err = d.pause(&to, r.Pause)
	case r.Kind == record.KindStock:
		err = d.stock(&to, r.Stock)
	case r.Kind == record.KindClock, r.Kind == record.KindEarlier:
	case r.Kind.OfMember():
		err = d.member(&to, r.Member)
	case r.Kind.OfReservation():
		err = d.reservation(&to, r)
	default:
		err = d.draw(&to, r)
	}
	if err != nil {
		return err
	}
	return d.out.Encode(to)
}

// definition makes a definition the one that gives the numbers of the next records a meaning.
func (d *dumper) definition(to *dumpedRecord, r *record.Record) {
	was, now := d.names, r.Definition
	d.names = now
	to.Sale, to.Phases, to.Pools = now.Sale, len(now.Phases), len(now.Pools)
	if now.Rules != nil {
		to.Digest, to.Content = now.Digest.String(), content(&now)
	}
	if now.Version == 0 {
		return
	}
	to.Version, to.FilesDigest, to.Digest = now.Version, now.FilesDigest.String(), record.DigestOf(now.Rules).String()
	if was.Version > 0 && now.Version == was.Version+1 {
		for _, change := range catalog.Difference(was.Rules, now.Rules) {
			to.Changes = append(to.Changes, change.String())
		}
	}
}

func (d *dumper) pause(to *dumpedRecord, p record.Pause) error {
	to.Paused = &p.Paused
	sessions := 0
	if d.names.Rules != nil {
		sessions = len(d.names.Rules.Sessions)
	}
	switch {
	case p.Of == record.WholeSale:
	case p.Of == record.OnePhase && p.Index < len(d.names.Phases):
		to.Phase = d.names.Phases[p.Index]
	case p.Of == record.OneSession && p.Index < sessions:
		to.Session = d.names.Rules.Sessions[p.Index].ID
	default:
		return fmt.Errorf("%w: number %d is paused", record.ErrInvalid, p.Index)
	}
	return nil
}

func (d *dumper) stock(to *dumpedRecord, s record.Stock) error {
	if s.Pool >= len(d.names.Pools) {
		return fmt.Errorf("%w: pool %d of %d", record.ErrInvalid, s.Pool, len(d.names.Pools))
	}
	p := d.names.Pools[s.Pool]
	to.Session, to.Category, to.Capacity, to.PlacesWithheld = p.Session, p.Category, &s.Capacity, &s.Withheld
	to.PlacesFreed = s.Freed
	return nil
}

func (d *dumper) member(to *dumpedRecord, m record.Member) error {
	if m.Group >= len(d.names.Groups) {
		return fmt.Errorf("%w: group %d of %d", record.ErrInvalid, m.Group, len(d.names.Groups))
	}
	to.MemberOf, to.Account = d.names.Groups[m.Group], m.Account
	return nil
}

func (d *dumper) reservation(to *dumpedRecord, r *record.Record) error {
	q := &r.Request
	to.ID = uuid.UUID(q.ID).String()
	if r.Kind.Complete() {
		if int(q.Phase) >= len(d.names.Phases) {
			return fmt.Errorf("%w: phase %d of %d", record.ErrInvalid, q.Phase, len(d.names.Phases))
		}
		to.Account, to.Phase = q.Account, d.names.Phases[q.Phase]
		to.CreatedAt, to.ExpiresAt = precise(q.Created), precise(q.Expires)
		for _, l := range q.Lines {
			if int(l.Pool) >= len(d.names.Pools) {
				return fmt.Errorf("%w: pool %d of %d", record.ErrInvalid, l.Pool, len(d.names.Pools))
			}
			p := d.names.Pools[l.Pool]
			to.Lines = append(to.Lines, dumpedLine{Session: p.Session, Category: p.Category, Quantity: l.Quantity})
		}
	}
	// The kinds of other records determine the state.
	if r.Kind == record.KindReservation || r.Kind == record.KindChanged || r.Kind == record.KindReduced {
		to.State = r.State.String()
	}
	if r.State == inventory.Confirmed || r.State == inventory.Returned {
		to.ConfirmedAt, to.Reference = precise(r.ConfirmedMs), r.Reference
	}
	if r.Replaces != (inventory.ID{}) {
		to.Replaces = uuid.UUID(r.Replaces).String()
	}
	to.Withheld = q.Flags&inventory.FlagWithheld != 0
	return nil
}

func (d *dumper) draw(to *dumpedRecord, r *record.Record) error {
	f := &r.Draw
	if f.Index >= len(d.names.Draws) || f.Group > len(d.names.Groups) {
		return fmt.Errorf("%w: draw %d, group %d", record.ErrInvalid, f.Index, f.Group)
	}
	to.Draw, to.Account, to.Rank, to.Slot = d.names.Draws[f.Index], f.Account, f.Rank, f.Slot
	if f.Group > 0 {
		to.Group = d.names.Groups[f.Group-1]
	}
	if f.MachineMs != 0 {
		to.MachineAt = precise(f.MachineMs)
	}
	switch r.Kind {
	case record.KindAnnounced:
		to.Commitment = f.Secret.Commitment().String()
	case record.KindPostponed:
		to.Round = f.Round
	case record.KindFrozen:
		to.Entries, to.Root = f.Size, f.Root.String()
	case record.KindDrawn:
		to.Round, to.Randomness = f.Beacon.Round, f.Beacon.Randomness.String()
	}
	return nil
}

func precise(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
