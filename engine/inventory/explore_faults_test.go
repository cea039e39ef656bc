//go:build seathold_yield

package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPlantedFaults plants faults in the code and checks that the exploration finds each. The code on the disk stays as
// it is: one program is built with all of them, of which one is chosen at a time.
//
//	go test -tags seathold_yield -v -run PlantedFaults ./engine/inventory
//
// The environment variable SEATHOLD_FAULTS is a regular expression for the names of those to plant. By default all are.
func TestPlantedFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the tests with the faults")
	}
	began, wanted := time.Now(), regexp.MustCompile(os.Getenv("SEATHOLD_FAULTS"))
	program := buildFaults(t)
	t.Logf("built in %.1f s", time.Since(began).Seconds())
	planted, found := 0, 0
	for i, f := range faults() {
		if !wanted.MatchString(f.what) {
			continue
		}
		planted++
		t.Run(f.what, func(t *testing.T) {
			for _, title := range f.cases {
				began := time.Now()
				if how := explores(t, program, title, i+1); how != "" {
					found++
					t.Logf("%s: found by %q, %s (%.1f s)", f.what, title, how, time.Since(began).Seconds())
					return
				}
			}
			t.Errorf("no case finds it: %q", f.cases)
		})
	}
	t.Logf("%d faults planted, %d found", planted, found)
}

// chosen is the file that chooses a fault, in each package that has one.
const chosen = `package %s

import (
	"os"
	"strconv"
)

var planted, _ = strconv.Atoi(os.Getenv("SEATHOLD_FAULT"))

// stored stores a value, as a CompareAndSwap that always succeeds.
func stored[V any](word interface{ Store(V) }, value V) bool {
	word.Store(value)
	return true
}
`

// buildFaults returns the program of the tests with all faults.
func buildFaults(t *testing.T) string {
	files, err := plant(faults())
	require.NoError(t, err)
	for path := range files {
		dir := filepath.Dir(path)
		name := strings.Replace(filepath.Base(dir), ".", "inventory", 1)
		files[filepath.Join(dir, "planted.go")] = fmt.Sprintf(chosen, name)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range files {
		from, err := filepath.Abs(path)
		require.NoError(t, err)
		to := filepath.Join(dir, strings.ReplaceAll(path, string(filepath.Separator), "_"))
		require.NoError(t, os.WriteFile(to, []byte(text), 0o600))
		overlay.Replace[from] = to
	}
	replace, err := json.Marshal(overlay)
	require.NoError(t, err)
	list, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "inventory.test")
	require.NoError(t, os.WriteFile(list, replace, 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "seathold_yield", "-vet=off", "-overlay",
		list, "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "the code with the faults does not compile:\n%s", out)
	return program
}

// explores explores a case with a fault, and returns how it failed; nothing if it did not.
func explores(t *testing.T, program, title string, fault int) string {
	command := exec.CommandContext(t.Context(), program, "-test.v", "-test.timeout", "2m", "-test.run",
		fmt.Sprintf("^TestExplore$/^%s$", regexp.QuoteMeta(strings.ReplaceAll(title, " ", "_"))))
	command.Env = append(os.Environ(), fmt.Sprint("SEATHOLD_FAULT=", fault))
	out, err := command.CombinedOutput()
	if err == nil {
		require.Contains(t, string(out), "--- PASS: TestExplore/", "there is no such case")
		return ""
	}
	for line := range bytes.Lines(out) {
		if at := bytes.Index(line, []byte(stoppedIn)); at >= 0 {
			return strings.TrimSpace(string(line[at:]))
		}
	}
	require.Fail(t, "the exploration did not say how it failed", "%s", out)
	return ""
}

// stoppedIn begins the line that says in which schedule a case failed.
const stoppedIn = "in schedule "
