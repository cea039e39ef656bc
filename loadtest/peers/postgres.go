package peers

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed postgres/schema.sql
var postgresSchema string

//go:embed postgres/hot.sql
var postgresHot string

//go:embed postgres/spread.sql
var postgresSpread string

// Postgres is a sale kept by functions in a PostgreSQL, reached with psql and driven with pgbench.
type Postgres struct {
	Directory string // of its socket
	Port      string
}

func (p Postgres) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "PGHOST="+p.Directory, "PGPORT="+p.Port, "PGUSER=postgres", "PGDATABASE=postgres")
	return c
}

// ask returns what a statement answers, or the message of its error.
func (p Postgres) ask(statement string) (string, error) {
	c := p.command("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement)
	out, err := c.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		message, _, _ := strings.Cut(string(failed.Stderr), "\n")
		if refusal, ok := strings.CutPrefix(message, "ERROR:  "); ok {
			return refusal, nil
		}
		return "", fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// Prepare makes an empty sale of pools, each with its session and its places.
func (p Postgres) Prepare(sessions []uint32, places int) error {
	var b strings.Builder
	b.WriteString("DROP TABLE IF EXISTS pool, account, account_session, reservation CASCADE;\n" +
		"DROP FUNCTION IF EXISTS reserve, confirm;\n" + postgresSchema)
	b.WriteString("INSERT INTO pool VALUES ")
	for i, session := range sessions {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "(%d,%d,%d)", i, session, places)
	}
	b.WriteString(";\nVACUUM ANALYZE;\n")
	c := p.command("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-")
	c.Stdin = strings.NewReader(b.String())
	c.Env = append(c.Env, "PGOPTIONS=--client-min-messages=warning")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Rules is the server as CheckRules wants it.
func (p Postgres) Rules() (Peer, error) {
	if err := p.Prepare(RuleSessions(), RulePlaces); err != nil {
		return Peer{}, err
	}
	uuid := func(id int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", id) }
	verdict := func(statement string) (Verdict, error) {
		text, err := p.ask(statement)
		return Verdict(text), err
	}
	return Peer{
		Reserve: func(id int, account string, quantity int, pools [3]int, ttl int) (Verdict, error) {
			return verdict(fmt.Sprintf("SELECT reserve('%s','%s','{%d,%d,%d}','{%d,%d,%d}','%d ms')", uuid(id), account,
				pools[0], pools[1], pools[2], quantity, quantity, quantity, ttl))
		},
		Confirm: func(id int) (Verdict, error) { return verdict(fmt.Sprintf("SELECT confirm('%s')", uuid(id))) },
		Left: func(pool int) (int, error) {
			text, err := p.ask(fmt.Sprintf("SELECT available FROM pool WHERE id = %d", pool))
			if err != nil {
				return 0, err
			}
			return strconv.Atoi(text)
		},
	}, nil
}

var processed = regexp.MustCompile(`number of transactions actually processed: ([0-9]+)`)

// Bench runs pgbench for so long with so many clients on hot or spread pools, and returns how many reservations and
// confirmations were made.
func (p Postgres) Bench(wants Wants, clients int, d time.Duration) (operations int, took time.Duration, err error) {
	text := postgresSpread
	if wants == Hot {
		text = postgresHot
	}
	dir, err := os.MkdirTemp("", "seathold-pgbench-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	script := filepath.Join(dir, "cycle.sql")
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		return 0, 0, err
	}
	seconds := max(1, int(d.Round(time.Second)/time.Second))
	began := time.Now()
	out, err := p.command("pgbench", "-n", "-M", "prepared", "-f", script, "-c", strconv.Itoa(clients), "-j", "2",
		"-T", strconv.Itoa(seconds)).CombinedOutput()
	took = time.Since(began)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, out)
	}
	found := processed.FindSubmatch(out)
	if found == nil {
		return 0, 0, fmt.Errorf("pgbench says %s", out)
	}
	cycles, err := strconv.Atoi(string(found[1]))
	return 2 * cycles, took, err
}
