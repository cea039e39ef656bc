package server

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/rules"
)

var everySession = sessionFilter{}

// boarded is a board over the test sale, and a time that the test moves.
type boarded struct {
	*fixture
	board *board
	now   time.Time
}

func startBoard(t *testing.T, limit int64) *boarded {
	f := start(t, nil)
	b := &boarded{fixture: f, board: &board{}, now: time.Now()}
	b.board.init(newBudget(1<<20), limit)
	b.board.refilled = b.now
	return b
}

// shown returns how many tickets of ATH01's category A a list shows as available.
func (b *boarded) shown() (tickets int) {
	b.t.Helper()
	r := must(b.board.rendering(b.engine, variant{available, everySession}, identity, b.now))(b.t)
	_, err := fmt.Sscanf(string(r.body), `{"stock":{"ATH01":{"A":%d`, &tickets)
	require.NoError(b.t, err, "%.80s", r.body)
	return tickets
}

// TestLag checks how old the stock of a list may be: not at all while lists have used little of their share of a
// processor, and at most maxLag after that.
func TestLag(t *testing.T) {
	noLeaks(t)
	b := startBoard(t, 1<<20)
	require.Equal(t, 9, b.shown())
	require.Equal(t, 201, b.reserveOne(otherID(1), "a", "ATH01", "1").status)
	require.Equal(t, 8, b.shown(), "lists have used little of their share")

	b.board.allowed.Store(0)
	require.Equal(t, 201, b.reserveOne(otherID(2), "b", "ATH01", "1").status)
	b.now = b.now.Add(maxLag - 1)
	require.Equal(t, 8, b.shown(), "the share is used up")
	b.now = b.now.Add(1)
	require.Equal(t, 7, b.shown(), "the list is too old")

	b.board.allowed.Store(-int64(time.Hour))
	require.Equal(t, 201, b.reserveOne(otherID(3), "c", "ATH01", "1").status)
	b.now = b.now.Add(maxLag)
	require.Equal(t, 6, b.shown(), "whatever lists have used, they are not older")
}

// TestUnchangedList checks that a rendering is used again while its body is the same, even if other stock has changed.
func TestUnchangedList(t *testing.T) {
	noLeaks(t)
	b := startBoard(t, 1<<20)
	pool := must(parseSessionFilter([]byte("venue=Pool"), b.engine.Sale()))(t)
	read := func(f sessionFilter) *rendering {
		b.now = b.now.Add(maxLag)
		return must(b.board.rendering(b.engine, variant{inFull, f}, identity, b.now))(t)
	}
	whole, part := read(everySession), read(pool)
	require.Same(t, whole, read(everySession))
	require.EqualValues(t, 2, b.board.renderings.made.Load())
	require.Equal(t, 201, b.reserveOne(otherID(1), "a", "ATH01", "1").status)
	require.NotSame(t, whole, read(everySession))
	require.Same(t, part, read(pool), "nothing at this venue was sold")
	require.EqualValues(t, 3, b.board.renderings.made.Load())
}

// TestOneRendering checks that many readers of a list that has changed share one rendering, and that a reader gets the
// one before it while another reader makes the new one.
func TestOneRendering(t *testing.T) {
	noLeaks(t)
	b := startBoard(t, 1<<20)
	var readers sync.WaitGroup
	for range 64 {
		readers.Go(func() {
			_, err := b.board.rendering(b.engine, variant{inFull, everySession}, gzipped, b.now)
			if err != nil {
				panic(err)
			}
		})
	}
	readers.Wait()
	require.EqualValues(t, 1, b.board.renderings.made.Load())

	before := b.shown()
	shelf := b.board.renderings.shelf(variant{available, everySession})
	require.Equal(t, 201, b.reserveOne(otherID(1), "a", "ATH01", "1").status)
	require.True(t, shelf.rendering.tryEnter())
	require.Equal(t, before, b.shown(), "another reader makes the new one")
	shelf.rendering.leave()
	require.Equal(t, before-1, b.shown())
}

// TestReadersOfBusyList checks that readers who find no processor to make their list are refused together, and not one
// after the other: each has a turn meanwhile, so nobody could buy.
func TestReadersOfBusyList(t *testing.T) {
	noLeaks(t)
	b := startBoard(t, 1<<20)
	for range cap(b.board.renderings.slots) {
		require.True(t, b.board.renderings.slots.tryEnter())
	}
	const readers = 40
	var refused atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range readers {
		all.Go(func() {
			if _, err := b.board.rendering(b.engine, variant{inFull, everySession}, identity, b.now); err != nil {
				refused.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, readers, refused.Load())
	require.EqualValues(t, readers, b.board.renderings.refused.Load())
	require.Less(t, time.Since(began), readers*renderingWait/2)
}

// TestLateReader checks that a reader who has waited for others gets their stock or newer, not that of its arrival.
func TestLateReader(t *testing.T) {
	noLeaks(t)
	b := startBoard(t, 1<<20)
	v := variant{available, everySession}
	shelf, arrived := b.board.renderings.shelf(v), b.now
	b.board.snapshot(b.engine, arrived)
	require.True(t, shelf.rendering.tryEnter())
	late, begun := make(chan *rendering), make(chan bool)
	go func() {
		close(begun)
		r, err := b.board.rendering(b.engine, v, identity, arrived)
		if err != nil {
			panic(err)
		}
		late <- r
	}()
	<-begun
	runtime.Gosched() // it has probably arrived; otherwise it gets the newer stock in any case
	require.Equal(t, 201, b.reserveOne(otherID(1), "a", "ATH01", "1").status)
	b.now = b.now.Add(maxLag)
	newer := must(b.board.render(shelf, b.board.snapshot(b.engine, b.now), identity, time.Now().Add(time.Hour)))(t)
	shelf.rendering.leave()
	require.Same(t, newer, <-late)
}

// TestShelves (I10) checks that renderings take no more than their limit, whatever filters clients use.
func TestShelves(t *testing.T) {
	noLeaks(t)
	const limit = 20_000
	b := startBoard(t, limit)
	s := &b.board.renderings
	for least := range 1000 {
		f := everySession
		f.least = least % 100
		for c := range codings {
			must(b.board.rendering(b.engine, variant{form(least % 2), f}, c, b.now))(t)
			require.LessOrEqual(t, s.bytes, int64(limit))
		}
	}
	kept := int64(0)
	for e := s.recent.Front(); e != nil; e = e.Next() {
		f := e.Value.(*shelf)
		kept += shelfBytes
		distinct := map[*rendering]bool{}
		for c := range codings {
			if r := f.last.Load().coded[c].Load(); r != nil && !distinct[r] {
				distinct[r] = true
				kept += int64(len(r.body))
			}
		}
	}
	require.Equal(t, kept, s.bytes)
	require.Equal(t, s.recent.Len(), len(s.shelves))
	require.Greater(t, s.recent.Len(), 1)
}

// TestConditionalList checks entity tags, codings and the headers of the lists and of a session, as clients see them.
func TestConditionalList(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	f.client.Transport.(*http.Transport).DisableCompression = true
	require.Equal(t, f.get("/v1/stock").header.Get("ETag"), start(t, nil).call("GET", "/v1/stock", "",
		"Accept-Encoding", "identity").header.Get("ETag"), "another server of the sale has the same tag")
	for _, path := range []string{"/v1/sessions", "/v1/stock", "/v1/sessions/ATH01"} {
		tags := map[string]bool{}
		plain := f.get(path)
		for _, accepted := range []string{"identity", "gzip", "br"} {
			a := f.call("GET", path, "", "Accept-Encoding", accepted)
			require.Equal(t, 200, a.status)
			coded := a.header.Get("Content-Encoding")
			require.Contains(t, []string{"", accepted}, coded)
			require.Equal(t, string(plain.body), string(a.body), "%s %s", path, accepted)
			tag := a.header.Get("ETag")
			require.Equal(t, coded == "" && accepted != "identity", tags[tag], "each coding has its own tag")
			tags[tag] = true
			require.Equal(t, "public, no-cache", a.header.Get("Cache-Control"))
			if path != "/v1/sessions/ATH01" {
				require.Equal(t, "Accept-Encoding", a.header.Get("Vary"))
			}
			for _, known := range []string{tag, "W/" + tag, `"x", ` + tag + `, "y"`, "*"} {
				b := f.call("GET", path, "", "Accept-Encoding", accepted, "If-None-Match", known)
				require.Equal(t, 304, b.status, known)
				require.Empty(t, b.body)
				for _, name := range []string{"ETag", "Cache-Control", "Vary"} {
					require.Equal(t, a.header[name], b.header[name])
				}
				require.Empty(t, b.header.Get("Content-Type"))
			}
			require.Equal(t, 200, f.call("GET", path, "", "Accept-Encoding", accepted, "If-None-Match", `"x"`).status)
			head := f.call("HEAD", path, "", "Accept-Encoding", accepted)
			require.Equal(t, 200, head.status)
			require.Equal(t, fmt.Sprint(a.sent), head.header.Get("Content-Length"))
			for _, name := range []string{"ETag", "Cache-Control", "Vary", "Content-Encoding", "Content-Type"} {
				require.Equal(t, a.header[name], head.header[name])
			}
		}
		old := f.call("GET", path, "", "Accept-Encoding", "identity").header.Get("ETag")
		require.Equal(t, 201, f.reserveOne(otherID(len(path)), path[len(path)-1:], "ATH01", "1").status)
		require.Equal(t, 200, f.call("GET", path, "", "If-None-Match", old).status)
	}
	locked := start(t, func(o *Options) { o.Keys = must(ParseKeys(strings.NewReader("sell " + sellKey)))(t) })
	a := locked.call("GET", "/v1/stock", "", "Authorization", "Bearer "+sellKey)
	require.Equal(t, "private, no-cache", a.header.Get("Cache-Control"))
}

// TestSalesEndOnLists checks that the end of a session's sales is shown by the lists and by the session from that
// millisecond of the sale clock on, with another tag, however much lists have used of their share. Until then and after
// it a list is not made again.
func TestSalesEndOnLists(t *testing.T) {
	noLeaks(t)
	f := start(t, nil)
	board := &f.server.board
	f.clock.set(instantOf(t, "2024-07-20T09:59:00Z"))
	f.get("/v1/stock")
	f.get("/v1/sessions")
	board.mu.Lock()
	board.allowed.Store(-int64(time.Hour))
	board.refilled = time.Now().Add(time.Hour)
	board.mu.Unlock()
	read := func() (states map[string]any, onSale, tags []string) {
		stock, list := f.get("/v1/stock"), f.get("/v1/sessions")
		for _, session := range append(list.json["sessions"].([]any), f.get("/v1/sessions/ATH01").json) {
			s := session.(map[string]any)
			require.Equal(t, s["session"] != "SRF01" && s["session"] != "CER01", s["sales_end_at"] != nil)
			if s["on_sale"] == true {
				onSale = append(onSale, s["session"].(string))
			}
		}
		return stock.json["states"].(map[string]any), onSale, []string{stock.header.Get("ETag"), list.header.Get("ETag")}
	}
	never := map[string]any{"SRF01": "not_on_sale", "CER01": "not_on_sale", "SKI01": "sales_ended"}
	f.clock.set(instantOf(t, "2024-07-20T09:59:59.999Z"))
	states, onSale, before := read()
	require.Equal(t, never, states)
	require.Equal(t, []string{"ATH01", "SWM01", "JUD01", "GYM01", "ATH01"}, onSale)

	made := board.renderings.made.Load()
	_, _, again := read()
	require.Equal(t, before, again)
	require.Equal(t, made, board.renderings.made.Load())

	f.clock.set(instantOf(t, "2024-07-20T10:00:00Z"))
	over := map[string]any{"SRF01": "not_on_sale", "CER01": "not_on_sale", "ATH01": "sales_ended",
		"SWM01": "sales_ended", "JUD01": "sales_ended", "SKI01": "sales_ended"}
	states, onSale, after := read()
	require.Equal(t, over, states)
	require.Equal(t, []string{"GYM01"}, onSale)
	require.NotEqual(t, before[0], after[0])
	require.NotEqual(t, before[1], after[1])
	require.Equal(t, made+2, board.renderings.made.Load())

	f.clock.set(instantOf(t, "2024-07-20T20:00:00Z"))
	_, _, again = read()
	require.Equal(t, after, again)
	require.Equal(t, made+2, board.renderings.made.Load())

	f.clock.set(instantOf(t, "2024-07-21T10:00:00Z"))
	shelf := board.renderings.shelf(variant{available, everySession})
	require.True(t, shelf.rendering.tryEnter())
	require.Equal(t, "overloaded", f.get("/v1/stock").code(), "what was made before the end is not shown meanwhile")
	shelf.rendering.leave()
	require.Equal(t, "sales_ended", f.get("/v1/stock").json["states"].(map[string]any)["GYM01"])
}

// decoded returns the content of a body, which may be empty.
func decoded(t testing.TB, coding string, body []byte) []byte {
	if len(body) == 0 {
		return body
	}
	switch coding {
	case "gzip":
		return must(io.ReadAll(must(gzip.NewReader(bytes.NewReader(body)))(t)))(t)
	case "br":
		return must(fasthttp.AppendUnbrotliBytes(nil, body))(t)
	}
	return body
}

// TestDurableList (I5): a list shows what was acknowledged before the request, and nothing that is not durable.
func TestDurableList(t *testing.T) {
	noLeaks(t)
	const places = 100
	f := rush(t, 1, places)
	for i := 1; i <= 20; i++ {
		a := f.post("/v1/reservations", fmt.Sprintf(
			`{"account":"a%d","lines":[{"session":"%s","category":"A","quantity":1}]}`, i, rushSession(0)))
		require.Equal(t, 201, a.status, "%s", a.body)
		stock := f.get("/v1/stock").json["stock"].(map[string]any)[rushSession(0)].(map[string]any)
		require.Equal(t, fmt.Sprint(places-i), fmt.Sprint(stock["A"]))
	}
	require.True(t, func() bool { _, known := f.engine.StockVersion(); return known }())
}

// TestDays checks that a day is one at the venue: surfing is in Tahiti, twelve hours behind Paris.
func TestDays(t *testing.T) {
	text := newStockText(catalog.Paris2024(), rules.Pauses{})
	for i, s := range text.sale.Sessions {
		if s.ID == "SRF01" {
			require.Equal(t, "Pacific/Tahiti", s.Zone.String())
		}
		require.Equal(t, s.StartsAt.In(s.Zone).Format(time.DateOnly), text.sessions[i].day)
	}
}

// TestPricesOfSessions checks that a category without a price has none, and that 0 is one.
func TestPricesOfSessions(t *testing.T) {
	sale := catalog.Paris2024()
	sale.Pools[0].PriceCents, sale.Pools[1].PriceCents = catalog.NoPrice, 0
	text := newStockText(sale, rules.Pauses{})
	require.True(t, strings.HasPrefix(text.pools[0].full, `{"category":"A","capacity":`), text.pools[0].full)
	require.True(t, strings.HasPrefix(text.pools[1].full, `{"category":"B","price_cents":0,"capacity":`),
		text.pools[1].full)
}

// TestNegotiation checks which coding a client gets.
func TestNegotiation(t *testing.T) {
	for accepted, want := range map[string]coding{
		"-": identity, "": identity, "gzip": gzipped, "br": brotli, "gzip, deflate, br, zstd": brotli,
		"GZIP": gzipped, "x-gzip": gzipped, "gzip;q=0": identity, "br;q=0.5, gzip": gzipped,
		"br;q=0.5,gzip;q=0.6": gzipped, "br; q=0.999, gzip; Q=1.000": gzipped, "*": brotli, "*;q=0": identity,
		"identity;q=0": identity, "identity;q=0, *": brotli, "gzip, *;q=0": gzipped, "identity, gzip;q=0.5": identity,
		"gzip;q=0.001": gzipped, "gzip;q=2": identity, "gzip;q=0.1234": identity, "gzip;q=": identity,
		"deflate": identity, "br;q=0, *": gzipped, "gzip;level=9": identity, "zstd;q=1, gzip;q=0.1": gzipped,
	} {
		h := &fasthttp.RequestHeader{}
		if accepted != "-" {
			h.Set("Accept-Encoding", accepted)
		}
		require.Equal(t, want, preferredCoding(h), accepted)
	}
}

// TestTagsMatch checks If-None-Match (RFC 9110, 13.1.2).
func TestTagsMatch(t *testing.T) {
	for value, want := range map[string]bool{
		`"a"`: true, `W/"a"`: true, `*`: true, ` * `: true, `"b", "a"`: true, `"b","a"`: true, `"b,a"`: false, `"a`: false,
		`a`: false, ``: false, `"b"`: false, `""`: false, `"aa"`: false, `"b", W/"a" , "c"`: true, `"b" *`: false,
	} {
		h := &fasthttp.RequestHeader{}
		h.Set("If-None-Match", value)
		require.Equal(t, want, noneMatches(h, []byte(`"a"`)), value)
	}
}

// TestListAllocations checks that a list that has not changed allocates nothing.
func TestListAllocations(t *testing.T) {
	b := startBoard(t, 1<<20)
	h := &fasthttp.RequestHeader{}
	h.Set("Accept-Encoding", "gzip, deflate, br")
	h.Set("If-None-Match", `"a", "b"`)
	b.board.allowed.Store(0)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		f, err := parseSessionFilter(nil, b.engine.Sale())
		if err != nil {
			panic(err)
		}
		r, err := b.board.rendering(b.engine, variant{inFull, f}, preferredCoding(h), b.now)
		if err != nil || noneMatches(h, r.etag) {
			panic(err)
		}
	}))
}

// BenchmarkList compares the lists of Paris 2024 with a session, from the parsed request to the answer in memory.
func BenchmarkList(b *testing.B) {
	clock := clockAt(instantOf(b, "2023-11-30T09:00:00Z"))
	e := newEngine(b, clock, func(o *engine.Options) { o.Sale = catalog.Paris2024() })
	s := must(New(b.Context(), Options{Engine: e}))(b)
	for _, c := range []struct{ name, path, accepted, known string }{
		{"call=session", "/v1/sessions/ATH10", "", ""},
		{"call=session/answer=304", "/v1/sessions/ATH10", "", "*"},
		{"call=list", "/v1/sessions", "", ""},
		{"call=list/coding=br", "/v1/sessions", "br", ""},
		{"call=list/answer=304", "/v1/sessions", "", "*"},
		{"call=list/coding=gzip", "/v1/sessions", "gzip", ""},
		{"call=stock", "/v1/stock", "", ""},
		{"call=stock/coding=br", "/v1/stock", "br", ""},
		{"call=stock/coding=gzip", "/v1/stock", "gzip", ""},
		{"call=list/venue=1", "/v1/sessions?venue=Stade%20de%20France", "", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			ctx, seen := &fasthttp.RequestCtx{}, observation{}
			through := &conn{held: held{server: s}}
			ctx.Init2(through, nil, false)
			ctx.Request.SetRequestURI(c.path)
			if c.accepted != "" {
				ctx.Request.Header.Set("Accept-Encoding", c.accepted)
			}
			if c.known != "" {
				ctx.Request.Header.Set("If-None-Match", c.known)
			}
			s.answer(ctx, &seen)
			length := len(ctx.Response.Body())
			b.ReportAllocs()
			for b.Loop() {
				through.written()
				ctx.Response.Reset()
				s.answer(ctx, &seen)
			}
			b.ReportMetric(float64(length), "bytes")
		})
	}
	require.NoError(b, e.Close())
}

// TestShelvesKeepNoStock checks that a list which no client requests again does not keep the stock of all pools in
// memory. Otherwise a caller takes that much with each day that it names, of which there are millions.
func TestShelvesKeepNoStock(t *testing.T) {
	noLeaks(t)
	b := startBoard(t, 1<<20)
	const days = 20
	var taken [days]weak.Pointer[snapshot]
	for i := range days {
		b.now = b.now.Add(maxLag)
		require.Equal(t, 201, b.reserveOne(otherID(i), fmt.Sprint("a", i), "SWM01", "1").status)
		f := everySession
		f.day = fmt.Sprintf("2024-01-%02d", i+1)
		_, err := b.board.rendering(b.engine, variant{inFull, f}, identity, b.now)
		require.NoError(t, err)
		taken[i] = weak.Make(b.board.current.Load())
	}
	runtime.GC()
	for i := range days - 1 {
		require.Nil(t, taken[i].Value(), "snapshot %d is in memory", i)
	}
	require.Len(t, b.board.renderings.shelves, days)
}

// setBack returns a time as it is read after the system's clock was set back. The monotonic clock goes on.
func setBack(now time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&now)) -= uint64(by/time.Second) << 30 // the first word has the seconds, then 30 bits
	return now
}

// TestClockSetBack checks that lists do not stay as they are until a clock that was set back has caught up.
func TestClockSetBack(t *testing.T) {
	noLeaks(t)
	b := startBoard(t, 1<<20)
	require.Equal(t, 9, b.shown())
	require.Equal(t, 201, b.reserveOne(otherID(1), "a", "ATH01", "1").status)
	b.board.allowed.Store(-int64(time.Hour))
	before := b.now
	b.now = setBack(b.now.Add(maxLag), time.Hour)
	require.Equal(t, maxLag, b.now.Sub(before))
	require.Equal(t, before.Unix()-3600, b.now.Add(-maxLag).Unix())
	require.Equal(t, 8, b.shown())
}
