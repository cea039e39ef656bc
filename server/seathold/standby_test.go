//go:build unix

package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/seathold/seathold/engine/spec"
)

// soldIn writes a sale whose only session has so many seats, and returns its directory.
func soldIn(t *testing.T, seats int) string {
	now := time.Now().UTC().Truncate(time.Second)
	d := spec.Definition{
		Programmes: []spec.DefinedProgramme{{ID: "games", AccountCap: 30, SessionLimit: 6}},
		Phases: []spec.DefinedPhase{{ID: "singles", Programme: "games", OpensAt: now.Add(-time.Hour),
			ClosesAt: now.Add(24 * time.Hour)}},
		Sessions: []spec.DefinedSession{{ID: "S1", Programme: "games", Places: []int{seats}}},
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, d.Files()))
	return dir
}

// hold reserves tickets of S1 and returns the reservation's path.
func (s *program) hold(tickets int) string {
	path := "/v1/reservations/" + uuid.NewString()
	a, err := s.call(http.MethodPost, "/v1/reservations", fmt.Sprintf(
		`{"id":%q,"account":"ann","lines":[{"session":"S1","category":"A","quantity":%d}]}`, path[len("/v1/reservations/"):],
		tickets))
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusCreated, a.status, a.body)
	return path
}

// TestStandbyOfAnotherSale: a standby follows the definition in the journal, whatever its own files say, and leads
// with it after a takeover. Then its log says that its files are not in force.
func TestStandbyOfAnotherSale(t *testing.T) {
	r := redistest.Start(t)
	leader := start(t, "--redis", r.URL(), "--sale", soldIn(t, 10))
	first, second := leader.hold(1), leader.hold(2)
	standby := launch(t, "--redis", r.URL(), "--sale", soldIn(t, 2), "--standby") // fewer than are taken
	held := func(path string) func() bool {
		return func() bool {
			a, err := standby.call(http.MethodGet, path, "")
			return err == nil && a.text("state") == "held"
		}
	}
	standby.await(held(first))
	standby.await(held(second))
	a, err := standby.call(http.MethodPost, first+"/confirm", "")
	require.NoError(t, err)
	require.Equal(t, "not_leader", a.text("code"))
	require.Equal(t, leader.api, a.text("leader"))

	require.Equal(t, exitDone, leader.stop())
	standby.await(standby.ready)
	require.Contains(t, standby.output.String(), "the given sale definition is not the one in force")
	require.EqualValues(t, 1, standby.gauge("seathold_definition_version"))
	standby.hold(3) // of the seven that are left of ten
	require.Equal(t, exitDone, standby.stop())
}

// TestSecondServer: a server that is started without --standby beside a living leader ends with a clear line and
// deposes nobody. One that is started after a crash leads once the silence has passed, and ends at a signal before.
func TestSecondServer(t *testing.T) {
	r := redistest.Start(t)
	leader := start(t, "--redis", r.URL(), "--sale", soldIn(t, 10))
	kept := leader.hold(1)
	for range 2 {
		second := begin(t, "--redis", r.URL(), "--sale", soldIn(t, 10))
		<-second.exited
		require.Equal(t, exitFailed, second.command.ProcessState.ExitCode())
		lines := strings.Split(strings.TrimSpace(second.output.String()), "\n")
		last := lines[len(lines)-1]
		require.Contains(t, last, leader.api)
		require.Contains(t, last, "start this one with --standby")
	}
	require.True(t, leader.ready())
	require.EqualValues(t, 1, leader.gauge("seathold_epoch"))
	leader.kill()

	waiting := begin(t, "--redis", r.URL(), "--sale", soldIn(t, 10), "--takeover-after", "1h")
	waiting.await(func() bool { return strings.Contains(waiting.output.String(), "waiting for its silence") })
	require.Equal(t, exitDone, waiting.stop(), waiting.output.String())
	again := start(t, "--redis", r.URL(), "--sale", soldIn(t, 10), "--takeover-after", "1s")
	require.EqualValues(t, 2, again.gauge("seathold_epoch"))
	a, err := again.call(http.MethodGet, kept, "")
	require.NoError(t, err)
	require.Equal(t, "held", a.text("state"))
	require.Equal(t, exitDone, again.stop())
}

// TestPauseBeforeFollowing: the pause doubles up to a minute, a reason is logged once, and a fenced leader follows at
// once.
func TestPauseBeforeFollowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines strings.Builder
		log := slog.New(slog.NewTextHandler(&lines, nil))
		f := following{openedAt: time.Now()}
		differs, fenced := io.ErrUnexpectedEOF, fmt.Errorf("epoch 7: %w", journal.ErrFenced)
		for _, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60} {
			pause := f.pause(log, differs)
			require.Equal(t, time.Duration(seconds)*time.Second, pause)
			time.Sleep(pause)
			f.openedAt = time.Now()
		}
		require.Equal(t, 1, strings.Count(lines.String(), "\n"))
		require.Zero(t, f.pause(log, fenced))
		require.Equal(t, 2, strings.Count(lines.String(), "\n"))
		require.Equal(t, time.Second, f.pause(log, differs))
		require.Equal(t, 2*time.Second, f.pause(log, differs))
		require.Equal(t, 3, strings.Count(lines.String(), "\n"))
		time.Sleep(3 * time.Minute) // it has followed meanwhile
		require.Equal(t, time.Second, f.pause(log, differs))
		require.Equal(t, 4, strings.Count(lines.String(), "\n"))
	})
}
