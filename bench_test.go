// Package seathold_test measures Seathold from end to end, and compares it with its peers.
//
//	go test -run '^$' -bench .      a small version of all benchmarks that need no other server, in about two minutes
//	scripts/bench                   all benchmarks at full size, with Redis and PostgreSQL, as one table
//	scripts/compare REVISION        the cost of a cycle of the core, here against another revision
//
// Names of benchmarks are key=value pairs. The two sides of a ratio are measured in turn, round by round. Benchmarks
// with a load generator need Linux and are skipped elsewhere.
package seathold_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/loadtest/peers"
)

// scripts/bench sets the size and the addresses of the servers that it started.
var (
	full          = os.Getenv("SEATHOLD_BENCH") == "full"
	redisMemory   = os.Getenv("SEATHOLD_BENCH_REDIS_MEMORY") // host:port
	redisEverysec = os.Getenv("SEATHOLD_BENCH_REDIS_EVERYSEC")
	redisAlways   = os.Getenv("SEATHOLD_BENCH_REDIS_ALWAYS")
	postgres      = os.Getenv("SEATHOLD_BENCH_POSTGRES") // directory of the socket:port
)

func TestMain(m *testing.M) {
	peers.ServeClient()
	os.Exit(m.Run())
}

// sized returns small, or whole if everything is measured at full size.
func sized[T any](small, whole T) T {
	if full {
		return whole
	}
	return small
}

func rounds() int          { return sized(3, 5) }
func spell() time.Duration { return sized(200*time.Millisecond, time.Second) }
func crowdSize() int       { return sized(1_000_000, 4_000_000) }

// BenchmarkCore makes cycles in the core alone. A cycle reserves one ticket of each of one or three pools and confirms
// the reservation. Then it measures each call by itself, in rounds. -cpu sets the number of goroutines.
func BenchmarkCore(b *testing.B) {
	accounts := sized(100_000, 4_000_000)
	names := peers.NewNames(accounts)
	for _, demand := range []peers.Demand{peers.Spread, peers.Hot, peers.Zipf} {
		for _, lines := range []int{1, 3} {
			b.Run(fmt.Sprintf("pools=%s/accounts=%d/lines=%d", demand, accounts, lines), func(b *testing.B) {
				crowd := peers.NewCrowd(accounts, peers.CorePools+1, demand)
				plan := peers.NewPlan(crowd, names, 0, sized(200_000, 1_000_000), lines)
				cycles(b, plan, func() peers.Cycler { return newCore(b, names, accounts) })
			})
		}
	}
	calls := peers.NewCalls(newCore(b, names, accounts), names, accounts, sized(20_000, 200_000))
	runtime.GC()
	peers.Contest(b, rounds(), calls.Contestants()...)
	debug.FreeOSMemory()
}

// cycles runs the plan b.N times, each time on a new sale.
func cycles(b *testing.B, plan *peers.Plan, fresh func() peers.Cycler) {
	var all peers.Cost
	for range b.N {
		b.StopTimer()
		s := fresh()
		runtime.GC()
		b.StartTimer()
		cost, err := plan.Run(s)
		require.NoError(b, err)
		all.Add(cost)
	}
	n := b.N * plan.Cycles()
	b.ReportMetric(float64(n)/all.Took.Seconds(), "cycles/s")
	b.ReportMetric(float64(all.Took.Nanoseconds())/float64(n), "ns/op")
	all.Report(b, n)
}

func newCore(b *testing.B, names peers.Names, accounts int) *peers.Core {
	c, err := peers.NewCore(names, accounts, 1<<25)
	require.NoError(b, err)
	return c
}

// inCore measures cycles in the core alone, all rounds on one sale.
func inCore(names peers.Names, accounts, per int, demand peers.Demand, lines int, s peers.Cycler) peers.Contestant {
	who := "core"
	if _, mutex := s.(*peers.Baseline); mutex {
		who = "mutex"
	}
	crowd, at := peers.NewCrowd(accounts, peers.CorePools+1, demand), uint64(0)
	name := fmt.Sprintf("who=%s/pools=%s/accounts=%d/lines=%d", who, demand, accounts, lines)
	return peers.Contestant{Name: name, Measure: func() (int, time.Duration, error) {
		plan := peers.NewPlan(crowd, names, at, per, lines)
		at += uint64(per)
		cost, err := plan.Run(s)
		return per, cost.Took, err
	}}
}

// BenchmarkCoreRatios compares one hot pool with spread pools, and the core with one mutex around maps.
func BenchmarkCoreRatios(b *testing.B) {
	accounts, per := sized(100_000, 4_000_000), sized(50_000, 500_000)
	names := peers.NewNames(accounts)
	peers.Contest(b, rounds(),
		inCore(names, accounts, per, peers.Spread, 3, newCore(b, names, accounts)),
		inCore(names, accounts, per, peers.Hot, 3, newCore(b, names, accounts)),
		inCore(names, accounts, per, peers.Spread, 3, peers.NewBaseline(names, accounts)),
		inCore(names, accounts, per, peers.Spread, 1, newCore(b, names, accounts)),
		inCore(names, accounts, per, peers.Hot, 1, newCore(b, names, accounts)),
	)
	debug.FreeOSMemory()
}

// BenchmarkGrowth compares ten million accounts with ten thousand: packs in the core alone, and packs that an embedded
// journal makes durable for 1,024 callers.
func BenchmarkGrowth(b *testing.B) {
	const few = 10_000
	many, per := sized(300_000, 10_000_000), sized(40_000, 500_000)
	names, crowd := peers.NewNames(many), peers.NewCrowd(few, peers.CorePools+1, peers.Spread)
	durably := func(accounts, n int) peers.Contestant {
		c := durable(b, peers.Journal{Name: "embedded"}, peers.Spread, accounts, n)
		c.Name = fmt.Sprintf("%s/accounts=%d", c.Name, accounts)
		return c
	}
	ofFew := func() (n int, took time.Duration, err error) {
		for n < per && err == nil { // the caps of so few accounts allow a few cycles each, so each part has a sale of its own
			s, plan := newCore(b, names, few), peers.NewPlan(crowd, names, 0, 2*few, 3)
			cost, fault := plan.Run(s)
			n, took, err = n+plan.Cycles(), took+cost.Took, fault
		}
		return n, took, err
	}
	peers.Contest(b, rounds(),
		inCore(names, many, per, peers.Spread, 3, newCore(b, names, many)),
		peers.Contestant{Name: "who=core/pools=spread/accounts=10000/lines=3", Measure: ofFew},
		durably(many, 2*few), durably(few, 2*few),
	)
	debug.FreeOSMemory()
}

// BenchmarkRefusals compares the cost of refusing a pack with that of selling one, in the engine with an embedded
// journal and 1,024 callers.
func BenchmarkRefusals(b *testing.B) {
	const accounts, prefilled, callers = 20_000, 200_000, 1024 // ten packs of each account: up to its cap
	names, n, k := peers.NewNames(crowdSize()), sized(50_000, 200_000), peers.Journal{Name: "embedded"}
	s := opened(b, k, crowdSize())
	spread, hot := peers.NewCrowd(accounts, len(s.Pools), peers.Spread), peers.NewCrowd(accounts, len(s.Pools), peers.Hot)
	gone := peers.NewCrowd(crowdSize(), len(s.Pools), peers.Gone)
	sale := peers.NewCrowd(crowdSize(), len(s.Pools), peers.Spread)
	require.NoError(b, s.Cycles(context.Background(), spread, names, 0, prefilled, callers, 3))
	limited, selling := opened(b, k, crowdSize()), opened(b, k, crowdSize())
	require.NoError(b, limited.Cycles(b.Context(), hot, names, 0, 6*accounts, callers, 3))
	at := uint64(0)
	refused := func(kind string, of *peers.Seathold, crowd *peers.Crowd, first uint64, code engine.Code) peers.Contestant {
		return peers.Contestant{Name: "refusal=" + kind, Measure: func() (int, time.Duration, error) {
			began := time.Now()
			err := of.Refusals(b.Context(), crowd, names, first, min(n, prefilled), callers, code)
			return min(n, prefilled), time.Since(began), err
		}}
	}
	peers.Contest(b, rounds(),
		peers.Contestant{Name: "refusal=none", Measure: func() (int, time.Duration, error) {
			began := time.Now()
			err := selling.Cycles(context.Background(), sale, names, at, n, callers, 3)
			at += uint64(n)
			return n, time.Since(began), err
		}},
		refused("sold_out", selling, gone, 1<<40, engine.SoldOut),
		refused("account_cap", s, spread, 1<<41, engine.AccountCapExceeded),
		refused("session_limit", limited, hot, 1<<41, engine.SessionLimitExceeded),
		refused("repeat", s, spread, 0, ""),
	)
}

// redises returns the running ones of Redis servers, given as names and addresses in turn.
func redises(pairs ...string) (running []peers.Journal) {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			running = append(running, peers.Journal{Name: pair[0], Where: pair[1]})
		}
	}
	return running
}

// journals returns all ways to keep the journal for which there are servers.
func journals() []peers.Journal {
	return append([]peers.Journal{{Name: "none"}, {Name: "embedded"}},
		redises("redis-everysec", redisEverysec, "redis-always", redisAlways)...)
}

// emptied returns the journal after emptying it.
func emptied(b *testing.B, k peers.Journal) peers.Journal {
	k, err := k.Empty(b.Context(), b.TempDir())
	require.NoError(b, err)
	return k
}

// reopened opens an engine on an existing journal.
func reopened(b *testing.B, k peers.Journal, accounts int) *peers.Seathold {
	s, err := k.Open(context.Background(), accounts)
	require.NoError(b, err)
	return s
}

// opened opens an engine on an empty journal until the end of b.
func opened(b *testing.B, k peers.Journal, accounts int) *peers.Seathold {
	s := reopened(b, emptied(b, k), accounts)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

// BenchmarkEngine makes cycles of packs through the engine. Each caller awaits the durability of its own outcomes. A
// cycle is two records of the journal.
func BenchmarkEngine(b *testing.B) {
	names := peers.NewNames(crowdSize())
	for _, k := range journals() {
		for _, callers := range []int{1, 64, 1024} {
			for _, demand := range []peers.Demand{peers.Spread, peers.Hot} {
				b.Run(fmt.Sprintf("journal=%s/callers=%d/pools=%s", k.Name, callers, demand), func(b *testing.B) {
					s := opened(b, k, crowdSize())
					crowd := peers.NewCrowd(crowdSize(), len(s.Pools), demand)
					runtime.GC()
					b.ReportAllocs()
					b.ResetTimer()
					require.NoError(b, s.Cycles(context.Background(), crowd, names, 0, b.N, callers, 3))
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cycles/s")
					b.ReportMetric(float64(2*b.N)/b.Elapsed().Seconds(), "records/s")
					reportGroups(b, s)
				})
			}
		}
	}
}

// reportGroups reports the journal's records per group, the time per group, and the share of the run spent syncing.
func reportGroups(b *testing.B, s *peers.Seathold) {
	w := s.Stats().Journal
	if w == nil {
		return
	}
	if groups := w.Syncs.Count(); groups > 0 {
		b.ReportMetric(float64(w.Records)/float64(groups), "records/group")
		b.ReportMetric(float64(w.Syncs.Sum.Microseconds())/float64(groups), "µs/group")
		b.ReportMetric(float64(w.Syncs.Sum)/float64(b.Elapsed()), "syncing")
	}
}

// BenchmarkOperations measures the time and the allocations of each call of the engine, on packs, with one caller and
// no journal.
func BenchmarkOperations(b *testing.B) {
	const few = 1000
	names, ctx, none := peers.NewNames(crowdSize()), context.Background(), peers.Journal{Name: "none"}
	operation := func(name string, do func(s *peers.Seathold, c *peers.Crowd, n int) func() error) {
		b.Run("call="+name, func(b *testing.B) {
			s := opened(b, none, crowdSize())
			timed := do(s, peers.NewCrowd(crowdSize(), len(s.Pools), peers.Spread), b.N)
			b.ReportAllocs()
			b.ResetTimer()
			require.NoError(b, timed())
		})
	}
	operation("reserve", func(s *peers.Seathold, c *peers.Crowd, n int) func() error {
		return func() error { return s.Reservations(ctx, c, names, 0, n, 1, 3) }
	})
	for _, call := range []string{"confirm", "release", "extend", "reduce", "return", "replace", "confirm_again"} {
		operation(call, func(s *peers.Seathold, c *peers.Crowd, n int) func() error {
			require.NoError(b, s.Reservations(ctx, c, names, 0, n, 1, 3))
			switch call {
			case "return":
				require.NoError(b, s.Change(ctx, c, names, 0, n, 1, "confirm"))
			case "confirm_again":
				require.NoError(b, s.Expire(ctx, c, 0, n, 1))
			}
			return func() error { return s.Change(ctx, c, names, 0, n, 1, call) }
		})
	}
	for _, refused := range []struct {
		code   engine.Code
		demand peers.Demand
		packs  int // of each account, made before
	}{
		{engine.SoldOut, peers.Gone, 0}, {engine.AccountCapExceeded, peers.Spread, 10},
		{engine.SessionLimitExceeded, peers.Hot, 6},
	} {
		operation(string(refused.code), func(s *peers.Seathold, _ *peers.Crowd, n int) func() error {
			crowd := peers.NewCrowd(few, len(s.Pools), refused.demand)
			require.NoError(b, s.Cycles(ctx, crowd, names, 0, refused.packs*few, 1, 3))
			return func() error { return s.Refusals(ctx, crowd, names, 1<<40, n, 1, refused.code) }
		})
	}
}

// byClient measures a job of a client process and its processor time. redis is the process id of a Redis that takes
// part; 0 for none.
func byClient(name string, j peers.Job, redis int) peers.Contestant {
	j.For, j.Crowd = spell(), crowdSize()
	total := &peers.Spent{}
	return peers.Contestant{Name: name, Spent: total, Measure: func() (int, time.Duration, error) {
		runtime.GC()
		result, err := j.Measure(redis, total)
		return result.Operations, result.Took, err
	}}
}

// processOf returns the process id of a Redis; 0 for an empty address.
func processOf(b *testing.B, address string) int {
	if address == "" {
		return 0
	}
	process, err := peers.RedisProcess(b.Context(), address)
	require.NoError(b, err)
	return process
}

// overHTTP is the job of many gateways' connections, or of a few that send batches.
func overHTTP(address string, w peers.Workload, demand peers.Demand) peers.Job {
	connections := peers.HTTPConnections
	if w == peers.WorkloadBatch || w == peers.WorkloadPacks {
		connections = peers.BatchConnections
	}
	client := peers.Client{Address: address, Connections: connections, Depth: 1}
	return peers.Job{Client: client, Workload: w, Demand: demand}
}

func listening(b *testing.B, s *peers.Seathold) string {
	address, err := s.Listen()
	require.NoError(b, err)
	return address
}

// served serves a handler of fasthttp until the end of b.
func served(b *testing.B, handler fasthttp.RequestHandler) string {
	address, stop, err := peers.Listen(handler)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, stop()) })
	return address
}

// scripted makes a sale of scripts in a Redis.
func scripted(b *testing.B, address string) *peers.Lua {
	l, err := peers.OpenLua(b.Context(), address)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, l.Close()) })
	return l
}

// BenchmarkHTTP measures single reservations, refusals and batches over real sockets, and compares them with a fasthttp
// that does nothing else and with fasthttp in front of the scripts in Redis.
func BenchmarkHTTP(b *testing.B) {
	contestants := []peers.Contestant{byClient("who=fasthttp/call=reserve",
		overHTTP(served(b, peers.Bare), peers.WorkloadReserve, peers.Spread), 0)}
	for _, k := range journals() {
		address, redis := listening(b, opened(b, k, crowdSize())), processOf(b, k.Where)
		add := func(call string, w peers.Workload, demand peers.Demand) {
			j := overHTTP(address, w, demand)
			j.First = uint64(len(contestants)) << 40 // no two jobs use the same ids
			name := fmt.Sprintf("who=seathold/journal=%s/call=%s/pools=%s", k.Name, call, demand)
			contestants = append(contestants, byClient(name, j, redis))
		}
		add("reserve", peers.WorkloadReserve, peers.Spread)
		add("pack", peers.WorkloadPack, peers.Spread)
		add("batch", peers.WorkloadBatch, peers.Spread)
		if k.Name == "none" {
			add("refused", peers.WorkloadRefused, peers.Spread)
		}
	}
	for _, r := range redises("memory", redisMemory, "always", redisAlways) {
		front := peers.NewFront(scripted(b, r.Where), peers.Sale())
		name := "who=fasthttp-lua/redis=" + r.Name + "/call=pack"
		j := overHTTP(served(b, front.Reserve), peers.WorkloadPack, peers.Spread)
		contestants = append(contestants, byClient(name, j, processOf(b, r.Where)))
	}
	peers.Contest(b, rounds(), contestants...)
}

// durable measures cycles of packs in the engine with a journal and 1,024 callers.
func durable(b *testing.B, k peers.Journal, demand peers.Demand, accounts, n int) peers.Contestant {
	s, names, at := opened(b, k, accounts), peers.NewNames(accounts), uint64(0)
	crowd := peers.NewCrowd(accounts, len(s.Pools), demand)
	name := fmt.Sprintf("who=seathold/journal=%s/pools=%s", k.Name, demand)
	return peers.Contestant{Name: name, Measure: func() (int, time.Duration, error) {
		runtime.GC()
		began := time.Now()
		err := s.Cycles(context.Background(), crowd, names, at, n, 1024, 3)
		at += uint64(n)
		return 2 * n, time.Since(began), err
	}}
}

// BenchmarkScripts compares the engine with its journal in a Redis with the scripts in the same Redis. An operation is
// a reservation of a pack or its confirmation.
func BenchmarkScripts(b *testing.B) {
	n := sized(20_000, 400_000)
	contestants := []peers.Contestant{durable(b, peers.Journal{Name: "embedded"}, peers.Spread, crowdSize(), n)}
	for _, r := range redises("memory", redisMemory, "redis-always", redisAlways, "redis-everysec", redisEverysec) {
		l, redis := scripted(b, r.Where), processOf(b, r.Where)
		for _, depth := range []int{1, 16} {
			client := peers.Client{Address: r.Where, Connections: 64 / depth, Depth: depth}
			j := peers.Job{Client: client, Workload: peers.WorkloadScript, Demand: peers.Spread, Scripts: l.Scripts(),
				First: uint64(depth) << 40}
			contestants = append(contestants, byClient(fmt.Sprintf("who=lua/redis=%s/pipelined=%d", r.Name, depth), j, redis))
		}
		if r.Name != "memory" {
			contestants = append(contestants, durable(b, r, peers.Spread, crowdSize(), n))
		}
	}
	peers.Contest(b, rounds(), contestants...)
}

// BenchmarkPostgres compares the engine with an embedded journal, and batches over HTTP, with functions in PostgreSQL.
func BenchmarkPostgres(b *testing.B) {
	k, n := peers.Journal{Name: "embedded"}, sized(20_000, 400_000)
	packs := overHTTP(listening(b, opened(b, k, crowdSize())), peers.WorkloadPacks, peers.Hot)
	contestants := []peers.Contestant{
		durable(b, k, peers.Hot, crowdSize(), n), durable(b, k, peers.Spread, crowdSize(), n),
		byClient("who=seathold/journal=embedded/call=packs/pools=hot", packs, 0),
	}
	if postgres != "" {
		p, err := peers.OpenPostgres(postgres)
		require.NoError(b, err)
		for _, demand := range []peers.Demand{peers.Hot, peers.Spread} {
			contestants = append(contestants, peers.Contestant{Name: fmt.Sprintf("who=postgresql/pools=%s", demand),
				Measure: func() (int, time.Duration, error) { return p.Bench(demand, 16, 2*spell()) }})
		}
	}
	peers.Contest(b, rounds(), contestants...)
}

// BenchmarkSize makes a sale of full size and measures the memory of an account and of a reservation, the pauses of the
// garbage collector, a checkpoint and its effect on callers, and a restart.
func BenchmarkSize(b *testing.B) {
	accounts, reservations := crowdSize(), sized(200_000, 3_000_000)
	names := peers.NewNames(accounts)
	figure := func(name, unit string, value float64) {
		b.Run(name, func(b *testing.B) {
			for range b.N { // it was measured already
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(value, unit)
		})
	}
	before := peers.LiveBytes()
	core := newCore(b, names, accounts)
	enrolled := peers.LiveBytes()
	plan := peers.NewPlan(peers.NewCrowd(accounts, peers.CorePools+1, peers.Spread), names, 0, reservations, 3)
	planned := peers.LiveBytes()
	_, err := plan.Run(core)
	require.NoError(b, err)
	figure("memory=account", "B/account", float64(enrolled-before)/float64(accounts))
	figure("memory=reservation", "B/reservation", float64(peers.LiveBytes()-planned)/float64(reservations))
	runtime.KeepAlive(core)
	runtime.KeepAlive(plan)
	for _, k := range journals()[1:] {
		if k.Name == "redis-everysec" {
			continue
		}
		k = emptied(b, k)
		s := reopened(b, k, accounts)
		crowd := peers.NewCrowd(accounts, len(s.Pools), peers.Spread)
		require.NoError(b, s.Reservations(b.Context(), crowd, names, 0, reservations, 1024, 1))
		name := fmt.Sprintf("journal=%s/reservations=%d/", k.Name, reservations)
		impact, err := s.MeasureCheckpoint(b.Context(), crowd, names, uint64(reservations))
		require.NoError(b, err)
		figure(name+"checkpoint", "s", impact.Took.Seconds())
		figure(name+"reserve-p99", "µs", float64(impact.QuietP99)/1e3)
		figure(name+"reserve-p99-during-checkpoint", "µs", float64(impact.BusyP99)/1e3)
		figure(name+"gc-pause-max", "µs", float64(impact.LongestGC)/1e3)
		require.NoError(b, s.Close())
		debug.FreeOSMemory()
		s = reopened(b, k, accounts)
		require.GreaterOrEqual(b, s.Recovery().Reservations, reservations)
		figure(name+"restart", "s", s.Recovery().Took.Seconds())
		require.NoError(b, s.Close())
	}
}
