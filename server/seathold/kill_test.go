//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

// moment is when a round kills.
type moment uint8

const (
	underLoad    moment = iota
	inRecovery          // within 200 ms after a replay has begun
	inCheckpoint        // while a checkpoint is being written
	moments
)

// momentOf spreads the moments over the rounds: a half under load, a quarter each in a recovery and in a checkpoint.
func momentOf(round int) moment {
	return [4]moment{underLoad, inRecovery, underLoad, inCheckpoint}[round%4]
}

// target is what a round kills.
type target uint8

const (
	theServer target = iota
	theRedis         // under a living server
	both
	targets
)

// killer plays rounds of kill -9.
type killer struct {
	*crowd
	t       *testing.T
	redis   *redistest.Server // nil for the embedded journal
	another func(n int) place
	journal place
	args    []string // of every server
	killed  [moments][targets]int
	replays int // that were killed before the server was ready
}

// place is where a journal is kept.
type place struct {
	flags   []string
	writing func() bool // a checkpoint is being written
}

// A checkpoint follows so many records.
const checkpointAfter = 2000

// So many rounds share a journal, before the hot sessions are sold out.
const roundsOfAJournal = 26

// newKiller returns a killer. another returns where its n-th journal is kept.
func newKiller(t *testing.T, redis *redistest.Server, another func(n int) place) *killer {
	return &killer{crowd: newCrowd(t, 16), t: t, redis: redis, another: another}
}

// TestKill repeats: serve under load, kill the server, its Redis or both with -9, verify the journal offline, start
// again, and find every acknowledged outcome (I5, I6, I9). A server that lives reconnects to a restarted Redis.
func TestKill(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		newKiller(t, nil, func(int) place {
			dir := t.TempDir()
			return place{[]string{"--data", dir}, func() bool {
				_, err := os.Stat(filepath.Join(dir, "checkpoint.tmp"))
				return err == nil
			}}
		}).play(rounds(t, 52))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		r := redistest.Start(t)
		newKiller(t, r, func(n int) place {
			name := fmt.Sprint("journal", n)
			return place{[]string{"--redis", r.URL(), "--redis-name", name}, func() bool {
				return send(t, r, `EVAL "for _, v in ipairs(redis.call('HVALS', KEYS[1])) do `+
					`if v == 'writing' then return 1 end end return 0" 1 {seathold:`+name+`}:checkpoints`) == ":1"
			}}
		}).play(rounds(t, 52))
	})
}

func (k *killer) play(played int) {
	for i := range played {
		if i%roundsOfAJournal == 0 {
			k.journal = k.another(i / roundsOfAJournal)
			k.args = append([]string{"--checkpoint-after", fmt.Sprint(checkpointAfter)}, k.journal.flags...)
			if k.redis != nil { // a start waits for the silence of the server that was killed
				k.args = append(k.args, "--takeover-after", "1s")
			}
		}
		k.sell(momentOf(i))
		k.verify(k.t, k.journal.flags, k.args)
	}
	k.t.Logf("%d rounds of kill -9 (server, Redis, both): under load %v; in the first 200 ms of a replay %v, %d of them "+
		"before the server was ready; while a checkpoint was written %v: %d reservations checked, every acknowledged "+
		"outcome found", played, k.killed[underLoad], k.killed[inRecovery], k.replays, k.killed[inCheckpoint], k.promised)
	if played >= 8 {
		require.Positive(k.t, k.replays)
	}
}

// sell sells on a new server until a kill at the given moment.
func (k *killer) sell(at moment) {
	s := start(k.t, k.args...)
	k.begin(func(one *shopper) {
		if one == k.shoppers[0] || one == k.shoppers[1] {
			one.shopInBatches(s)
		} else {
			one.shop(s)
		}
	})
	if at == inCheckpoint {
		s.await(k.journal.writing)
	} else {
		k.while()
	}
	kill := k.draw(at)
	k.strike(kill, s)
	if kill == theRedis {
		k.while()
		s.kill()
	}
	k.shopping.Wait()
	k.revive(kill)
	if at == inRecovery {
		k.recover()
	}
}

// draw picks what is killed and counts it. A round that kills in a recovery first kills the server to have one.
func (k *killer) draw(at moment) target {
	if k.redis == nil || at == inRecovery {
		if at != inRecovery {
			k.killed[at][theServer]++
		}
		return theServer
	}
	what := target(k.random.IntN(int(targets)))
	k.killed[at][what]++
	return what
}

// strike kills. A Redis that is killed alone is restarted at once.
func (k *killer) strike(what target, s *program) {
	if what != theServer {
		k.redis.Kill()
	}
	if what == theRedis {
		k.redis.Restart()
		return
	}
	s.kill()
}

// revive restarts what the next start needs.
func (k *killer) revive(what target) {
	if what == both {
		k.redis.Restart()
	}
}

// recover starts a server and kills within the first 200 ms of its replay.
func (k *killer) recover() {
	s := begin(k.t, k.args...)
	s.await(func() bool { return strings.Contains(s.output.String(), "replaying the journal") })
	<-time.After(time.Duration(k.random.IntN(200)) * time.Millisecond)
	if !s.announced() {
		k.replays++
	}
	what := theServer
	if k.redis != nil {
		what = target(k.random.IntN(int(targets)))
	}
	k.killed[inRecovery][what]++
	k.strike(what, s)
	if what == theRedis {
		s.await(s.announced)
		s.await(s.ready)
		s.kill()
	}
	k.revive(what)
}
