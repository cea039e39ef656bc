package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/redis/redistest"
	"github.com/stretchr/testify/require"
)

// TestCheckReportsGuarantees checks servers of every configuration.
func TestCheckReportsGuarantees(t *testing.T) {
	limited := append(redistest.Durable[:4:4], "--maxmemory", "100mb")
	for name, c := range map[string]struct {
		args []string
		safe bool
		want string
	}{
		"always":    {redistest.Durable, true, "survive a crash of Redis and of its machine"},
		"everysec":  {[]string{"--appendonly", "yes", "--appendfsync", "everysec"}, false, "up to a second"},
		"no fsync":  {[]string{"--appendonly", "yes", "--appendfsync", "no"}, false, "half a minute"},
		"snapshots": {[]string{"--save", "60", "1"}, false, "after the last snapshot"},
		"cache":     {[]string{"--appendonly", "no"}, false, "this Redis is a cache"},
		"rewrites": {append([]string{"--no-appendfsync-on-rewrite", "yes"}, redistest.Durable...), false,
			"except during a rewrite of its file"},
		"evicting": {append(limited[:6:6], "--maxmemory-policy", "allkeys-lru"), false, "any key may be evicted"},
		"volatile": {append(limited[:6:6], "--maxmemory-policy", "volatile-lru"), true, "the journal's keys have none"},
		"managed": {append([]string{"--rename-command", "CONFIG", ""}, redistest.Durable...), false,
			"settings: cannot be read"},
		"managed, probed": {append([]string{"--rename-command", "CONFIG", ""}, redistest.Durable...), false,
			"probe: a write takes"},
		"without PUBSUB": {append([]string{"--rename-command", "PUBSUB", ""}, redistest.Durable...), false,
			"cannot be seen whether there is one"},
		"unlimited":  {append(redistest.Durable[:4:4], "--maxmemory-policy", "allkeys-lru"), true, "no limit"},
		"refuses":    {append(redistest.Durable[:6:6], "--maxmemory", "100mb"), true, "writes are refused"},
		"no replica": {redistest.Durable, true, "replicas: none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, c.args...)
			report := check(t, s.URL())
			require.Equal(t, c.safe, report.Safe, report)
			require.Equal(t, c.safe, len(report.Why) == 0, report)
			require.Contains(t, strings.Join(report.Lines, "\n"), c.want)
			require.Contains(t, report.Lines[0], "Redis 7", "the version is missing")
		})
	}
}

func check(t *testing.T, url string) Report {
	t.Helper()
	j, err := Open(Options{Address: url})
	require.NoError(t, err)
	defer j.Close()
	report, err := j.Check(t.Context())
	require.NoError(t, err)
	return report
}

// until waits until the condition is true, and fails after ten seconds.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			require.FailNow(t, "timed out waiting: "+what)
		}
	}
}

// appendAndRecover requires that a journal works at an address.
func appendAndRecover(t *testing.T, url string) {
	t.Helper()
	name := freshName()
	j := claimed(t, Options{Address: url, Name: name})
	require.NoError(t, j.Append(t.Context(), testGroup(1, 10)))
	for range 3 {
		dropped, err := j.Checkpoint(t.Context(), 10)
		require.NoError(t, err)
		require.NoError(t, dropped.Write([]byte("a piece")))
		dropped.Abort()
		checkpointAt(t, j, 10)
	}
	require.Len(t, manifestsOf(t, j.link), 2)
	require.NoError(t, j.Append(t.Context(), testGroup(11, 5)))
	require.NoError(t, j.Beat(t.Context()))
	got := contentsOf(t, Options{Address: url, Name: name})
	require.Equal(t, []journal.Group{testGroup(11, 5)}, got.groups)
	require.EqualValues(t, 10, got.recovered.Checkpoint.Start)
}

func TestUnixSocket(t *testing.T) {
	s := redistest.Start(t)
	appendAndRecover(t, "unix://"+s.Socket())
	appendAndRecover(t, s.URL()+"/3")
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, append([]string{"--requirepass", "se:cr@t"}, redistest.Durable...)...)
	appendAndRecover(t, "redis://:se%3Acr%40t@"+s.Addr())
	for _, url := range []string{"redis://:wrong@" + s.Addr(), s.URL()} {
		j, err := Open(Options{Address: url})
		require.NoError(t, err)
		_, err = j.Recover(discard())
		require.Error(t, err)
		require.True(t, strings.Contains(err.Error(), "NOAUTH") || strings.Contains(err.Error(), "WRONGPASS"), err)
		require.NoError(t, j.Close())
	}
}

// startCluster starts a cluster of one server that has all slots.
func startCluster(t *testing.T) *redistest.Server {
	s := redistest.Start(t, append([]string{"--cluster-enabled", "yes"}, redistest.Durable...)...)
	client := redis.NewClient(&redis.Options{Addr: s.Addr()})
	defer client.Close()
	require.NoError(t, client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	until(t, "the cluster is up", func() bool {
		return strings.Contains(client.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	return s
}

func TestCluster(t *testing.T) {
	t.Parallel()
	url := "redis+cluster://" + startCluster(t).Addr()
	appendAndRecover(t, url)
	report := check(t, url)
	require.True(t, report.Safe, report)
	require.Contains(t, report.Lines[0], "cluster")
}

// TestSentinel uses a master, a replica and a sentinel. The sentinel promotes the replica while the leader appends.
func TestSentinel(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replicaOf := []string{"--replicaof", "127.0.0.1", fmt.Sprint(master.Port)}
	replica := redistest.Start(t, append(replicaOf, redistest.Durable...)...)
	sentinel := startSentinel(t, master)
	url := "redis+sentinel://" + sentinel + "/main"
	client := redis.NewSentinelClient(&redis.Options{Addr: sentinel})
	defer client.Close()
	until(t, "the sentinel finds the replica", func() bool {
		replicas := client.Replicas(t.Context(), "main").Val()
		return len(replicas) == 1 && replicas[0]["master-link-status"] == "ok"
	})
	report := check(t, url)
	require.False(t, report.Safe, report)
	require.Contains(t, strings.Join(report.Lines, "\n"), "failover")
	_, err := openAt(t, replica.URL()).Check(t.Context())
	require.ErrorIs(t, err, errUnfit)
	plain := check(t, master.URL())
	require.False(t, plain.Safe, "a plain address of the same master")
	require.Contains(t, plain.Why[0], "connected replicas: 1; Sentinels that watch it: 1")

	o := Options{Address: url, Name: freshName(), Timeout: 200 * time.Millisecond}
	j := claimed(t, o)
	var want []journal.Group
	add := func() {
		g := testGroup(j.Status().Last+1, 3)
		require.NoError(t, j.Append(t.Context(), g))
		want = append(want, g)
	}
	for range 20 {
		add()
	}
	master.Kill()
	add()
	add()
	got := contentsOf(t, o)
	require.Equal(t, want, got.groups)
	require.Equal(t, replica.Addr(), strings.Join(client.GetMasterAddrByName(t.Context(), "main").Val(), ":"))
	require.Contains(t, check(t, replica.URL()).Why[0], "it was a replica, or has loaded the snapshot")
}

// TestSentinelWithoutReplica requires that a master without a replica is not safe if a Sentinel watches it, at the
// Sentinel's address and at its own: a replica may only be disconnected.
func TestSentinelWithoutReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	require.True(t, check(t, master.URL()).Safe)
	sentinel := startSentinel(t, master)
	require.Contains(t, check(t, "redis+sentinel://"+sentinel+"/main").Why[0], "Sentinel")
	until(t, "the Sentinel subscribes", func() bool { return !check(t, master.URL()).Safe })
	require.Contains(t, check(t, master.URL()).Why[0], "Sentinels that watch it: 1")
}

// TestReplicaThatIsGone requires that a master whose replica is disconnected is not safe for a while.
func TestReplicaThatIsGone(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.Start(t, append([]string{"--replicaof", "127.0.0.1", fmt.Sprint(master.Port)},
		redistest.Durable...)...)
	until(t, "the replica connects", func() bool {
		report := check(t, master.URL())
		return !report.Safe && strings.Contains(report.Why[0], "connected replicas: 1")
	})
	replica.Kill()
	until(t, "the replica is gone", func() bool {
		report := check(t, master.URL())
		return !report.Safe && strings.Contains(report.Why[0], "within the last hour")
	})
	configSet(t, master, "repl-backlog-ttl", "1")
	until(t, "the master forgets the replica", func() bool { return check(t, master.URL()).Safe })
}

// TestReportOfWhatCannotBeStarted judges answers that no server of these tests gives.
func TestReportOfWhatCannotBeStarted(t *testing.T) {
	standalone := func() answers {
		return answers{config: settings{"appendfsync": "always"}, info: settings{"redis_version": "7.2.4",
			"redis_mode": "standalone", "run_id": "1234", "role": "master", "connected_slaves": "0", "aof_enabled": "1",
			"maxmemory_policy": "noeviction", "master_replid2": strings.Repeat("0", 40), "repl_backlog_active": "0"}}
	}
	safe := standalone()
	require.True(t, safe.report().Safe, safe.report())
	for want, change := range map[string]func(a *answers){
		"INFO lacks redis_mode":       func(a *answers) { delete(a.info, "redis_mode") },
		"INFO lacks run_id, role":     func(a *answers) { delete(a.info, "role"); delete(a.info, "run_id") },
		"INFO lacks connected_slaves": func(a *answers) { delete(a.info, "connected_slaves") },
		"the cluster knows: 2":        func(a *answers) { a.clusterReplicas = 2 },
		"is in progress (waiting":     func(a *answers) { a.info["master_failover_state"] = "waiting-for-sync" },
		"first rewrite": func(a *answers) {
			a.info["aof_base_size"], a.info["aof_rewrite_in_progress"] = "0", "1"
		},
		"the first rewrite of its": func(a *answers) {
			a.info["aof_base_size"], a.info["aof_last_bgrewrite_status"] = "0", "err"
		},
		"cannot write":                  func(a *answers) { a.info["aof_last_write_status"] = "err" },
		"can be a failover (no rights)": func(a *answers) { a.denied.cluster = errors.New("no rights") },
	} {
		a := standalone()
		change(&a)
		require.False(t, a.report().Safe, want)
		require.Contains(t, strings.Join(a.report().Why, "\n"), want)
	}
	var fast, slow Report
	fast.probed(100*time.Microsecond, 95*time.Microsecond)
	slow.probed(900*time.Microsecond, 95*time.Microsecond)
	require.Len(t, fast.Why, 1)
	require.Empty(t, slow.Why)
	const nodes = "a1 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\n" +
		"b1 10.0.0.2:1@2 slave a1 0 0 1 connected\nb2 10.0.0.3:1@2 slave,fail a1 0 0 1 disconnected\n" +
		"c1 10.0.0.4:1@2 master - 0 0 2 connected\nd1 10.0.0.5:1@2 slave c1 0 0 2 connected\n"
	require.Equal(t, 2, replicasOfMyself(nodes))
	require.Zero(t, replicasOfMyself(""))
}

// startSentinel starts a sentinel that monitors a master under the name main, and returns its address.
func startSentinel(t *testing.T, master *redistest.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	config := fmt.Appendf(nil, "port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n",
		port, filepath.Dir(file), master.Port)
	require.NoError(t, os.WriteFile(file, config, 0o600))
	redistest.StartSentinel(t, file)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func openAt(t *testing.T, url string) *Journal {
	j, err := Open(Options{Address: url, Name: freshName()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

// A Redis that reads its file reports that the file is off. The check waits until it has read it.
func TestCheckWhileLoading(t *testing.T) {
	t.Parallel()
	require.True(t, transient(loadingError{}))
	s := redistest.Start(t)
	l, err := newLink(Options{Address: s.URL()})
	require.NoError(t, err)
	for i := range 4000 {
		_, err := l.read(t.Context(), time.Second, "set", i, i)
		require.NoError(t, err)
	}
	require.NoError(t, l.close())
	s.Kill()
	j, err := Open(Options{Address: s.URL(), Name: freshName()})
	require.NoError(t, err)
	checked := make(chan Report)
	go func() {
		report, err := j.Check(context.Background())
		if err != nil {
			t.Error(err)
		}
		checked <- report
	}()
	s.Restart(append(redistest.Durable[:len(redistest.Durable):len(redistest.Durable)], "--key-load-delay", "250")...)
	report := <-checked
	require.True(t, report.Safe, report.Why)
	require.NoError(t, j.Close())
}
