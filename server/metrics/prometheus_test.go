package metrics_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/journal/redis"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/server/operator"
)

const (
	files   = "prometheus" // the configuration, the rules and the dashboard
	tooLate = 60 * time.Second
	short   = "1s" // replaces the intervals and durations of the shipped files
)

// The alerts and recording rules pass their unit tests, and Prometheus accepts the configuration.
func TestRules(t *testing.T) {
	for _, args := range [][]string{
		{"test", "rules", "rules_test.yml"},
		{"check", "rules", "recording.yml", "alerts.yml"},
		{"check", "config", "prometheus.yml"},
	} {
		command := exec.CommandContext(t.Context(), "promtool", args...)
		command.Dir = files
		out, err := command.CombinedOutput()
		require.NoError(t, err, "promtool %v:\n%s", args, out)
	}
	tested, err := os.ReadFile(filepath.Join(files, "rules_test.yml"))
	require.NoError(t, err)
	for _, r := range rulesOf(t, "alerts.yml") {
		fires := regexp.MustCompile(`alertname: ` + r + `\n +exp_alerts:`)
		require.True(t, fires.Match(tested), "no test expects %s to fire", r)
		require.True(t, bytes.Contains(tested, []byte("alertname: "+r+"}")), "no test expects %s not to fire", r)
	}
}

// rulesOf lists the alerts of a file of rules.
func rulesOf(t *testing.T, name string) (alerts []string) {
	text, err := os.ReadFile(filepath.Join(files, name))
	require.NoError(t, err)
	var f struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	require.NoError(t, yaml.Unmarshal(text, &f))
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			alerts = append(alerts, r.Alert)
		}
	}
	require.NotEmpty(t, alerts)
	return alerts
}

// prometheus is a running Prometheus.
type prometheus struct {
	t   *testing.T
	url string
	api http.Client
}

// startPrometheus starts Debian's Prometheus with the shipped files, with short intervals, on one server's page.
func startPrometheus(t *testing.T, page string, more ...string) *prometheus {
	dir := t.TempDir()
	duration := regexp.MustCompile(`(?m)^(\s*(?:scrape_interval|scrape_timeout|evaluation_interval|for): )\S+$`)
	for _, name := range []string{"prometheus.yml", "recording.yml", "alerts.yml"} {
		text, err := os.ReadFile(filepath.Join(files, name))
		require.NoError(t, err)
		text = duration.ReplaceAll(text, []byte("${1}"+short))
		text = []byte(strings.ReplaceAll(string(text), "127.0.0.1:9090", page))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	command := exec.Command("prometheus", append(more, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")...)
	out, err := command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		require.NoError(t, command.Process.Kill())
		_ = command.Wait() // the error is that it was killed
	})
	listening := regexp.MustCompile(`Listening on" address=(\S+)`)
	address, ready := "", false // either line may come first
	var log strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&log, lines.Text())
		if at := listening.FindStringSubmatch(lines.Text()); at != nil {
			address = at[1]
		}
		ready = ready || strings.Contains(lines.Text(), "Server is ready")
		if address != "" && ready {
			go func() {
				for lines.Scan() { // to its end, so that it never blocks on the pipe
				}
			}()
			return &prometheus{t: t, url: "http://" + address}
		}
	}
	require.Fail(t, "Prometheus did not start", log.String())
	return nil
}

// answer is the response of Prometheus' API to a query.
type answer struct {
	Status, Error string
	Data          struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
}

func (p *prometheus) query(q string) answer {
	address := p.url + "/api/v1/query?query=" + url.QueryEscape(q)
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
	require.NoError(p.t, err)
	r, err := p.api.Do(request)
	require.NoError(p.t, err)
	defer func() { require.NoError(p.t, r.Body.Close()) }()
	var a answer
	require.NoError(p.t, json.NewDecoder(r.Body).Decode(&a), "query %s: %s", q, r.Status)
	return a
}

const some = -1 // one result or more

// until waits until a query has the given number of results, or any for some.
func (p *prometheus) until(q string, results int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), tooLate)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		a := p.query(q)
		require.Equal(p.t, "success", a.Status, "%s: %s", q, a.Error)
		if n := len(a.Data.Result); n == results || results == some && n > 0 {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			require.Fail(p.t, "timed out", "%s: want %d results, have %+v", q, results, a)
		}
	}
}

// buy sends reservations and confirmations, one after another, until the context ends.
func buy(ctx context.Context, t testing.TB, api string) {
	post := func(path, body string) {
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, api+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		if r, err := http.DefaultClient.Do(q); err == nil { // the end of the test cancels the last request
			_ = r.Body.Close()
		}
	}
	for n := 0; ctx.Err() == nil; n++ {
		post("/v1/reservations", fmt.Sprintf(
			`{"id":"%s","account":"b%d","lines":[{"session":"ATH02","category":"D","quantity":1}]}`, id(n), n/6))
		post("/v1/reservations/"+id(n)+"/confirm", "")
	}
}

// stallingJournal is an embedded journal whose disk can stall.
type stallingJournal struct {
	journal.Backend
	open sync.RWMutex
}

func (g *stallingJournal) Append(ctx context.Context, group journal.Group) error {
	g.open.RLock()
	defer g.open.RUnlock()
	return g.Backend.Append(ctx, group)
}

// With a real Prometheus and a real server: the alert fires when the journal stops, and resolves when it continues.
// Before that, every query of the dashboard has results.
func TestAlertFiresWhenTheJournalStops(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b, err := embedded.Open(t.TempDir(), embedded.Options{})
		require.NoError(t, err)
		disk := &stallingJournal{Backend: b}
		alertFires(t, openOn(t, disk), disk.open.Lock, disk.open.Unlock)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		r := redistest.Start(t)
		b, err := redis.Open(redis.Options{Address: r.URL()})
		require.NoError(t, err)
		alertFires(t, openOn(t, b), r.Stop, r.Continue)
	})
}

func alertFires(t *testing.T, o *opened, stop, resume func()) {
	operator := httptest.NewServer(operator.New(operator.Options{Ready: o.Ready, Metrics: o.page}).Handler)
	t.Cleanup(operator.Close)
	api := o.serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	var buyers sync.WaitGroup
	buyers.Go(func() { buy(ctx, t, api) })
	defer func() {
		cancel()
		buyers.Wait()
	}()
	p := startPrometheus(t, strings.TrimPrefix(operator.URL, "http://"))
	p.until(`seathold:operations:rate1m{call="confirm",code="ok"} > 0`, 1)
	p.until(`seathold_conservation_last_pass_timestamp_seconds > 0`, 1)
	p.until(`seathold:programme_sellout:seconds{programme="olympic"} > 0`, 1)
	p.dashboard()
	p.until(`ALERTS{alertstate="firing"}`, 0)

	stop()
	p.until(`ALERTS{alertname="SeatholdJournalDown",alertstate="firing"}`, 1)
	require.Equal(t, http.StatusServiceUnavailable, call(t, http.MethodGet, operator.URL+"/readyz", ""))
	resume()
	p.until(`ALERTS{alertname="SeatholdJournalDown"}`, 0)
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, operator.URL+"/readyz", ""))
}

// A Prometheus that takes native histograms has the clients' waits in one.
func TestPrometheusTakesNativeHistograms(t *testing.T) {
	t.Parallel()
	o := open(t)
	operator := httptest.NewServer(operator.New(operator.Options{Ready: o.Ready, Metrics: o.page}).Handler)
	t.Cleanup(operator.Close)
	api := o.serve(t)
	for n := range 100 {
		require.Equal(t, 200, call(t, http.MethodGet, fmt.Sprintf("%s/v1/accounts/b%d", api, n), ""))
	}
	require.Equal(t, 404, call(t, http.MethodGet, api+"/v1/sessions/NONE", "")) // the last but one is observed by then
	p := startPrometheus(t, strings.TrimPrefix(operator.URL, "http://"), "--enable-feature=native-histograms")
	p.until(`histogram_count(seathold_http_wait_seconds{route="account",result="ok"}) == 100`, 1)
	p.until(`histogram_quantile(0.99, seathold_http_wait_seconds{route="account",result="ok"}) < 10`, 1)
	p.until(`histogram_count(seathold_http_wait_seconds{route="release",result="ok"}) == 0`, 1)
	p.until(`seathold_http_wait_seconds_bucket{route="account"}`, 0)
}

// mayBeEmpty are the queries of the dashboard that have no results while the sale is healthy.
var mayBeEmpty = []string{`ALERTS{alertstate="firing"}`}

// dashboard runs every query of the dashboard.
func (p *prometheus) dashboard() {
	text, err := os.ReadFile(filepath.Join(files, "dashboard.json"))
	require.NoError(p.t, err)
	var d struct {
		Panels []struct {
			Type, Title, Description string
			Targets                  []struct{ Expr string }
		}
	}
	require.NoError(p.t, json.Unmarshal(text, &d))
	queries := 0
	for _, panel := range d.Panels {
		if panel.Type != "row" {
			require.NotEmpty(p.t, panel.Targets, panel.Title)
			require.NotEmpty(p.t, panel.Description, panel.Title)
		}
		for _, target := range panel.Targets {
			if queries++; !slices.Contains(mayBeEmpty, target.Expr) {
				p.until(target.Expr, some)
				continue
			}
			a := p.query(target.Expr)
			require.Equal(p.t, "success", a.Status, "%s: %s: %s", panel.Title, target.Expr, a.Error)
		}
	}
	p.t.Logf("%d queries of %d panels answered", queries, len(d.Panels))
	require.Greater(p.t, queries, 40)
}
