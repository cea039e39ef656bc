//go:build linux

// Package seathold_test measures Seathold from end to end, and beside its peers.
//
//	go test -run '^$' -bench .      a small version of everything that needs no other server, in about two minutes
//	scripts/bench                   all of it at full size, with Redis and PostgreSQL, as one table
//
// Names of benchmarks are key=value pairs. Where a ratio counts, the two sides are measured in turn, round by round.
package seathold_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/loadtest/peers"
)

// What scripts/bench sets: sizes, and the servers that it has started.
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

// sized returns the first value, or the second one where everything is measured at full size.
func sized[T any](small, whole T) T {
	if full {
		return whole
	}
	return small
}

func rounds() int          { return sized(3, 5) }
func spell() time.Duration { return sized(200*time.Millisecond, time.Second) }
func crowdSize() int       { return sized(1_000_000, 4_000_000) }

// BenchmarkCore makes cycles, a reservation of one ticket of each of three pools, or of one, and its confirmation, in the
// core alone. -cpu sets how many goroutines make them.
func BenchmarkCore(b *testing.B) {
	accounts := sized(100_000, 4_000_000)
	names := peers.NewNames(accounts)
	for _, wants := range []peers.Wants{peers.Spread, peers.Hot, peers.Zipf} {
		for _, lines := range []int{1, 3} {
			b.Run(fmt.Sprintf("pools=%s/accounts=%d/lines=%d", wants, accounts, lines), func(b *testing.B) {
				crowd := peers.NewCrowd(accounts, peers.CorePools+1, wants)
				plan := peers.NewPlan(crowd, names, 0, sized(200_000, 1_000_000), lines)
				cycles(b, plan, func() cycler { return newCore(b, names, accounts) })
			})
		}
	}
	debug.FreeOSMemory()
}

type cycler = interface {
	Cycles(part []peers.Step, lines int) error
}

// cycles runs the plan on a fresh sale each time.
func cycles(b *testing.B, plan *peers.Plan, fresh func() cycler) {
	var all peers.Cost
	for range b.N {
		b.StopTimer()
		s := fresh()
		runtime.GC()
		b.StartTimer()
		cost, err := plan.Run(s.Cycles)
		require.NoError(b, err)
		all.Took, all.Mallocs, all.Bytes = all.Took+cost.Took, all.Mallocs+cost.Mallocs, all.Bytes+cost.Bytes
	}
	n := b.N * plan.Cycles()
	b.ReportAllocs()
	b.ReportMetric(float64(n)/all.Took.Seconds(), "cycles/s")
	b.ReportMetric(float64(all.Took.Nanoseconds())/float64(n), "ns/op")
	b.ReportMetric(math.Floor(float64(all.Mallocs)/float64(n)), "allocs/op")
	b.ReportMetric(math.Floor(float64(all.Bytes)/float64(n)), "B/op") // tables grow by chunks
}

func newCore(b *testing.B, names peers.Names, accounts int) *peers.Core {
	c, err := peers.NewCore(names, accounts, 1<<25)
	require.NoError(b, err)
	return c
}

// coreContestant makes its cycles on one sale for as long as each account has room for more.
func coreContestant(who string, names peers.Names, accounts, per int, wants peers.Wants, lines int, s cycler) peers.Contestant {
	crowd, at := peers.NewCrowd(accounts, peers.CorePools+1, wants), uint64(0)
	return peers.Contestant{Name: fmt.Sprintf("who=%s/pools=%s/accounts=%d/lines=%d", who, wants, accounts, lines), Measure: func() (int, time.Duration, error) {
		plan := peers.NewPlan(crowd, names, at, per, lines)
		at += uint64(per)
		cost, err := plan.Run(s.Cycles)
		return per, cost.Took, err
	}}
}

// BenchmarkCoreRatios holds one hot pool against many, and the plain way of a mutex around maps against the core.
func BenchmarkCoreRatios(b *testing.B) {
	accounts, per := sized(100_000, 4_000_000), sized(50_000, 500_000)
	names := peers.NewNames(accounts)
	peers.Contest(b, rounds(),
		coreContestant("core", names, accounts, per, peers.Spread, 3, newCore(b, names, accounts)),
		coreContestant("core", names, accounts, per, peers.Hot, 3, newCore(b, names, accounts)),
		coreContestant("mutex", names, accounts, per, peers.Spread, 3, peers.NewCoreBaseline(names, accounts)),
		coreContestant("core", names, accounts, per, peers.Spread, 1, newCore(b, names, accounts)),
		coreContestant("core", names, accounts, per, peers.Hot, 1, newCore(b, names, accounts)),
	)
	debug.FreeOSMemory()
}

// BenchmarkGrowth holds ten million accounts against ten thousand: packs in the core alone, and packs made durable in files
// for 1,024 callers.
func BenchmarkGrowth(b *testing.B) {
	const few = 10_000
	many, per := sized(300_000, 10_000_000), sized(40_000, 500_000)
	names, crowd := peers.NewNames(many), peers.NewCrowd(few, peers.CorePools+1, peers.Spread)
	durably := func(accounts, n int) peers.Contestant {
		c := durable(b, peers.Journal{Name: "embedded"}, peers.Spread, accounts, n)
		c.Name = fmt.Sprintf("%s/accounts=%d", c.Name, accounts)
		return c
	}
	peers.Contest(b, rounds(),
		coreContestant("core", names, many, per, peers.Spread, 3, newCore(b, names, many)),
		peers.Contestant{Name: "who=core/pools=spread/accounts=10000/lines=3", Measure: func() (n int, took time.Duration, err error) {
			for n < per && err == nil { // so few accounts have no room for more than a few cycles each
				s, plan := newCore(b, names, few), peers.NewPlan(crowd, names, 0, 2*few, 3)
				cost, fault := plan.Run(s.Cycles)
				n, took, err = n+plan.Cycles(), took+cost.Took, fault
			}
			return n, took, err
		}},
		durably(many, 2*few), durably(few, 2*few),
	)
	debug.FreeOSMemory()
}

// BenchmarkRefusals holds what it costs to refuse a pack against what it costs to sell one, in the engine with a journal in
// files and 1,024 callers.
func BenchmarkRefusals(b *testing.B) {
	const accounts, prefilled, callers = 20_000, 200_000, 1024 // ten packs each: as many as the account cap allows
	names, n, k := peers.NewNames(crowdSize()), sized(50_000, 200_000), peers.Journal{Name: "embedded"}
	s := opened(b, k, crowdSize())
	spread, hot := peers.NewCrowd(accounts, len(s.Places), peers.Spread), peers.NewCrowd(accounts, len(s.Places), peers.Hot)
	gone, sale := peers.NewCrowd(crowdSize(), len(s.Places), peers.Gone), peers.NewCrowd(crowdSize(), len(s.Places), peers.Spread)
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

// journals returns all ways to keep the journal that there are servers for.
func journals() []peers.Journal {
	all := []peers.Journal{{Name: "none"}, {Name: "embedded"}}
	for _, r := range []peers.Journal{{Name: "redis-everysec", Where: redisEverysec}, {Name: "redis-always", Where: redisAlways}} {
		if r.Where != "" {
			all = append(all, r)
		}
	}
	return all
}

// emptied returns a place for a journal in which there is none.
func emptied(b *testing.B, k peers.Journal) peers.Journal {
	k, err := k.Empty(b.Context(), b.TempDir())
	require.NoError(b, err)
	return k
}

// reopened opens an engine on the journal that is there.
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

// BenchmarkEngine makes cycles of packs through the engine, each caller waiting for its own outcomes to be durable. A cycle
// is two records of the journal.
func BenchmarkEngine(b *testing.B) {
	names := peers.NewNames(crowdSize())
	for _, k := range journals() {
		for _, callers := range []int{1, 64, 1024} {
			for _, wants := range []peers.Wants{peers.Spread, peers.Hot} {
				b.Run(fmt.Sprintf("journal=%s/callers=%d/pools=%s", k.Name, callers, wants), func(b *testing.B) {
					s := opened(b, k, crowdSize())
					crowd := peers.NewCrowd(crowdSize(), len(s.Places), wants)
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

// reportGroups tells how the journal took the records: how many at a time, and how long a group took.
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

// BenchmarkOperations is each call of the engine by itself, one caller and no journal: what it costs and allocates.
func BenchmarkOperations(b *testing.B) {
	const few = 1000
	names, ctx, none := peers.NewNames(crowdSize()), context.Background(), peers.Journal{Name: "none"}
	operation := func(name string, do func(s *peers.Seathold, c *peers.Crowd, n int) func() error) {
		b.Run("call="+name, func(b *testing.B) {
			s := opened(b, none, crowdSize())
			timed := do(s, peers.NewCrowd(crowdSize(), len(s.Places), peers.Spread), b.N)
			b.ReportAllocs()
			b.ResetTimer()
			require.NoError(b, timed())
		})
	}
	operation("reserve", func(s *peers.Seathold, c *peers.Crowd, n int) func() error {
		return func() error { return s.Reservations(ctx, c, names, 0, n, 1) }
	})
	for _, confirm := range []bool{true, false} {
		operation(map[bool]string{true: "confirm", false: "release"}[confirm], func(s *peers.Seathold, c *peers.Crowd, n int) func() error {
			require.NoError(b, s.Reservations(ctx, c, names, 0, n, 1))
			return func() error { return s.Ends(ctx, c, 0, n, 1, confirm) }
		})
	}
	for _, refused := range []struct {
		code  engine.Code
		wants peers.Wants
		packs int // of each account before
	}{{engine.SoldOut, peers.Gone, 0}, {engine.AccountCapExceeded, peers.Spread, 10}, {engine.SessionLimitExceeded, peers.Hot, 6}} {
		operation(string(refused.code), func(s *peers.Seathold, _ *peers.Crowd, n int) func() error {
			crowd := peers.NewCrowd(few, len(s.Places), refused.wants)
			require.NoError(b, s.Cycles(ctx, crowd, names, 0, refused.packs*few, 1, 3))
			return func() error { return s.Refusals(ctx, crowd, names, 1<<40, n, 1, refused.code) }
		})
	}
}

// ordered measures what a client process hears of a server, and what that costs the processors. redis is the process of a
// Redis that takes part; 0 for none.
func ordered(name string, o peers.Order, redis int) peers.Contestant {
	o.For, o.Crowd = spell(), crowdSize()
	total := &peers.Spent{}
	return peers.Contestant{Name: name, Spent: total, Measure: func() (int, time.Duration, error) {
		runtime.GC()
		answered, spent, err := o.PlaceWatched(redis)
		total.Add(spent)
		return answered.Operations, answered.Took, err
	}}
}

// processOf returns the process of a Redis; 0 where there is none.
func processOf(b *testing.B, address string) int {
	if address == "" {
		return 0
	}
	process, err := peers.RedisProcess(b.Context(), address)
	require.NoError(b, err)
	return process
}

// overHTTP is the load of many gateways' connections, or of a few that send batches.
func overHTTP(address string, say peers.Talk, wants peers.Wants) peers.Order {
	connections := 512
	if say == peers.TalkBatch || say == peers.TalkPacks {
		connections = 4
	}
	return peers.Order{Client: peers.Client{Address: address, Connections: connections, Depth: 1}, Say: say, Wants: wants}
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

// scripted is a sale in a Redis, with places for everybody.
func scripted(b *testing.B, address string) *peers.Lua {
	places := make([]int, len(peers.Places(peers.Sale())))
	for i := range places {
		places[i] = 1 << 30
	}
	l, err := peers.NewLua(b.Context(), address, places)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, l.Close()) })
	return l
}

// BenchmarkHTTP asks over real sockets: single reservations, refusals, batches; beside it fasthttp with nothing behind it,
// and fasthttp before the scripts in Redis.
func BenchmarkHTTP(b *testing.B) {
	contestants := []peers.Contestant{ordered("who=fasthttp/call=reserve", overHTTP(served(b, peers.Bare), peers.TalkReserve, peers.Spread), 0)}
	for _, k := range journals() {
		address, redis := listening(b, opened(b, k, crowdSize())), processOf(b, k.Where)
		add := func(call string, say peers.Talk, wants peers.Wants) {
			name, o := fmt.Sprintf("who=seathold/journal=%s/call=%s/pools=%s", k.Name, call, wants), overHTTP(address, say, wants)
			o.First = uint64(len(contestants)) << 40 // no two talk of the same reservations
			contestants = append(contestants, ordered(name, o, redis))
		}
		add("reserve", peers.TalkReserve, peers.Spread)
		add("pack", peers.TalkPack, peers.Spread)
		add("batch", peers.TalkBatch, peers.Spread)
		if k.Name == "none" {
			add("refused", peers.TalkRefused, peers.Spread)
		}
	}
	for _, r := range []peers.Journal{{Name: "memory", Where: redisMemory}, {Name: "always", Where: redisAlways}} {
		if r.Where == "" {
			continue
		}
		front := peers.NewFront(scripted(b, r.Where), peers.Sale())
		name := "who=fasthttp-lua/redis=" + r.Name + "/call=pack"
		contestants = append(contestants, ordered(name, overHTTP(served(b, front.Reserve), peers.TalkPack, peers.Spread), processOf(b, r.Where)))
	}
	peers.Contest(b, rounds(), contestants...)
}

// durable measures cycles of packs in the engine, 1,024 callers waiting for the journal.
func durable(b *testing.B, k peers.Journal, wants peers.Wants, accounts, n int) peers.Contestant {
	s, names, at := opened(b, k, accounts), peers.NewNames(accounts), uint64(0)
	crowd := peers.NewCrowd(accounts, len(s.Places), wants)
	return peers.Contestant{Name: fmt.Sprintf("who=seathold/journal=%s/pools=%s", k.Name, wants), Measure: func() (int, time.Duration, error) {
		runtime.GC()
		began := time.Now()
		err := s.Cycles(context.Background(), crowd, names, at, n, 1024, 3)
		at += uint64(n)
		return 2 * n, time.Since(began), err
	}}
}

// BenchmarkScripts holds the engine with its journal in a Redis against the scripts in the same Redis. An operation is a
// reservation of a pack or its confirmation.
func BenchmarkScripts(b *testing.B) {
	contestants := []peers.Contestant{durable(b, peers.Journal{Name: "embedded"}, peers.Spread, crowdSize(), sized(20_000, 400_000))}
	for _, r := range []peers.Journal{{Name: "memory", Where: redisMemory}, {Name: "redis-always", Where: redisAlways}, {Name: "redis-everysec", Where: redisEverysec}} {
		if r.Where == "" {
			continue
		}
		rules, err := peers.RulesOfLua(b.Context(), r.Where)
		require.NoError(b, err)
		require.NoError(b, peers.CheckRules(rules))
		l, redis := scripted(b, r.Where), processOf(b, r.Where)
		for _, depth := range []int{1, 16} {
			o := peers.Order{Client: peers.Client{Address: r.Where, Connections: 64 / depth, Depth: depth}, Say: peers.TalkScript,
				Wants: peers.Spread, Script: l.Scripts(), First: uint64(depth) << 40}
			contestants = append(contestants, ordered(fmt.Sprintf("who=lua/redis=%s/pipelined=%d", r.Name, depth), o, redis))
		}
		if r.Name != "memory" {
			contestants = append(contestants, durable(b, r, peers.Spread, crowdSize(), sized(20_000, 400_000)))
		}
	}
	peers.Contest(b, rounds(), contestants...)
}

// BenchmarkPostgres holds the engine with its journal in files, and batches over HTTP, against functions in PostgreSQL.
func BenchmarkPostgres(b *testing.B) {
	k := peers.Journal{Name: "embedded"}
	contestants := []peers.Contestant{durable(b, k, peers.Hot, crowdSize(), sized(20_000, 400_000)), durable(b, k, peers.Spread, crowdSize(), sized(20_000, 400_000)),
		ordered("who=seathold/journal=embedded/call=packs/pools=hot", overHTTP(listening(b, opened(b, k, crowdSize())), peers.TalkPacks, peers.Hot), 0)}
	if postgres != "" {
		contestants = append(contestants, inPostgres(b)...)
	}
	peers.Contest(b, rounds(), contestants...)
}

// inPostgres is the sale in the PostgreSQL that there is, for sixteen clients on hot and on spread pools.
func inPostgres(b *testing.B) (contestants []peers.Contestant) {
	directory, port, _ := strings.Cut(postgres, ":")
	p := peers.Postgres{Directory: directory, Port: port}
	rules, err := p.Rules()
	require.NoError(b, err)
	require.NoError(b, peers.CheckRules(rules))
	sale, sessions := peers.Sale(), []uint32(nil)
	for _, place := range peers.Places(sale) {
		sessions = append(sessions, uint32(sale.Pools[place.Pool].Session))
	}
	require.NoError(b, p.Prepare(sessions, 1<<30))
	for _, wants := range []peers.Wants{peers.Hot, peers.Spread} {
		contestants = append(contestants, peers.Contestant{Name: fmt.Sprintf("who=postgresql/pools=%s", wants), Measure: func() (int, time.Duration, error) {
			return p.Bench(wants, 16, 2*spell())
		}})
	}
	return contestants
}

// BenchmarkSize makes a sale of full size and tells what it takes: memory for each account and reservation, pauses of the
// garbage collector, a checkpoint and what callers feel of it, and a restart.
func BenchmarkSize(b *testing.B) {
	accounts, reservations := crowdSize(), sized(200_000, 3_000_000)
	names := peers.NewNames(accounts)
	figure := func(b *testing.B, name, unit string, value float64) {
		b.Run(name, func(b *testing.B) {
			for range b.N { // it was measured before
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
	_, err := plan.Run(core.Cycles)
	require.NoError(b, err)
	figure(b, "memory=account", "B/account", float64(enrolled-before)/float64(accounts))
	figure(b, "memory=reservation", "B/reservation", float64(peers.LiveBytes()-planned)/float64(reservations))
	runtime.KeepAlive(core)
	runtime.KeepAlive(plan)
	for _, k := range journals()[1:] {
		if k.Name == "redis-everysec" {
			continue
		}
		place := emptied(b, k)
		s := reopened(b, place, accounts)
		crowd := peers.NewCrowd(accounts, len(s.Places), peers.Spread)
		require.NoError(b, s.Reservations(b.Context(), crowd, names, 0, reservations, 1024))
		name := fmt.Sprintf("journal=%s/reservations=%d/", k.Name, reservations)
		felt, err := s.FeelCheckpoint(b.Context(), crowd, names, uint64(reservations))
		require.NoError(b, err)
		figure(b, name+"checkpoint", "s", felt.Took.Seconds())
		figure(b, name+"reserve-p99", "µs", float64(felt.Quiet)/1e3)
		figure(b, name+"reserve-p99-during-checkpoint", "µs", float64(felt.Busy)/1e3)
		figure(b, name+"gc-pause-max", "µs", float64(felt.Pause)/1e3)
		require.NoError(b, s.Close())
		debug.FreeOSMemory()
		s = reopened(b, place, accounts)
		require.GreaterOrEqual(b, s.Recovery().Reservations, reservations)
		figure(b, name+"restart", "s", s.Recovery().Took.Seconds())
		require.NoError(b, s.Close())
	}
}
