package redis

import (
	"cmp"
	"fmt"
	"strings"
)

// report judges the answers of a Redis.
func (a *answers) report() Report {
	r := &Report{run: a.info["run_id"], denied: a.denied.config != nil}
	r.line("Redis %s, %s, run %.8s", a.info["redis_version"], cmp.Or(a.info["redis_mode"], "of an unknown mode"),
		cmp.Or(r.run, "unknown"))
	r.identity(a.info)
	if a.denied.config != nil {
		r.line("settings: cannot be read (%v)", a.denied.config)
		r.unsafe("its settings cannot be read, so it is unknown whether it syncs what it acknowledges")
	}
	r.persistence(a)
	r.memory(a.info)
	r.replicas(a)
	r.Safe = len(r.Why) == 0
	return *r
}

func (r *Report) line(format string, args ...any) {
	r.Lines = append(r.Lines, fmt.Sprintf(format, args...))
}

func (r *Report) unsafe(format string, args ...any) {
	r.Why = append(r.Why, fmt.Sprintf(format, args...))
}

// identity checks that INFO has what every Redis 7 shows. A proxy that answers INFO itself, or a program that imitates
// Redis, lacks some of it, and what is behind it may change at any time.
func (r *Report) identity(info settings) {
	var missing []string
	for _, field := range []string{"redis_mode", "run_id", "role", "connected_slaves", "aof_enabled", "maxmemory_policy"} {
		if info[field] == "" {
			missing = append(missing, field)
		}
	}
	if missing != nil {
		r.line("server: INFO lacks %s, so a proxy or a substitute for Redis answers", strings.Join(missing, ", "))
		r.unsafe("a proxy or a substitute for Redis answers (INFO lacks %s)", strings.Join(missing, ", "))
	}
}

func (r *Report) persistence(a *answers) {
	const resend = "; while this server runs, it appends again what Redis lost in a crash"
	info, config := a.info, a.config
	switch {
	case info["aof_enabled"] != "1" && config["save"] != "":
		r.line("persistence: snapshots only (save %s)", config["save"])
		r.line("guaranteed: records after the last snapshot do not survive a crash of Redis" + resend)
		r.unsafe("appendonly is no")
	case info["aof_enabled"] != "1":
		r.line("persistence: none")
		r.line("guaranteed: nothing; this Redis is a cache, and empty after a crash" + resend)
		r.unsafe("appendonly is no")
	case a.denied.config != nil:
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
	r.file(info)
}

// file checks the state of the append-only file.
func (r *Report) file(info settings) {
	if info["aof_enabled"] != "1" {
		return
	}
	if status := info["aof_last_write_status"]; status != "" && status != "ok" {
		r.line("persistence: the last write to the append-only file failed (%s)", status)
		r.unsafe("it cannot write its append-only file")
	}
	// After CONFIG SET appendonly yes, nothing counts before the first rewrite has put the data into the file.
	rewriting := info["aof_rewrite_in_progress"] == "1" || info["aof_rewrite_scheduled"] == "1"
	failed := info["aof_last_bgrewrite_status"] != "" && info["aof_last_bgrewrite_status"] != "ok"
	if info["aof_base_size"] == "0" && (rewriting || failed) {
		r.line("persistence: the append-only file does not have the data yet; its first rewrite is not complete")
		r.unsafe("the first rewrite of its append-only file is not complete")
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

// replicas looks for any sign that another server can take this one's place. Whoever arranges a failover, Sentinel, a
// cluster, a proxy, DNS or the provider of a managed Redis, needs a replica for it.
func (r *Report) replicas(a *answers) {
	info := a.info
	n := number(info["connected_slaves"])
	var signs []string
	add := func(is bool, format string, args ...any) {
		if is {
			signs = append(signs, fmt.Sprintf(format, args...))
		}
	}
	add(n > 0, "connected replicas: %d", n)
	// Redis drops the backlog an hour (repl-backlog-ttl) after the last replica has gone.
	add(n == 0 && info["repl_backlog_active"] == "1", "a replica was connected within the last hour")
	add(info.hadMaster(), "it was a replica, or has loaded the snapshot of a server with replicas")
	add(a.clusterReplicas > n, "replicas that the cluster knows: %d", a.clusterReplicas)
	add(a.sentinels > 0, "Sentinels that watch it: %d", a.sentinels)
	add(a.sentinelAddress && a.sentinels == 0, "a Sentinel manages it")
	state := cmp.Or(info["master_failover_state"], "no-failover")
	add(state != "no-failover", "a failover is in progress (%s)", state)
	if n == 0 {
		r.line("replicas: none is connected; if the disk of this Redis is lost, so is the journal")
	} else {
		r.line("replicas: %d, of which a write requires %s; they receive records after the acknowledgement", n,
			cmp.Or(a.config["min-replicas-to-write"], "an unknown number"))
	}
	if signs != nil {
		r.line("failover: a promoted replica may lack the most recently acknowledged records (%s)",
			strings.Join(signs, "; "))
		r.unsafe("a failover may lose the most recently acknowledged records (%s)", strings.Join(signs, "; "))
	}
	for _, denied := range []error{a.denied.sentinels, a.denied.cluster} {
		if denied != nil {
			r.line("failover: it cannot be seen whether there is one (%v)", denied)
			r.unsafe("it is unknown whether there can be a failover (%v)", denied)
		}
	}
}
