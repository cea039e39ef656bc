package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Report describes what a Redis guarantees.
type Report struct {
	Lines []string // for the operator, one fact per line
	Safe  bool     // acknowledged records survive a crash of this Redis
	Why   []string // why it is not safe
}

var errUnfit = errors.New("this Redis cannot keep a journal")

// oldestVersion is the oldest major version of Redis that this package is tested with.
const oldestVersion = 7

// settings are the server's responses to INFO or CONFIG GET. A setting that cannot be read is absent.
type settings map[string]string

// Check queries how Redis stores its data and reports what this guarantees. It changes nothing and may be called at any
// time, best before Recover. A program that promises durability should refuse to start when the report is not Safe,
// unless its operator overrides that. An error means that Redis could not be queried or cannot keep a journal at all.
func (j *Journal) Check(ctx context.Context) (Report, error) {
	l := j.link
	text, err := l.query(ctx, "info")
	if err != nil {
		return Report{}, err
	}
	info := parseInfo(fmt.Sprint(text))
	if major, _, _ := strings.Cut(info["redis_version"], "."); number(major) < oldestVersion {
		return Report{}, fmt.Errorf("%w: its version is %q; %d.0 or later is required", errUnfit, info["redis_version"],
			oldestVersion)
	}
	if info["role"] != "master" {
		return Report{}, fmt.Errorf("%w: it is a replica of %s:%s", errUnfit, info["master_host"], info["master_port"])
	}
	reply, err := l.query(ctx, "config", "get", "appendonly", "appendfsync", "no-appendfsync-on-rewrite", "save",
		"min-replicas-to-write")
	denied := isReply(err)
	if err != nil && !denied {
		return Report{}, err
	}
	config := settings(readMap(reply))
	r := &Report{}
	r.line("Redis %s, %s, run %.8s", info["redis_version"], info["redis_mode"], info["run_id"])
	if denied {
		r.line("settings: cannot be read (%v)", err)
		r.unsafe("its settings cannot be read, so it is unknown whether it syncs what it acknowledges")
	}
	r.persistence(info, config, denied)
	r.memory(info)
	r.replicas(info, config, l.hasFailover(info))
	r.Safe = len(r.Why) == 0
	return *r, nil
}

// query sends a command to the server that keeps the journal; in a cluster, the master of the journal's slot.
func (l *link) query(ctx context.Context, args ...any) (any, error) {
	cluster, ok := l.client.(*redis.ClusterClient)
	if !ok {
		return l.read(ctx, l.options.Timeout, args...)
	}
	node, err := cluster.MasterForKey(ctx, l.stream)
	if err != nil {
		return nil, err
	}
	return node.Do(ctx, args...).Result()
}

// hasFailover reports whether a replica can be promoted in place of this server.
func (l *link) hasFailover(info settings) bool {
	_, cluster := l.client.(*redis.ClusterClient)
	single, ok := l.client.(*redis.Client)
	sentinel := ok && single.Options().Addr == "FailoverClient"
	return (cluster || sentinel || info["redis_mode"] == "cluster") && number(info["connected_slaves"]) > 0
}

// parseInfo parses the response to INFO. The client's InfoMap is not used: it does not retry as read does.
func parseInfo(text string) settings {
	s := settings{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			s[name] = value
		}
	}
	return s
}

// number parses a number in a response to INFO; 0 if it is missing.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func (r *Report) line(format string, args ...any) {
	r.Lines = append(r.Lines, fmt.Sprintf(format, args...))
}

func (r *Report) unsafe(format string, args ...any) {
	r.Why = append(r.Why, fmt.Sprintf(format, args...))
}

func (r *Report) persistence(info, config settings, unknown bool) {
	const resend = "; while this server runs, it appends again what Redis lost in a crash"
	snapshots := config["save"] != ""
	switch {
	case info["aof_enabled"] != "1" && snapshots:
		r.line("persistence: snapshots only (save %s)", config["save"])
		r.line("guaranteed: records after the last snapshot do not survive a crash of Redis" + resend)
		r.unsafe("appendonly is no")
	case info["aof_enabled"] != "1":
		r.line("persistence: none")
		r.line("guaranteed: nothing; this Redis is a cache, and empty after a crash" + resend)
		r.unsafe("appendonly is no")
	case unknown:
		r.line("persistence: append-only file; how often it is synced is unknown")
	case config["appendfsync"] == "always" && config["no-appendfsync-on-rewrite"] == "yes":
		r.line("persistence: append-only file, always synced except during a rewrite (no-appendfsync-on-rewrite yes)")
		r.line("guaranteed: acknowledged records survive a crash of Redis, except during a rewrite of its file" + resend)
		r.unsafe("no-appendfsync-on-rewrite is yes")
	case config["appendfsync"] == "always":
		r.line("persistence: append-only file, always synced")
		r.line("guaranteed: acknowledged records survive a crash of Redis and of its machine")
	case config["appendfsync"] == "everysec":
		r.line("persistence: append-only file, synced every second")
		r.line("guaranteed: a crash of the machine may lose up to a second of acknowledged records, or two with a slow disk" +
			resend)
		r.unsafe("appendfsync is everysec")
	default:
		r.line("persistence: append-only file, synced by the operating system (appendfsync %s)", config["appendfsync"])
		r.line("guaranteed: a crash of the machine may lose up to half a minute of acknowledged records" + resend)
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
	case number(limit) == 0:
		r.line("memory: no limit (policy %s)", policy)
	case policy == "noeviction":
		r.line("memory: %s; writes are refused beyond it (noeviction)", info["maxmemory_human"])
	case strings.HasPrefix(policy, "volatile-"):
		r.line("memory: %s; keys with an expiry are evicted beyond it (%s), and the journal's keys have none",
			info["maxmemory_human"], policy)
	default:
		r.line("memory: %s; any key may be evicted beyond it (%s)", info["maxmemory_human"], policy)
		r.unsafe("maxmemory-policy is %s", policy)
	}
}

func (r *Report) replicas(info, config settings, failover bool) {
	n := number(info["connected_slaves"])
	if n == 0 {
		r.line("replicas: none; if the disk of this Redis is lost, so is the journal")
		return
	}
	r.line("replicas: %d, of which a write requires %s; they receive records after the acknowledgement", n,
		cmp.Or(config["min-replicas-to-write"], "an unknown number"))
	if failover {
		r.line("failover: a promoted replica may lack the most recently acknowledged records")
		r.unsafe("a failover to a replica may lose the most recently acknowledged records")
	}
}
