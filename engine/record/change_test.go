package record

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// goldenChanges is a record of each change, and a row for each reason that KindReservation does not suffice. held is
// the reservation before the changes.
func goldenChanges(held *inventory.Snapshot) []named {
	change := func(by inventory.Origin, flags uint8, as inventory.State) inventory.Snapshot {
		s := *held
		s.Origin, s.Flags, s.State, s.AtMs = by, s.Flags|flags, as, goldenAt+60_000
		switch as {
		case inventory.Confirmed:
			s.ConfirmedMs, s.Reference = goldenAt+30_000, "PAY-4711 ü"
		case inventory.Returned:
			s.ConfirmedMs, s.Reference = goldenAt+30_000, "REFUND-1"
		}
		return s
	}
	old := inventory.ID{0x01, 0x8f, 0x3a, 0x7e, 0x10, 0x1f, 0x7d, 0xef, 0x8a, 0xbc, 6, 5, 4, 3, 2, 1}
	extended := change(inventory.OriginExtend, inventory.FlagExtended, inventory.Held)
	extended.ExpiresMs += 300_000
	reduced := change(inventory.OriginReduce, inventory.FlagReduced|inventory.FlagReplaces, inventory.Held)
	reduced.Lines, reduced.Replaces = held.Lines[1:], old
	sold := change(inventory.OriginReduceSold, inventory.FlagReduced, inventory.Confirmed)
	sold.Lines = held.Lines[:1]
	replaced := change(inventory.OriginReplace, inventory.FlagReplaces, inventory.Held)
	replaced.CreatedMs, replaced.Replaces = replaced.AtMs, old
	again := change(inventory.OriginAgain, 0, inventory.Confirmed)
	again.AtMs = again.ExpiresMs + 10_000
	again.ConfirmedMs = again.AtMs
	returned := change(inventory.OriginReturn, 0, inventory.Returned)
	withheld := change(inventory.OriginReturn, inventory.FlagWithheld|inventory.FlagExtended, inventory.Returned)
	withheld.Account, withheld.Reference = strings.Repeat("x", inventory.MaxAccount), ""
	long := withheld
	long.Lines = nil
	for i := range inventory.MaxLines {
		long.Lines = append(long.Lines, inventory.Line{Pool: uint32(59_000 + i), Quantity: 300})
	}
	late := *held // an extension whose flag is lost would still have its instant
	late.AtMs += 60_000
	released, expired := replaced, extended
	released.State, released.AtMs, released.Replaces = inventory.Released, released.AtMs+99, inventory.ID{}
	expired.State, expired.AtMs = inventory.Expired, expired.ExpiresMs+7
	return []named{
		{"extended", AppendChange(nil, &extended)},
		{"reduced-held", AppendChange(nil, &reduced)},
		{"reduced-confirmed", AppendChange(nil, &sold)},
		{"replaced", AppendChange(nil, &replaced)},
		{"taken-again", AppendChange(nil, &again)},
		{"returned", AppendChange(nil, &returned)},
		{"returned-withheld", AppendChange(nil, &withheld)},
		{"changed-held", AppendReservation(nil, &extended)},
		{"changed-late", AppendReservation(nil, &late)},
		{"changed-reduced", AppendReservation(nil, &reduced)},
		{"changed-confirmed", AppendReservation(nil, &sold)},
		{"changed-again", AppendReservation(nil, &again)},
		{"changed-returned", AppendReservation(nil, &returned)},
		{"changed-withheld-long", AppendReservation(nil, &long)},
		{"changed-forgotten", AppendReservation(nil, &released)},
		{"changed-expired", AppendReservation(nil, &expired)},
	}
}

// drawnChange is a reservation that some outcomes have led to, in any order that is possible, as the inventory shows
// it.
func drawnChange(t *rapid.T) inventory.Snapshot {
	ms := func(from int64, name string) int64 { return from + rapid.Int64Range(0, 1<<33).Draw(t, name) }
	id := rapid.Custom(func(t *rapid.T) (id inventory.ID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), len(id), len(id)).Draw(t, "bytes"))
		return id
	})
	s := inventory.Snapshot{ID: id.Draw(t, "id"), Account: rapid.StringN(1, -1, inventory.MaxAccount).Draw(t, "account"),
		Phase: rapid.Uint16().Draw(t, "phase"), Flags: uint8(rapid.IntRange(0, 31).Draw(t, "flags")),
		CreatedMs: ms(1, "created"), Seq: rapid.Uint64().Draw(t, "seq"),
		State: rapid.SampledFrom([]inventory.State{inventory.Held, inventory.Confirmed, inventory.Released,
			inventory.Returned, inventory.Expired}).Draw(t, "state")}
	s.ExpiresMs, s.AtMs = ms(s.CreatedMs, "expires"), ms(s.CreatedMs, "at")
	s.Lines = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) inventory.Line {
		return inventory.Line{Pool: rapid.Uint32Range(0, inventory.MaxPools-1).Draw(t, "pool"),
			Quantity: rapid.Uint32Range(1, inventory.MaxQuantity).Draw(t, "quantity")}
	}), 1, inventory.MaxLines).Draw(t, "lines")
	if s.State == inventory.Confirmed || s.State == inventory.Returned {
		s.ConfirmedMs, s.Reference = s.AtMs, rapid.StringN(0, -1, MaxReference).Draw(t, "reference")
	}
	if s.State == inventory.Returned {
		s.ConfirmedMs -= rapid.Int64Range(-1000, s.CreatedMs).Draw(t, "since")
		s.Flags |= uint8(rapid.SampledFrom([]int{0, inventory.FlagWithheld}).Draw(t, "withheld"))
	}
	if s.Flags&inventory.FlagReduced != 0 && s.State == inventory.Confirmed {
		s.ConfirmedMs -= rapid.Int64Range(-1000, s.CreatedMs).Draw(t, "since")
	}
	if s.Flags&inventory.FlagReplaces != 0 {
		s.Replaces = id.Draw(t, "replaces")
	}
	return s
}

// requireRecord decodes the one record of a run and compares all that a snapshot has.
func requireRecord(t require.TestingT, run []byte, s *inventory.Snapshot) Kind {
	b, rest, err := journal.Next(run)
	require.NoError(t, err)
	require.Empty(t, rest)
	var r Record
	require.NoError(t, r.Decode(b))
	q := &r.Request
	require.Equal(t, *s, inventory.Snapshot{ID: q.ID, Account: q.Account, State: r.State, Phase: q.Phase, Flags: q.Flags,
		Lines: q.Lines, CreatedMs: q.Created, ExpiresMs: q.Expires, AtMs: r.AtMs, Reference: r.Reference, Seq: r.Seq,
		Origin: s.Origin, ConfirmedMs: r.ConfirmedMs, Replaces: r.Replaces})
	return r.Kind
}

// A row of a checkpoint has all of a reservation, whatever has changed it.
func TestRowsOfAnyReservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawnChange(t)
		unchanged := s.Flags < inventory.FlagReplaces && s.State != inventory.Returned &&
			(s.State != inventory.Held || s.AtMs == s.CreatedMs) &&
			(s.State != inventory.Confirmed || s.AtMs < s.ExpiresMs)
		want := KindChanged
		if unchanged {
			want = KindReservation
		}
		require.Equal(t, want, requireRecord(t, AppendReservation(nil, &s), &s))
	})
}

// A record of a change has all of the reservation after it.
func TestRecordsOfAnyChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawnChange(t)
		s.Seq = 0
		s.Origin = inventory.Origin(rapid.Uint8Range(1, uint8(len(changes)-1)).Draw(t, "origin"))
		states := map[inventory.Origin]inventory.State{inventory.OriginReduceSold: inventory.Confirmed,
			inventory.OriginAgain: inventory.Confirmed, inventory.OriginReturn: inventory.Returned}
		was := s.State
		if s.State = states[s.Origin]; s.State == 0 {
			s.State, s.ConfirmedMs, s.Reference = inventory.Held, 0, ""
		}
		if s.State != inventory.Returned {
			s.Flags &^= inventory.FlagWithheld
		}
		var want Kind
		switch s.Origin {
		case inventory.OriginExtend:
			s.Flags, want = s.Flags|inventory.FlagExtended, KindExtended
		case inventory.OriginReduce, inventory.OriginReduceSold:
			s.Flags, want = s.Flags|inventory.FlagReduced, KindReduced
		case inventory.OriginReplace:
			s.Flags, want = s.Flags&flagsGiven|inventory.FlagReplaces, KindReplaced
			s.Replaces, s.ExpiresMs = inventory.ID{1, byte(was)}, s.AtMs+s.ExpiresMs-s.CreatedMs
			s.CreatedMs = s.AtMs
			if s.ID == s.Replaces {
				s.ID[5]++
			}
		case inventory.OriginAgain:
			s.ConfirmedMs, want = s.AtMs, KindTakenAgain
		case inventory.OriginReturn:
			want = KindReturned
		}
		require.Equal(t, want, requireRecord(t, AppendChange(nil, &s), &s))
	})
}

// A whole reservation whose fields contradict each other is invalid, although each of them can be read.
func TestContradictoryChanges(t *testing.T) {
	held := inventory.Snapshot{ID: inventory.ID{1}, Account: "ann", State: inventory.Held, AtMs: 2000, CreatedMs: 1000,
		ExpiresMs: 9000, Lines: []inventory.Line{{Pool: 1, Quantity: 2}},
		Flags: inventory.FlagExtended | inventory.FlagReduced}
	sold, returned := held, held
	sold.State, sold.ConfirmedMs = inventory.Confirmed, 2000
	returned.State, returned.ConfirmedMs, returned.Flags = inventory.Returned, 1500, inventory.FlagWithheld
	replaced := held
	replaced.Flags, replaced.CreatedMs, replaced.Replaces = inventory.FlagReplaces, replaced.AtMs, inventory.ID{2}
	for name, c := range map[string]struct {
		as     inventory.Origin // OriginReserve for a row of a checkpoint
		from   inventory.Snapshot
		change func(s *inventory.Snapshot)
	}{
		"extended, but sold": {inventory.OriginExtend, held, func(s *inventory.Snapshot) {
			s.State, s.ConfirmedMs = inventory.Confirmed, 2000
		}},
		"extended, without its flag": {inventory.OriginExtend, held, func(s *inventory.Snapshot) { s.Flags = 2 }},
		"reduced, but released": {inventory.OriginReduce, held, func(s *inventory.Snapshot) {
			s.State = inventory.Released
		}},
		"reduced, without its flag": {inventory.OriginReduce, held, func(s *inventory.Snapshot) { s.Flags = 1 }},
		"replaced, but sold": {inventory.OriginReplace, replaced, func(s *inventory.Snapshot) {
			s.State, s.ConfirmedMs = inventory.Confirmed, 2000
		}},
		"replaced, created before": {inventory.OriginReplace, replaced, func(s *inventory.Snapshot) { s.CreatedMs-- }},
		"replaced, and extended":   {inventory.OriginReplace, replaced, func(s *inventory.Snapshot) { s.Flags |= 8 }},
		"replaced, without an id": {inventory.OriginReplace, replaced, func(s *inventory.Snapshot) {
			s.Replaces = inventory.ID{}
		}},
		"replaced by itself":        {inventory.OriginReplace, replaced, func(s *inventory.Snapshot) { s.Replaces = s.ID }},
		"replaced, without a flag":  {inventory.OriginReplace, replaced, func(s *inventory.Snapshot) { s.Flags = 0 }},
		"again, but confirmed then": {inventory.OriginAgain, sold, func(s *inventory.Snapshot) { s.ConfirmedMs-- }},
		"again, but returned": {inventory.OriginAgain, sold, func(s *inventory.Snapshot) {
			s.State = inventory.Returned
		}},
		"returned, but held": {inventory.OriginReturn, held, func(*inventory.Snapshot) {}},
		"withheld, but sold": {0, sold, func(s *inventory.Snapshot) { s.Flags |= inventory.FlagWithheld }},
		"an unknown flag":    {0, sold, func(s *inventory.Snapshot) { s.Flags |= 64 }},
		"no lines":           {0, sold, func(s *inventory.Snapshot) { s.Lines = nil }},
		"too many lines": {0, sold, func(s *inventory.Snapshot) {
			s.Lines = make([]inventory.Line, inventory.MaxLines+1)
			for i := range s.Lines {
				s.Lines[i].Quantity = 1
			}
		}},
		"confirmed before 1970":         {0, returned, func(s *inventory.Snapshot) { s.ConfirmedMs = -1 }},
		"confirmed after the year 9999": {0, returned, func(s *inventory.Snapshot) { s.ConfirmedMs = maxTimeMs + 1 }},
	} {
		encode := func(s *inventory.Snapshot) []byte {
			run := appendChanged(nil, s)
			if s.Origin != inventory.OriginReserve {
				run = AppendChange(nil, s)
			}
			b, _, err := journal.Next(run)
			require.NoError(t, err)
			return b
		}
		var r Record
		s := c.from
		if s.Origin = c.as; c.as != inventory.OriginReturn { // there, the reservation itself is at fault
			require.NoError(t, r.Decode(encode(&s)), name)
		}
		c.change(&s)
		require.ErrorIs(t, r.Decode(encode(&s)), ErrInvalid, name)
	}
	taken := held
	taken.Flags = inventory.FlagReplaces
	for _, run := range [][]byte{AppendTaken(nil, &taken), appendPlain(nil, &taken)} {
		b, _, err := journal.Next(run)
		require.NoError(t, err)
		require.ErrorIs(t, new(Record).Decode(b), ErrInvalid, "only a change has this flag")
	}
	b, _, err := journal.Next(appendChanged(nil, &held))
	require.NoError(t, err)
	for state := range 256 { // its last byte
		b[len(b)-1] = byte(state)
		known := state == 2 || state == 7 || state == 8 // the others have a reference
		require.Equal(t, known, new(Record).Decode(b) == nil, "state %d", state)
	}
	require.Panics(t, func() { AppendChange(nil, &held) }, "a reservation that was taken is no change")
}

// The decoder translates the phases and pools of a change to those of the present sale.
func TestDecoderOfChanges(t *testing.T) {
	then := goldenSale(t)
	now, err := catalog.Assemble(catalog.Sale{Name: then.Name, Programmes: then.Programmes, Groups: then.Groups,
		Sessions: then.Sessions, Draws: []catalog.Draw{}, Phases: then.Phases[:1],
		Pools: []catalog.Pool{then.Pools[0], then.Pools[2]}}, [][]bool{{false, true, false}})
	require.NoError(t, err)
	before := DefinitionOf(then)
	s := inventory.Snapshot{ID: inventory.ID{1}, Account: "ann", AtMs: 2000, CreatedMs: 2000, ExpiresMs: 9000,
		Flags: inventory.FlagReplaces, Replaces: inventory.ID{2}, State: inventory.Held, Origin: inventory.OriginReplace,
		Lines: []inventory.Line{{Pool: 2, Quantity: 1}, {Pool: 0, Quantity: 1}}}
	for _, row := range []bool{false, true} {
		d := NewDecoder(now)
		decode := func(seq uint64, run []byte) (*Record, error) {
			b, _, err := journal.Next(run)
			require.NoError(t, err)
			return d.Decode(seq, b)
		}
		record := func() []byte {
			if row {
				return AppendReservation(nil, &s)
			}
			return AppendChange(nil, &s)
		}
		s.Phase = 0
		_, err := decode(2, record())
		require.ErrorIs(t, err, ErrInvalid, "before any definition")
		first := DefinitionOf(now)
		_, err = decode(1, first.Append(nil, 1000))
		require.NoError(t, err)
		_, err = decode(2, before.Append(nil, 1000))
		require.NoError(t, err)
		r, err := decode(3, record())
		require.NoError(t, err)
		require.Equal(t, []inventory.Line{{Pool: 1, Quantity: 1}, {Pool: 0, Quantity: 1}}, r.Request.Lines)
		require.Equal(t, then.Sessions[d.Sale().Pools[1].Session].ID, "SWM03")
		s.Phase = 1
		r, err = decode(3, record())
		require.NoError(t, err)
		require.Equal(t, "packs", d.Sale().Phases[r.Request.Phase].ID, "the first definition lacks it")
	}
}
