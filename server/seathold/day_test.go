//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/spec"
	"github.com/seathold/seathold/server/client"
)

// day is the story of a sale on one day: buyers over HTTP, and an organiser at the command line.
type day struct {
	t          *testing.T
	random     *rand.Rand
	definition spec.Definition
	journal    []string

	gate     sync.RWMutex // closed while no server runs
	server   *program
	answered atomic.Int64
	over     atomic.Bool

	// What is in force, as the organiser knows by an answer. Each fact is true from an answer until the next call that
	// ends it; a buyer whose call lay within that time must find it true.
	paused, lowered, general atomic.Bool

	mu     sync.Mutex
	codes  map[string]int
	kept   map[string]int // tickets that are held or confirmed, by session
	faults []string
}

const (
	dayBuyers = 8
	dayPlaces = 100  // of each category
	dayMany   = 5000 // of the session that is paused: half of them are never sold before
	dayActs   = 300  // answers between two acts of the organiser
	dayPaused = "ATH10"
)

// TestDay (I1, I2, I5) tells the story of a day. The presale is open and buyers buy. A session is paused, half of its
// places are withheld, its limit is lowered, it is moved to another day, it goes on, a session is added, the server is
// restarted, the presale ends, and the general sale begins. Buyers never see a status of 500 or more, nothing is
// oversold, nothing is sold against what the organiser was told to be in force, and at the end every ticket of an
// answer is there and the journal verifies from its opening.
func TestDay(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SEATHOLD_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d (SEATHOLD_SEED=%d repeats the random choices, not the timing)", seed, seed)
	d := &day{t: t, random: rand.New(rand.NewPCG(seed, 0)), definition: dayDefinition(time.Now().UTC()),
		journal: []string{"--data", t.TempDir()}, codes: map[string]int{}, kept: map[string]int{}}
	d.server = start(t, append([]string{"--sale", d.directory()}, d.journal...)...)
	var buyers sync.WaitGroup
	for i := range dayBuyers {
		buyer := &dayBuyer{day: d, random: rand.New(rand.NewPCG(d.random.Uint64(), 0)), number: i}
		buyers.Go(buyer.buy)
	}
	for _, act := range d.acts() {
		from := d.answered.Load()
		require.True(t, act.do(), act.name)
		d.server.await(func() bool { return d.answered.Load() >= from+dayActs || d.failed() })
		t.Logf("%-55s %5d calls were answered", act.name, d.answered.Load()-from)
		require.Empty(t, d.found())
	}
	d.over.Store(true)
	buyers.Wait()
	require.Empty(t, d.found())
	d.count()
	require.Equal(t, exitDone, d.server.stop())
	code, out := tool(t, append([]string{"verify"}, d.journal...)...)
	require.Equal(t, exitDone, code, out)
	for _, code := range slices.Sorted(maps.Keys(d.codes)) {
		t.Logf("%7d %s", d.codes[code], code)
	}
	for _, code := range []string{
		"201", "paused", "sold_out", "session_limit_exceeded", "phase_not_open", "unknown_session",
	} {
		require.Positive(t, d.codes[code], code)
	}
}

// dayDefinition returns a sale whose presale is open and whose general sale opens in a month.
func dayDefinition(now time.Time) spec.Definition {
	now = now.Truncate(time.Minute)
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 30, SessionLimit: 6}},
		Phases: []spec.DefinedPhase{
			{ID: "presale", Programme: "games", OpensAt: now.Add(-time.Hour), ClosesAt: now.AddDate(0, 0, 1)},
			{ID: "general", Programme: "games", OpensAt: now.AddDate(0, 1, 0), ClosesAt: now.AddDate(1, 0, 0)}},
	}
	for _, id := range []string{dayPaused, "ATH11", "JUD01", "SWM03", "TEN07"} {
		places := dayPlaces
		if id == dayPaused {
			places = dayMany
		}
		d.Sessions = append(d.Sessions, spec.DefinedSession{ID: id, Programme: "games", Places: []int{places, places},
			StartsAt: now.AddDate(1, 1, 0)})
	}
	return d
}

// directory writes the definition into a new directory.
func (d *day) directory() string {
	dir := d.t.TempDir()
	require.NoError(d.t, os.CopyFS(dir, d.definition.Files()))
	return dir
}

// act is something that the organiser does.
type act struct {
	name string
	do   func() bool
}

func (d *day) acts() []act {
	athletics := &d.definition.Sessions[0]
	return []act{
		{"the presale is open", func() bool { return true }},
		{"athletics is paused", func() bool {
			paused := d.command("pause", dayPaused)
			d.paused.Store(true)
			return paused
		}},
		{"half of its places are withheld", func() bool {
			return d.command("stock", dayPaused, "A", "--withheld", fmt.Sprint(dayMany/2)) &&
				d.command("stock", dayPaused, "B", "--withheld", fmt.Sprint(dayMany/2))
		}},
		{"its limit is lowered", func() bool {
			athletics.Limit, athletics.Withheld = 2, []int{dayMany / 2, dayMany / 2}
			lowered := d.apply("limit 6 → 2")
			d.lowered.Store(true)
			return lowered
		}},
		{"it is moved to another day", func() bool {
			athletics.StartsAt = athletics.StartsAt.AddDate(0, 0, 1)
			return d.apply("session " + dayPaused)
		}},
		{"it goes on", func() bool {
			d.paused.Store(false)
			return d.command("resume", dayPaused)
		}},
		{"a session is added", func() bool {
			added := spec.DefinedSession{ID: "NEW01", Programme: "games", Places: []int{dayPlaces, dayPlaces},
				StartsAt: athletics.StartsAt}
			d.definition.Sessions = append([]spec.DefinedSession{added}, d.definition.Sessions...)
			return d.apply("session NEW01")
		}},
		{"the server is restarted, with the files of the morning", d.restart},
		{"the presale ends, and the general sale begins", func() bool {
			presale, general := &d.definition.Phases[0], &d.definition.Phases[1]
			presale.ClosesAt = presale.OpensAt.Add(30 * time.Minute)
			general.OpensAt = presale.ClosesAt
			begun := d.apply("phase presale")
			d.general.Store(true)
			return begun
		}},
	}
}

// command runs a command against the operator's port.
func (d *day) command(args ...string) bool {
	code, out := inProcess(append(args, "--to", d.server.operator)...)
	if code != exitDone {
		d.t.Log(out)
	}
	return code == exitDone
}

// apply plans the definition, of which the plan must show a text, and applies it.
func (d *day) apply(shown string) bool {
	dir := d.directory()
	code, out := inProcess("sale", "plan", dir, "--to", d.server.operator)
	require.Equal(d.t, exitDone, code, out)
	require.Contains(d.t, out, shown)
	d.t.Log(strings.TrimSpace(out))
	return d.command("sale", "apply", dir)
}

// restart ends the server as a service manager does, and starts it again with the directory of the first start.
func (d *day) restart() bool {
	d.gate.Lock()
	defer d.gate.Unlock()
	args := d.server.command.Args
	first := args[slices.Index(args, "--sale")+1]
	require.Equal(d.t, exitDone, d.server.stop())
	d.server = start(d.t, append([]string{"--sale", first}, d.journal...)...)
	return true
}

func (d *day) fault(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, fmt.Sprintf(format, args...))
}

func (d *day) found() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.faults)
}

func (d *day) failed() bool { return len(d.found()) > 0 }

// dayBuyer is a client with accounts of its own, each of which buys for a while.
type dayBuyer struct {
	*day
	random *rand.Rand
	number int
	serial int
}

func (b *dayBuyer) buy() {
	for !b.over.Load() && !b.failed() {
		b.one()
	}
}

// one makes a hold and mostly confirms or releases it. The server stays the same meanwhile.
func (b *dayBuyer) one() {
	b.gate.RLock()
	defer b.gate.RUnlock()
	c, err := client.New(client.Options{URL: b.server.api, Attempts: 1, Connections: 1})
	if err != nil {
		b.fault("%v", err)
		return
	}
	defer c.Close()
	for range 5 {
		b.serial++
		sessions := []string{dayPaused, dayPaused, "ATH11", "JUD01", "SWM03", "TEN07", "NEW01"}
		line := client.Line{Session: sessions[b.random.IntN(len(sessions))],
			Category: spec.Category(b.random.IntN(2)), Quantity: 1 + b.random.IntN(4)}
		q := client.Request{Account: fmt.Sprintf("buyer-%d-%d", b.number, b.serial/20), Lines: []client.Line{line}}
		if b.random.IntN(2) == 0 {
			q.Phase = []string{"presale", "general"}[b.random.IntN(2)]
		}
		held, ok := b.reserve(c, &q)
		if !ok {
			continue
		}
		switch b.random.IntN(4) {
		case 0:
			if _, err := c.Release(context.Background(), held.ID); b.note(err, "200") {
				continue
			}
		case 1:
		default:
			_, err := c.Confirm(context.Background(), held.ID, "")
			b.note(err, "200")
		}
		b.mu.Lock()
		b.kept[line.Session] += line.Quantity
		b.mu.Unlock()
	}
}

// reserve makes a hold, and judges it by what was in force all the time.
func (b *dayBuyer) reserve(c *client.Client, q *client.Request) (held client.Reservation, ok bool) {
	paused, lowered, general := b.paused.Load(), b.lowered.Load(), b.general.Load()
	held, err := c.Reserve(context.Background(), q)
	if !b.note(err, "201") {
		return held, false
	}
	athletics := q.Lines[0].Session == dayPaused
	switch {
	case athletics && paused && b.paused.Load():
		b.fault("a hold of a paused session: %+v", held)
	case athletics && lowered && q.Lines[0].Quantity > 2:
		b.fault("a hold above the limit: %+v", held)
	case general && held.Phase != "general":
		b.fault("a hold of a phase that is over: %+v", held)
	}
	return held, true
}

// note counts the answer to a call, and reports whether it succeeded.
func (b *dayBuyer) note(err error, success string) bool {
	code := success
	if refused, ok := errors.AsType[*client.Error](err); ok {
		code = refused.Code
		if refused.Status >= 500 {
			b.fault("%d: %v", refused.Status, err)
		}
	} else if err != nil {
		b.fault("no answer: %v", err)
	}
	b.answered.Add(1)
	b.mu.Lock()
	b.codes[code]++
	b.mu.Unlock()
	return err == nil
}

// count compares the stock with what the buyers were told.
func (d *day) count() {
	c, err := client.New(client.Options{URL: d.server.api})
	require.NoError(d.t, err)
	defer c.Close()
	for _, s := range d.definition.Sessions {
		is, err := c.Session(context.Background(), s.ID)
		require.NoError(d.t, err)
		require.True(d.t, is.StartsAt.Equal(s.StartsAt), is.StartsAt)
		taken := 0
		for i, p := range is.Pools {
			require.Equal(d.t, p.Capacity, p.Available+p.Held+p.Sold+p.Withheld, "%s %+v", s.ID, p)
			require.GreaterOrEqual(d.t, min(p.Available, p.Held, p.Sold), 0)
			require.Equal(d.t, s.Places[i], p.Capacity)
			if i < len(s.Withheld) {
				require.Equal(d.t, s.Withheld[i], p.Withheld)
			}
			taken += p.Held + p.Sold
		}
		require.Equal(d.t, d.kept[s.ID], taken, s.ID)
	}
}
