package encode

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTimes checks that times are formatted as by time.Format.
func TestTimes(t *testing.T) {
	for _, text := range []string{"2024-01-10T09:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z",
		"2024-02-29T23:59:59.9999Z", "2024-07-26T19:30:00.05+02:00"} {
		at := parsed(t, text)
		require.Equal(t, at.UTC().Truncate(time.Millisecond).Format(`"2006-01-02T15:04:05.000Z"`), string(Time(nil, at)))
	}
	for year := range 10_000 {
		march := time.Date(year, 3, 1, 0, 0, 0, 0, time.UTC)
		for _, at := range []time.Time{march, march.Add(-time.Millisecond), march.AddDate(0, -2, 0),
			march.AddDate(0, 10, 0).Add(-1)} {
			require.Equal(t, at.Truncate(time.Millisecond).Format(`"2006-01-02T15:04:05.000Z"`), string(Time(nil, at)))
		}
	}
}

func parsed(t *testing.T, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

// TestStrings checks that every string, even one that is not UTF-8, becomes valid JSON of the same text.
func TestStrings(t *testing.T) {
	for text, want := range map[string]string{"": "", "ATH10": "ATH10", "a\"\\\x00\n\u2028é": "a\"\\\x00\n\u2028é",
		"a\xff": "a\ufffd"} {
		var got string
		require.NoError(t, json.Unmarshal(String(nil, text), &got), "%q", text)
		require.Equal(t, want, got)
	}
}
