package record

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/inventory"
	"github.com/seathold/seathold/engine/journal"
)

// BenchmarkEncode and BenchmarkDecode measure one record of each kind of outcome, and the definition of Paris 2024.
// bytes/record is with the record's length.
func BenchmarkEncode(b *testing.B) {
	for _, c := range benchmarks() {
		b.Run("record="+c.name, func(b *testing.B) {
			run := c.append(nil)
			b.ReportAllocs()
			for b.Loop() {
				run = c.append(run[:0])
			}
			b.ReportMetric(float64(len(run)), "bytes/record")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchmarks() {
		b.Run("record="+c.name, func(b *testing.B) {
			content, _, err := journal.Next(c.append(nil))
			require.NoError(b, err)
			var r Record
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Decode(content); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type benchmark struct {
	name   string
	append func(run []byte) []byte
}

func benchmarks() []benchmark {
	pack := inventory.Snapshot{ID: inventory.ID{1, 2, 3}, Account: "buyer-1234567", State: inventory.Held, Phase: 3,
		Lines:     []inventory.Line{{Pool: 7, Quantity: 2}, {Pool: 4035, Quantity: 1}, {Pool: 200, Quantity: 4}},
		CreatedMs: 1701334800123, AtMs: 1701334800123, ExpiresMs: 1701334800123 + 1_020_000, Seq: 3_000_000}
	sold, released := pack, pack
	sold.State, sold.AtMs, sold.Reference = inventory.Confirmed, pack.AtMs+30_000, "PAY-4711"
	released.State, released.AtMs = inventory.Released, pack.AtMs+30_000
	reduced, returned := sold, sold
	reduced.Origin, reduced.Flags, reduced.ConfirmedMs = inventory.OriginReduceSold, inventory.FlagReduced, sold.AtMs
	reduced.AtMs, reduced.Lines = sold.AtMs+3_600_000, pack.Lines[:2]
	returned.Origin, returned.State, returned.ConfirmedMs = inventory.OriginReturn, inventory.Returned, sold.AtMs
	returned.AtMs += 3_600_000
	entry := Draw{Index: 1, Group: 1, Account: "buyer-1234567"}
	paris := DefinitionOf(catalog.Paris2024())
	return []benchmark{
		{"taken", func(run []byte) []byte { return AppendTaken(run, &pack) }},
		{"confirmed", func(run []byte) []byte { return AppendEnd(run, &sold) }},
		{"released", func(run []byte) []byte { return AppendEnd(run, &released) }},
		{"reduced", func(run []byte) []byte { return AppendChange(run, &reduced) }},
		{"returned", func(run []byte) []byte { return AppendChange(run, &returned) }},
		{"row-held", func(run []byte) []byte { return AppendReservation(run, &pack) }},
		{"row-confirmed", func(run []byte) []byte { return AppendReservation(run, &sold) }},
		{"row-returned", func(run []byte) []byte { return AppendReservation(run, &returned) }},
		{"entry", func(run []byte) []byte { return entry.Append(run, KindEntry, pack.AtMs) }},
		{"definition", func(run []byte) []byte { return paris.Append(run, pack.AtMs) }},
	}
}
