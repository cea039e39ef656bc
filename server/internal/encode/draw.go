package encode

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/draw"
)

// Entered appends an entry as POST /v1/draws/{draw}/entries returns it.
func Entered(dst []byte, e *engine.Entry) []byte { return append(openEntry(dst, e), '}') }

// openEntry appends the members that every entry has, without the closing brace.
func openEntry(dst []byte, e *engine.Entry) []byte {
	dst = String(append(dst, `{"draw":`...), e.Draw)
	dst = String(append(dst, `,"account":`...), e.Account)
	if e.Group != "" {
		dst = String(append(dst, `,"priority_group":`...), e.Group)
	}
	return dst
}

// Entry appends an entry with its rank, slot and proof, as of the draw. The handle and the salt that opens it are there
// if the entries are sealed.
func Entry(dst []byte, e *engine.Entry) []byte {
	dst = Int(append(openEntry(dst, e), `,"rank":`...), int(e.Rank))
	if e.Slot != nil {
		dst = appendSlot(append(dst, `,"slot":`...), e.Slot)
	}
	if e.Handle != (draw.Digest{}) {
		dst = appendDigest(append(dst, `,"handle":`...), e.Handle)
		dst = appendDigest(append(dst, `,"salt":`...), e.Salt)
	}
	dst = appendDigest(append(dst, `,"digest":`...), e.Root)
	dst = appendDigest(append(dst, `,"seed":`...), e.Seed)
	dst = strconv.AppendUint(append(dst, `,"proof":{"leaf":`...), e.Proof.Leaf, 10)
	dst = strconv.AppendUint(append(dst, `,"size":`...), e.Proof.Size, 10)
	dst = append(dst, `,"path":[`...)
	for i, node := range e.Proof.Path {
		dst = appendDigest(Comma(dst, i), node)
	}
	return append(dst, `]}}`...)
}

func appendDigest(dst []byte, d draw.Digest) []byte {
	return append(hex.AppendEncode(append(dst, '"'), d[:]), '"')
}

// Draw appends the published state of a draw of the engine's sale.
func Draw(dst []byte, e *engine.Engine, s *engine.DrawStatus) []byte {
	sale := e.Sale()
	i, _ := sale.DrawByID(s.Draw) // the status is that of a draw of the sale
	d := &sale.Draws[i]
	dst = String(append(dst, `{"draw":`...), d.ID)
	dst = String(append(dst, `,"title":`...), d.Title)
	dst = String(append(dst, `,"phase":`...), sale.Phases[d.Phase].ID)
	dst = String(append(dst, `,"status":`...), string(s.State))
	dst = Time(append(dst, `,"registration_opens_at":`...), d.RegistrationOpens)
	dst = Time(append(dst, `,"registration_closes_at":`...), d.RegistrationCloses)
	dst = Int(append(dst, `,"entries":`...), s.Entries)
	dst = String(append(dst, `,"beacon":{"chain":`...), d.Beacon.Chain)
	dst = String(append(dst, `,"chain_hash":`...), s.Terms.Chain.Hash)
	dst = String(append(dst, `,"public_key":`...), s.Terms.Chain.PublicKey)
	dst = strconv.AppendUint(append(dst, `,"round":`...), s.Timing.Round(&s.Terms), 10)
	dst = Time(append(dst, `,"published_at":`...), s.Timing.Due(&s.Terms))
	dst = strconv.AppendBool(append(dst, `,"stand_in":`...), s.Terms.StandIn)
	if s.State == engine.DrawDrawn {
		dst = appendDigest(append(dst, `,"randomness":`...), s.Beacon.Randomness)
		dst = append(hex.AppendEncode(append(dst, `,"signature":"`...), s.Beacon.Signature[:]), '"')
	}
	dst = appendTiming(append(dst, '}'), s)
	dst = appendSlotRule(append(dst, `,"slots":`...), e, i)
	if s.Root != (draw.Digest{}) {
		dst = appendDigest(append(dst, `,"digest":`...), s.Root)
	}
	if s.State == engine.DrawDrawn {
		dst = appendDigest(append(dst, `,"seed":`...), s.Seed)
	}
	return append(dst, '}')
}

// appendTiming appends what shows that nobody could choose the result: see draw.Timing and draw.Secret.
func appendTiming(dst []byte, s *engine.DrawStatus) []byte {
	dst = Int(append(dst, `,"publish_within_seconds":`...), int(s.Terms.PublishWithin/time.Second))
	dst = append(dst, `,"postponed":[`...)
	for i, p := range s.Timing.Postponed {
		dst = strconv.AppendUint(append(Comma(dst, i), `{"round":`...), p.Round, 10)
		dst = Time(append(dst, `,"published_at":`...), s.Terms.Chain.RoundTime(p.Round))
		dst = append(Time(append(dst, `,"at":`...), p.At.Sale), '}')
	}
	dst = append(dst, ']')
	if s.Terms.Commitment != (draw.Digest{}) {
		dst = appendDigest(append(dst, `,"secret_commitment":`...), s.Terms.Commitment)
	}
	if s.TermsDigest != (draw.Digest{}) {
		dst = appendDigest(append(dst, `,"terms":`...), s.TermsDigest)
		dst = Time(append(dst, `,"frozen_at":`...), s.Timing.Frozen.Sale)
	}
	return dst
}

func appendSlotRule(dst []byte, e *engine.Engine, draw int) []byte {
	sale := e.Sale()
	p := &sale.Phases[sale.Draws[draw].Phase]
	dst = Time(append(dst, `{"opens_at":`...), p.OpensAt)
	dst = Time(append(dst, `,"closes_at":`...), p.ClosesAt)
	dst = Int(append(dst, `,"count":`...), p.SlotCount())
	dst = Int(append(dst, `,"places":`...), p.Slots.Places)
	dst = Int(append(dst, `,"length_seconds":`...), int(p.Slots.Length/time.Second))
	dst = Int(append(dst, `,"step_seconds":`...), int(p.Slots.Step/time.Second))
	if p.Slots.Group >= 0 {
		dst = String(append(dst, `,"priority_group":`...), sale.Groups[p.Slots.Group].ID)
		dst = Int(append(dst, `,"priority_count":`...), p.PrioritySlotCount())
	}
	return append(dst, '}')
}
