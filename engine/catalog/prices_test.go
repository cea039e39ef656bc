package catalog

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// pricesOf loads the small sale with other prices and returns them by pool.
func pricesOf(t *testing.T, table string) (Currency, []int) {
	files := smallSale(t)
	files[pricesFile] = &fstest.MapFile{Data: []byte(table)}
	sale, err := LoadFS(files)
	require.NoError(t, err)
	checkSale(t, sale)
	var prices []int
	for _, p := range sale.Pools {
		prices = append(prices, p.PriceCents)
	}
	return sale.Currency, prices
}

// TestCurrencies checks that amounts are read in the minor unit of the currency that the header names.
func TestCurrencies(t *testing.T) {
	for _, c := range []struct {
		column, first, second string
		currency              Currency
		want                  []int
		shown                 string
	}{
		{"price_eur", "24.50", "0", Currency{"EUR", 2}, []int{2450, 0}, "24.50 EUR"},
		{"price_jpy", "2450", "0", Currency{"JPY", 0}, []int{2450, 0}, "2450 JPY"},
		{"price_kwd", "2.450", "1", Currency{"KWD", 3}, []int{2450, 1000}, "2.450 KWD"},
		{"price_uyw", "0.2450", "1", Currency{"UYW", 4}, []int{2450, 10_000}, "0.2450 UYW"},
	} {
		currency, prices := pricesOf(t, "session,category,"+c.column+"\nS1,A,"+c.first+"\nS1,B,"+c.second+"\n")
		require.Equal(t, c.currency, currency)
		require.Equal(t, c.want, prices, c.column)
		require.Equal(t, c.shown, currency.Format(prices[0]))
	}
	for code, c := range currencies() {
		require.Regexp(t, "^[A-Z]{3}$", code)
		require.True(t, c.Digits >= 0 && c.Digits <= 4, code)
	}
	require.Len(t, currencies(), 157)
	require.NotContains(t, currencies(), "XAU", "gold has no minor unit")
}

// TestSalesWithoutPrices checks the ways to have no price: in one row, in the whole table, and without a table.
func TestSalesWithoutPrices(t *testing.T) {
	currency, prices := pricesOf(t, "session,category,price_eur\nS1,A,\nS1,B,24.50\nS2,A,0\n")
	require.Equal(t, "EUR", currency.Code)
	require.Equal(t, []int{NoPrice, 2450, 0}, prices)

	currency, prices = pricesOf(t, "session,category,places\nS1,A,7\nS2,A,\n")
	require.Equal(t, Currency{}, currency)
	require.Equal(t, []int{NoPrice, NoPrice}, prices)

	files := smallSale(t)
	delete(files, pricesFile)
	edit(t, files, saleFile, "stock:\n", "prices: none\nstock:\n")
	edit(t, files, venuesFile, "Street,\n", "Street,50\n")
	sale, err := LoadFS(files)
	require.NoError(t, err)
	checkSale(t, sale)
	require.Equal(t, Currency{}, sale.Currency)
	require.Len(t, sale.Pools, 4*3, "each session has the categories of the stock rule")
	require.Equal(t, []Pool{
		{Session: 3, Category: "A", PriceCents: NoPrice, Capacity: 16, Withheld: 16, Derived: true},
		{Session: 3, Category: "B", PriceCents: NoPrice, Capacity: 33, Withheld: 33, Derived: true},
		{Session: 3, Category: "PFR-A", PriceCents: NoPrice, Capacity: 1, Withheld: 1, Derived: true},
	}, sale.Pools[9:], "excluded")

	edit(t, files, venuesFile, "Street,50\n", "Street,1\n")
	edit(t, files, venuesFile, "Lagoon,600\n", "Lagoon,\n")
	_, err = LoadFS(files)
	require.EqualError(t, err, "sale definition: 2 faults:\n"+
		"sale.yaml:18: stock: S4 needs at least one place in each of A, B, PFR-A; the venue has 1\n"+
		`sessions.csv:4: venue: "Lagoon" has no capacity in venues.csv and no share_of in sale.yaml; add one, or state `+
		"the places of S3 in stock.csv")

	files = smallSale(t)
	delete(files, pricesFile)
	_, err = LoadFS(files)
	require.ErrorContains(t, err, "prices.csv: file: cannot be read")
	require.ErrorContains(t, err, "; a sale without prices has prices: none in sale.yaml")
}
