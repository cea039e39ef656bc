//go:build unix

package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/engine/spec"
	"github.com/seathold/seathold/server/internal/historytest"
)

// Histories of a sale that changes: one organiser makes so many changes.
const (
	versionChanges  = 14
	versionKills    = 2
	versionRequests = 16
)

// TestHistoriesOfVersions (I5, I6, I7, I9) kills the leader with -9 during histories in which an organiser pauses the
// sale, phases and sessions, sets the stock of pools, and applies other definitions. The next leader is a new server
// on the same journal, with the first definition in its directory, or a standby on Redis. What was acknowledged is in
// force there. Each history has a sale, a journal and servers of its own, since a change may affect all of a sale.
func TestHistoriesOfVersions(t *testing.T) {
	for _, c := range []struct {
		name      string
		histories int
		journal   func(*testing.T) []string
		standby   bool
	}{
		{"embedded", 8, func(t *testing.T) []string { return []string{"--data", t.TempDir()} }, false},
		{"embedded too", 8, func(t *testing.T) []string { return []string{"--data", t.TempDir()} }, false},
		{"redis", 8, func(t *testing.T) []string {
			return []string{"--redis", redistest.Start(t).URL()}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var tally historytest.Tally
			n := rounds(t, c.histories)
			for range n {
				journal := c.journal(t)
				args := journal
				if c.standby {
					args = append([]string{"--takeover-after", takeoverAfter.String()}, journal...)
				}
				h := &versionHistory{histories: newHistories(t, 2, args...)}
				h.door.shut()
				h.server = start(t, h.args...)
				h.door.leadTo(h.server)
				if c.standby {
					h.standby = launch(t, append(h.args, "--standby")...)
				}
				tally.Add(h.play())
				h.verify(journal...)
			}
			t.Logf("%d histories, kill -9 of the leader %d times; %v", n, n*versionKills, tally)
			require.NoError(t, tally.Answers.Failed(spec.Pause.String(), spec.SetStock.String(), spec.Apply.String()))
		})
	}
}

// versionHistory is one history.
type versionHistory struct {
	*histories
	door            door
	server, standby *program // standby is nil where a new server takes over
}

// play plays and judges the history.
func (h *versionHistory) play() historytest.Tally {
	const requests = crashCallers*versionRequests + versionChanges
	var at []int
	for i := range versionKills {
		at = append(at, requests*(2*i+1)/(2*versionKills+1)+h.random.IntN(requests/(2*versionKills+1)))
	}
	reached := h.milestones(at...)
	all, played := h.histories.play(1, crashCallers, time.Minute, func(c *historytest.Caller) {
		h.callThrough(&h.door, c, versionRequests, time.Second)
	})
	random := rand.New(rand.NewPCG(h.random.Uint64(), 0))
	organiser := all[0].Organiser(random, h.definitions(), func() string { return h.door.enter().operator })
	played.Go(func() {
		for range versionChanges {
			h.begin()
			organiser.Change(organiser.Draw())
		}
	})
	for _, passed := range reached {
		<-passed
		h.kill()
	}
	played.Wait()
	require.NoError(h.t, historytest.Finish(all, h.server.address()))
	return historytest.Judge(h.t, all, true)
}

// definitions returns the sale of the history and three that follow from it by random changes.
func (h *versionHistory) definitions() (all []*catalog.Sale) {
	d := *h.definition
	for range 4 {
		sale, err := d.Load()
		require.NoError(h.t, err)
		all = append(all, sale)
		d = d.Changed(func(n int, _ string) int { return h.random.IntN(n) })
	}
	return all
}

// kill kills the leader, and lets the next one lead.
func (h *versionHistory) kill() {
	h.door.shut()
	h.server.kill()
	if h.standby == nil {
		h.server = start(h.t, h.args...)
	} else {
		h.server = h.standby
		h.server.await(h.server.ready)
		h.standby = launch(h.t, append(h.args, "--standby")...)
	}
	h.door.leadTo(h.server)
}

// verify checks the journal, by what it has itself.
func (h *versionHistory) verify(journal ...string) {
	if h.standby != nil {
		h.standby.kill()
	}
	require.Equal(h.t, exitDone, h.server.stop())
	h.histories.verify(journal...)
}
