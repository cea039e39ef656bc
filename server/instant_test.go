package server

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var strictTime = regexp.MustCompile(
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)

// instantNaively is a simple parser of times.
func instantNaively(text string) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339, text)
	return at.Truncate(time.Millisecond), err == nil && strictTime.MatchString(text)
}

// FuzzInstant compares the parser of times with the simple one.
func FuzzInstant(f *testing.F) {
	for _, text := range []string{"", "Z", "2023-11-30", "2023-11-30T09:40:00", "2023-11-30T09:40:00Z",
		"2023-11-30T09:40Z",
		"2023-11-30T09:40:00.123Z", "2023-11-30T09:40:00.1239999999999Z", "2023-11-30T09:40:00.Z", "2023-11-30T09:40:00,5Z",
		"2023-11-30T10:40:00+01:00", "2023-11-30T09:40:00-00:00", "2023-11-30T15:10:00.5+05:30", "2023-11-30T09:40:00+0100",
		"2023-11-30T09:40:00+24:00", "2023-11-30T09:40:00+23:59", "2023-11-30T09:40:00+01:60", "2023-11-30T09:40:00 01:00",
		"2023-11-30t09:40:00Z", "2023-11-30T09:40:00z", "2023-11-30 09:40:00Z", "2023-11-30T9:40:00Z",
		"2023-11-30T09:40:00ZZ",
		"2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2023-00-01T00:00:00Z", "2023-13-01T00:00:00Z",
		"2023-01-00T00:00:00Z",
		"2023-11-31T00:00:00Z", "2023-11-30T24:00:00Z", "2023-11-30T23:60:00Z", "2023-12-31T23:59:60Z",
		"2023-11-30T09:40:00.1",
		"0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999-23:59", "99999-11-30T09:40:00Z", "-023-11-30T09:40:00Z",
		"2023-11-30T09:40:00.123+", "2023-11-30T09:40:00+1:000", "２023-11-30T09:40:00Z"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, ok := instantNaively(text)
		at, accepted := parseInstant(text)
		require.Equal(t, ok, accepted, "%q", text)
		if ok {
			require.True(t, want.Equal(at), "%q is %v, not %v", text, want, at)
		}
	})
}
