package server

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/draw"
)

// findDraw returns the resource of a path behind /v1/draws/{draw}.
func (x *exchange) findDraw(action []byte, acts bool) (r resource) {
	account, within := bytes.CutPrefix(action, []byte("entries/"))
	switch {
	case !acts:
		r.get = (*exchange).readDraw
	case string(action) == "entries":
		r.post = (*exchange).enter
	case within && len(account) > 0 && bytes.IndexByte(account, '/') < 0:
		x.second = account
		r.get = (*exchange).readEntry
	}
	return r
}

func (x *exchange) enter() {
	account, group, err := x.decoder.entry(x.ctx.Request.Body())
	if err != nil {
		x.fail(err)
		return
	}
	entry, err := x.engine.Enter(x.server.calls, string(x.param), account, group)
	if err != nil {
		x.fail(err)
		return
	}
	status := fasthttp.StatusOK
	if !entry.Repeated {
		status = fasthttp.StatusCreated
		x.ctx.Response.Header.Set(fasthttp.HeaderLocation, "/v1/draws/"+entry.Draw+"/entries/"+entry.Account)
	}
	x.tell(status, append(appendEntered(roomOf(x.ctx), &entry), '}'))
}

func (x *exchange) readDraw() {
	status, err := x.engine.Draw(string(x.param))
	if err != nil {
		x.fail(err)
		return
	}
	x.tell(fasthttp.StatusOK, appendDraw(roomOf(x.ctx), x.engine, &status))
}

func (x *exchange) readEntry() {
	account, ok := unescape(nil, x.second)
	if !ok {
		rejectMalformed(x.ctx, "path", percentRule)
		return
	}
	entry, err := x.engine.Entry(x.server.calls, string(x.param), string(account))
	if err != nil {
		x.fail(err)
		return
	}
	x.tell(fasthttp.StatusOK, appendEntry(roomOf(x.ctx), &entry))
}

// entry decodes the body of POST /v1/draws/{draw}/entries. Whether there is such an account or group is the engine's to say.
func (d *decoder) entry(body []byte) (account, group string, err error) {
	given := false
	err = d.object(body, func(name string) (err error) {
		switch name {
		case "account":
			given = true
			account, err = d.string(name)
		case "priority_group":
			if group, err = d.string(name); err == nil && group == "" {
				err = d.fault(name, "is empty; leave it out for an account without one")
			}
		default:
			err = d.unknown(name)
		}
		return err
	})
	if err == nil && !given {
		err = d.fault("account", "is missing")
	}
	return account, group, err
}

// appendEntered appends what is said of every entry; the closing brace is still to come.
func appendEntered(dst []byte, e *engine.Entry) []byte {
	dst = appendString(append(dst, `{"draw":`...), e.Draw)
	dst = appendString(append(dst, `,"account":`...), e.Account)
	if e.Group != "" {
		dst = appendString(append(dst, `,"priority_group":`...), e.Group)
	}
	return dst
}

func appendEntry(dst []byte, e *engine.Entry) []byte {
	dst = appendInt(append(appendEntered(dst, e), `,"rank":`...), int(e.Rank))
	if e.Slot != nil {
		dst = appendSlot(append(dst, `,"slot":`...), e.Slot)
	}
	dst = appendDigest(append(dst, `,"digest":`...), e.Root)
	dst = appendDigest(append(dst, `,"seed":`...), e.Seed)
	dst = strconv.AppendUint(append(dst, `,"proof":{"leaf":`...), e.Proof.Leaf, 10)
	dst = strconv.AppendUint(append(dst, `,"size":`...), e.Proof.Size, 10)
	dst = append(dst, `,"path":[`...)
	for i, node := range e.Proof.Path {
		dst = appendDigest(separate(dst, i), node)
	}
	return append(dst, `]}}`...)
}

func appendDigest(dst []byte, d draw.Digest) []byte {
	return append(hex.AppendEncode(append(dst, '"'), d[:]), '"')
}

func appendDraw(dst []byte, e *engine.Engine, s *engine.DrawStatus) []byte {
	sale := e.Sale()
	i, _ := sale.DrawByID(s.Draw) // the status is that of a draw of the sale
	d := &sale.Draws[i]
	dst = appendString(append(dst, `{"draw":`...), d.ID)
	dst = appendString(append(dst, `,"title":`...), d.Title)
	dst = appendString(append(dst, `,"phase":`...), sale.Phases[d.Phase].ID)
	dst = appendString(append(dst, `,"status":`...), string(s.State))
	dst = appendTime(append(dst, `,"registration_opens_at":`...), d.RegistrationOpens)
	dst = appendTime(append(dst, `,"registration_closes_at":`...), d.RegistrationCloses)
	dst = appendInt(append(dst, `,"entries":`...), s.Entries)
	dst = appendString(append(dst, `,"beacon":{"chain":`...), d.Beacon.Chain)
	dst = appendString(append(dst, `,"chain_hash":`...), s.Terms.Chain.Hash)
	dst = appendString(append(dst, `,"public_key":`...), s.Terms.Chain.PublicKey)
	dst = strconv.AppendUint(append(dst, `,"round":`...), s.Terms.Round, 10)
	dst = appendTime(append(dst, `,"published_at":`...), s.Terms.Chain.RoundTime(s.Terms.Round))
	dst = strconv.AppendBool(append(dst, `,"stand_in":`...), s.Terms.StandIn)
	if s.State == engine.DrawDrawn {
		dst = appendDigest(append(dst, `,"randomness":`...), s.Beacon.Randomness)
		dst = append(hex.AppendEncode(append(dst, `,"signature":"`...), s.Beacon.Signature[:]), '"')
	}
	dst = appendSlotRule(append(dst, `},"slots":`...), e, i)
	if s.State == engine.DrawFrozen || s.State == engine.DrawDrawn {
		dst = appendDigest(append(dst, `,"digest":`...), s.Root)
	}
	if s.State == engine.DrawDrawn {
		dst = appendDigest(append(dst, `,"seed":`...), s.Seed)
	}
	return append(dst, '}')
}

func appendSlotRule(dst []byte, e *engine.Engine, draw int) []byte {
	sale := e.Sale()
	p := &sale.Phases[sale.Draws[draw].Phase]
	dst = appendTime(append(dst, `{"opens_at":`...), p.OpensAt)
	dst = appendTime(append(dst, `,"closes_at":`...), p.ClosesAt)
	dst = appendInt(append(dst, `,"count":`...), p.SlotCount())
	dst = appendInt(append(dst, `,"places":`...), p.Slots.Places)
	dst = appendInt(append(dst, `,"length_seconds":`...), int(p.Slots.Length/time.Second))
	dst = appendInt(append(dst, `,"step_seconds":`...), int(p.Slots.Step/time.Second))
	if p.Slots.Group >= 0 {
		dst = appendString(append(dst, `,"priority_group":`...), sale.Groups[p.Slots.Group].ID)
		dst = appendInt(append(dst, `,"priority_count":`...), p.PrioritySlotCount())
	}
	return append(dst, '}')
}
