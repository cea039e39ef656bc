package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The markers of the table in a page.
const beginMarker, endMarker = "<!-- load -->", "<!-- /load -->"

// A sweep measures every client, and its table and picture are written into a page.
func TestSweep(t *testing.T) {
	secure, ca := certificates(t)
	_, plain := realServer(t, nil)
	_, layered := realServer(t, secure)
	dir := t.TempDir()
	c := sweepCommand{Target: target{URL: plain, CA: ca, Sources: 1, Quantity: 1}, TLSURL: layered, Connections: 80,
		Seed: 1, Clients: []string{"kept", "new", "tls-kept", "tls-new", "tls-resumed"}, Count: 250 * time.Millisecond,
		Quick:  true,
		Report: filepath.Join(dir, "sweep.json")}
	growing(t, c.Count, func(d time.Duration) bool {
		c.Count = d
		err := c.Run(t.Context())
		if err != nil {
			require.ErrorIs(t, err, errNothingSold)
		}
		return err == nil
	})
	page := filepath.Join(dir, "page.md")
	require.NoError(t, os.WriteFile(page, []byte("before\n"+beginMarker+"\nold\n"+endMarker+"\nafter\n"), 0o600))
	table := tableCommand{Reports: dir, Into: page, Picture: filepath.Join(dir, "sweep.svg"), About: []string{"a machine"}}
	for range 2 {
		require.NoError(t, table.Run())
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		require.Contains(t, string(text), "](sweep.svg)\n")
		require.Regexp(t, `(?s)^before\n`+beginMarker+`\n- a machine\n.*`+endMarker+`\nafter\n$`, string(text))
		for _, name := range clientNames {
			require.Equal(t, 2, strings.Count(string(text), "| "+name+" |"), name)
		}
	}
	picture, err := os.ReadFile(table.Picture)
	require.NoError(t, err)
	d := xml.NewDecoder(strings.NewReader(string(picture)))
	for {
		if _, err := d.Token(); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
	}
	require.Equal(t, 20, strings.Count(string(picture), "<polyline"))
	require.NotContains(t, string(picture), "NaN")
}

// A series is judged by its load of ten times the capacity against its peak, and by the confirmations of all loads.
func TestGoals(t *testing.T) {
	load := func(goodput, p99 float64, confirms int) *measurement {
		return &measurement{Goodput: goodput, ConfirmsRefused: confirms,
			Accepted: map[string]spread{"reserve": {P99: p99 / 2}, "confirm": {P99: p99}}}
	}
	for want, s := range map[string]*series{
		"reached":         {Name: "kept", Capacity: 1100, Loads: []*measurement{load(1000, 900, 0), load(901, 299, 0)}},
		"is at least 0.9": {Name: "tls-kept", Capacity: 900, Loads: []*measurement{load(1000, 1, 0), load(899, 299, 0)}},
		"below 300 ms":    {Name: "kept", Capacity: 900, Loads: []*measurement{load(901, 301, 0)}},
		"no confirmation": {Name: "tls-new", Capacity: 900, Loads: []*measurement{load(9, 1, 1), load(10, 1, 0)}},
	} {
		require.Contains(t, verdict(s.goals()), want)
	}
}

// The table has the share of the peak of a row's own loads and that of the capacity.
func TestSharesInTheTable(t *testing.T) {
	of := func(capacity float64, goodputs ...float64) string {
		s := &series{Name: "kept", Capacity: capacity}
		for _, goodput := range goodputs {
			s.Loads = append(s.Loads, &measurement{Goodput: goodput})
		}
		rows := (&sweepReport{Connections: 80, Series: []*series{s}}).rows()
		require.Equal(t, strings.Count(rows[0], "|"), strings.Count(rows[1], "|"))
		require.Equal(t, strings.Count(rows[0], "|"), strings.Count(rows[2], "|"))
		cells := strings.Split(rows[2], " | ")
		return strings.Join(cells[2:6], "; ") + "; " + cells[len(cells)-1]
	}
	const missed = "not reached: goodput at 10 times the capacity is at least 0.9 of the peak |"
	require.Equal(t, "1,000; 800; 760; 0.95 / 0.76; reached |", of(1000, 100, 800, 760))
	require.Equal(t, "800; 1,000; 760; 0.76 / 0.95; "+missed, of(800, 100, 1000, 760))
	require.Equal(t, "800; 810; 800; 0.99 / 1.00; reached |", of(800, 100, 810, 800))
	require.Equal(t, "800; 0; 0; 0.00 / 0.00; "+missed, of(800, 0))
}

func TestRounded(t *testing.T) {
	for want, value := range map[string]float64{"0": 0, "0.123": 0.1234, "12.3": 12.34, "123": 123.4, "1,230": 1234,
		"12,300": 12345, "1,000": 999.9} {
		require.Equal(t, want, rounded(value))
	}
}
