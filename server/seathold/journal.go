package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/journal/redis"
	"github.com/seathold/seathold/engine/rehearsal"
)

const defaultData = "./seathold-data"

// journalFlags say where the journal is kept.
type journalFlags struct {
	Data  string     `default:"./seathold-data" env:"SEATHOLD_DATA" placeholder:"DIR" help:"The journal's directory (default: ${default})."`
	Redis redisFlags `embed:"" envprefix:"SEATHOLD_"`
}

// check reports flags that contradict each other.
func (f *journalFlags) check() error {
	if f.Redis.URL != "" && f.Data != defaultData {
		return usagef("--data and --redis exclude each other: a journal is kept in one of them")
	}
	return f.Redis.check()
}

// hintNew adds to an error about a journal that is gone how to begin another one.
func hintNew(err error) error {
	if errors.Is(err, journal.ErrGone) {
		return fmt.Errorf("%w; to begin a new sale there, start with --new", err)
	}
	return err
}

// openReadOnly opens the journal for reading. A directory must not be in use by a server; a Redis may be.
func (f *journalFlags) openReadOnly(p *process) (rehearsal.Readable, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.Redis.URL == "" {
		return embedded.OpenReadOnly(f.Data)
	}
	o, err := f.Redis.options(defaultName)
	if err != nil {
		return nil, err
	}
	o.Log = p.logger()
	return redis.OpenReadOnly(o)
}

// String names the journal, without a password.
func (f *journalFlags) String() string {
	if f.Redis.URL == "" {
		return f.Data
	}
	return f.Redis.String()
}

type journalCommand struct {
	Dump   dumpCommand   `cmd:"" help:"Print each record as a line of JSON."`
	Repair repairCommand `cmd:"" help:"Repair a damaged journal in a directory, without losing an acknowledged outcome."`
	Rescue rescueCommand `cmd:"" help:"Write the state of a server whose journal is gone into a new journal."`
}

type dumpCommand struct {
	Journal journalFlags `embed:""`
}

// Run prints the journal. One in Redis is printed to a file first: its leader may drop what is being read, and the dump
// then starts over.
func (c *dumpCommand) Run(p *process) error {
	b, err := c.Journal.openReadOnly(p)
	if err != nil {
		return err
	}
	if c.Journal.Redis.URL == "" {
		return errors.Join(audit.Dump(b, p.stdout), b.Close())
	}
	return errors.Join(dumpWhole(b, p.stdout), b.Close())
}

// dumpWhole prints a journal that a leader may be writing.
func dumpWhole(b journal.Reader, w io.Writer) (err error) {
	f, err := os.CreateTemp("", "seathold-dump-*")
	if err != nil {
		return err
	}
	_ = os.Remove(f.Name()) // at once: a signal ends the process without what is deferred
	defer func() {
		err = errors.Join(err, f.Close())
		_ = os.Remove(f.Name()) // of a system that does not remove an open file
	}()
	err = readWhole(func() error {
		if err := f.Truncate(0); err != nil {
			return err
		}
		return audit.Dump(b, io.NewOffsetWriter(f, 0))
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// readAttempts is how often a journal in Redis is read, at most. Each attempt but the last one has taken longer than
// its leader took for two checkpoints.
const readAttempts = 5

// readWhole calls read, which reads a journal from its beginning. It calls it again if the journal's leader has dropped
// meanwhile what was being read.
func readWhole(read func() error) (err error) {
	for range readAttempts {
		if err = read(); !errors.Is(err, redis.ErrDiverged) {
			return err
		}
	}
	return fmt.Errorf("tried %d times; try again when the server writes fewer checkpoints: %w", readAttempts, err)
}

type verifyCommand struct {
	Journal journalFlags `embed:""`
	Sale    string       `env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"Also compare the journal's sale definition with this one. A journal is judged by its own definitions; only one that begins with a definition of version 1, which has names only, is judged by this sale."`
}

// Run verifies the journal.
func (c *verifyCommand) Run(p *process) error {
	var sale *catalog.Sale
	if c.Sale != "" {
		var err error
		if sale, err = catalog.Load(c.Sale); err != nil {
			return err
		}
	}
	b, err := c.Journal.openReadOnly(p)
	if err != nil {
		return err
	}
	var found audit.Findings
	err = readWhole(func() (err error) { found, err = audit.Verify(b, sale); return err })
	if errors.Is(err, audit.ErrNoSale) {
		err = fmt.Errorf("%s: %w with --sale", &c.Journal, err)
	}
	var damage []*embedded.Fault
	if err == nil {
		damage, err = damageIn(b)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return err
	}
	err = printAudit(p.stdout, &c.Journal, c.Sale, &found)
	if err == nil {
		err = printDamage(p, &c.Journal, damage)
	}
	if err == nil && found.Broken > 0 {
		err = fmt.Errorf("%s: %s broken invariants", &c.Journal, count(found.Broken))
	}
	return err
}

func printAudit(w io.Writer, where *journalFlags, sale string, a *audit.Findings) error {
	out := lines{w: w}
	out.printf("journal       %s", where)
	out.printf("records       %s, the last has number %s", count(a.Records), count(int(a.Last)))
	if a.Checkpoint.Start > 0 {
		out.printf("checkpoint    after record %s, %s bytes", count(int(a.Checkpoint.Start)), count(int(a.Checkpoint.Bytes)))
	}
	for _, note := range a.Notes {
		out.printf("note          %s", note)
	}
	if a.Definitions > 0 {
		out.printf("sale          %s, definitions in force so far: %d, digest of the last: %s", a.Sale, a.Definitions,
			a.Digest)
	}
	if a.Differs {
		out.printf("note          the last definition is not that of --sale %s; the journal is judged by its own", sale)
	}
	state := func(s engine.State) string { return count(a.ByState[s]) }
	out.printf("reservations  %s of %s accounts: %s held, %s confirmed, %s released, %s returned, %s expired",
		count(a.Reservations), count(a.Accounts), state(engine.Held), state(engine.Confirmed), state(engine.Released),
		state(engine.Returned), state(engine.Expired))
	out.printf("tickets       %s held, %s confirmed, %s returned (%s of them withheld)", count(a.Held), count(a.Confirmed),
		count(a.Returned), count(a.Withheld))
	for _, group := range slices.Sorted(maps.Keys(a.Members)) {
		out.printf("group         %s, members: %s", group, count(a.Members[group]))
	}
	for _, problem := range a.Problems {
		out.printf("BROKEN        %s", problem)
	}
	if a.Broken == 0 {
		out.printf("invariants    I1, I2, I3 and I6 hold after every record")
	}
	return out.err
}
