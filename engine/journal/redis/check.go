package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Report is what Check found out about a Redis.
type Report struct {
	Lines []string // for people, one fact a line
	Safe  bool     // what it acknowledges, it keeps through a crash of its own
	Why   []string // why it is not safe
}

// ErrUnfit says that this Redis cannot keep a journal at all.
var ErrUnfit = errors.New("this Redis cannot keep a journal")

// oldestVersion is the oldest Redis that this package is tested with.
const oldestVersion = 7

// settings are what the server tells of itself with INFO and CONFIG GET. A setting that cannot be read is absent.
type settings map[string]string

// Check asks the Redis how it keeps what it is given, and says in plain words what is guaranteed with that. It changes
// nothing and may be called at any time, best before Recover. A program that promises durability refuses to start when the
// report is not Safe, unless it was told to do without. An error is that the Redis cannot be asked, or an ErrUnfit.
func (j *Journal) Check(ctx context.Context) (Report, error) {
	l := j.link
	text, err := l.ask(ctx, "info")
	if err != nil {
		return Report{}, err
	}
	info := parseInfo(fmt.Sprint(text))
	if major, _, _ := strings.Cut(info["redis_version"], "."); atoi(major) < oldestVersion {
		return Report{}, fmt.Errorf("%w: its version is %q, and %d.0 or later is needed", ErrUnfit, info["redis_version"], oldestVersion)
	}
	if info["role"] != "master" {
		return Report{}, fmt.Errorf("%w: it is a replica of %s:%s", ErrUnfit, info["master_host"], info["master_port"])
	}
	config, forbidden, err := l.config(ctx)
	if err != nil {
		return Report{}, err
	}
	r := &Report{}
	r.version(info)
	if forbidden != nil {
		r.line("settings: they may not be read here (%v)", forbidden)
		r.unsafe("whether it syncs what it acknowledges cannot be read")
	}
	r.persistence(info, config, forbidden != nil)
	r.memory(info)
	r.replicas(info, config, l.failsOver(info))
	r.Safe = len(r.Why) == 0
	return *r, nil
}

// ask makes a call to the server that keeps the journal, which in a cluster is the one that has its slot.
func (l *link) ask(ctx context.Context, args ...any) (any, error) {
	cluster, ok := l.client.(*redis.ClusterClient)
	if !ok {
		return l.read(ctx, l.timeout, args...)
	}
	node, err := cluster.MasterForKey(ctx, l.stream)
	if err != nil {
		return nil, err
	}
	return node.Do(ctx, args...).Result()
}

// config reads the settings that matter. forbidden is why they may not be read.
func (l *link) config(ctx context.Context) (config settings, forbidden, err error) {
	reply, err := l.ask(ctx, "config", "get", "appendonly", "appendfsync", "no-appendfsync-on-rewrite", "save", "min-replicas-to-write")
	if answered(err) {
		return nil, err, nil
	}
	if err != nil {
		return nil, nil, err
	}
	config = settings{}
	list, _ := reply.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		config[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	return config, nil, nil
}

// failsOver tells whether somebody may put a replica in this server's place.
func (l *link) failsOver(info settings) bool {
	_, cluster := l.client.(*redis.ClusterClient)
	single, ok := l.client.(*redis.Client)
	sentinel := ok && single.Options().Addr == "FailoverClient"
	return (cluster || sentinel || info["redis_mode"] == "cluster") && atoi(info["connected_slaves"]) > 0
}

func parseInfo(text string) settings {
	s := settings{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			s[name] = value
		}
	}
	return s
}

// atoi reads a number that Redis tells of itself; what is none is 0.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func (r *Report) line(format string, args ...any) {
	r.Lines = append(r.Lines, fmt.Sprintf(format, args...))
}

func (r *Report) unsafe(format string, args ...any) {
	r.Why = append(r.Why, fmt.Sprintf(format, args...))
}

func (r *Report) version(info settings) {
	r.line("Redis %s, %s, run %.8s", info["redis_version"], info["redis_mode"], info["run_id"])
}

func (r *Report) persistence(info, config settings, unknown bool) {
	const again = "; while this server runs, it appends again what a Redis that comes back has lost"
	snapshots := config["save"] != ""
	switch {
	case info["aof_enabled"] != "1" && snapshots:
		r.line("persistence: snapshots only (save %s)", config["save"])
		r.line("guaranteed: nothing since the last snapshot survives a crash of Redis" + again)
		r.unsafe("appendonly is no")
	case info["aof_enabled"] != "1":
		r.line("persistence: none")
		r.line("guaranteed: nothing; it is a cache, and empty after a crash" + again)
		r.unsafe("appendonly is no")
	case unknown:
		r.line("persistence: append-only file; how often it is synced is not known")
	case config["appendfsync"] == "always" && config["no-appendfsync-on-rewrite"] == "yes":
		r.line("persistence: append-only file, synced always, but not while it is rewritten (no-appendfsync-on-rewrite yes)")
		r.line("guaranteed: what is acknowledged survives a crash of Redis, except while its file is rewritten" + again)
		r.unsafe("no-appendfsync-on-rewrite is yes")
	case config["appendfsync"] == "always":
		r.line("persistence: append-only file, synced always")
		r.line("guaranteed: what is acknowledged survives a crash of Redis and of its machine")
	case config["appendfsync"] == "everysec":
		r.line("persistence: append-only file, synced every second")
		r.line("guaranteed: up to a second of what is acknowledged may be lost when Redis's machine crashes, two when its disk is slow" + again)
		r.unsafe("appendfsync is everysec")
	default:
		r.line("persistence: append-only file, synced when the system likes (appendfsync %s)", config["appendfsync"])
		r.line("guaranteed: half a minute of what is acknowledged may be lost when Redis's machine crashes" + again)
		r.unsafe("appendfsync is %s", config["appendfsync"])
	}
	if status := info["aof_last_write_status"]; status != "" && status != "ok" {
		r.line("persistence: the last write to the append-only file failed (%s)", status)
		r.unsafe("it cannot write its append-only file")
	}
}

func (r *Report) memory(info settings) {
	limit, policy := info["maxmemory"], info["maxmemory_policy"]
	switch {
	case atoi(limit) == 0:
		r.line("memory: no limit (policy %s)", policy)
	case policy == "noeviction":
		r.line("memory: %s, and beyond it writes are refused (noeviction)", info["maxmemory_human"])
	case strings.HasPrefix(policy, "volatile-"):
		r.line("memory: %s, and beyond it keys that expire are dropped (%s); those of the journal do not", info["maxmemory_human"], policy)
	default:
		r.line("memory: %s, and beyond it Redis drops what it likes (%s)", info["maxmemory_human"], policy)
		r.unsafe("maxmemory-policy is %s", policy)
	}
}

func (r *Report) replicas(info, config settings, failsOver bool) {
	n := atoi(info["connected_slaves"])
	if n == 0 {
		r.line("replicas: none; when Redis's disk is lost, so is the journal")
		return
	}
	r.line("replicas: %d, %s of them needed for a write; they are told after the acknowledgement, not before", n, orUnknown(config["min-replicas-to-write"]))
	if failsOver {
		r.line("failover: a replica put in the place of this Redis may lack what was acknowledged last")
		r.unsafe("a failover to a replica may lose what was acknowledged last")
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown number"
	}
	return s
}
