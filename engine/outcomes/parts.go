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
