package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// rounds returns how many rounds a test plays: n times SEATHOLD_ROUNDS, if that is set.
func rounds(t *testing.T, n int) int {
	factor := 1
	if s := os.Getenv("SEATHOLD_ROUNDS"); s != "" {
		var err error
		factor, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	return n * factor
}

// promise is the set of states in which a client may find a reservation after a crash. An answer leaves one state; a
// call without an answer adds the state that it may have caused.
type promise struct {
	account  string
	lines    string
	possible []string // "": it does not exist
}

// acknowledged records an answer.
func (p *promise) acknowledged(state string) { p.possible = []string{state} }

// unanswered records a call with unknown outcome.
func (p *promise) unanswered(state string) { p.possible = append(p.possible, state) }

func (p *promise) allows(state string) bool {
	for _, s := range p.possible {
		if s == state {
			return true
		}
	}
	return false
}

// shopper is a client that reserves, confirms and releases until its server is gone, and keeps every promise.
type shopper struct {
	random   *rand.Rand
	name     string
	promises map[string]*promise
}

// hot are the sessions that the crash tests sell. They belong to one programme, so its cap is reached.
var hot = []string{"ATH10", "SWM03", "JUD01", "FEN02", "GAR08"}

// shop makes calls until one has no answer.
func (c *shopper) shop(s *program) {
	for i := 0; ; i++ {
		id := uuid.Must(uuid.NewRandom()).String()
		p := &promise{account: fmt.Sprintf("%s-%d", c.name, i/4), lines: c.lines()}
		body := fmt.Sprintf(`{"id":%q,"account":%q,"lines":[%s]}`, id, p.account, p.lines)
		p.possible = []string{""}
		c.promises[id] = p
		if !c.step(s, p, "/v1/reservations", body, "held") {
			return
		}
		if !p.allows("held") {
			continue
		}
		switch c.random.IntN(3) {
		case 0:
			if !c.step(s, p, "/v1/reservations/"+id+"/confirm", `{"reference":"paid"}`, "confirmed") {
				return
			}
		case 1:
			if !c.step(s, p, "/v1/reservations/"+id+"/release", "", "released") {
				return
			}
		}
	}
}

// step makes one call and returns false when the server is gone.
func (c *shopper) step(s *program, p *promise, path, body, state string) bool {
	a, err := s.call(http.MethodPost, path, body)
	switch {
	case err != nil || a.status >= 500:
		p.unanswered(state)
	case a.status == http.StatusOK || a.status == http.StatusCreated:
		p.acknowledged(state)
	}
	return err == nil
}

func (c *shopper) lines() string {
	var lines []string
	for _, i := range c.random.Perm(len(hot))[:1+c.random.IntN(3)] {
		lines = append(lines, fmt.Sprintf(`{"session":%q,"category":"A","quantity":%d}`, hot[i], 1+c.random.IntN(3)))
	}
	return strings.Join(lines, ",")
}

// audit compares the state of the server with the promises to this shopper.
func (c *shopper) audit(s *program) (checked int) {
	for id, p := range c.promises {
		a, err := s.call(http.MethodGet, "/v1/reservations/"+id, "")
		require.NoError(s.t, err)
		state := a.text("state")
		require.Truef(s.t, p.allows(state), "reservation %s is %q (status %d); promised was one of %q", id, state, a.status,
			p.possible)
		p.possible = []string{state} // it must stay
		checked++
	}
	return checked
}

// crowd is the shoppers of a test and the source of its randomness.
type crowd struct {
	shoppers []*shopper
	random   *rand.Rand
	shopping sync.WaitGroup
	round    int
	promised int
}

func newCrowd(t *testing.T, size int) *crowd {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &crowd{random: rand.New(rand.NewPCG(seed, 1<<32))}
	for i := range size {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		c.shoppers = append(c.shoppers, &shopper{random: random, promises: map[string]*promise{}})
	}
	return c
}

// begin starts all shoppers, with accounts of this round.
func (c *crowd) begin(shop func(*shopper)) {
	for i, one := range c.shoppers {
		one.name = fmt.Sprintf("buyer%d.%d", i, c.round)
		c.shopping.Go(func() { shop(one) })
	}
	c.round++
}

// while waits for a random time.
func (c *crowd) while() {
	end := time.NewTimer(time.Duration(20+c.random.IntN(200)) * time.Millisecond)
	<-end.C
}

// audit compares the state of the server with the promises to all shoppers.
func (c *crowd) audit(s *program) {
	for _, one := range c.shoppers {
		c.promised += one.audit(s)
		one.promises = map[string]*promise{}
	}
}

// verify checks the journal against the invariants, and a new server with these arguments against the promises.
func (c *crowd) verify(t *testing.T, journal, args []string) {
	code, out := tool(t, append([]string{"verify"}, journal...)...)
	require.Equal(t, exitDone, code, out)
	s := start(t, args...)
	c.audit(s)
	require.Equal(t, exitDone, s.stop())
}
