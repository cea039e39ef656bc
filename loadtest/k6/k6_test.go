// Package k6 holds the k6 scenarios of a sale; scripts/load runs them. Its tests run some of them briefly.
package k6

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
)

// load runs a short version of a scenario with variables of the environment, given as NAME=value. It returns the
// output, and an error if the scenario failed.
func load(t *testing.T, scenario string, env ...string) (string, error) {
	command := exec.CommandContext(t.Context(), "scripts/load", scenario, "--short")
	command.Dir = "../.."
	command.Env = append(append(os.Environ(), "REPORTS="+t.TempDir()), env...)
	out, err := command.CombinedOutput()
	return string(out), err
}

// Each scenario passes on a correct server, and its audit fails on one that oversells on purpose.
func TestScenarios(t *testing.T) {
	for _, scenario := range []string{"hot_session", "packs", "refund", "retry_storm"} {
		t.Run(scenario, func(t *testing.T) {
			var both sync.WaitGroup
			both.Go(func() {
				out, err := load(t, scenario)
				assert.NoError(t, err, out)
				assert.Regexp(t, `no pool is oversold \(I1\) +4,036 pools +0 +yes`, out)
				assert.Regexp(t, `every acknowledged outcome exists \(I5\) +\S+ reservations +0 +yes`, out)
				assert.Contains(t, out, "I1, I2, I3 and I6 hold after every record")
			})
			both.Go(func() {
				out, err := load(t, scenario, "SEATHOLD_TAGS=seathold_oversell")
				assert.Error(t, err, "the audit missed that the server oversells:\n%s", out)
				assert.Regexp(t, `audit_oversold +count==0 +NO`, out)
				assert.Regexp(t, `BROKEN .* I1: session`, out, "the audit of the journal must find it too")
			})
			both.Wait()
		})
	}
}

// Holds that are extended live until their new end and no longer, and what is abandoned is available again.
func TestAbandon(t *testing.T) {
	out, err := load(t, "abandon")
	require.NoError(t, err, out)
	require.Regexp(t, `every extended hold ended at its end +\S+ observations +0 +yes`, out)
	require.Regexp(t, `every acknowledged outcome exists \(I5\) +\S+ reservations +0 +yes`, out)
}

// A scenario buys what an open phase sells: here sessions of judo only, and fewer tickets of each than it has.
func TestPhaseOfSomeSessions(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.CopyFS(folder, os.DirFS("../../engine/catalog/paris2024")))
	file := filepath.Join(folder, "sale.yaml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	phase := "    opens_at: 2023-11-30 10:00\n    closes_at: 2024-08-12 00:00\n    access: open\n"
	require.Equal(t, 1, strings.Count(string(text), phase))
	some := strings.Replace(string(text), phase, phase+"    only: [{discipline: Judo, places: 60}]\n", 1)
	require.NoError(t, os.WriteFile(file, []byte(some), 0o600))
	sale, err := catalog.Load(folder)
	require.NoError(t, err)
	url := serve(t, sale)
	out, err := load(t, "hot_session", "API="+url)
	require.NoError(t, err, out)
	r, err := http.Get(url + "/v1/phases")
	require.NoError(t, err)
	defer r.Body.Close()
	phases, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(phases), `"places":60,"available":0}`), "%s", phases)
}

// The report is a self-contained page that ends with the audit.
func TestReport(t *testing.T) {
	reports := t.TempDir()
	t.Setenv("REPORTS", reports)
	command := exec.CommandContext(t.Context(), "scripts/load", "spike", "--short")
	command.Dir = "../.."
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	page, err := os.ReadFile(filepath.Join(reports, "spike.html"))
	require.NoError(t, err)
	for _, fetched := range []string{"http://", "https://", "<script", "src=", "@import", "url("} {
		require.NotContains(t, string(page), fetched)
	}
	require.Less(t, strings.Index(string(page), "<h2>Thresholds"), strings.Index(string(page), "<h2>Audit"))
	data, err := os.ReadFile(filepath.Join(reports, "spike.json"))
	require.NoError(t, err)
	require.True(t, json.Valid(data))
}
