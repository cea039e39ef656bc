package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/saleclock"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/metrics"
)

// opened is a server of the bundled sale when its last phase opens, and its page of metrics. One of the earlier phases
// has places, so that every metric has a series.
type opened struct {
	*server.Server
	engine *engine.Engine
	loaded *metrics.Reloads
	page   http.Handler
}

func open(t testing.TB) *opened {
	b, err := embedded.Open(t.TempDir(), embedded.Options{})
	require.NoError(t, err)
	return openOn(t, b)
}

func openOn(t testing.TB, b journal.Backend) *opened {
	sale := withPlaces(t, catalog.Paris2024())
	phase, ok := sale.PhaseByID("all-venues")
	require.True(t, ok)
	opening, began := sale.Phases[phase].OpensAt, time.Now()
	e, err := engine.Open(t.Context(), engine.Options{Sale: sale, Journal: b, Timed: true,
		CheckEvery: 200 * time.Millisecond,
		Clock:      saleclock.Virtual(func() time.Time { return opening.Add(time.Since(began)) })})
	require.NoError(t, err)
	s, err := server.New(t.Context(), server.Options{Engine: e})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	o := &opened{Server: s, engine: e, loaded: &metrics.Reloads{}}
	o.loaded.Succeeded("keys", time.Unix(1_700_000_000, 0))
	registry := metrics.NewRegistry(metrics.Build{Version: "test"}, func() *server.Server { return s }, o.loaded,
		func() map[string]time.Time { return map[string]time.Time{"server": time.Unix(1_800_000_000, 0)} })
	registry.MustRegister(metrics.LogLines(func() uint64 { return 0 }))
	o.page = metrics.Page(registry)
	return o
}

// withPlaces bounds what the phase outside-paris sells of the sessions in Nice.
func withPlaces(t testing.TB, sale *catalog.Sale) *catalog.Sale {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, sale.Files.FS()))
	path := filepath.Join(dir, "sale.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	before := "{city: Nice (06)}"
	require.Contains(t, string(text), before)
	bounded := strings.Replace(string(text), before, "{city: Nice (06), places: 500}", 1)
	require.NoError(t, os.WriteFile(path, []byte(bounded), 0o600))
	sale, err = catalog.Load(dir)
	require.NoError(t, err)
	return sale
}

func (o *opened) scrape(t testing.TB) string {
	w := httptest.NewRecorder()
	o.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	return w.Body.String()
}

// A scrape of the 1,026 sessions of Paris 2024.
func BenchmarkScrape(b *testing.B) {
	o := open(b)
	b.ReportAllocs()
	for b.Loop() {
		o.scrape(b)
	}
}

// serve serves the API on a free port until the test ends, and returns its address.
func (o *opened) serve(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- o.Serve(ln) }()
	t.Cleanup(func() {
		require.NoError(t, o.Shutdown(context.Background()))
		require.NoError(t, <-ended)
	})
	return "http://" + ln.Addr().String()
}

// call sends one request and returns the status.
func call(t testing.TB, method, url, body string) int {
	q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, r.Body)
	require.NoError(t, errors.Join(err, r.Body.Close()))
	return r.StatusCode
}

// values reads a page in Prometheus' text format: the value of each series.
func values(t testing.TB, page string) map[string]float64 {
	found := map[string]float64{}
	for line := range strings.Lines(page) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		require.NoError(t, err, line)
		require.NotContains(t, found, line[:at], "a series is repeated")
		found[line[:at]] = value
	}
	return found
}

// The page shows what was done through the API.
func TestPageShowsWhatHappened(t *testing.T) {
	o := open(t)
	api := o.serve(t)
	reserve := func(n, quantity int) int {
		return call(t, http.MethodPost, api+"/v1/reservations", fmt.Sprintf(
			`{"id":"%s","account":"anna","lines":[{"session":"ATH02","category":"A","quantity":%d}]}`, id(n), quantity))
	}
	require.Equal(t, 201, reserve(1, 2))
	require.Equal(t, 200, reserve(1, 2))
	require.Equal(t, 201, reserve(2, 3))
	require.Equal(t, 201, reserve(3, 1))
	require.Equal(t, 409, reserve(4, 6), "session limit")
	require.Equal(t, 422, reserve(5, 5000), "a quantity above the maximum")
	require.Equal(t, 200, call(t, http.MethodPost, api+"/v1/reservations/"+id(1)+"/confirm", ""))
	require.Equal(t, 200, call(t, http.MethodPost, api+"/v1/reservations/"+id(2)+"/release", ""))
	require.Equal(t, 201, reserve(6, 2))
	require.Equal(t, 200, call(t, http.MethodPost, api+"/v1/reservations/"+id(6)+"/reduce",
		`{"lines":[{"session":"ATH02","category":"A","quantity":1}]}`))
	require.Equal(t, 200, call(t, http.MethodPost, api+"/v1/reservations/"+id(6)+"/confirm", ""))
	require.Equal(t, 409, call(t, http.MethodPost, api+"/v1/reservations/"+id(6)+"/extend",
		`{"expires_at":"2023-11-30T10:00:00Z"}`))
	require.Equal(t, 200, call(t, http.MethodPost, api+"/v1/reservations/"+id(6)+"/return", ""))
	require.Equal(t, 200, call(t, http.MethodGet, api+"/v1/accounts/anna", ""))
	require.Equal(t, 404, call(t, http.MethodGet, api+"/v1/nothing", ""))
	_, err := o.engine.Checkpoint(t.Context())
	require.NoError(t, err)
	_, err = o.engine.CheckConservation(t.Context())
	require.NoError(t, err)

	v := values(t, o.scrape(t))
	pools := float64(len(o.engine.Sale().Pools) + len(o.engine.Sale().Quotas))
	for series, want := range map[string]float64{
		`seathold_operations_total{call="reserve",code="ok"}`:                           4,
		`seathold_operations_total{call="reserve",code="repeated"}`:                     1,
		`seathold_operations_total{call="reserve",code="session_limit_exceeded"}`:       1,
		`seathold_operations_total{call="confirm",code="ok"}`:                           2,
		`seathold_operations_total{call="release",code="ok"}`:                           1,
		`seathold_operations_total{call="extend",code="reservation_confirmed"}`:         1,
		`seathold_operations_total{call="reduce",code="ok"}`:                            1,
		`seathold_operations_total{call="return",code="ok"}`:                            1,
		`seathold_operation_engine_seconds_count{call="extend"}`:                        1,
		`seathold_operation_journal_seconds_count{call="return"}`:                       1,
		`seathold_http_key_answers_total{key="anonymous",route="extend",status="409"}`:  1,
		`seathold_http_key_answers_total{key="anonymous",route="return",status="200"}`:  1,
		`seathold_operations_total{call="account",code="ok"}`:                           1,
		`seathold_operation_journal_seconds_count{call="confirm"}`:                      2,
		`seathold_operation_engine_seconds_count{call="confirm"}`:                       2,
		`seathold_http_answers_total{status="201"}`:                                     4,
		`seathold_http_answers_total{status="404"}`:                                     1,
		`seathold_http_key_answers_total{key="anonymous",route="reserve",status="201"}`: 4,
		`seathold_http_key_answers_total{key="anonymous",route="unknown",status="404"}`: 1,
		`seathold_http_wait_seconds_count{result="ok",route="confirm"}`:                 2,
		`seathold_http_wait_seconds_bucket{result="ok",route="confirm",le="+Inf"}`:      2,
		`seathold_http_wait_seconds_count{result="refused",route="reserve"}`:            2,
		`seathold_log_lines_dropped_total`:                                              0,
		`seathold_reservations{state="held"}`:                                           1,
		`seathold_reservations{state="confirmed"}`:                                      1,
		`seathold_reservations{state="released"}`:                                       1,
		`seathold_reservations{state="returned"}`:                                       1,
		`seathold_reservations{state="expired"}`:                                        0,
		`seathold_waits_total{result="completed"}`:                                      0,
		`seathold_waits_total{result="timed_out"}`:                                      0,
		`seathold_accounts`:                                                                         1,
		`seathold_accounts_kept`:                                                                    0,
		`seathold_accounts_closed`:                                                                  0,
		`seathold_table_rows{table="reservations"}`:                                                 6,
		`seathold_table_rows{table="accounts"}`:                                                     1,
		`seathold_table_rows_limit{table="reservations"}`:                                           1 << 25,
		`seathold_table_rows_limit{table="accounts"}`:                                               1 << 24,
		`seathold_table_rows_freed_total{table="reservations"}`:                                     0,
		`seathold_table_rows_freed_total{table="accounts"}`:                                         0,
		`seathold_reservations_forgotten_total{state="expired"}`:                                    0,
		`seathold_forget_after_seconds`:                                                             24 * 3600,
		`seathold_forget_after_limit_seconds`:                                                       24 * 3600,
		`seathold_reclaim_waiting_rows`:                                                             0,
		`seathold_reclaim_grace_seconds`:                                                            0,
		`seathold_tickets{discipline="Athletics",programme="olympic",session="ATH02",state="held"}`: 1,
		`seathold_tickets{discipline="Athletics",programme="olympic",session="ATH02",state="sold"}`: 2,
		`seathold_journal_up`:                                                                       1,
		`seathold_journal_queue_records`:                                                            0,
		`seathold_checkpoints_total{result="complete"}`:                                             1,
		`seathold_conservation_difference_tickets{invariant="I1"}`:                                  0,
		`seathold_conservation_difference_tickets{invariant="I2"}`:                                  0,
		`seathold_conservation_pools{check="exact"}`:                                                pools,
		`seathold_phase_open{phase="all-venues"}`:                                                   1,
		`seathold_leader`:                                                                           1,
		`seathold_ready`:                                                                            1,
	} {
		require.Contains(t, v, series)
		require.Equal(t, want, v[series], series)
	}
	require.Positive(t, v["seathold_journal_bytes_total"])
	require.Positive(t, v["seathold_checkpoint_size_bytes"])
	require.Equal(t, v["seathold_journal_placed_sequence"], v["seathold_journal_durable_sequence"])
	tickets, capacity := 0.0, 0
	for series, n := range v {
		if strings.HasPrefix(series, "seathold_tickets{") {
			tickets += n
		}
	}
	for i := range o.engine.Sale().Pools {
		capacity += o.engine.Sale().Pools[i].Capacity
	}
	require.EqualValues(t, capacity, tickets, "I1 over the whole page")
}

func id(n int) string { return fmt.Sprintf("018c1f6e-0000-7000-8000-%012d", n) }

// Before there is a server the page shows that it does not lead.
func TestPageBeforeTheReplay(t *testing.T) {
	registry := metrics.NewRegistry(metrics.Build{}, func() *server.Server { return nil }, nil, nil)
	o := &opened{page: metrics.Page(registry)}
	v := values(t, o.scrape(t))
	require.Contains(t, v, "seathold_leader")
	require.Zero(t, v["seathold_leader"])
	require.Zero(t, v["seathold_ready"])
	require.NotContains(t, v, `seathold_reload_successful{files="keys"}`, "no files are read again")
}

// A scrape of the 1,026 sessions takes less than 20 ms. Machines differ and the race detector is slow, so the limit is
// a multiple of the time to print as many lines: 20 ms are 15 times that on the machine where 20 ms were required.
func TestScrapeIsCheap(t *testing.T) {
	o := open(t)
	lines := strings.Count(o.scrape(t), "\n")
	fastest := func(do func()) time.Duration {
		best := time.Hour
		for range 7 {
			start := time.Now()
			do()
			best = min(best, time.Since(start))
		}
		return best
	}
	scrape := fastest(func() { o.scrape(t) })
	var page strings.Builder
	printing := fastest(func() {
		page.Reset()
		for i := range lines {
			fmt.Fprintf(&page, "seathold_tickets{discipline=%q,programme=%q,session=%q,state=%q} %g\n",
				"Athletics", "olympic", "ATH01", "held", float64(i))
		}
	})
	t.Logf("a page of %d lines: %v, %.1f times as long as printing it", lines, scrape, float64(scrape)/float64(printing))
	require.Less(t, scrape, 15*printing)
}

// TestDefinitionMetrics checks the metrics of the definition, of what is paused and of groups.
func TestDefinitionMetrics(t *testing.T) {
	o := open(t)
	opens, found := o.engine.Sale().PhaseByID("all-venues")
	require.True(t, found)
	require.True(t, o.engine.PhaseOpen(opens))
	require.NoError(t, o.engine.Pause(t.Context(), engine.Pausable{}, true))
	require.NoError(t, o.engine.Pause(t.Context(), engine.Pausable{}, true)) // changes nothing
	require.NoError(t, o.engine.Pause(t.Context(), engine.Pausable{Session: "ATH10"}, true))
	require.Error(t, o.engine.Pause(t.Context(), engine.Pausable{Session: "none"}, true))
	_, err := o.engine.Join(t.Context(), "club", []string{"anna", "bob"})
	require.NoError(t, err)
	series := values(t, o.scrape(t))
	for name, want := range map[string]float64{
		`seathold_definition_version`:                         1,
		`seathold_paused{kind="sale"}`:                        1,
		`seathold_paused{kind="phases"}`:                      0,
		`seathold_paused{kind="sessions"}`:                    1,
		`seathold_definition_changes_total{result="changed"}`: 2,
		`seathold_definition_changes_total{result="refused"}`: 1,
		`seathold_phase_open{phase="all-venues"}`:             0,
		`seathold_group_members{group="club"}`:                2,
		`seathold_phase_places{phase="outside-paris"}`:        500 * 6, // six sessions
		`seathold_phase_places_taken{phase="outside-paris"}`:  0,
	} {
		require.EqualValues(t, want, series[name], name)
	}
	require.Greater(t, series["seathold_definition_changed_timestamp_seconds"], 1.7e9)
}
