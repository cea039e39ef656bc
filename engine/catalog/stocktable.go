package catalog

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strconv"
)

// stockColumns are the columns of stock.csv.
var stockColumns = []string{"session", "category", "capacity", "withheld"}

// StockRow is a row of stock.csv: the stock of one pool. It wins over prices.csv and the stock rule.
type StockRow struct {
	Session, Category  string
	Capacity, Withheld int
}

// poolName names a pool in stock.csv.
type poolName struct{ session, category string }

// readStockTable sets the stock of the pools that stock.csv states, if there is that file. It may state the stock of a
// session that is off sale as well: that is what the session has when it is on sale again.
func (l *loader) readStockTable() {
	if _, err := fs.Stat(l.files, stockFile); errors.Is(err, fs.ErrNotExist) {
		return
	}
	lines := map[poolName]int{}
	l.eachRow(stockFile, stockColumns, func(r *row) {
		if len(lines) == maxPools {
			r.stop("category", maxPools)
			return
		}
		name := poolName{r.raw("session"), r.raw("category")}
		capacity, withheld, whole := r.stock()
		pool, found := l.statedPool(r)
		if first, twice := lines[name]; twice {
			r.faultf("category", "%.40s of %.40s is a duplicate of line %d; remove one of them", name.category, name.session,
				first)
			return
		}
		lines[name] = r.line
		if found {
			l.stated[pool] = true
		}
		if found && whole {
			p := &l.sale.Pools[pool]
			p.Capacity, p.Withheld, p.Derived, l.sale.unstated[pool] = capacity, withheld, false, false
		}
	})
}

// unlessStated reports a fault of a session's places later, unless stock.csv has all of its categories.
func (l *loader) unlessStated(session int, fault func()) {
	l.placeless = append(l.placeless, placeless{session, fault})
}

// placeless is a session whose places are known to stock.csv alone, or to nobody.
type placeless struct {
	session int
	fault   func()
}

// requirePlaces reports the sessions whose places nobody knows.
func (l *loader) requirePlaces() {
	if l.unread[stockFile] {
		return
	}
	for _, p := range l.placeless {
		for _, pool := range l.sale.Sessions[p.session].Pools {
			if !l.stated[pool] {
				p.fault()
				break
			}
		}
	}
}

// stock reads the two numbers of a row. whole is false if they cannot be used.
func (r *row) stock() (capacity, withheld int, whole bool) {
	before := r.count()
	capacity = r.number("capacity", 0, maxPlaces)
	withheld = r.number("withheld", 0, maxPlaces)
	if r.count() == before && withheld > capacity {
		r.faultf("withheld", "must be at most the capacity, %d, not %d", capacity, withheld)
	}
	return capacity, withheld, r.count() == before
}

// statedPool returns the pool of a row. What could not be read is not looked for.
func (l *loader) statedPool(r *row) (pool int, found bool) {
	id := r.raw("session")
	session, known := l.sale.sessions[id]
	if !known {
		if !l.unread[sessionsFile] {
			r.faultf("session", "%.40q is not in %s%s", id, sessionsFile, l.names.sessions.hint(id))
		}
		return 0, false
	}
	if pool, found = l.sale.PoolOf(session, r.raw("category")); found || l.unread[l.pricesFrom] {
		return pool, found
	}
	r.faultf("category", "%.40q is not a category of %s; those are in %s%s", r.raw("category"), id, l.pricesFrom,
		l.names.categories.hint(r.raw("category")))
	return 0, false
}

// Stock returns the rows of stock.csv in their order; none if there is no such file. The error is for a file that does
// not have the columns of stock.csv, or has anything but numbers in the last two: those of a loaded sale do.
func (f *Files) Stock() ([]StockRow, error) {
	text, there := f.text[stockFile]
	if !there {
		return nil, nil
	}
	table, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stockFile, err)
	}
	var rows []StockRow
	for i, fields := range table {
		if len(fields) != len(stockColumns) {
			return nil, fmt.Errorf("%s: row %d must have %d fields, not %d", stockFile, i+1, len(stockColumns), len(fields))
		}
		capacity, errCapacity := strconv.Atoi(fields[2])
		withheld, errWithheld := strconv.Atoi(fields[3])
		switch err := errors.Join(errCapacity, errWithheld); {
		case i == 0: // the header
		case err != nil:
			return nil, fmt.Errorf("%s: row %d: %w", stockFile, i+1, err)
		default:
			rows = append(rows, StockRow{fields[0], fields[1], capacity, withheld})
		}
	}
	return rows, nil
}

// WithStock returns files whose stock.csv has these rows as well. A row takes the place of the one of the same session
// and category; what is new comes last. The error is that of Stock.
func (f *Files) WithStock(rows []StockRow) (*Files, error) {
	all, err := f.Stock()
	if err != nil {
		return nil, err
	}
	at := map[poolName]int{}
	for i, row := range all {
		at[poolName{row.Session, row.Category}] = i
	}
	for _, row := range rows {
		name := poolName{row.Session, row.Category}
		i, there := at[name]
		if !there {
			i = len(all)
			at[name], all = i, append(all, row)
		}
		all[i] = row
	}
	with := &Files{text: maps.Clone(f.text)}
	with.text[stockFile] = stockText(all)
	return with, nil
}

// stockText returns a stock.csv with the rows.
func stockText(rows []StockRow) []byte {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write(stockColumns) // into memory; Error below
	for _, row := range rows {
		_ = w.Write([]string{row.Session, row.Category, strconv.Itoa(row.Capacity), strconv.Itoa(row.Withheld)})
	}
	if w.Flush(); w.Error() != nil {
		panic("BUG: a table in memory cannot be written: " + w.Error().Error())
	}
	return text.Bytes()
}
