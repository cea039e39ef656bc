package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// writtenJournal is a journal written by hand: a checkpoint, if any, and one group.
type writtenJournal struct {
	checkpoint []byte
	records    []byte
	count      int
}

func (w *writtenJournal) Recover(to journal.Recovery) (journal.Recovered, error) {
	if w.checkpoint != nil {
		if err := to.Begin(journal.CheckpointInfo{}); err != nil {
			return journal.Recovered{}, err
		}
		if err := to.Chunk(w.checkpoint); err != nil {
			return journal.Recovered{}, err
		}
	}
	return journal.Recovered{Last: uint64(w.count)}, to.Group(journal.Group{First: 1, Count: w.count, Records: w.records})
}

// drawnJournal writes the records of a draw of two entries, alice of the Club and bob, and of a reservation each inside their slots.
// Each kind of record may be changed, or be written again behind the others.
type drawnJournal struct {
	t      *testing.T
	sale   *catalog.Sale
	fields map[string]*entryFields
	kinds  map[string]recordKind
	made   map[string]time.Time // reservations, by account
}

func newDrawnJournal(t *testing.T) *drawnJournal {
	sale, err := catalog.Load(catalog.Bundled)
	require.NoError(t, err)
	terms := DrawTerms(sale, 0)
	names := []string{"alice", "bob"}
	entries, err := draw.Freeze(2, func(i int) []byte { return []byte(names[i]) }, func(i int) uint8 { return uint8(1 - i) }, []string{"club"})
	require.NoError(t, err)
	beacon := draw.Beacon{Round: terms.Round}
	_, err = hex.Decode(beacon.Signature[:], []byte(sale.Draws[0].Beacon.Signature))
	require.NoError(t, err)
	beacon.Randomness = sha256.Sum256(beacon.Signature[:])
	opens := sale.Phases[sale.Draws[0].Phase].OpensAt
	return &drawnJournal{t: t, sale: sale,
		fields: map[string]*entryFields{
			"alice": {account: "alice", group: 1}, "bob": {account: "bob"},
			"frozen": {size: 2, root: entries.Root(), terms: termsDigest(&terms)}, "drawn": {beacon: beacon},
		},
		kinds: map[string]recordKind{"alice": entryRecord, "bob": entryRecord, "frozen": frozenRecord, "drawn": drawnRecord},
		made:  map[string]time.Time{"alice": opens, "bob": opens.Add(6*24*time.Hour - time.Millisecond)}, // his slot opens four days after
	}
}

// problems audits the journal with its records in this order.
func (d *drawnJournal) problems(order ...string) []string {
	w := &writtenJournal{}
	definition := definitionOf(d.sale)
	w.records = definition.append(nil)
	for i, name := range order {
		if f := d.fields[name]; f != nil {
			w.records = f.append(w.records, d.kinds[name])
			continue
		}
		account := name[len("reserve "):]
		s := inventory.Snapshot{ID: inventory.ID{byte(i + 1)}, Account: account, State: Held, CreatedMs: d.made[account].UnixMilli(),
			Lines: []inventory.Line{{Pool: 0, Quantity: 1}}}
		s.ExpiresMs = s.CreatedMs + 1000
		w.records = appendOutcome(w.records, &s, takenRecord)
	}
	w.count = len(order) + 1
	audit, err := Verify(w, d.sale)
	require.NoError(d.t, err)
	return audit.Problems
}

// What no engine may write is found, each by its own words.
func TestAuditFindsWrongDraws(t *testing.T) {
	all := []string{"alice", "bob", "frozen", "drawn", "reserve alice", "reserve bob"}
	require.Empty(t, newDrawnJournal(t).problems(all...))
	require.Empty(t, newDrawnJournal(t).problems(all[:3]...))
	for says, order := range map[string][]string{
		"alice enters again":                    {"alice", "alice", "bob", "frozen", "drawn"},
		"bob enters again, or after the close":  {"alice", "frozen", "bob", "drawn"},
		"is frozen twice":                       {"alice", "bob", "frozen", "frozen", "drawn"},
		"is run twice":                          {"alice", "bob", "frozen", "drawn", "drawn"},
		"is run before it is frozen":            {"alice", "bob", "drawn"},
		"1 entries have the root":               {"alice", "frozen"},
		"published were 2 and":                  {"alice", "frozen", "drawn"},
		"alice in phase packs, in which it has": {"alice", "bob", "frozen", "reserve alice", "drawn"},
	} {
		problems := newDrawnJournal(t).problems(order...)
		require.NotEmpty(t, problems, says)
		require.Contains(t, problems[0], says)
	}
	for says, change := range map[string]func(d *drawnJournal){
		"entries have the root":               func(d *drawnJournal) { d.fields["alice"].group = 0 },
		"under other terms than the sale's":   func(d *drawnJournal) { d.fields["frozen"].terms[0] ^= 1 },
		"beacon's signature is not":           func(d *drawnJournal) { d.forge() },
		"beacon of another round":             func(d *drawnJournal) { d.fields["drawn"].beacon.Round++ },
		"its slot is from 2023-02-15T09":      func(d *drawnJournal) { d.made["alice"] = d.made["alice"].Add(48 * time.Hour) },
		"its slot is from 2023-02-19T09":      func(d *drawnJournal) { d.made["bob"] = d.made["alice"] },
		"account stranger in phase packs, in": func(d *drawnJournal) { d.made["stranger"] = d.made["alice"] },
	} {
		d := newDrawnJournal(t)
		change(d)
		order := all
		if _, stranger := d.made["stranger"]; stranger {
			order = append(order[:len(order):len(order)], "reserve stranger")
		}
		problems := d.problems(order...)
		require.NotEmpty(t, problems, says)
		require.Contains(t, problems[0], says)
	}
}

// forge takes the signature of another round.
func (d *drawnJournal) forge() {
	b := &d.fields["drawn"].beacon
	_, err := hex.Decode(b.Signature[:], []byte(d.sale.Draws[1].Beacon.Signature))
	require.NoError(d.t, err)
	b.Randomness = sha256.Sum256(b.Signature[:])
}

// A checkpoint's ranks are held against the draw.
func TestAuditFindsWrongRanks(t *testing.T) {
	d := newDrawnJournal(t)
	definition := definitionOf(d.sale)
	problems := func(alice, bob entryFields) []string {
		w := &writtenJournal{checkpoint: definition.append(nil)}
		w.checkpoint = alice.append(w.checkpoint, rankedRecord)
		w.checkpoint = bob.append(w.checkpoint, rankedRecord)
		w.checkpoint = d.fields["frozen"].append(w.checkpoint, frozenRecord)
		w.checkpoint = d.fields["drawn"].append(w.checkpoint, drawnRecord)
		w.records, w.count = definition.append(nil), 1
		audit, err := Verify(w, d.sale)
		require.NoError(t, err)
		return audit.Problems
	}
	alice, bob := *d.fields["alice"], *d.fields["bob"]
	alice.slot, bob.slot = 1, 97 // the first slots of the Club and of everyone, counted from 1
	alice.rank, bob.rank = 1, 2
	one := problems(alice, bob)
	alice.rank, bob.rank = 2, 1
	two := problems(alice, bob)
	require.Equal(t, 2, len(one)+len(two), "one of the two orders is right: %v %v", one, two)
	if len(one) == 0 {
		alice.rank, bob.rank = 1, 2
	}
	require.Empty(t, problems(alice, bob))
	bob.slot++
	wrong := problems(alice, bob)
	require.Len(t, wrong, 1)
	require.Contains(t, wrong[0], "a checkpoint has account bob at rank")
}

// The bytes of the records of draws. Journals written before must stay readable.
func TestDrawRecordBytes(t *testing.T) {
	digest := func(b byte) (d draw.Digest) {
		for i := range d {
			d[i] = b
		}
		return d
	}
	fields := entryFields{draw: 1, group: 2, account: "alice", rank: 300, slot: 4, size: 1000, root: digest(0xaa), terms: digest(0xbb),
		beacon: draw.Beacon{Round: 1000, Randomness: digest(0xcc)}}
	for kind, want := range map[recordKind]string{
		entryRecord:  "09" + "07" + "01" + "02" + "05" + "616c696365",
		rankedRecord: "0c" + "0a" + "01" + "02" + "05" + "616c696365" + "ac02" + "04",
		frozenRecord: "44" + "08" + "01" + "e807" + hex.EncodeToString(fields.root[:]) + hex.EncodeToString(fields.terms[:]),
		drawnRecord: "54" + "09" + "01" + "e807" + hex.EncodeToString(fields.beacon.Randomness[:]) +
			hex.EncodeToString(fields.beacon.Signature[:]),
	} {
		run := fields.append(nil, kind)
		require.Equal(t, want, hex.EncodeToString(run), "kind %d", kind)
		var r record
		require.NoError(t, r.decode(run[1:]))
		require.Equal(t, run, r.entry.append(nil, kind))
		require.ErrorIs(t, r.decode(run[1:len(run)-1]), errRecord)
		require.ErrorIs(t, r.decode(append(run[1:len(run):len(run)], 0)), errRecord)
	}
}
