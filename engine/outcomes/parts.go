package outcomes

import (
	"bytes"
	"fmt"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/engine/rules"
)

// Files returns the files of the definition with the stock that was changed since it was applied; nil without files.
func (f *InForce) Files() (*catalog.Files, error) {
	if f.Definition.Files == nil {
		return nil, nil
	}
	files, err := catalog.ReadTar(bytes.NewReader(f.Definition.Files))
	if err != nil {
		return nil, fmt.Errorf("the files of the definition in force: %w", err)
	}
	if len(f.Stock) == 0 {
		return files, nil
	}
	return files.WithStock(f.stated(files))
}

// stated returns the stock that was changed, as rows of stock.csv. That of a session which the files no longer have,
// or have without prices, is no part of them: it stays as it is when they are applied.
func (f *InForce) stated(files *catalog.Files) (rows []catalog.StockRow) {
	says, err := catalog.LoadFS(files.FS())
	for _, c := range f.Stock {
		p := &f.Sale.Pools[c.Pool]
		row := catalog.StockRow{Session: f.Sale.Sessions[p.Session].ID, Category: p.Category, Capacity: c.Capacity,
			Withheld: c.Withheld}
		if err == nil && !has(says, row.Session, row.Category) { // what this program refuses to load is exported as it is
			continue
		}
		rows = append(rows, row)
	}
	return rows
}

func has(sale *catalog.Sale, session, category string) bool {
	i, found := sale.SessionByID(session)
	if found {
		_, found = sale.PoolOf(i, category)
	}
	return found
}

// PauseOf returns the record that pauses a phase or a session, or the sale if both are "", and whether that is paused.
// The error is *rules.Refusal with UnknownPhase or SessionNotFound.
func (f *InForce) PauseOf(phase, session string) (p record.Pause, is bool, err error) {
	var found bool
	switch {
	case phase != "":
		p.Of = record.OnePhase
		if p.Index, found = f.Sale.PhaseByID(phase); !found {
			return p, false, &rules.Refusal{Code: rules.UnknownPhase, Phase: phase}
		}
		return p, f.Paused.Phase(p.Index), nil
	case session != "":
		p.Of = record.OneSession
		if p.Index, found = f.Sale.SessionByID(session); !found {
			return p, false, &rules.Refusal{Code: rules.SessionNotFound, Session: session}
		}
		return p, f.Paused.Session(p.Index), nil
	}
	return p, f.Paused.Sale(), nil
}

// maxCapacity is the most tickets that a pool may have.
const maxCapacity = 1<<31 - 1

// StockOf returns the record that gives a pool the numbers that are not nil. A session that was removed is not found:
// it comes back with the stock that its definition states then. The error is *rules.Refusal with SessionNotFound,
// UnknownCategory or MalformedRequest.
func (f *InForce) StockOf(session, category string, capacity, withheld *int) (to record.Stock, err error) {
	i, found := f.Sale.SessionByID(session)
	if !found || f.Sale.Sessions[i].Removed {
		return to, &rules.Refusal{Code: rules.SessionNotFound, Session: session}
	}
	if to.Pool, found = f.Sale.PoolOf(i, category); !found {
		return record.Stock{}, &rules.Refusal{Code: rules.UnknownCategory, Session: session, Category: category}
	}
	p := &f.Sale.Pools[to.Pool]
	to.Capacity, to.Withheld = p.Capacity, p.Withheld
	if capacity != nil {
		to.Capacity = *capacity
	}
	if withheld != nil {
		to.Withheld = *withheld
	}
	switch {
	case to.Capacity < 0 || to.Capacity > maxCapacity:
		err = malformed("capacity: a whole number from 0 to %d", maxCapacity)
	case to.Withheld < 0 || to.Withheld > maxCapacity:
		err = malformed("withheld: a whole number from 0 to %d", maxCapacity)
	case to.Withheld > to.Capacity && capacity != nil && withheld != nil:
		err = malformed("withheld: a whole number from 0 to the capacity, %d", to.Capacity)
	}
	return to, err
}

// malformed refuses a number of a pool, and says which numbers it may be.
func malformed(where string, most int) error {
	return &rules.Refusal{Code: rules.MalformedRequest, Where: fmt.Sprintf(where, most)}
}
