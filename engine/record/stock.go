package record

import "github.com/seathold/seathold/engine/inventory"

// Stock is the content of KindStock: the stock that a pool has from the record on, instead of what the version in
// force says. The next version ends it.
type Stock struct {
	Pool     int
	Capacity int
	Withheld int // at most Capacity
	Freed    int // returned places that were withheld after their return and are on sale again
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
	run = appendCount(appendCount(appendCount(run, s.Pool), s.Capacity), s.Withheld)
	if s.Freed > 0 { // a record without it is as it was before places could be freed
		run = appendCount(run, s.Freed)
	}
	return run
}

func (f *fields) stock() Stock {
	s := Stock{Pool: f.int(inventory.MaxPools - 1), Capacity: f.int(maxUnits), Withheld: f.int(maxUnits)}
	if f.bad = f.bad || s.Withheld > s.Capacity; !f.bad && len(f.rest) > 0 {
		s.Freed = f.int(maxUnits)
		f.bad = f.bad || s.Freed == 0 // none have another encoding
	}
	return s
}

// Freed are the returned places of a pool, by its number, that were withheld after their return and are on sale again
// when a version comes into force. They are so until a record of KindStock says otherwise.
type Freed struct{ Pool, Tickets int }

// FreedByPool returns the tickets of Freed by their pool.
func (d *Definition) FreedByPool() map[int]int {
	freed := make(map[int]int, len(d.Freed))
	for _, f := range d.Freed {
		freed[f.Pool] = f.Tickets
	}
	return freed
}

// appendFreed appends what ends a version's text, after the quotas, if any places are freed:
//
//	count | (pool, tickets)…
//
// The count of the quotas is there then, even if it is 0.
func appendFreed(run []byte, all []Freed) []byte {
	run = appendCount(run, len(all))
	for _, freed := range all {
		run = appendCount(appendCount(run, freed.Pool), freed.Tickets)
	}
	return run
}

// freed reads the rest of the text of a version with so many pools.
func (f *fields) freed(pools int) (all []Freed) {
	if f.bad || len(f.rest) == 0 {
		return nil
	}
	n := f.most(maxPools)
	f.bad = f.bad || n == 0 // none have another encoding
	for ; n > 0 && !f.bad; n-- {
		is := Freed{Pool: f.int(maxPools), Tickets: f.int(maxUnits)}
		f.bad = f.bad || is.Pool >= pools || is.Tickets == 0 || len(all) > 0 && is.Pool <= all[len(all)-1].Pool
		all = append(all, is)
	}
	return all
}
