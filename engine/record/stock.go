package record

import "github.com/seathold/seathold/engine/inventory"

// Stock is the content of KindStock: the stock that a pool has from the record on, instead of what the version in
// force says. The next version ends it.
type Stock struct {
	Pool     int
	Capacity int
	Withheld int // at most Capacity
}

// Append appends the record of the stock to a run of records of the journal.
func (s Stock) Append(run []byte, atMs int64) []byte {
	return seal(s.appendBody(begin(run, KindStock, atMs)), len(run))
}

// AppendRow appends the record of the stock to a run of records of a checkpoint.
func (s Stock) AppendRow(run []byte, since Stamp) []byte {
	return seal(s.appendBody(beginRow(run, KindStock, since)), len(run))
}

func (s Stock) appendBody(run []byte) []byte {
	return appendCount(appendCount(appendCount(run, s.Pool), s.Capacity), s.Withheld)
}

func (f *fields) stock() Stock {
	s := Stock{Pool: f.int(inventory.MaxPools - 1), Capacity: f.int(maxUnits), Withheld: f.int(maxUnits)}
	f.bad = f.bad || s.Withheld > s.Capacity
	return s
}
