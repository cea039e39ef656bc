package metrics_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A failed reload shows, with the time of the last success.
func TestReloads(t *testing.T) {
	o := open(t)
	at := time.Unix(1_700_000_100, 0)
	want := func(keys float64, read time.Time) {
		t.Helper()
		page := values(t, o.scrape(t))
		require.EqualValues(t, keys, page[`seathold_reload_successful{files="keys"}`])
		require.EqualValues(t, read.Unix(), page[`seathold_reload_last_success_timestamp_seconds{files="keys"}`])
	}
	want(1, time.Unix(1_700_000_000, 0))
	o.loaded.Failed("keys")
	want(0, time.Unix(1_700_000_000, 0))
	o.loaded.Succeeded("certificates", at)
	want(0, time.Unix(1_700_000_000, 0))
	o.loaded.Succeeded("keys", at)
	want(1, at)
}

// The end of a certificate is a metric as soon as the page is served.
func TestCertificateEnds(t *testing.T) {
	require.EqualValues(t, 1_800_000_000,
		values(t, open(t).scrape(t))[`seathold_tls_certificate_not_after_timestamp_seconds{certificate="server"}`])
}
