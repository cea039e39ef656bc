//go:build unix

package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/engine/spec"
)

const (
	roomOfTurnover    = 1200 // reservations
	callersOfTurnover = 4
	rentalsOfCall     = 16
	forgottenAfter    = time.Second
	shortHold         = time.Second
	longHold          = 10 * time.Minute
	reusedOfTurnover  = 40 // ids at once
)

// turnover is a sale that sells several times what its table of reservations has room for: what has ended is forgotten
// after a second, and its row is used again.
type turnover struct {
	t       *testing.T
	random  *rand.Rand
	sale    string
	journal []string
	next    atomic.Int64 // number of an account
	made    atomic.Int64 // acknowledged reservations
	selling sync.WaitGroup

	mu    sync.Mutex
	kept  map[string]tenant    // what must be remembered, by id
	over  map[string]time.Time // when the time of others was over at the latest
	gone  map[string]bool      // ids that were found forgotten
	doubt map[string]tenant    // of calls without an answer: what the reservation is at most
	twice int                  // ids that had two tenants
}

// tenant is what an id has.
type tenant struct {
	account string
	state   string
	tickets int
}

func newTurnover(t *testing.T, journal ...string) *turnover {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	now := time.Now().UTC().Truncate(time.Second)
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 1000, SessionLimit: 1000, WithholdReturned: true}},
		Phases: []spec.DefinedPhase{{ID: "singles", Programme: "games", OpensAt: now.Add(-time.Hour),
			ClosesAt: now.Add(24 * time.Hour)}},
		Sessions: []spec.DefinedSession{{ID: "S1", Programme: "games", Places: []int{1_000_000}}},
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, d.Files()))
	return &turnover{t: t, random: rand.New(rand.NewPCG(seed, 0)), sale: dir, journal: journal,
		kept: map[string]tenant{}, over: map[string]time.Time{}, gone: map[string]bool{},
		doubt: map[string]tenant{}}
}

// args are the arguments of a server with room for so many reservations.
func (o *turnover) args(room int, more ...string) []string {
	return slices.Concat([]string{"--sale", o.sale, "--forget", forgottenAfter.String(), "--max-reservations",
		fmt.Sprint(room), "--max-accounts", fmt.Sprint(room)}, o.journal, more)
}

// sell starts callers that sell until the server is gone.
func (o *turnover) sell(s *program) {
	for range callersOfTurnover {
		random := rand.New(rand.NewPCG(o.random.Uint64(), 0))
		o.selling.Go(func() {
			for o.rent(s, random) {
			}
		})
	}
}

// sellMore waits until so many more reservations were made.
func (o *turnover) sellMore(s *program, n int) {
	until := o.made.Load() + int64(n)
	s.await(func() bool { return o.made.Load() >= until })
}

// kill ends the server while it sells.
func (o *turnover) kill(s *program) {
	s.kill()
	o.selling.Wait()
}

// rental is a reservation that a caller makes, and what becomes of it.
type rental struct {
	id   string
	then string // the operation that follows, "" for none
	last string // the operation after that
	long bool   // it is held for long
}

func drawRental(r *rand.Rand) rental {
	one := rental{id: uuid.NewString()}
	switch n := r.IntN(256); {
	case n < 2:
		one.then, one.last = "confirm", "return"
	case n < 4:
		one.then = "confirm"
	case n < 6:
		one.long = true
	case n < 80:
		one.then = "release"
	case n < 224:
		one.then = "extend" // to an earlier end
	}
	return one
}

// rent makes reservations of a new account in a batch, and then ends, sells or changes them in further batches. It
// returns false when the server is gone.
func (o *turnover) rent(s *program, r *rand.Rand) bool {
	account := fmt.Sprint("account", o.next.Add(1))
	var all []rental
	var ops []string
	for range rentalsOfCall {
		one := drawRental(r)
		ttl := shortHold
		if one.long {
			ttl = longHold
		}
		all = append(all, one)
		ops = append(ops, fmt.Sprintf(`{"op":"reserve","id":%q,"account":%q,"ttl_seconds":%d,"lines":[{"session":"S1",`+
			`"category":"A","quantity":1}]}`, one.id, account, int(ttl.Seconds())))
	}
	answers := o.batch(s, ops)
	over := time.Now().Add(shortHold)
	full := false
	var made []rental
	o.mu.Lock()
	for i, one := range all {
		held := tenant{account, "held", 1}
		switch a := answers[i]; {
		case a.done && one.long:
			o.kept[one.id] = held
		case a.done:
			o.over[one.id] = over
			made = append(made, one)
		case a.code == "full":
			full = true
		case a.unknown():
			o.doubt[one.id] = held
		}
		if answers[i].done {
			o.made.Add(1)
		}
	}
	o.mu.Unlock()
	if full {
		<-time.After(20 * time.Millisecond) // until something is forgotten
	}
	return !answers[0].lost && o.follow(s, account, made, func(one rental) string { return one.then }) &&
		o.follow(s, account, made, func(one rental) string { return one.last })
}

// follow makes the calls that follow. An id is in over until its answer is known.
func (o *turnover) follow(s *program, account string, made []rental, which func(rental) string) bool {
	var called []rental
	var ops []string
	for _, one := range made {
		kind, more := which(one), ""
		switch kind {
		case "":
			continue
		case "extend":
			more = fmt.Sprintf(`,"expires_at":%q`, time.Now().Add(20*time.Millisecond).UTC().Format(time.RFC3339Nano))
		}
		called = append(called, one)
		ops = append(ops, fmt.Sprintf(`{"op":%q,"id":%q%s}`, kind, one.id, more))
	}
	if len(ops) == 0 {
		return true
	}
	states := map[string]string{"confirm": "confirmed", "return": "returned"}
	answers := o.batch(s, ops)
	gone := false
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, one := range called {
		state := states[which(one)]
		switch a := answers[i]; {
		case state != "" && a.done:
			o.kept[one.id] = tenant{account, state, 1}
			delete(o.over, one.id)
		case state != "" && a.unknown():
			o.doubt[one.id] = tenant{account, state, 1}
			delete(o.over, one.id)
			delete(o.kept, one.id)
		}
		gone = gone || answers[i].lost
	}
	return !gone
}

// outcome is the result of an operation.
type outcome struct {
	done bool
	code string
	lost bool // the server is gone
}

func (a *outcome) unknown() bool { return a.lost || a.code == "journal_unavailable" }

// batch makes one call, and returns the outcome of each operation.
func (o *turnover) batch(s *program, ops []string) []outcome {
	all := make([]outcome, len(ops))
	a, err := s.call(http.MethodPost, "/v1/batch", `{"operations":[`+strings.Join(ops, ",")+`]}`)
	results, _ := a.body["results"].([]any)
	if err == nil && a.status == http.StatusOK && len(results) != len(ops) {
		o.t.Errorf("%d results of %d operations", len(results), len(ops))
	}
	for i := range all {
		if len(results) != len(ops) {
			all[i] = outcome{code: a.text("code"), lost: err != nil}
			continue
		}
		result := results[i].(map[string]any)
		all[i].done = result["status"].(float64) < 300
		if problem, refused := result["problem"].(map[string]any); refused {
			all[i].code = problem["code"].(string)
		}
	}
	return all
}

// read returns what a server has of an id.
func (o *turnover) read(s *program, id string) (found tenant, status int, ends time.Time) {
	a, err := s.call(http.MethodGet, "/v1/reservations/"+id, "")
	require.NoError(o.t, err)
	if a.status == http.StatusNotFound {
		require.Equal(o.t, "reservation_not_found", a.text("code"))
		return tenant{}, a.status, ends
	}
	require.Equal(o.t, http.StatusOK, a.status, a.body)
	ends, err = time.Parse(time.RFC3339, a.text("expires_at"))
	require.NoError(o.t, err)
	return tenant{a.text("account"), a.text("state"), int(a.body["tickets"].(float64))}, a.status, ends
}

// reuse waits until ids that ended are forgotten, and gives half of them to other tenants, while the server sells.
func (o *turnover) reuse(s *program) {
	var ids []string
	s.await(func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		ids = o.overBefore(time.Now().Add(-forgottenAfter))
		return len(ids) >= 2*reusedOfTurnover
	})
	for i, id := range ids[:2*reusedOfTurnover] {
		s.await(func() bool {
			_, status, _ := o.read(s, id)
			return status == http.StatusNotFound
		})
		if i >= reusedOfTurnover {
			o.mu.Lock()
			delete(o.over, id)
			o.gone[id] = true
			o.mu.Unlock()
			continue
		}
		now := tenant{fmt.Sprint("second", o.next.Add(1)%10), "held", 2}
		body := fmt.Sprintf(`{"id":%q,"account":%q,"ttl_seconds":%d,"lines":[{"session":"S1","category":"A","quantity":2}]}`,
			id, now.account, int(longHold.Seconds()))
		s.await(func() bool { // until there is room
			a, err := s.call(http.MethodPost, "/v1/reservations", body)
			require.NoError(o.t, err)
			require.Contains(o.t, []int{http.StatusCreated, http.StatusServiceUnavailable}, a.status, a.body)
			return a.status == http.StatusCreated
		})
		if i%2 == 0 {
			a, err := s.call(http.MethodPost, "/v1/reservations/"+id+"/confirm", "")
			require.NoError(o.t, err)
			require.Equal(o.t, http.StatusOK, a.status, a.body)
			now.state = "confirmed"
		}
		o.mu.Lock()
		delete(o.over, id)
		o.kept[id] = now
		o.twice++
		o.mu.Unlock()
	}
}

// overBefore returns the ids whose time was over before an instant, in a random order.
func (o *turnover) overBefore(at time.Time) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(o.over)) {
		if o.over[id].Before(at) {
			ids = append(ids, id)
		}
	}
	o.random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}

// audit compares a server, which does not sell at the moment, with what must be remembered, and with what ended. What
// was forgotten before a restart still is. A standby may remember it until its first pass as the leader.
func (o *turnover) audit(s *program, restarted bool) {
	for id, most := range o.doubt {
		switch found, _, ends := o.read(s, id); {
		case found.state == "held" && time.Until(ends) > longHold/2, found.state == "confirmed", found.state == "returned":
			most.state = found.state
			o.kept[id] = most
		default: // not before now, but that is not important
			o.over[id] = time.Now().Add(shortHold)
		}
		delete(o.doubt, id)
	}
	tickets, accounts := map[string]int{}, map[string]map[string]bool{}
	for id, want := range o.kept {
		found, _, _ := o.read(s, id)
		require.Equal(o.t, want, found, id)
		tickets[want.state] += want.tickets
		if want.state != "returned" {
			if accounts[want.account] == nil {
				accounts[want.account] = map[string]bool{}
			}
			accounts[want.account][id] = true
		}
	}
	s.await(func() bool { return o.stock(s)["held"] == float64(tickets["held"]) }) // short ones end
	stock := o.stock(s)
	require.EqualValues(o.t, tickets["confirmed"], stock["sold"])
	require.EqualValues(o.t, tickets["returned"], stock["withheld"])
	for account, want := range accounts {
		a, err := s.call(http.MethodGet, "/v1/accounts/"+account, "")
		require.NoError(o.t, err)
		found := map[string]bool{}
		for _, r := range a.body["reservations"].([]any) {
			found[r.(map[string]any)["id"].(string)] = true
		}
		require.Equal(o.t, want, found, account)
	}
	ids := o.overBefore(time.Now().Add(time.Hour))
	for _, id := range slices.Concat(ids[:min(len(ids), 200)], slices.Collect(maps.Keys(o.gone))) {
		found, status, _ := o.read(s, id)
		require.Contains(o.t, []string{"", "released", "expired"}, found.state, id)
		if restarted && o.gone[id] {
			require.Equal(o.t, http.StatusNotFound, status, "%s was forgotten: %v", id, found)
		}
	}
}

// stock returns the pool of the sale.
func (o *turnover) stock(s *program) map[string]any {
	a, err := s.call(http.MethodGet, "/v1/sessions/S1", "")
	require.NoError(o.t, err)
	return a.body["pools"].([]any)[0].(map[string]any)
}

// verify checks the whole journal while no server runs.
func (o *turnover) verify() {
	code, out := tool(o.t, append([]string{"verify", "--sale", o.sale}, o.journal...)...)
	require.Equal(o.t, exitDone, code, out)
}

// TestTurnover (I1, I5, I6, I9) sells four times what the table has room for, kills the server with -9 while it sells,
// and does so once more from the journal, with checkpoints. Ids that are forgotten are not found, and are taken by
// other tenants. A start finds all that must be remembered, and nothing of what was forgotten.
func TestTurnover(t *testing.T) {
	t.Parallel()
	o := newTurnover(t, "--data", t.TempDir())
	args := o.args(roomOfTurnover)
	s := start(t, args...)
	o.sell(s)
	o.sellMore(s, 2*roomOfTurnover)
	o.reuse(s)
	o.kill(s)
	o.verify()
	args = append(args, "--checkpoint-after", "1000")
	for range 2 {
		s = start(t, args...)
		o.audit(s, true)
		o.sell(s)
		o.sellMore(s, roomOfTurnover)
		o.reuse(s)
		o.kill(s)
		o.verify()
	}
	t.Logf("%d reservations in a table of %d; %d ids had two tenants, %d reservations are remembered", o.made.Load(),
		roomOfTurnover, o.twice, len(o.kept))
	require.Greater(t, o.made.Load(), int64(4*roomOfTurnover))
}

// TestTurnoverWithStandby (I5, I8, I9) does the same on Redis. A standby with a table of another size joins after rows
// were used again, so it numbers its rows differently. It follows, and takes over while the leader sells; then the
// other way round.
func TestTurnoverWithStandby(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	o := newTurnover(t, "--redis", r.URL(), "--takeover-after", "1s")
	leader := start(t, o.args(roomOfTurnover)...)
	o.sell(leader)
	o.sellMore(leader, 2*roomOfTurnover)
	for _, room := range []int{2 * roomOfTurnover, roomOfTurnover} {
		standby := launch(t, o.args(room, "--standby")...)
		o.reuse(leader)
		o.sellMore(leader, roomOfTurnover)
		o.kill(leader)
		standby.await(standby.ready)
		o.audit(standby, false)
		leader = standby
		o.sell(leader)
		o.sellMore(leader, roomOfTurnover)
	}
	o.kill(leader)
	o.journal = o.journal[:2]
	o.verify()
	t.Logf("%d reservations; %d ids had two tenants, %d reservations are remembered", o.made.Load(), o.twice, len(o.kept))
}
