//go:build unix

package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

// pair is two servers that share a journal, and a client that uses the other one when one does not answer.
type pair struct {
	servers [2]*program
	leader  atomic.Int32 // where calls go first
	gap     atomic.Int64 // the longest time without a success, in ns
	last    atomic.Int64
	stale   atomic.Int64 // refusals of deposed leaders that had not noticed
}

// call repeats a call with its id until one of the servers, by, has answered with another status than 503.
func (p *pair) call(path, body string) (a answer, by *program, err error) {
	for began := time.Now(); time.Since(began) < time.Minute; {
		at := p.leader.Load()
		by = p.servers[at]
		a, err = by.call(http.MethodPost, path, body)
		if err == nil && a.status != http.StatusServiceUnavailable {
			p.succeeded()
			return a, by, nil
		}
		p.leader.CompareAndSwap(at, 1-at)
		<-time.After(5 * time.Millisecond)
	}
	return a, nil, fmt.Errorf("no server answers %s: %w", path, err)
}

// end confirms or releases an acknowledged hold, and returns the answer with its state. A resumed leader believes in
// its term until its next write to the journal; until then it does not know a hold that the other server has
// acknowledged. Such an answer is asked for again once that server has noticed that it is deposed. From a server that
// leads on, it is a fault, and so is every other refusal.
func (p *pair) end(id, path string) (answer, error) {
	for {
		a, by, err := p.call("/v1/reservations/"+id+path, "")
		if err != nil || a.text("state") != "" {
			return a, err
		}
		if a.text("code") != "reservation_not_found" || !by.isDeposed() {
			return a, fmt.Errorf("%s of a hold is answered with %d: %v", path, a.status, a.body)
		}
		p.stale.Add(1)
	}
}

// isDeposed reports whether the server refers callers to another leader, now or soon.
func (s *program) isDeposed() bool {
	for began := time.Now(); time.Since(began) < 5*time.Second; {
		a, err := s.call(http.MethodPost, "/v1/reservations/"+uuid.NewString()+"/release", "")
		if err == nil && a.text("code") == "not_leader" {
			return true
		}
		<-time.After(5 * time.Millisecond)
	}
	return false
}

func (p *pair) succeeded() {
	now := time.Now().UnixNano()
	since := now - p.last.Swap(now)
	for old := p.gap.Load(); since > old && !p.gap.CompareAndSwap(old, since); old = p.gap.Load() {
	}
}

// sell makes calls until stop is closed, and keeps the acknowledged state of each reservation.
func (p *pair) sell(c *shopper, stop <-chan struct{}) error {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		id := uuid.Must(uuid.NewRandom()).String()
		account := fmt.Sprintf("%s-%d", c.name, i/4)
		a, _, err := p.call("/v1/reservations", fmt.Sprintf(`{"id":%q,"account":%q,"lines":[%s]}`, id, account, c.lines()))
		if err != nil {
			return err
		}
		if a.status > 201 {
			continue
		}
		path := map[int]string{0: "/confirm", 1: "/release"}[c.random.IntN(3)]
		if path != "" {
			if a, err = p.end(id, path); err != nil {
				return err
			}
		}
		c.promises[id] = &promise{account: account, possible: []string{a.text("state")}}
	}
}

// TestTakeover repeats: stop the leader under load, let the standby take over, and resume the deposed leader. Selling
// continues within the takeover time and a second, but for takeovers during which the machine was busy with something
// else, and every acknowledged reservation is found once (I5, I8).
func TestTakeover(t *testing.T) {
	const after = time.Second
	r := redistest.Start(t)
	args := []string{"--redis", r.URL(), "--takeover-after", after.String()}
	p := &pair{servers: [2]*program{start(t, args...), launch(t, append(args, "--standby")...)}}
	for _, s := range p.servers {
		s.client.Timeout = 300 * time.Millisecond // a stopped server keeps its connections
	}
	c, played := newCrowd(t, 8), rounds(t, 50)
	var gaps []time.Duration
	for range played {
		stop := make(chan struct{})
		faults := make(chan error, len(c.shoppers))
		p.last.Store(time.Now().UnixNano())
		p.gap.Store(0)
		c.begin(func(one *shopper) { faults <- p.sell(one, stop) })
		c.while()
		stopped := p.servers[p.leader.Load()]
		other := p.servers[1-p.leader.Load()]
		require.NoError(t, stopped.command.Process.Signal(syscall.SIGSTOP))
		other.await(other.ready)
		c.while()
		require.NoError(t, stopped.command.Process.Signal(syscall.SIGCONT))
		c.while()
		close(stop)
		c.shopping.Wait()
		for range c.shoppers {
			require.NoError(t, <-faults)
		}
		gaps = append(gaps, time.Duration(p.gap.Load()))
		other.client.Timeout = 10 * time.Second
		c.audit(other)
		other.client.Timeout = 300 * time.Millisecond
		stopped.await(func() bool { return !stopped.ready() })
	}
	slices.Sort(gaps)
	usual, longest := gaps[len(gaps)/2], gaps[len(gaps)-1]
	require.Less(t, usual, after+time.Second)
	require.Less(t, longest, 10*after)
	code, out := tool(t, "verify", "--redis", r.URL())
	require.Equal(t, exitDone, code, out)
	t.Logf("%d takeovers: no sale for %v, %v at most; %d acknowledged reservations found; %d refusals of leaders that "+
		"had not noticed their end", played, usual.Round(time.Millisecond), longest.Round(time.Millisecond), c.promised,
		p.stale.Load())
}

// TestHandover ends the leader with SIGTERM: the standby leads within a second.
func TestHandover(t *testing.T) {
	r := redistest.Start(t)
	leader := start(t, "--redis", r.URL())
	standby := launch(t, "--redis", r.URL(), "--standby")
	a, err := leader.call(http.MethodPost, "/v1/reservations",
		`{"account":"alice","lines":[{"session":"ATH10","category":"A","quantity":2}]}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, a.status)
	path := "/v1/reservations/" + a.text("id")
	standby.await(func() bool {
		read, err := standby.call(http.MethodGet, path, "")
		return err == nil && read.text("state") == "held"
	})
	standby.await(func() bool { // it learns who leads from the next heartbeat
		refused, err := standby.call(http.MethodPost, path+"/confirm", "")
		return err == nil && refused.text("code") == "not_leader" && refused.text("leader") == leader.api
	})
	began := time.Now()
	require.Equal(t, exitDone, leader.stop())
	standby.await(standby.ready)
	took := time.Since(began)
	require.Less(t, took, time.Second)
	confirmed, err := standby.call(http.MethodPost, path+"/confirm", "")
	require.NoError(t, err)
	require.Equal(t, "confirmed", confirmed.text("state"))
	t.Logf("handed over %v after SIGTERM", took.Round(time.Millisecond))
}
