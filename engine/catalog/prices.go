package catalog

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

const (
	pricePrefix = "price_" // of the column whose name has the currency
	noTable     = "none"   // the value of the key prices of a sale without prices.csv
)

// readPrices reads the price categories of every session, from prices.csv or from the stock rule.
func (l *loader) readPrices() {
	l.prices = make([][]price, len(l.sale.Sessions))
	_, missing := fs.Stat(l.files, pricesFile)
	if keyed := l.yaml["prices"]; keyed.oneOf("table", noTable) == noTable {
		if missing != nil {
			l.categoriesOfStock(keyed)
			return
		}
		keyed.faultf("is none, and there is the file %s; remove one of them", pricesFile)
	}
	l.pricesFrom = pricesFile
	if errors.Is(missing, fs.ErrNotExist) {
		l.faultf(pricesFile, 0, "file", "cannot be read: %w; a sale without prices has prices: none in %s", missing, saleFile)
		l.markUnread(pricesFile)
		return
	}
	count, priceColumn := 0, ""
	columns := func(header []string) ([]string, string) {
		var rule string
		priceColumn, rule = l.priceColumns(header)
		return header, rule
	}
	l.eachRowOf(pricesFile, columns, func(r *row) {
		if count++; count > maxPools {
			r.stop("category", maxPools)
			return
		}
		session, known := l.sale.sessions[r.raw("session")]
		if !known && !l.unread[sessionsFile] {
			r.faultf("session", "%.40q is not in %s%s", r.raw("session"), sessionsFile,
				l.names.sessions.hint(r.raw("session")))
		}
		p := l.readPrice(r, priceColumn)
		if !known {
			return
		}
		for _, other := range l.prices[session] {
			if other.category == p.category && p.category != "" {
				r.faultf("category", "%s of %s is a duplicate of line %d; remove one of them", p.category, r.raw("session"),
					other.line)
				return
			}
		}
		l.prices[session] = append(l.prices[session], p)
	})
}

// priceColumns reads the header of prices.csv, and the currency of the sale from it.
func (l *loader) priceColumns(header []string) (priceColumn, rule string) {
	rest, ok := header, len(header) >= 2 && header[0] == "session" && header[1] == "category"
	if ok {
		rest = header[2:]
	}
	code, priced := "", false
	if ok && len(rest) > 0 {
		if code, priced = strings.CutPrefix(rest[0], pricePrefix); priced {
			priceColumn, rest = rest[0], rest[1:]
		}
	}
	if !ok || len(rest) > 1 || len(rest) == 1 && rest[0] != "places" {
		return "", "must be session,category[,price_CURRENCY][,places], such as session,category,price_eur"
	}
	if priced {
		if l.sale.Currency, ok = currencies()[strings.ToUpper(code)]; !ok || strings.ToLower(code) != code {
			return "", "must name a currency of ISO 4217 (list of " + iso4217Date + ") in small letters, such as price_eur; " +
				"not " + priceColumn
		}
	}
	return priceColumn, ""
}

// readPrice reads one category of a session.
func (l *loader) readPrice(r *row, priceColumn string) price {
	p := price{line: r.line, category: r.id("category"), amount: NoPrice}
	r.note("category", p.category, &l.names.categories)
	if priceColumn != "" {
		p.amount = r.price(priceColumn, l.sale.Currency)
	}
	before := l.count()
	if r.raw("places") != "" {
		p.places = r.number("places", 1, maxPlaces)
	} else if !l.stock.covers(p.category) && p.category != "" {
		if !l.stockFaulty {
			r.faultf("category", "%s has no weight and no fixed share under stock in %s; add one, or fill the column places",
				p.category, saleFile)
		}
		p.faulty = true
	}
	p.faulty = p.faulty || l.count() > before || p.category == ""
	return p
}

// categoriesOfStock gives every session the categories of the stock rule, in their order, without prices.
func (l *loader) categoriesOfStock(at field) {
	l.pricesFrom = saleFile
	if len(l.stock.order) == 0 && !l.stockFaulty {
		at.faultf("needs stock.weights: their categories are those of every session")
	}
	if len(l.stock.order)*len(l.sale.Sessions) > maxPools {
		at.faultf("makes %d categories of %d sessions; at most %d are allowed per sale",
			len(l.stock.order)*len(l.sale.Sessions), len(l.sale.Sessions), maxPools)
		return
	}
	for i := range l.prices {
		for _, category := range l.stock.order {
			l.prices[i] = append(l.prices[i], price{line: l.yaml["stock"].line, category: category, amount: NoPrice})
		}
	}
}

// fillPools sets the capacity of every category and decides what is on sale.
func (l *loader) fillPools() {
	for i := range l.sale.Sessions {
		session := &l.sale.Sessions[i]
		if len(l.prices[i]) == 0 {
			if session.Reason == "" {
				session.Reason = unpricedReason
			}
			continue
		}
		session.OnSale = session.Reason == ""
		places, derived := l.placesOf(i)
		withheld := l.stock.withhold(places)
		if !session.OnSale {
			withheld = places
		}
		for c, p := range l.prices[i] {
			session.Pools = append(session.Pools, len(l.sale.Pools))
			l.sale.Pools = append(l.sale.Pools, Pool{Session: i, Category: p.category, PriceCents: p.amount,
				Capacity: places[c], Withheld: withheld[c], Derived: derived})
			l.sale.unstated = append(l.sale.unstated, !session.OnSale)
		}
	}
}

// placesOf returns the places of a session's categories: those stated in prices.csv, or those given by the stock rule.
// They are 0 if they are not known.
func (l *loader) placesOf(session int) (places []int, derived bool) {
	s, prices := &l.sale.Sessions[session], l.prices[session]
	venue := l.venues[s.Venue]
	places = make([]int, len(prices))
	if venue == nil || venue.faulty || slices.ContainsFunc(prices, func(p price) bool { return p.faulty }) {
		return places, false
	}
	categories := make([]string, len(prices))
	total, most := 0, maxPlaces
	for c, p := range prices {
		places[c], categories[c] = p.places, p.category
		total += p.places
	}
	if venue.capacity > 0 {
		most = venue.capacity
	}
	first := prices[0].line
	switch {
	case total > most:
		l.faultf(pricesFile, first, "places", "the places of %s add up to %d; %s has at most %d", s.ID, total, s.Venue, most)
	case total > 0:
		if c := slices.Index(places, 0); c >= 0 {
			l.faultf(pricesFile, prices[c].line, "places", "is required, because other categories of %s state theirs", s.ID)
		}
		return places, false
	case venue.capacity == 0:
		l.unlessStated(session, func() {
			table := pricesFile
			if l.pricesFrom != pricesFile {
				table = stockFile
			}
			l.faultf(sessionsFile, l.lines[session], "venue", "%q has no capacity in %s and no share_of in %s; add one, "+
				"or state the places of %s in %s", s.Venue, venuesFile, saleFile, s.ID, table)
		})
	case !l.stockFaulty:
		split, why := l.stock.split(venue.capacity, categories)
		if why == "" {
			return split, true
		}
		column := "category"
		if l.pricesFrom != pricesFile {
			column = "stock"
		}
		l.unlessStated(session, func() { l.faultf(l.pricesFrom, first, column, "%s %s", s.ID, why) })
	}
	return places, true
}
