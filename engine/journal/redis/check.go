package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Report describes what a Redis guarantees.
type Report struct {
	Lines []string // for the operator, one fact per line
	Safe  bool     // acknowledged records survive a crash of this Redis, and it has nothing to fail over to
	Why   []string // why it is not safe

	run    string // identifies the Redis process
	denied bool   // the settings cannot be read
}

var errUnfit = errors.New("this Redis cannot keep a journal")

// oldestVersion is the oldest major version of Redis that this package is tested with.
const oldestVersion = 7

// Check queries how Redis stores its data and reports what this guarantees. It waits up to a minute for a Redis that
// does not respond, and may be called at any time, best before Recover. It changes nothing, except that it writes a key
// of its own a few times if Redis does not reveal its settings. A program that promises durability should refuse to
// start when the report is not Safe, unless its operator overrides that. An error means that Redis could not be queried
// or cannot keep a journal at all. While the journal is open, the check is repeated: see Options.CheckEvery.
func (j *Journal) Check(ctx context.Context) (Report, error) {
	l := j.link
	a := l.attempts(retryReads)
	for {
		report, err := l.check(ctx)
		if err == nil {
			l.guard.record(report, slog.New(slog.DiscardHandler)) // the caller has the report
			err = l.probeIfDenied(ctx, &report)
		}
		if err == nil {
			a.succeeded()
			return report, nil
		}
		if errors.Is(err, errUnfit) {
			return Report{}, err
		}
		if err := a.backOff(ctx, err); err != nil {
			return Report{}, err
		}
	}
}

// answers are what Redis answers to the questions of a check. denied says why a question has no answer: the user's
// rights do not suffice, or the server does not know the command.
type answers struct {
	info, config    settings
	sentinels       int // that watch this server
	clusterReplicas int // of this server that the cluster knows, connected or not
	sentinelAddress bool
	denied          struct{ config, sentinels, cluster error }
}

// settings are the server's responses to INFO or CONFIG GET. A setting that cannot be read is absent.
type settings map[string]string

// check makes one attempt at a check.
func (l *link) check(ctx context.Context) (Report, error) {
	a, err := l.ask(ctx)
	if err != nil {
		return Report{}, err
	}
	info := a.info
	if major, _, _ := strings.Cut(info["redis_version"], "."); number(major) < oldestVersion {
		return Report{}, fmt.Errorf("%w: its version is %q; %d.0 or later is required", errUnfit, info["redis_version"],
			oldestVersion)
	}
	if info["role"] == "slave" {
		return Report{}, fmt.Errorf("%w: it is a replica of %s:%s", errUnfit, info["master_host"], info["master_port"])
	}
	return a.report(), nil
}

// ask asks the questions of a check, one attempt each.
func (l *link) ask(ctx context.Context) (a answers, err error) {
	text, err := l.queryOnce(ctx, "info", "server", "memory", "persistence", "replication")
	if err != nil {
		return a, err
	}
	a.info = parseInfo(fmt.Sprint(text))
	if a.info["loading"] == "1" { // then aof_enabled is 0, whatever the settings are
		return a, loadingError{}
	}
	reply, err := l.queryOnce(ctx, "config", "get", "appendonly", "appendfsync", "no-appendfsync-on-rewrite", "save",
		"min-replicas-to-write")
	if a.denied.config = err; err != nil && !isReply(err) {
		return a, err
	}
	a.config = readMap(reply)
	reply, err = l.queryOnce(ctx, "pubsub", "numsub", sentinelChannel)
	if a.denied.sentinels = err; err != nil && !isReply(err) {
		return a, err
	}
	a.sentinels = subscribers(reply)
	if single, ok := l.client.(*redis.Client); ok {
		a.sentinelAddress = single.Options().Addr == "FailoverClient"
	}
	if a.info["redis_mode"] != "cluster" {
		return a, nil
	}
	text, err = l.queryOnce(ctx, "cluster", "nodes")
	if a.denied.cluster = err; err != nil && !isReply(err) {
		return a, err
	}
	a.clusterReplicas = replicasOfMyself(fmt.Sprint(text))
	return a, nil
}

// query is queryOnce with retries. retryFor is as in attempts.
func (l *link) query(ctx context.Context, retryFor time.Duration, args ...any) (any, error) {
	a := l.attempts(retryFor)
	for {
		reply, err := l.queryOnce(ctx, args...)
		if err == nil || isReply(err) && !transient(err) {
			a.succeeded()
			return reply, err
		}
		if err := a.backOff(ctx, err); err != nil {
			return nil, err
		}
	}
}

// queryOnce sends a command to the server that keeps the journal; in a cluster, the master of the journal's slot. It
// makes one attempt.
func (l *link) queryOnce(ctx context.Context, args ...any) (any, error) {
	return l.call(ctx, l.options.Timeout, func(ctx context.Context) *redis.Cmd {
		cluster, ok := l.client.(*redis.ClusterClient)
		if !ok {
			return l.client.Do(ctx, args...)
		}
		node, err := cluster.MasterForKey(ctx, l.stream)
		if err != nil {
			failed := redis.NewCmd(ctx, args...)
			failed.SetErr(err)
			return failed
		}
		return node.Do(ctx, args...)
	})
}

// loadingError is what a Redis that reads its file answers to most commands, but not to INFO.
type loadingError struct{}

func (loadingError) Error() string { return "LOADING Redis is loading the dataset in memory" }

// RedisError is part of redis.Error.
func (loadingError) RedisError() {}

// sentinelChannel is a channel of a master that each Sentinel which watches it subscribes to.
const sentinelChannel = "__sentinel__:hello"

// subscribers parses the response to PUBSUB NUMSUB with one channel.
func subscribers(reply any) int {
	if list, _ := reply.([]any); len(list) == 2 {
		n, _ := list[1].(int64)
		return int(n)
	}
	return 0
}

// replicasOfMyself counts the replicas of the server that has responded to CLUSTER NODES. A line is
//
//	id address flags master ping pong epoch state slots...
func replicasOfMyself(nodes string) (n int) {
	var self string
	for line := range strings.Lines(nodes) {
		if fields := strings.Fields(line); len(fields) > 2 && strings.Contains(fields[2], "myself") {
			self = fields[0]
		}
	}
	for line := range strings.Lines(nodes) {
		if fields := strings.Fields(line); self != "" && len(fields) > 3 && fields[3] == self {
			n++
		}
	}
	return n
}

// parseInfo parses the response to INFO. The client's InfoMap is not used: it cannot ask one node of a cluster.
func parseInfo(text string) settings {
	s := settings{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			s[name] = value
		}
	}
	return s
}

// hadMaster reports whether the server was a replica, or has loaded the snapshot of a server with replicas.
func (s settings) hadMaster() bool { return strings.Trim(s["master_replid2"], "0") != "" }

// number parses a number in a response to INFO; 0 if it is missing.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
