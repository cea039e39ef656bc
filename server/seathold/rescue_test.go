//go:build unix

package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/journal/redis/redistest"
)

// flush removes everything from a Redis.
func flush(t *testing.T, r *redistest.Server) { require.Equal(t, "+OK", send(t, r, "FLUSHALL")) }

// send sends a command to a Redis and returns the first line of its reply.
func send(t *testing.T, r *redistest.Server, command string) string {
	conn, err := net.Dial("tcp", r.Addr())
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "%s\r\n", command)
	require.NoError(t, err)
	reply, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	return strings.TrimRight(reply, "\r\n")
}

// TestRescue takes the journal away from a server under load. The server refuses to sell on, is not restarted by a
// supervisor, and its state is written out of its memory into a new journal, which has every acknowledged outcome (I5)
// and with which the sale continues.
func TestRescue(t *testing.T) {
	for _, c := range []struct {
		name string
		loss func(t *testing.T) (lose func(), journal []string)
	}{
		{"redis flushed", func(t *testing.T) (func(), []string) {
			r := redistest.Start(t)
			return func() { flush(t, r) }, []string{"--redis", r.URL()}
		}},
		{"directory removed", func(t *testing.T) (func(), []string) {
			dir := filepath.Join(t.TempDir(), "journal")
			return func() { require.NoError(t, os.RemoveAll(dir)) }, []string{"--data", dir}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lose, journal := c.loss(t)
			shoppers := newCrowd(t, 16)
			s := start(t, journal...)
			shoppers.begin(func(one *shopper) { one.shop(s) })
			shoppers.while()
			require.Equal(t, exitDone, s.stop()) // a leader can append again what it has appended itself
			shoppers.shopping.Wait()

			s = start(t, journal...)
			rescue := func(to string) (int, string) { return tool(t, "journal", "rescue", "--from", s.operator, "--to", to) }
			dir := filepath.Join(t.TempDir(), "rescued")
			code, out := rescue(dir)
			require.Equal(t, exitFailed, code)
			require.Contains(t, out, "journal_works")
			require.NoDirExists(t, dir)

			shoppers.begin(func(one *shopper) { one.shop(s) })
			shoppers.while()
			lose()
			s.await(func() bool { return !s.ready() })
			alive, err := s.client.Get(s.operator + "/healthz")
			require.NoError(t, err)
			require.NoError(t, alive.Body.Close())
			require.Equal(t, http.StatusOK, alive.StatusCode, "a supervisor that restarts this server loses the sale")

			s.await(func() bool {
				code, out = rescue(dir)
				return code == exitDone || !strings.Contains(out, "journal_works")
			})
			require.Equal(t, exitDone, code, out)
			s.kill()
			shoppers.shopping.Wait()
			code, out = tool(t, append([]string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, journal...)...)
			require.Equal(t, exitFailed, code, "a supervisor's restart begins no new sale: %s", out)
			require.Contains(t, out, "--new")
			start(t, append(journal, "--new")...).kill()
			code, out = tool(t, "verify", "--data", dir)
			require.Equal(t, exitDone, code, out)
			next := start(t, "--data", dir)
			shoppers.audit(next)
			shoppers.begin(func(one *shopper) { one.shop(next) })
			shoppers.while()
			next.kill()
			shoppers.shopping.Wait()
			rescued := []string{"--data", dir}
			shoppers.verify(t, rescued, rescued)
			t.Logf("%d reservations checked, every acknowledged outcome found", shoppers.promised)
		})
	}
}

// TestRescueFromStandby loses the leader, and then the journal or its end. The standby neither begins a new sale nor
// goes on with less than was acknowledged. It stays, and what it has replayed is written out of its memory.
func TestRescueFromStandby(t *testing.T) {
	const script = `EVAL "%s return redis.status_reply('OK')" 1 {seathold:main}:journal`
	keep := fmt.Sprintf(script, "redis.call('SET', 'kept', redis.call('DUMP', KEYS[1]))")
	shorten := fmt.Sprintf(script, "redis.call('RESTORE', KEYS[1], 0, redis.call('GET', 'kept'), 'REPLACE')")
	for name, lose := range map[string]string{"everything": "FLUSHALL", "its end": shorten} {
		t.Run(name, func(t *testing.T) {
			r := redistest.Start(t)
			leader := start(t, "--redis", r.URL())
			standby := launch(t, "--redis", r.URL(), "--standby")
			var ids []string
			for i := range 50 {
				if i == 25 {
					send(t, r, keep)
				}
				a, err := leader.call(http.MethodPost, "/v1/reservations", fmt.Sprintf(
					`{"account":"buyer%d","lines":[{"session":"ATH10","category":"A","quantity":2}]}`, i))
				require.NoError(t, err)
				require.Equal(t, http.StatusCreated, a.status)
				ids = append(ids, a.text("id"))
			}
			standby.await(func() bool {
				a, err := standby.call(http.MethodGet, "/v1/reservations/"+ids[len(ids)-1], "")
				return err == nil && a.text("state") == "held"
			})
			leader.kill()
			send(t, r, lose)
			dir := filepath.Join(t.TempDir(), "rescued")
			standby.await(func() bool {
				code, out := tool(t, "journal", "rescue", "--from", standby.operator, "--to", dir)
				require.Truef(t, code == exitDone || strings.Contains(out, "journal_works"), "%s", out)
				require.False(t, standby.ready(), "it leads with less than was acknowledged")
				return code == exitDone
			})
			require.False(t, standby.ready())
			standby.kill()
			next := start(t, "--data", dir)
			for _, id := range ids {
				a, err := next.call(http.MethodPost, "/v1/reservations/"+id+"/confirm", "")
				require.NoError(t, err)
				require.Equal(t, "confirmed", a.text("state"))
			}
			require.Equal(t, exitDone, next.stop())
			code, out := tool(t, "verify", "--data", dir)
			require.Equal(t, exitDone, code, out)
		})
	}
}

// TestStandbyOfNoJournal: a standby in whose Redis a journal may have been lost has no copy of it, and does not say
// so. It follows once a leader has begun another one.
func TestStandbyOfNoJournal(t *testing.T) {
	r := redistest.Start(t)
	flush(t, r)
	standby := launch(t, "--redis", r.URL(), "--standby")
	standby.await(func() bool { return strings.Contains(standby.page("/readyz"), "FLUSHALL was called") })
	require.Zero(t, standby.gauge("seathold_leader"))
	leader := start(t, "--redis", r.URL(), "--new")
	a, err := leader.call(http.MethodPost, "/v1/reservations",
		`{"account":"ann","lines":[{"session":"ATH10","category":"A","quantity":1}]}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, a.status)
	standby.await(func() bool {
		found, err := standby.call(http.MethodGet, "/v1/reservations/"+a.text("id"), "")
		return err == nil && found.text("state") == "held"
	})
	for _, lie := range []string{"has a copy", "when this server read it last"} {
		require.NotContains(t, standby.output.String(), lie)
	}
	require.Equal(t, exitDone, leader.stop())
	require.Equal(t, exitDone, standby.stop())
}
