package rehearsal

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// tally is what buyers count from the answers that they receive. The audit compares the engine's state with it.
type tally struct {
	phaseReport
	wanted []int64 // tickets by pool; a wish that is reduced or sent again counts once
	sold   []int64 // tickets by pool

	operations int
	latency    *hdrhistogram.Histogram // ns from a batch to its answers, for each operation
}

// slowest is the longest latency that the histogram distinguishes.
const slowest = 10 * time.Minute

func newTally(s *catalog.Sale) *tally {
	return &tally{phaseReport: phaseReport{Refused: map[engine.Code]int{}}, wanted: make([]int64, len(s.Pools)),
		sold: make([]int64, len(s.Pools)), latency: hdrhistogram.New(1, int64(slowest), 2)}
}

func (t *tally) answered(after time.Duration, operations int) {
	t.operations += operations
	// The value is in range, so there is no error.
	_ = t.latency.RecordValues(int64(min(after, slowest)), int64(operations))
}

// add adds the counts of another tally.
func (t *tally) add(other *tally) {
	t.phaseReport.add(&other.phaseReport)
	t.operations += other.operations
	for i := range t.wanted {
		t.wanted[i] += other.wanted[i]
		t.sold[i] += other.sold[i]
	}
	t.latency.Merge(other.latency)
}
