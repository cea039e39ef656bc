// Package k6 holds the k6 scenarios of a sale; scripts/load runs them. Its tests run some of them briefly.
package k6

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
