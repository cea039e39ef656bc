package rehearsal

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
)

// tally is what buyers count from the answers that they receive. The audit compares the engine's state with it.
type tally struct {
	requests  int // to reserve
	repeated  int // of these, sent a second time
	held      int
	confirmed int
	released  int
	expired   int // abandoned, or paid for too late
	tickets   int // confirmed
	capped    int // buyers who left at their cap
	unserved  int // buyers who left without what they wanted
	refused   map[engine.Code]int
	wanted    []int64 // tickets by pool; a wish that is reduced or sent again counts once
	sold      []int64 // tickets by pool

	operations int
	latency    *hdrhistogram.Histogram // ns from a batch to its answers, for each operation
}

// slowest is the longest latency that the histogram distinguishes.
const slowest = 10 * time.Minute

func newTally(s *catalog.Sale) *tally {
	return &tally{refused: map[engine.Code]int{}, wanted: make([]int64, len(s.Pools)), sold: make([]int64, len(s.Pools)),
		latency: hdrhistogram.New(1, int64(slowest), 2)}
}

func (t *tally) answered(after time.Duration, operations int) {
	t.operations += operations
	// The value is in range, so there is no error.
	_ = t.latency.RecordValues(int64(min(after, slowest)), int64(operations))
}

// add adds the counts of another tally.
func (t *tally) add(other *tally) {
	t.requests += other.requests
	t.repeated += other.repeated
	t.held += other.held
	t.confirmed += other.confirmed
	t.released += other.released
	t.expired += other.expired
	t.tickets += other.tickets
	t.capped += other.capped
	t.unserved += other.unserved
	t.operations += other.operations
	for code, n := range other.refused {
		t.refused[code] += n
	}
	for i := range t.wanted {
		t.wanted[i] += other.wanted[i]
		t.sold[i] += other.sold[i]
	}
	t.latency.Merge(other.latency)
}
