package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/record"
)

// writtenJournal is a journal made by a test: a checkpoint, if any, and one group.
type writtenJournal struct {
	checkpoint []byte
	info       journal.CheckpointInfo
	records    []byte
	count      int
}

func (w *writtenJournal) Recover(to journal.Recovery) (journal.Recovered, error) {
	if w.checkpoint != nil {
		if err := to.Begin(w.info); err != nil {
			return journal.Recovered{}, err
		}
		if err := to.Chunk(w.checkpoint); err != nil {
			return journal.Recovered{}, err
		}
	}
	return journal.Recovered{Last: uint64(w.count)}, to.Group(journal.Group{First: 1, Count: w.count, Records: w.records})
}

// drawnJournal writes the records of a draw with two entries, alice of the Club and bob, and of one reservation each
// within their slots. A test may change a record, or write it twice.
type drawnJournal struct {
	t      *testing.T
	sale   *catalog.Sale
	fields map[string]*record.Draw
	kinds  map[string]record.Kind
	made   map[string]time.Time // reservations, by account

	freezes time.Duration // after the close
}

func newDrawnJournal(t *testing.T) *drawnJournal {
	d := newUnsealedJournal(t)
	secret := draw.Secret{1, 2, 3}
	d.fields["announced"], d.kinds["announced"] = &record.Draw{Secret: secret}, record.KindAnnounced
	entries, err := draw.Freeze(&secret, 2, twoAccounts, aliceInTheClub, []string{"club"})
	require.NoError(t, err)
	frozen := d.fields["frozen"]
	frozen.Root, frozen.MachineMs = entries.Root(), d.at("frozen").UnixMilli()+1
	d.sealTerms()
	return d
}

// sealTerms publishes the terms that the sale has now with the root.
func (d *drawnJournal) sealTerms() {
	terms := record.DrawTerms(d.sale, 0)
	terms.Commitment = d.fields["announced"].Secret.Commitment()
	digest, err := terms.Digest()
	require.NoError(d.t, err)
	d.fields["frozen"].Terms = digest
}

func twoAccounts(into []byte, i int) []byte { return append(into, []string{"alice", "bob"}[i]...) }

func aliceInTheClub(i int) uint8 { return uint8(1 - i) }

// newUnsealedJournal is newDrawnJournal with entries as a journal of version 1 froze them.
func newUnsealedJournal(t *testing.T) *drawnJournal {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	terms := record.DrawTerms(sale, 0)
	entries, err := draw.FreezeAccounts(2, twoAccounts, aliceInTheClub, []string{"club"})
	require.NoError(t, err)
	beacon := draw.Beacon{Round: terms.Round}
	_, err = hex.Decode(beacon.Signature[:], []byte(sale.Draws[0].Beacon.Signature))
	require.NoError(t, err)
	beacon.Randomness = sha256.Sum256(beacon.Signature[:])
	opens := sale.Phases[sale.Draws[0].Phase].OpensAt
	return &drawnJournal{t: t, sale: sale,
		fields: map[string]*record.Draw{
			"alice": {Account: "alice", Group: 1}, "bob": {Account: "bob"},
			"frozen": {Size: 2, Root: entries.Root(), Terms: record.TermsDigest(&terms)}, "drawn": {Beacon: beacon},
		},
		kinds: map[string]record.Kind{"alice": record.KindEntry, "bob": record.KindEntry, "frozen": record.KindFrozen,
			"drawn": record.KindDrawn},
		made: map[string]time.Time{"alice": opens,
			"bob": opens.Add(6*24*time.Hour - time.Millisecond)}, // his slot opens four days later
	}
}

// pack returns one ticket of each of three sessions that the phase sells.
func (d *drawnJournal) pack() (lines []inventory.Line) {
	phase := &d.sale.Phases[d.sale.Draws[0].Phase]
	for i := range d.sale.Sessions {
		if s := &d.sale.Sessions[i]; phase.Sells(i) && len(lines) < phase.PackSessions {
			lines = append(lines, inventory.Line{Pool: uint32(s.Pools[0]), Quantity: 1})
		}
	}
	return lines
}

// at returns the instant of a record of the draw.
func (d *drawnJournal) at(name string) time.Time {
	draw := &d.sale.Draws[0]
	switch d.kinds[name] {
	case record.KindEntry, record.KindAnnounced, record.KindPostponed:
		return draw.RegistrationOpens
	case record.KindFrozen:
		return draw.RegistrationCloses.Add(d.freezes)
	}
	return d.sale.Phases[draw.Phase].OpensAt.Add(-time.Hour)
}

// problems verifies the journal with its records in this order.
func (d *drawnJournal) problems(order ...string) []string {
	w := &writtenJournal{}
	definition := record.DefinitionOf(d.sale)
	w.records = definition.Append(nil, 1000)
	for i, name := range order {
		if f := d.fields[name]; f != nil {
			w.records = f.Append(w.records, d.kinds[name], d.at(name).UnixMilli())
			continue
		}
		account, late := strings.CutPrefix(name, "take again ")
		account = strings.TrimPrefix(account, "reserve ")
		s := inventory.Snapshot{ID: inventory.ID{byte(i + 1)}, Account: account, State: inventory.Held,
			CreatedMs: d.made[account].UnixMilli(),
			Lines:     d.pack()}
		s.ExpiresMs = s.CreatedMs + 1000
		w.records = record.AppendTaken(w.records, &s)
		if late { // it expires, and is taken again two days after it was taken
			s.State, s.AtMs = inventory.Expired, s.ExpiresMs
			w.records = record.AppendEnd(w.records, &s)
			s.State, s.Origin, s.AtMs = inventory.Confirmed, inventory.OriginAgain, s.CreatedMs+(48*time.Hour).Milliseconds()
			s.ConfirmedMs = s.AtMs
			w.records, w.count = record.AppendChange(w.records, &s), w.count+2
		}
	}
	w.count += len(order) + 1
	found, err := Verify(w, d.sale)
	require.NoError(d.t, err)
	return found.Problems
}

// Each record that no engine may write is reported, with its own text.
func TestAuditFindsWrongDraws(t *testing.T) {
	all := []string{"announced", "alice", "bob", "frozen", "drawn", "reserve alice", "reserve bob"}
	require.Empty(t, newDrawnJournal(t).problems(all...))
	require.Empty(t, newDrawnJournal(t).problems(all[:4]...))
	require.Empty(t, newUnsealedJournal(t).problems(all[1:]...), "a journal of version 1")
	withdrawn := newDrawnJournal(t)
	withdrawn.fields["withdraw"], withdrawn.kinds["withdraw"] = &record.Draw{Account: "alice"}, record.KindWithdrawn
	require.Empty(t, withdrawn.problems("announced", "alice", "withdraw", "bob", "alice", "frozen", "drawn",
		"reserve alice"))
	const without = "I3: draw draw1: account alice withdraws an entry that it does not have, or after the freeze"
	require.Equal(t, []string{"record 3: " + without},
		withdrawn.problems("announced", "withdraw", "alice", "bob", "frozen"))
	require.Equal(t, []string{"record 6: " + without},
		withdrawn.problems("announced", "alice", "bob", "frozen", "withdraw"))
	require.Contains(t, strings.Join(withdrawn.problems("announced", "alice", "bob", "withdraw", "frozen"), "\n"),
		"1 entries have the root")
	late := newDrawnJournal(t)
	late.honest(300 * 24 * time.Hour)
	require.Len(t, late.problems(all[:4]...), 1, "frozen late, and not yet run")
	for text, order := range map[string][]string{
		"alice enters again":                    {"alice", "alice", "bob", "frozen", "drawn"},
		"bob enters again, or after the close":  {"alice", "frozen", "bob", "drawn"},
		"is frozen twice":                       {"alice", "bob", "frozen", "frozen", "drawn"},
		"is run twice":                          {"alice", "bob", "frozen", "drawn", "drawn"},
		"is run before it is frozen":            {"alice", "bob", "drawn"},
		"1 entries have the root":               {"alice", "frozen"},
		"published were 2 and":                  {"alice", "frozen", "drawn"},
		"alice in phase packs, in which it has": {"alice", "bob", "frozen", "reserve alice", "drawn"},
		"alice in phase packs was taken at":     {"alice", "bob", "frozen", "drawn", "take again alice"},
	} {
		problems := newDrawnJournal(t).problems(append([]string{"announced"}, order...)...)
		require.NotEmpty(t, problems, text)
		require.Contains(t, problems[0], text)
	}
	for text, change := range map[string]func(d *drawnJournal){
		"entries have the root":                func(d *drawnJournal) { d.fields["alice"].Group = 0 },
		"other terms":                          func(d *drawnJournal) { d.fields["announced"].Secret[0]++ },
		"were not frozen before the round":     func(d *drawnJournal) { d.honest(300 * 24 * time.Hour) },
		"its entries are frozen at 2023-01-31": func(d *drawnJournal) { d.honest(-time.Second) },
		"too little time between":              func(d *drawnJournal) { d.soon() },
		"under other terms than the sale's":    func(d *drawnJournal) { d.fields["frozen"].Terms[0] ^= 1 },
		"beacon's signature is not":            func(d *drawnJournal) { d.forge() },
		"beacon of another round":              func(d *drawnJournal) { d.fields["drawn"].Beacon.Round++ },
		"its slot is from 2023-02-15T09":       func(d *drawnJournal) { d.late("alice", 48*time.Hour) },
		"its slot is from 2023-02-19T09":       func(d *drawnJournal) { d.made["bob"] = d.made["alice"] },
		"account stranger in phase packs, in":  func(d *drawnJournal) { d.made["stranger"] = d.made["alice"] },
	} {
		d := newDrawnJournal(t)
		change(d)
		order := all
		if _, stranger := d.made["stranger"]; stranger {
			order = append(order[:len(order):len(order)], "reserve stranger")
		}
		problems := d.problems(order...)
		require.NotEmpty(t, problems, text)
		require.Contains(t, problems[0], text)
	}
}

// honest makes the draw one that no stand-in decides, whose entries are frozen so long after the close.
func (d *drawnJournal) honest(freezes time.Duration) {
	d.sale.Draws[0].Beacon.StandIn, d.freezes = false, freezes
	d.sealTerms()
}

// soon makes the draw one whose round is due three seconds after the close.
func (d *drawnJournal) soon() {
	x := &d.sale.Draws[0]
	x.RegistrationCloses = x.Beacon.PublishedAt().Add(-3 * time.Second)
	x.Beacon.StandIn = false
}

// late moves the reservation of an account.
func (d *drawnJournal) late(account string, by time.Duration) {
	d.made[account] = d.made[account].Add(by)
}

// forge uses the signature of another round.
func (d *drawnJournal) forge() {
	b := &d.fields["drawn"].Beacon
	_, err := hex.Decode(b.Signature[:], []byte(d.sale.Draws[1].Beacon.Signature))
	require.NoError(d.t, err)
	b.Randomness = sha256.Sum256(b.Signature[:])
}

// A checkpoint's ranks are compared with the draw.
func TestAuditFindsWrongRanks(t *testing.T) {
	d := newDrawnJournal(t)
	definition := record.DefinitionOf(d.sale)
	problems := func(alice, bob record.Draw) []string {
		w := &writtenJournal{checkpoint: definition.AppendRow(nil, record.Stamp{})}
		w.checkpoint = d.fields["announced"].AppendRow(w.checkpoint, record.KindAnnounced, record.Stamp{})
		w.checkpoint = alice.AppendRow(w.checkpoint, record.KindRanked, record.Stamp{})
		w.checkpoint = bob.AppendRow(w.checkpoint, record.KindRanked, record.Stamp{})
		w.checkpoint = d.fields["frozen"].AppendRow(w.checkpoint, record.KindFrozen,
			record.Stamp{AtMs: d.at("frozen").UnixMilli(), Seq: 9})
		w.checkpoint = d.fields["drawn"].AppendRow(w.checkpoint, record.KindDrawn, record.Stamp{})
		w.records, w.count = definition.Append(nil, 1000), 1
		found, err := Verify(w, d.sale)
		require.NoError(t, err)
		return found.Problems
	}
	alice, bob := *d.fields["alice"], *d.fields["bob"]
	alice.Slot, bob.Slot = 1, 97 // the first slots of the Club and of everyone, counted from 1
	alice.Rank, bob.Rank = 1, 2
	one := problems(alice, bob)
	alice.Rank, bob.Rank = 2, 1
	two := problems(alice, bob)
	require.Equal(t, 2, len(one)+len(two), "one of the two orders is right: %v %v", one, two)
	if len(one) == 0 {
		alice.Rank, bob.Rank = 1, 2
	}
	require.Empty(t, problems(alice, bob))
	bob.Slot++
	wrong := problems(alice, bob)
	require.Len(t, wrong, 1)
	require.Contains(t, wrong[0], "a checkpoint has account bob at rank")
}
