package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/seathold/seathold/loadtest/peers"
)

// figure identifies a value by the name of its benchmark and its unit.
type figure struct{ name, unit string }

// row is one line of the table. Its figure is compared with another one and with a target, where there are any.
type row struct {
	what    string
	figure  figure
	shown   string // unit as the table shows it
	allocs  bool   // the allocations of an operation are shown too
	beside  figure // the figure to compare with, of the same unit
	against string // name of beside
	atLeast float64
	atMost  float64
	ratio   bool // the target is for the ratio, not for the figure
	bounds  []bound
}

// bound is a benchmark that does only a part of the work of a row's figure. If it does not reach the target, the figure
// cannot reach it on this machine.
type bound struct {
	figure figure
	what   string
}

const (
	hot1         = "CoreRatios/who=core/pools=hot/accounts=4000000/lines=1"
	spread1      = "CoreRatios/who=core/pools=spread/accounts=4000000/lines=1"
	spread3      = "CoreRatios/who=core/pools=spread/accounts=4000000/lines=3"
	hot3         = "CoreRatios/who=core/pools=hot/accounts=4000000/lines=3"
	mutex3       = "CoreRatios/who=mutex/pools=spread/accounts=4000000/lines=3"
	lua16        = "Scripts/who=lua/redis=redis-always/pipelined=16"
	bare         = "HTTP/who=fasthttp/call=reserve"
	luaAlways    = "HTTP/who=fasthttp-lua/redis=always/call=pack"
	luaMemory    = "HTTP/who=fasthttp-lua/redis=memory/call=pack"
	httpAlways   = "HTTP/who=seathold/journal=redis-always/call=pack/pools=spread"
	httpNone     = "HTTP/who=seathold/journal=none/call=pack/pools=spread"
	httpFiles    = "HTTP/who=seathold/journal=embedded/call=pack/pools=spread"
	httpEverysec = "HTTP/who=seathold/journal=redis-everysec/call=pack/pools=spread"
	httpEmbedded = "HTTP/who=seathold/journal=embedded/call=reserve/pools=spread"
	httpBatch    = "HTTP/who=seathold/journal=embedded/call=batch/pools=spread"
	pgHot        = "Postgres/who=postgresql/pools=hot"
	pgSpread     = "Postgres/who=postgresql/pools=spread"
	size         = "Size/journal=embedded/reservations=3000000/"
	sizeRedis    = "Size/journal=redis-always/reservations=3000000/"
)

func ops(name string) figure  { return figure{name, "ops/s"} }
func cost(name string) figure { return figure{name, "ns/op"} }

// coreCall is the cost of a call of the core in one goroutine.
func coreCall(name string) figure { return cost("Core/call=" + name + " procs=1") }

// targets are the rows with a target.
func targets() []row {
	return []row{
		{what: "core, no journal: a pack reserved and confirmed, 4 million accounts, 4,000 pools, " +
			"prefetched 16 and 8 requests ahead",
			figure: ops(spread3), shown: "cycles/s", beside: ops(mutex3), against: "one mutex around maps", atLeast: 3_000_000},
		{what: "the same, allocations", figure: figure{"Core/pools=spread/accounts=4000000/lines=3", "allocs/op"},
			shown: "a cycle", atMost: 0.5},
		{what: "the same, journal in files, `sync`, 1,024 callers",
			figure: ops("Postgres/who=seathold/journal=embedded/pools=spread"), shown: "records/s", atLeast: 1_000_000},
		{what: "the same, journal in Redis, `appendfsync always`, 1,024 callers",
			figure: ops("Scripts/who=seathold/journal=redis-always/pools=spread"), shown: "records/s", beside: ops(lua16),
			against: "Lua scripts in that Redis, pipelined by 16", atLeast: 10, ratio: true},
		{what: "one hot pool: a single reserved and confirmed", figure: ops(hot1), shown: "cycles/s", beside: ops(spread1),
			against: "spread pools", atLeast: 0.5, ratio: true},
		{what: "HTTP reserve, no journal", figure: ops("HTTP/who=seathold/journal=none/call=reserve/pools=spread"),
			shown: "requests/s", beside: ops(bare), against: "fasthttp returning as many bytes", atLeast: 0.7, ratio: true},
		{what: "HTTP reserve of a pack, journal in Redis, `always`", figure: ops(httpAlways), shown: "requests/s",
			beside: ops(luaAlways), against: "fasthttp + go-redis + Lua", atLeast: 5, ratio: true,
			bounds: []bound{{ops(bare), "bare fasthttp"}, {ops(httpNone), "the same without any journal"}}},
		{what: "HTTP batches of 1,000 single reservations, journal in files, `sync`", figure: ops(httpBatch),
			shown: "operations/s", atLeast: 500_000},
		{what: "packs on hot pools in process, journal in files, `sync`",
			figure: ops("Postgres/who=seathold/journal=embedded/pools=hot"), shown: "operations/s", beside: ops(pgHot),
			against: "PostgreSQL function, row locks, hot", atLeast: 100, ratio: true},
		{what: "the same over HTTP batch", figure: ops("Postgres/who=seathold/journal=embedded/call=packs/pools=hot"),
			shown: "operations/s", beside: ops(pgHot), against: "PostgreSQL function, row locks, hot", atLeast: 20,
			ratio: true},
		{what: "refusing a pack that is sold out, journal in files", figure: cost("Refusals/refusal=sold_out"), shown: "ns",
			beside: cost("Refusals/refusal=none"), against: "selling one", atMost: 0.2, ratio: true},
		{what: "the whole Games: draws over 4 million entries, every ticket, durable, audited",
			figure: figure{"Rehearsal", "s"}, shown: "s", atMost: 60},
		{what: "the same, memory at the peak", figure: figure{"Rehearsal", "GiB"}, shown: "GiB", atMost: 3},
		{what: "restart with 3 million reservations, journal in files", figure: figure{size + "restart", "s"}, shown: "s",
			atMost: 5},
		{what: "the same, journal in Redis", figure: figure{sizeRedis + "restart", "s"}, shown: "s", atMost: 5},
		{what: "cost of a durable pack at 10 million accounts, reserved and confirmed in files",
			figure: cost("Growth/who=seathold/journal=embedded/pools=spread/accounts=10000000"), shown: "ns an operation",
			beside: cost("Growth/who=seathold/journal=embedded/pools=spread/accounts=10000"), against: "10 thousand accounts",
			atMost: 2, ratio: true},
		{what: "the same, core alone", figure: cost("Growth/who=core/pools=spread/accounts=10000000/lines=3"),
			shown: "ns a cycle", beside: cost("Growth/who=core/pools=spread/accounts=10000/lines=3"),
			against: "10 thousand accounts", atMost: 2, ratio: true},
	}
}

// others are the rows without a target.
func others() []row {
	rows := []row{
		{what: "core: packs on hot pools", figure: ops(hot3), shown: "cycles/s", beside: ops(spread3),
			against: "spread pools", ratio: true},
	}
	rows = append(rows, row{what: "core, one call at a time on six tickets in three pools, 4 million accounts: reserve",
		figure: coreCall("reserve"), shown: "ns", allocs: true})
	for _, call := range []string{"confirm", "extend", "reduce", "return", "replace", "confirm again"} {
		rows = append(rows, row{what: "the same: " + call, figure: coreCall(strings.ReplaceAll(call, " ", "_")), shown: "ns",
			allocs: true, beside: coreCall("reserve"), against: "reserve", ratio: true})
	}
	for _, p := range []string{"1", "2", "4"} {
		rows = append(rows, row{what: "core: packs, goroutines: " + p,
			figure: figure{"Core/pools=spread/accounts=4000000/lines=3 procs=" + p, "cycles/s"}, shown: "cycles/s"})
	}
	for _, journal := range []string{"none", "embedded", "redis-everysec", "redis-always"} {
		for _, callers := range []string{"1", "64", "1024"} {
			rows = append(rows, row{what: "engine: packs, journal " + journal + ", callers: " + callers,
				figure: figure{"Engine/journal=" + journal + "/callers=" + callers + "/pools=spread", "records/s"},
				shown:  "records/s"})
		}
	}
	return append(rows,
		row{what: "HTTP reserve, journal in files", figure: ops(httpEmbedded), shown: "requests/s", beside: ops(bare),
			against: "fasthttp returning as many bytes", ratio: true},
		row{what: "HTTP reserve of a pack, journal in Redis, `everysec`", figure: ops(httpEverysec), shown: "requests/s",
			beside: ops(luaMemory), against: "fasthttp + go-redis + Lua in memory", ratio: true},
		row{what: "Lua scripts, one at a time, in memory", figure: ops("Scripts/who=lua/redis=memory/pipelined=1"),
			shown: "operations/s"},
		row{what: "Lua scripts, pipelined by 16, in memory", figure: ops("Scripts/who=lua/redis=memory/pipelined=16"),
			shown: "operations/s"},
		row{what: "Lua scripts, one at a time, `always`", figure: ops("Scripts/who=lua/redis=redis-always/pipelined=1"),
			shown: "operations/s"},
		row{what: "packs on spread pools in process, journal in files",
			figure: ops("Postgres/who=seathold/journal=embedded/pools=spread"), shown: "operations/s", beside: ops(pgSpread),
			against: "PostgreSQL function, spread", ratio: true},
		row{what: "refusing a pack over the account cap", figure: cost("Refusals/refusal=account_cap"), shown: "ns",
			beside: cost("Refusals/refusal=none"), against: "selling one", ratio: true},
		row{what: "refusing a pack over a session limit", figure: cost("Refusals/refusal=session_limit"), shown: "ns",
			beside: cost("Refusals/refusal=none"), against: "selling one", ratio: true},
		row{what: "answering a repeated request", figure: cost("Refusals/refusal=repeat"), shown: "ns",
			beside: cost("Refusals/refusal=none"), against: "selling one", ratio: true},
		row{what: "memory of an account", figure: figure{"Size/memory=account", "B/account"}, shown: "bytes"},
		row{what: "memory of a reservation", figure: figure{"Size/memory=reservation", "B/reservation"}, shown: "bytes"},
		row{what: "checkpoint of 3 million reservations", figure: figure{size + "checkpoint", "s"}, shown: "s"},
		row{what: "99th percentile of reserve during a checkpoint, journal in files",
			figure: figure{size + "reserve-p99-during-checkpoint", "µs"}, shown: "µs",
			beside: figure{size + "reserve-p99", "µs"}, against: "without a checkpoint", ratio: true},
		row{what: "longest pause of the garbage collector, 4 million accounts, 3 million reservations",
			figure: figure{size + "gc-pause-max", "µs"}, shown: "µs"},
	)
}

// render returns the facts and the tables.
func render(r results, facts []string) string {
	var b strings.Builder
	for _, fact := range facts {
		fmt.Fprintf(&b, "- %s\n", fact)
	}
	fmt.Fprintf(&b, "- The client of the HTTP rows keeps %d plain connections, %d for batches, with one request at a "+
		"time on each.\n", peers.HTTPConnections, peers.BatchConnections)
	b.WriteString("\n| what | figure | beside it | ratio | target | |\n| --- | ---: | --- | ---: | --- | --- |\n")
	for _, row := range append(targets(), others()...) {
		b.WriteString(row.render(r))
	}
	b.WriteString(processors(r, runtime.NumCPU()))
	return b.String()
}

// processors returns a table of the processor time of a request over HTTP, if that was measured, and how much of it a
// target leaves to Seathold on a number of processors.
func processors(r results, count int) string {
	var b strings.Builder
	for _, who := range []struct{ what, name string }{
		{"fasthttp returning as many bytes", bare}, {"a pack, no journal", httpNone}, {"a pack, journal in files", httpFiles},
		{"a pack, journal in Redis, `always`", httpAlways}, {"a pack, fasthttp + go-redis + Lua, `always`", luaAlways},
	} {
		server, ok := r.of(who.name, "server-µs/op")
		if !ok {
			continue
		}
		client, redis := r[who.name]["client-µs/op"], r[who.name]["redis-µs/op"]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", who.what, rounded(server), rounded(client), rounded(redis),
			rounded(server+client+redis))
	}
	if b.Len() == 0 {
		return ""
	}
	text := "\nProcessor time of a request over HTTP in µs, including the kernel:\n\n" +
		"| | server | load generator | Redis | together |\n| --- | ---: | ---: | ---: | ---: |\n" + b.String()
	lua, compared := r.of(luaAlways, "ops/s")
	taken, measured := r.of(bare, "server-µs/op")
	if !compared || !measured {
		return text
	}
	left := float64(count) * 1e6 / (5 * lua)
	others := r[httpAlways]["client-µs/op"] + r[httpAlways]["redis-µs/op"]
	return text + fmt.Sprintf("\nFive times the scripts' %s requests/s leave %s µs of %d processors for each request. "+
		"The load generator and Redis take %s of it, "+
		"fasthttp itself %s: %s is left for decoding, the sale, the journal and the wait for it, and encoding.\n",
		rounded(lua), rounded(left), count, rounded(others), rounded(taken), signed(left-others-taken))
}

// signed is rounded for numbers that may be negative.
func signed(value float64) string {
	if value < 0 {
		return "−" + rounded(-value)
	}
	return rounded(value)
}

func (w *row) render(r results) string {
	value, measured := r.of(w.figure.name, w.figure.unit)
	if !measured {
		if w.target() == "" {
			return ""
		}
		return fmt.Sprintf("| %s | | | | %s | not measured |\n", w.what, w.target())
	}
	shown, ratio, judged := rounded(value)+" "+w.shown, "", value
	if allocations, ok := r.of(w.figure.name, "allocs/op"); ok && w.allocs {
		shown += ", " + rounded(allocations) + " allocations"
	}
	against := w.against
	if other, ok := r.of(w.beside.name, w.beside.unit); ok && other > 0 {
		judged = r.ratio(w.figure, w.beside)
		against += ": " + rounded(other)
		ratio = rounded(judged) + " ×"
	} else if w.ratio {
		return fmt.Sprintf("| %s | %s | %s | | %s | not compared |\n", w.what, shown, against, w.target())
	}
	if !w.ratio {
		judged = value
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", w.what, shown, against, ratio, w.target(),
		w.verdict(r, judged))
}

func (w *row) target() string {
	unit := w.shown
	if w.ratio {
		unit = "×"
	}
	switch {
	case w.atLeast > 0:
		return "at least " + rounded(w.atLeast) + " " + unit
	case w.atMost == 0.5:
		return "0 " + unit
	case w.atMost > 0:
		return "at most " + rounded(w.atMost) + " " + unit
	}
	return ""
}

// verdict reports whether the target is reached and, if it is not, which bound shows that it cannot be.
func (w *row) verdict(r results, judged float64) string {
	switch {
	case w.target() == "":
		return ""
	case w.atLeast > 0 && judged >= w.atLeast, w.atLeast == 0 && judged <= w.atMost:
		return "reached"
	}
	_, compared := r.of(w.beside.name, w.beside.unit)
	for _, b := range w.bounds {
		_, ok := r.of(b.figure.name, b.figure.unit)
		if limit := r.ratio(b.figure, w.beside); ok && compared && limit < w.atLeast {
			return fmt.Sprintf("not reached; %s has %s ×", b.what, rounded(limit))
		}
	}
	return "not reached"
}
