package catalog

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Currency is the currency of a sale's prices. The zero value is that of a sale without prices.
type Currency struct {
	Code   string // of ISO 4217: `EUR`
	Digits int    // decimals of an amount: 2 in EUR, 0 in JPY, 3 in KWD
}

// iso4217 has the currencies of ISO 4217 list one as of 1 January 2026 that have a minor unit, without funds codes. The
// maintenance agency, SIX Group in Zurich, publishes the list at
// https://www.six-group.com/en/products-services/financial-information/market-reference-data/data-standards.html; this
// is the copy that github.com/datasets/currency-codes had on 1 February 2026.
//
//go:embed iso4217.csv
var iso4217 string

// iso4217Date is the state of the list, for errors.
const iso4217Date = "1 January 2026"

// currencies returns the currencies of iso4217 by code.
var currencies = sync.OnceValue(func() map[string]Currency {
	all := map[string]Currency{}
	for _, line := range strings.Split(strings.TrimSpace(iso4217), "\n")[1:] {
		columns := strings.SplitN(line, ",", 3)
		digits, err := strconv.Atoi(columns[1])
		if err != nil {
			panic("BUG: iso4217.csv has no number of digits in " + line)
		}
		all[columns[0]] = Currency{Code: columns[0], Digits: digits}
	}
	return all
})

// Format returns an amount of minor units for people: `24.50 EUR`, `2450 JPY`.
func (c Currency) Format(minor int) string {
	unit := c.unit()
	if c.Digits == 0 {
		return fmt.Sprintf("%d %s", minor, c.Code)
	}
	return fmt.Sprintf("%d.%0*d %s", minor/unit, c.Digits, minor%unit, c.Code)
}

// unit returns how many minor units a unit of the currency has.
func (c Currency) unit() int {
	unit := 1
	for range c.Digits {
		unit *= 10
	}
	return unit
}

// parse reads an amount in the currency, whole or with all decimals, without rounding. It returns minor units.
func (c Currency) parse(text string) (minor int, ok bool) {
	whole, decimals, hasDecimals := strings.Cut(text, ".")
	unit := c.unit()
	units, ok := wholeNumber(whole, 0, maxPriceCents/unit)
	if hasDecimals {
		// wholeNumber refuses leading zeros, which are digits here; a 1 in front keeps them.
		rest, read := wholeNumber("1"+decimals, unit, 2*unit-1)
		ok, minor = ok && read && c.Digits > 0, rest-unit
	}
	return units*unit + minor, ok
}

// rule states what parse accepts.
func (c Currency) rule() string {
	shape := "whole"
	if c.Digits > 0 {
		shape = fmt.Sprintf("whole or with %d decimals such as 24.%s", c.Digits, "5000"[:c.Digits])
	}
	return fmt.Sprintf("an amount in %s from 0 to %d, %s", c.Code, maxPriceCents/c.unit(), shape)
}
