//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// gamesWith copies the small sale of the API's tests and makes replacements in it: file, old, new.
func gamesWith(t *testing.T, changes ...[3]string) (dir string) {
	dir = filepath.Join(t.TempDir(), "sale")
	require.NoError(t, os.CopyFS(dir, os.DirFS("../testdata/sale")))
	edit(t, dir, changes...)
	return dir
}

// edit makes replacements in the files of a directory: file, old, new.
func edit(t *testing.T, dir string, changes ...[3]string) {
	for _, c := range changes {
		path := filepath.Join(dir, c[0])
		text := read(t, path)
		require.Contains(t, text, c[1])
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(text, c[1], c[2], 1)), 0o600))
	}
}

// selling starts a server of a directory with the small sale, while a phase of each programme is open, on a journal.
func selling(t *testing.T, dir, data string, args ...string) *program {
	return start(t, append([]string{"--sale", dir, "--data", data, "--clock", "2024-01-10T09:00:00Z"}, args...)...)
}

// take reserves tickets of category A, and returns the status of the response.
func (s *program) take(account, session, quantity string) int {
	a, err := s.call("POST", "/v1/reservations",
		`{"account":"`+account+`","lines":[{"session":"`+session+`","category":"A","quantity":`+quantity+`}]}`)
	require.NoError(s.t, err)
	return a.status
}

var (
	lowerCap = [3]string{"sale.yaml", "account_cap: 10", "account_cap: 9"}
	fewerATH = [3]string{"prices.csv", "ATH01,A,170,10", "ATH01,A,170,5"}
)

// TestSaleCommands exports, plans and applies definitions of a running server.
func TestSaleCommands(t *testing.T) {
	dir, data := gamesWith(t), filepath.Join(t.TempDir(), "data")
	s := selling(t, dir, data)
	require.Contains(t, s.output.String(), "definition version 1, since ")
	t.Setenv("SEATHOLD_ADMIN", s.operator)

	// What was exported is what is in force.
	out := filepath.Join(t.TempDir(), "out")
	require.Equal(t, "sale games, Games, in "+out+"\n", done(t, "sale", "export", out))
	require.Contains(t, done(t, "sale", "check", out), "sale        games, Games: no faults\n")
	require.Equal(t, "no change: this definition is in force\n", done(t, "sale", "plan", out))
	refusedWith(t, "is not empty", "sale", "export", out)

	// A change is planned, and then applied.
	edit(t, out, lowerCap)
	change := "change     programme summer: "
	planned := done(t, "sale", "plan", out)
	require.True(t, strings.HasPrefix(planned, change), planned)
	require.Contains(t, planned, "Nothing stands against it: seathold sale apply --to "+s.operator+" "+out+"\n")
	require.EqualValues(t, 1, s.gauge("seathold_definition_version"))
	applied := done(t, "sale", "apply", out)
	require.True(t, strings.HasPrefix(applied, change), applied)
	require.True(t, strings.HasSuffix(applied, "version 2 is in force\n"), applied)
	require.EqualValues(t, 2, s.gauge("seathold_definition_version"))
	require.Contains(t, done(t, "sale", "plan", dir), "note       this was in force before, in version 1\n")
	require.Equal(t, "no change: this definition is in force\nversion 2 is in force\n", done(t, "sale", "apply", out))
	edit(t, out, [3]string{"sale.yaml", "name: games", "# Other words\nname: games"})
	other := "no change: other files that say the same; they would become version 3\n"
	require.Equal(t, other+"Nothing stands against it: seathold sale apply --to "+s.operator+" "+out+"\n",
		done(t, "sale", "plan", out))
	require.Equal(t, other+"version 3 is in force\n", done(t, "sale", "apply", out))

	// What was sold stands against a change.
	require.Equal(t, 201, s.take("a", "ATH01", "6"))
	edit(t, out, fewerATH)
	for _, what := range []string{"plan", "apply"} {
		code, stdout, stderr := command("sale", what, out)
		require.Equal(t, exitFailed, code)
		require.Contains(t, stdout, "objection  ")
		require.Equal(t, "seathold: the definition cannot be applied; objections: 1\n", stderr)
	}
	edit(t, out, [3]string{"sale.yaml", "name: games", "name: others"})
	code, stdout, _ := command("sale", "plan", out)
	require.Equal(t, exitFailed, code)
	require.Equal(t, "objection  the sale \"games\" is in force; it cannot become the sale \"others\"\n", stdout)
	edit(t, out, [3]string{"sale.yaml", "name: others", "name: games"})
	edit(t, out, [3]string{"sale.yaml", "account_cap: 9", "account_cap: -1"})
	refusedWith(t, "programmes.summer.account_cap: ", "sale", "apply", out)
	require.Equal(t, 422, s.take("b", "CER01", "1"))
	require.Equal(t, exitDone, s.stop())

	// The version in force stays in force, whatever older directory the server is given.
	s = selling(t, dir, data)
	require.Contains(t, s.output.String(), "definition version 3, since ")
	require.Contains(t, s.output.String(), "was in force before, in version 1, and was replaced; it has no effect.")
	require.EqualValues(t, 3, s.gauge("seathold_definition_version"))
	require.Equal(t, exitDone, s.stop())

	// Files that were never in force are put into force at the start, unless something stands against them.
	edit(t, dir, [3]string{"sale.yaml", "account_cap: 10", "account_cap: 8"})
	s = selling(t, dir, data)
	require.Regexp(t, `definition version 4, since [^ ]+; put into force at this start, with 1 change\n`+
		`  changed    programme summer: account cap 9 → 8\n`, s.output.String())
	require.Contains(t, s.output.String(),
		`msg="the sale has changed" version=4 change="programme summer: account cap 9 → 8"`)
	require.Equal(t, exitDone, s.stop())
	longer := [3]string{"sessions.csv", ",10:00,12:00", ",10:00,13:00"}
	edit(t, dir, longer, longer, longer, longer, longer, longer, [3]string{"sale.yaml", "percent: 10", "percent: 20"})
	s = selling(t, dir, data)
	require.Regexp(t, `with 13 changes\n(  changed    .* → .*\n){10}  changed    and 3 more\n`, s.output.String())
	require.Equal(t, exitDone, s.stop())
	edit(t, dir, fewerATH)
	code, stdout, stderr := command("serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--sale", dir,
		"--data", data, "--clock", "2024-01-10T09:00:00Z")
	require.Equal(t, exitFailed, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "session ATH01, category A")
}

// TestPauseCommands pauses and resumes, and sets stock.
func TestPauseCommands(t *testing.T) {
	s := selling(t, gamesWith(t, [3]string{"sale.yaml", "  snow:\n", "  SKI01:\n"}), filepath.Join(t.TempDir(), "data"))
	t.Setenv("SEATHOLD_ADMIN", s.operator)
	require.Equal(t, "session ATH01 is paused\npaused now: session ATH01\n", done(t, "pause", "ATH01"))
	require.Equal(t, 409, s.take("a", "ATH01", "1"))
	require.Equal(t, 201, s.take("a", "SWM01", "1"))
	require.Equal(t, "phase early is paused\npaused now: phase early, session ATH01\n", done(t, "pause", "early"))
	require.Equal(t, 409, s.take("a", "SWM01", "1"))
	require.Equal(t, "session ATH01 is not paused\npaused now: phase early\n", done(t, "resume", "ATH01"))
	require.Equal(t, "phase early is not paused\npaused now: nothing\n", done(t, "resume", "phase:early"))
	require.Equal(t, 201, s.take("a", "ATH01", "1"))

	code, _, stderr := command("pause", "SKI01")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "SKI01 is both a session and a phase: write session:SKI01 or phase:SKI01")
	require.Equal(t, "session SKI01 is paused\npaused now: session SKI01\n", done(t, "pause", "session:SKI01"))
	require.Contains(t, done(t, "pause", "sale"), "the sale is paused\npaused now: the sale, session SKI01\n")
	require.EqualValues(t, 1, s.gauge(`seathold_paused{kind="sale"}`))
	refusedWith(t, `no session and no phase "none"`, "pause", "none")
	refusedWith(t, "session_not_found", "pause", "session:none")
	require.Equal(t, exitDone, s.stop())

	// A pause outlives a restart.
	s = start(t, s.command.Args[2:]...)
	t.Setenv("SEATHOLD_ADMIN", s.operator)
	require.Contains(t, s.output.String(), "; PAUSED: the sale, session SKI01\n")
	require.Equal(t, 409, s.take("a", "ATH01", "1"))
	require.Equal(t, "the sale is not paused\npaused now: session SKI01\n", done(t, "resume", "sale"))

	require.Equal(t, "session ATH01, category A: capacity 3, available 1, held 1, sold 0, withheld 1\n",
		done(t, "stock", "ATH01", "A", "--capacity", "3"))
	refusedWith(t, "stock_taken", "stock", "ATH01", "A", "--withheld", "3")
	code, _, stderr = command("stock", "ATH01", "A")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "--capacity or --withheld is required")
	out := filepath.Join(t.TempDir(), "out")
	done(t, "sale", "export", out)
	require.Equal(t, "session,category,capacity,withheld\nATH01,A,3,1\n", read(t, filepath.Join(out, "stock.csv")))
	require.Contains(t, done(t, "sale", "plan", out), "no change: other files that say the same")
	require.Equal(t, exitDone, s.stop())
}

// TestSaleOnHangup changes the directory of --sale under a running server and sends SIGHUP.
func TestSaleOnHangup(t *testing.T) {
	const admin = "admin-0123456789abcdef"
	keys, dir := write(t, "admin "+admin+" ops\n"), gamesWith(t)
	s := selling(t, dir, filepath.Join(t.TempDir(), "data"), "--keys", keys, "--log-level", "error")
	t.Setenv("SEATHOLD_ADMIN", s.operator)
	t.Setenv("SEATHOLD_KEY", admin)
	reloads := 0
	hangup := func() (line string) {
		require.NoError(t, s.command.Process.Signal(syscall.SIGHUP))
		reloads++
		s.await(func() bool {
			lines := strings.SplitAfter(s.output.String(), `msg="SIGHUP: the sale files`)
			line, _, _ = strings.Cut(lines[len(lines)-1], "\n")
			return len(lines) == reloads+1
		})
		return line
	}
	require.Contains(t, hangup(), `were read again" change="none: these files are in force"`)
	edit(t, dir, lowerCap)
	require.Contains(t, hangup(), `were read again" change="version 2 is in force: programme summer: `)
	require.EqualValues(t, 2, s.gauge("seathold_definition_version"))
	edit(t, dir, [3]string{lowerCap[0], lowerCap[2], lowerCap[1]})
	require.Contains(t, hangup(), "none: what these files say was in force before, in version 1, and was replaced; ")
	edit(t, dir, [3]string{"sale.yaml", "name: games", "# Forgotten\nname: games"})
	require.Contains(t, hangup(), "none: what these files say was in force before, in version 1, and was replaced; ")
	edit(t, dir, [3]string{"sale.yaml", "# Forgotten\n", ""})
	require.EqualValues(t, 2, s.gauge("seathold_definition_version"))
	edit(t, dir, [3]string{"sale.yaml", "account_cap: 10", "account_cap: -1"})
	require.Contains(t, hangup(), "could not be read again; the former ones stay in force")
	require.Zero(t, s.gauge(`seathold_reload_successful{files="sale files"}`))
	edit(t, dir, [3]string{"sale.yaml", "name: games", "name: others"},
		[3]string{"sale.yaml", "account_cap: -1", lowerCap[1]})
	require.Contains(t, hangup(), "the definition cannot be applied: ")

	// A change by a command is in the log with the name of the key.
	edit(t, dir, [3]string{"sale.yaml", "name: others", "name: games"})
	done(t, "sale", "apply", dir)
	done(t, "pause", "ATH01")
	log := s.output.String()
	audit := `msg=audit key=ops role=admin `
	require.Regexp(t, audit+`method=POST path=/admin/sale/plan status=200 request_id=`, log)
	require.Regexp(t, audit+`method=POST path=/admin/sale/apply status=200 version=3 `+
		`change="programme summer: .*" request_id=`, log)
	require.Regexp(t, audit+`method=PUT path=/admin/sessions/ATH01/paused status=200 paused=true `, log)
	t.Setenv("SEATHOLD_KEY", "")
	refusedWith(t, "set SEATHOLD_KEY, or --key, to a key in the server's --keys file", "sale", "apply", dir)
	require.Equal(t, exitDone, s.stop())
}

// TestExportBundled exports the bundled sale without a server.
func TestExportBundled(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	require.Equal(t, "sale paris2024, in "+out+"\n", done(t, "sale", "export", "--sale", "paris2024", out))
	for _, file := range []string{"sale.yaml", "sessions.csv", "prices.csv", "venues.csv"} {
		require.Equal(t, read(t, "../../engine/catalog/paris2024/"+file), read(t, filepath.Join(out, file)))
	}
	code, _, stderr := command("sale", "export", "--sale", "rome", filepath.Join(t.TempDir(), "other"))
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, `--sale "rome" is no bundled definition: there is paris2024`)
}

// TestSaleInit begins a definition from both templates.
func TestSaleInit(t *testing.T) {
	for _, flags := range [][]string{nil, {"--full"}} {
		dir := filepath.Join(t.TempDir(), "sale")
		require.Contains(t, done(t, append([]string{"sale", "init", dir}, flags...)...), "seathold sale check "+dir+"\n")
		require.Contains(t, done(t, "sale", "check", dir), ": no faults\n")
		refusedWith(t, "is not empty", "sale", "init", dir)
	}
}
