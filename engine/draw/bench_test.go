package draw

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
)

// BenchmarkDraw freezes, ranks and assigns up to four million entries. It reports the times and the peak resident set
// size of the process as counted by the kernel, which includes the runtime and the source of the entries:
//
//	go test -run '^$' -bench 'Draw/' -benchtime 1x ./engine/draw
func BenchmarkDraw(b *testing.B) {
	for _, entries := range []int{40_000, 400_000, 4_000_000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			terms, beacon := sealed(paris()), published(b, 1000)
			terms.Slots.Places = entries / 100
			for b.Loop() {
				began := time.Now()
				frozen := freezeMany(b, entries)
				froze := time.Now()
				result, err := Run(frozen, terms, promptly(terms), beacon)
				require.NoError(b, err)
				ran := time.Now()
				b.ReportMetric(froze.Sub(began).Seconds(), "freeze-s")
				b.ReportMetric(ran.Sub(froze).Seconds(), "run-s")
				runtime.KeepAlive(result)
			}
			b.ReportMetric(peakMiB(b), "peak-RSS-MiB")
		})
	}
}

// BenchmarkVerify exports four million entries to a directory and verifies them.
func BenchmarkVerify(b *testing.B) {
	b.Run("entries=4000000", func(b *testing.B) {
		terms := sealed(paris())
		terms.Slots.Places = 40_000
		result, err := Run(freezeMany(b, 4_000_000), terms, promptly(terms), published(b, 1000))
		require.NoError(b, err)
		dir := b.TempDir()
		for b.Loop() {
			began := time.Now()
			create := func(name string) (io.WriteCloser, error) { return os.Create(dir + "/" + name) }
			require.NoError(b, result.Export(create))
			wrote := time.Now()
			_, err = Verify(os.DirFS(dir))
			require.NoError(b, err)
			b.ReportMetric(wrote.Sub(began).Seconds(), "export-s")
			b.ReportMetric(time.Since(wrote).Seconds(), "verify-s")
		}
		b.ReportMetric(peakMiB(b), "peak-RSS-MiB")
	})
}

// BenchmarkProof finds, proves and verifies one of four million entries.
func BenchmarkProof(b *testing.B) {
	frozen := freezeMany(b, 4_000_000)
	account := "buyer-2000001@example.org"
	b.ReportAllocs()
	for b.Loop() {
		handle := HandleOf(secret().Salt(account), account)
		position, found := frozen.Find(handle[:])
		require.True(b, found)
		proof := frozen.Proof(position)
		if !proof.Verify(frozen.Root(), handle, frozen.Group(position)) {
			b.Fatal("the proof does not verify")
		}
	}
}

// freezeMany freezes unsorted accounts that share a prefix; every tenth is a member of the priority group.
func freezeMany(b *testing.B, n int) *Entries {
	frozen, err := Freeze(secret(), n, manyAccounts(n), everyTenth, []string{"club"})
	require.NoError(b, err)
	return frozen
}

func manyAccounts(n int) func(into []byte, i int) []byte {
	return func(into []byte, i int) []byte {
		into = append(into, "buyer-"...)
		into = strconv.AppendInt(into, int64(i)*2_654_435_761%int64(n), 10) // an odd prime: every number once
		return append(into, "@example.org"...)
	}
}

func everyTenth(i int) uint8 {
	if i%10 == 0 {
		return 1
	}
	return 0
}

// BenchmarkFreeze compares the two formats:
//
//	go test -run '^$' -bench 'Freeze/' -benchtime 1x ./engine/draw
func BenchmarkFreeze(b *testing.B) {
	const entries = 4_000_000
	b.Run("entries=accounts", func(b *testing.B) {
		for b.Loop() {
			_, err := FreezeAccounts(entries, manyAccounts(entries), everyTenth, []string{"club"})
			require.NoError(b, err)
		}
		b.ReportMetric(peakMiB(b), "peak-RSS-MiB")
	})
	b.Run("entries=sealed", func(b *testing.B) {
		for b.Loop() {
			freezeMany(b, entries)
		}
		b.ReportMetric(peakMiB(b), "peak-RSS-MiB")
	})
}

func peakMiB(b *testing.B) float64 {
	self, err := procfs.Self()
	require.NoError(b, err)
	status, err := self.NewStatus()
	require.NoError(b, err)
	return float64(status.VmHWM) / (1 << 20)
}
