package server

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/spec"
	"github.com/seathold/seathold/server/internal/historytest"
)

// The caps of the sale in these tests.
const (
	rushAccountCap   = 30
	rushSessionLimit = 6
)

// rush is a server with a durable journal that sells single tickets and packs of three sessions.
func rush(t *testing.T, sessions, places int) *fixture {
	clock := clockAt(instantOf(t, early))
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: rushAccountCap, SessionLimit: rushSessionLimit}},
		Phases: []spec.DefinedPhase{
			{ID: "singles", Programme: "games", OpensAt: clock.read(), ClosesAt: clock.read().AddDate(0, 1, 0)},
			{ID: "packs", Programme: "games", PackSessions: 3, OpensAt: clock.read(), ClosesAt: clock.read().AddDate(0, 1, 0)},
		},
	}
	for i := range sessions {
		d.Sessions = append(d.Sessions, spec.DefinedSession{ID: rushSession(i), Programme: "games", Places: []int{places}})
	}
	e := newEngine(t, clock, func(o *engine.Options) {
		o.Sale, o.Durability = must(d.Load())(t), engine.Sync
		o.Journal = must(embedded.Open(t.TempDir(), embedded.Options{}))(t)
		o.MaxReservations, o.MaxAccounts = 1<<16, 1<<16
	})
	return startWith(t, clock, e, nil)
}

func rushSession(i int) string { return fmt.Sprintf("S%02d", i) }

// send sends operations, several as a batch. Without an answer it ends its goroutine.
type send func(ops ...spec.Operation) []spec.Answer

// together runs n clients concurrently, each with a connection of its own.
func (f *fixture) together(n int, run func(client int, send send)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			c := historytest.Client{Timeout: time.Minute}
			defer c.Close()
			<-begin
			run(i, func(ops ...spec.Operation) []spec.Answer {
				reply, err := c.Send(f.address, ops)
				if err != nil || len(reply.Answers) == 0 || reply.Unknown() {
					f.t.Errorf("client %d has no answer: %v, %v", i, reply, err)
					runtime.Goexit()
				}
				return reply.Answers
			})
		})
	}
	close(begin)
	all.Wait()
	require.False(f.t, f.t.Failed())
}

// stockOf reads the only pool of a session.
func (f *fixture) stockOf(session int) (available, held, sold int) {
	a := f.get("/v1/sessions/" + rushSession(session))
	number := func(name string) int { return must(strconv.Atoi(member(a.json, "pools.0."+name)))(f.t) }
	return number("available"), number("held"), number("sold")
}

// TestOnePool (I1): 64 clients take one pool of 1,000 tickets, ticket by ticket, half of them in batches.
func TestOnePool(t *testing.T) {
	noLeaks(t)
	const places = 1000
	f := rush(t, 1, places)
	var mu sync.Mutex
	confirmed := map[string]bool{}
	f.together(64, func(client int, send send) {
		for i, soldOut := 0, false; !soldOut; i++ {
			var take, sell []spec.Operation
			for j := range 1 + client%2*7 {
				name := fmt.Sprintf("%d-%d-%d", client, i, j)
				take = append(take, spec.Operation{Kind: spec.Reserve, ID: spec.IDOf(name), Account: name, Phase: "singles",
					Lines: []spec.Line{{Session: rushSession(0), Category: "A", Quantity: 1}}})
			}
			for j, a := range send(take...) {
				if a.OK() {
					sell = append(sell, spec.Operation{Kind: spec.Confirm, ID: take[j].ID})
					continue
				}
				want := spec.Refusal{Code: "sold_out", Session: rushSession(0), Category: "A", Requested: 1}
				if soldOut = true; a.Refusal != want {
					t.Errorf("%v", a)
				}
			}
			if len(sell) == 0 {
				continue
			}
			for _, a := range send(sell...) {
				if !a.OK() {
					t.Errorf("%v", a)
				}
				mu.Lock()
				confirmed[a.Reservation.ID] = true
				mu.Unlock()
			}
		}
	})
	require.Len(t, confirmed, places)
	available, held, sold := f.stockOf(0)
	require.Equal(t, []int{0, 0, places}, []int{available, held, sold})
}

// attempt is a request and its answer.
type attempt struct {
	op     spec.Operation
	answer spec.Answer
}

// TestScarcePacks (I1, I4, I7): 64 clients request 10,000 packs of a few scarce sessions, in any order of the sessions,
// half of them in batches. The tickets taken are those acknowledged, session by session. A refused account has nothing,
// and would still be refused at the end: nothing was released, so no pack may be refused because of tickets that
// another one held only for a moment.
func TestScarcePacks(t *testing.T) {
	noLeaks(t)
	const sessions, places, clients, packs = 12, 600, 64, 10_000
	f, seed := rush(t, sessions, places), seeded(t).Uint64()
	attempts := make([][]attempt, clients)
	f.together(clients, func(client int, send send) {
		r := rand.New(rand.NewPCG(seed, uint64(client)))
		share := packs * (client + 1) / clients
		for from := packs * client / clients; from < share; {
			var ops []spec.Operation
			for range min(1+client%2*19, share-from) {
				op := spec.Operation{Kind: spec.Reserve, ID: spec.IDOf(strconv.Itoa(from)), Account: strconv.Itoa(from),
					Phase: "packs"}
				for _, s := range r.Perm(sessions)[:3] {
					op.Lines = append(op.Lines, spec.Line{Session: rushSession(s), Category: "A", Quantity: 1 + r.IntN(2)})
				}
				ops = append(ops, op)
				from++
			}
			for i, a := range send(ops...) {
				attempts[client] = append(attempts[client], attempt{ops[i], a})
			}
		}
	})
	taken, available := map[string]int{}, map[string]int{}
	for i := range sessions {
		available[rushSession(i)], taken[rushSession(i)], _ = f.stockOf(i)
	}
	refused := 0
	for _, of := range attempts {
		for _, p := range of {
			if p.answer.OK() {
				for _, l := range p.op.Lines {
					taken[l.Session] -= l.Quantity
				}
				continue
			}
			refused++
			require.Equal(t, "sold_out", p.answer.Code)
			require.Contains(t, p.op.Lines, spec.Line{Session: p.answer.Session, Category: "A", Quantity: p.answer.Requested})
			require.Less(t, p.answer.Available, p.answer.Requested)
			require.LessOrEqual(t, available[p.answer.Session], p.answer.Available)
			if refused%50 == 0 {
				require.Equal(t, "0", member(f.get("/v1/accounts/"+p.op.Account).json, "reservations.#"))
			}
		}
	}
	for session, difference := range taken {
		require.Zero(t, difference, "tickets of %s were taken without an acknowledgement", session)
		require.GreaterOrEqual(t, available[session], 0)
	}
	require.Greater(t, refused, packs/2)
	t.Logf("%d packs: %d held, %d refused", packs, packs-refused, refused)
}

// TestOneAccount (I2) sends 100 reservations of one account concurrently, several times. No read ever shows more than
// its caps allow, its ledger at the end is what was acknowledged, and every refused request would still be refused.
func TestOneAccount(t *testing.T) {
	noLeaks(t)
	const sessions, requests = 10, 100
	f, seed := rush(t, sessions, 10_000), seeded(t).Uint64()
	caps := map[string]int{}
	for round := range rounds(t, 8) {
		account := fmt.Sprintf("a%d", round)
		attempts := make([]attempt, requests)
		f.together(requests+4, func(client int, send send) {
			if client >= requests { // a reader
				for range 10 {
					checkCaps(t, &send(spec.Operation{Kind: spec.ReadAccount, Account: account})[0].Account)
				}
				return
			}
			op := rushOperation(rand.New(rand.NewPCG(seed+uint64(round), uint64(client))), account, sessions)
			attempts[client] = attempt{op, send(op)[0]}
		})
		acknowledged := 0
		f.together(1, func(_ int, send send) {
			for i := range attempts {
				a, again := attempts[i].answer, attempts[i].op
				if a.OK() {
					acknowledged += a.Reservation.Tickets()
					continue
				}
				caps[a.Code]++
				again.ID = spec.IDOf("again " + again.ID)
				if b := send(again)[0]; b.OK() {
					t.Errorf("refused with %v, and later %v", a, b)
				}
			}
			ledger := send(spec.Operation{Kind: spec.ReadAccount, Account: account})[0].Account
			checkCaps(t, &ledger)
			if ledger.Programmes[0].Held != acknowledged {
				t.Errorf("%d tickets acknowledged, %d in the ledger", acknowledged, ledger.Programmes[0].Held)
			}
		})
	}
	t.Logf("refused: %v", caps)
	require.Positive(t, caps["account_cap_exceeded"])
	require.Positive(t, caps["session_limit_exceeded"])
}

// rushOperation makes a random request for a single ticket or a pack.
func rushOperation(r *rand.Rand, account string, sessions int) spec.Operation {
	op := spec.Operation{Kind: spec.Reserve, ID: spec.IDOf(strconv.FormatUint(r.Uint64(), 36)), Account: account}
	wanted := 1
	if op.Phase = "singles"; r.IntN(2) == 0 {
		op.Phase, wanted = "packs", 3
	}
	for _, s := range r.Perm(sessions)[:wanted] {
		op.Lines = append(op.Lines, spec.Line{Session: rushSession(s), Category: "A", Quantity: 1 + r.IntN(4)})
	}
	return op
}

func checkCaps(t *testing.T, a *spec.Account) {
	all, bySession := 0, map[string]int{}
	for _, r := range a.Reservations {
		for _, l := range r.Lines {
			all += l.Quantity
			if bySession[l.Session] += l.Quantity; bySession[l.Session] > rushSessionLimit {
				t.Errorf("%d tickets of %s", bySession[l.Session], l.Session)
			}
		}
	}
	if all > rushAccountCap || all != a.Programmes[0].Held {
		t.Errorf("%d tickets in reservations, %d held in the ledger", all, a.Programmes[0].Held)
	}
}
