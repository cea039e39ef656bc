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

// Postgres is a sale implemented by functions in a PostgreSQL. It is accessed with psql and driven with pgbench.
type Postgres struct{ directory, port string }

// OpenPostgres checks the rules of the functions in the PostgreSQL at DIRECTORY:PORT of a socket, and makes the sale of
// Sale there.
func OpenPostgres(address string) (Postgres, error) {
	directory, port, _ := strings.Cut(address, ":")
	p := Postgres{directory: directory, port: port}
	if err := p.checkRules(); err != nil {
		return p, err
	}
	sale := Sale()
	var sessions []uint32
	for _, pool := range Pools(sale) {
		sessions = append(sessions, uint32(sale.Pools[pool.Index].Session))
	}
	return p, p.prepare(sessions, plenty)
}

func (p Postgres) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "PGHOST="+p.directory, "PGPORT="+p.port, "PGUSER=postgres", "PGDATABASE=postgres")
	return c
}

// query returns the result of a statement, or the message of the exception that it raised.
func (p Postgres) query(statement string) (string, error) {
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

// prepare makes an empty sale. Each session has one pool with the given number of tickets; a session may be listed
// twice.
func (p Postgres) prepare(sessions []uint32, tickets int) error {
	var b strings.Builder
	b.WriteString("DROP TABLE IF EXISTS pool, account, account_session, reservation CASCADE;\n" +
		"DROP FUNCTION IF EXISTS reserve, confirm;\n" + postgresSchema)
	b.WriteString("INSERT INTO pool VALUES ")
	for i, session := range sessions {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "(%d,%d,%d)", i, session, tickets)
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

func (p Postgres) checkRules() error {
	if err := p.prepare(ruleSessions(), ruleTickets); err != nil {
		return err
	}
	uuid := func(id int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", id) }
	call := func(statement string) (verdict, error) {
		text, err := p.query(statement)
		return verdict(text), err
	}
	return checkRules(peer{
		reserve: func(id int, account string, quantity int, pools [3]int, ttl int) (verdict, error) {
			return call(fmt.Sprintf("SELECT reserve('%s','%s','{%d,%d,%d}','{%d,%d,%d}','%d ms')", uuid(id), account,
				pools[0], pools[1], pools[2], quantity, quantity, quantity, ttl))
		},
		confirm: func(id int) (verdict, error) { return call(fmt.Sprintf("SELECT confirm('%s')", uuid(id))) },
		available: func(pool int) (int, error) {
			text, err := p.query(fmt.Sprintf("SELECT available FROM pool WHERE id = %d", pool))
			if err != nil {
				return 0, err
			}
			return strconv.Atoi(text)
		},
	})
}

var processed = regexp.MustCompile(`number of transactions actually processed: ([0-9]+)`)

// Bench runs pgbench for d, rounded to seconds, and returns the number of reservations and confirmations. The demand is
// Hot or Spread.
func (p Postgres) Bench(demand Demand, clients int, d time.Duration) (operations int, took time.Duration, err error) {
	text := postgresSpread
	if demand == Hot {
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
		return 0, 0, fmt.Errorf("unexpected output of pgbench: %s", out)
	}
	cycles, err := strconv.Atoi(string(found[1]))
	return 2 * cycles, took, err
}
