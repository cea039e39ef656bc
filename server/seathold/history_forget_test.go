//go:build unix

package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/server/internal/historytest"
)

// forgetful are histories on servers that forget what has ended after a second, and whose tables have little room.
// Servers are killed meanwhile. The histories continue on the next one: on the same journal, or a standby.
type forgetful struct {
	*histories
	door      door
	server    *program
	standby   *program // nil: there is none
	forgotten float64  // reservations, by the last server of each sitting, while it led
}

// Each sitting plays so many cells, with so many kills during their histories.
const (
	forgetfulCells    = 24
	roomOfForgetful   = 400
	forgetfulCallers  = 3
	forgetfulRequests = 8 // before what was made meanwhile is forgotten, thrice
	forgetfulParts    = 3
	killsOfForgetful  = 3
	untilForgotten    = shortHold + forgottenAfter + 200*time.Millisecond
)

// TestHistoriesThatForget (I5, I7, I8, I9) kills servers with -9 that forget what has ended while histories run. An
// answer about what was over for long enough is by memory, or as if it had never been: its id is unknown, and free for
// another request. What ended later is remembered.
func TestHistoriesThatForget(t *testing.T) {
	for _, c := range []struct {
		name    string
		journal func(*testing.T) []string
		standby bool
	}{
		{"restarts", func(t *testing.T) []string { return []string{"--data", t.TempDir()} }, false},
		{"takeovers", func(t *testing.T) []string {
			return []string{"--redis", redistest.Start(t).URL(), "--takeover-after", "1s"}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sittings := rounds(t, 3)
			journal := c.journal(t)
			args := append([]string{"--forget", forgottenAfter.String(), "--max-reservations", fmt.Sprint(roomOfForgetful),
				"--max-accounts", fmt.Sprint(roomOfForgetful)}, journal...)
			h := &forgetful{histories: newHistories(t, sittings*forgetfulCells, args...)}
			h.forget = forgottenAfter
			h.server = start(t, h.args...)
			if c.standby {
				h.standby = launch(t, append(h.args, "--standby")...)
			}
			h.door.shut()
			h.door.leadTo(h.server)
			for range sittings {
				h.sit()
			}
			require.Equal(t, exitDone, h.server.stop())
			if h.standby != nil {
				h.standby.kill()
			}
			h.verify(journal[:2]...)
			t.Logf("%d sittings with %d kills; %v reservations forgotten while the last server of each led; %v; %v",
				sittings, sittings*killsOfForgetful, h.forgotten, h.tally.Forgetting, h.tally)
			require.Positive(t, h.tally.Unknown)
			require.Positive(t, h.forgotten)
			require.Positive(t, h.tally.Remembered)
			require.Positive(t, h.tally.Forgotten)
			require.Positive(t, h.tally.Reused)
			require.NoError(t, h.tally.Answers.Untried())
		})
	}
}

// forgottenBy returns how many reservations a server has forgotten while it led.
func forgottenBy(s *program) (sum float64) {
	for _, state := range []string{"released", "returned", "expired"} {
		sum += s.gauge(fmt.Sprintf("seathold_reservations_forgotten_total{state=%q}", state))
	}
	return sum
}

// sit plays the histories of one sitting.
func (h *forgetful) sit() {
	const requests = forgetfulCells * forgetfulCallers * forgetfulRequests * forgetfulParts
	var at []int
	for i := range killsOfForgetful {
		at = append(at, requests*(2*i+1)/(2*killsOfForgetful+1)+h.random.IntN(requests/(2*killsOfForgetful+1)))
	}
	reached := h.milestones(at...)
	all, played := h.play(forgetfulCells, forgetfulCallers, time.Minute, func(c *historytest.Caller) {
		for range forgetfulParts {
			h.callThrough(&h.door, c, forgetfulRequests, untilForgotten)
		}
	})
	for _, passed := range reached {
		<-passed
		h.kill(all)
	}
	played.Wait()
	require.NoError(h.t, historytest.Finish(all, h.server.address()))
	h.forgotten += forgottenBy(h.server)
	h.tally.Add(historytest.Judge(h.t, all, true))
	h.requireIllegalWhereNothingIsForgotten(all)
}

// kill kills the leader, and waits until the next one leads.
func (h *forgetful) kill(all []*historytest.History) {
	h.door.shut()
	h.server.kill()
	follows := h.standby != nil
	if follows {
		h.server = h.standby
		h.server.await(h.server.ready)
	} else {
		h.server = start(h.t, h.args...)
	}
	for _, one := range all {
		one.Settle()
	}
	h.door.leadTo(h.server)
	if follows {
		h.standby = launch(h.t, append(h.args, "--standby")...)
	}
}

// requireIllegalWhereNothingIsForgotten judges some of the histories as those of servers that may not forget yet: no
// order explains their answers.
func (h *forgetful) requireIllegalWhereNothingIsForgotten(all []*historytest.History) {
	judged := 0
	for _, one := range all {
		if judged == 3 || one.Forgetting().Forgotten == 0 {
			continue
		}
		one.Forget(time.Hour)
		result, _ := one.Check(one.Calls(), true)
		require.Equal(h.t, porcupine.Illegal, result)
		judged++
	}
}
