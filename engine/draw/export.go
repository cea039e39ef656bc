package draw

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// The files of an export, in the order in which they are written.
const (
	readmeFile  = "README.md"
	drawFile    = "draw.json"
	entriesFile = "entries.csv"
	resultFile  = "result.csv"
	sumsFile    = "SHA256SUMS"
)

const (
	entriesHeader = "account,group\n"
	resultHeader  = "rank,account,group,hmac,slot,opens_at,closes_at,priority\n"
)

// Export writes the draw as five files. It calls create for the writer of each file and closes the writer:
//
//   - README.md explains how to recompute the draw.
//   - draw.json has the terms, the beacon and the values computed from them.
//   - entries.csv has the entries, sorted by account.
//   - result.csv has all entries by rank, with their slots.
//   - SHA256SUMS has the digests of the other four in the format of sha256sum. It is written last.
//
// The same draw always gives the same bytes; [Verify] relies on this. Export returns the first error of create or of a
// writer; the files written until then are not an export.
func (r *Result) Export(create func(name string) (io.WriteCloser, error)) error {
	var sums []byte
	for _, file := range []struct {
		name  string
		write func(*bufio.Writer)
	}{{readmeFile, r.writeReadme}, {drawFile, r.writeDraw}, {entriesFile, r.writeEntries}, {resultFile, r.writeResult}} {
		digest, err := writeFile(create, file.name, file.write)
		if err != nil {
			return err
		}
		sums = fmt.Appendf(sums, "%s  %s\n", digest, file.name)
	}
	_, err := writeFile(create, sumsFile, func(w *bufio.Writer) { w.Write(sums) })
	return err
}

// writeFile writes one file and returns the digest of its content. write need not check errors: a bufio.Writer returns
// its first error again from Flush.
func writeFile(create func(string) (io.WriteCloser, error), name string, write func(*bufio.Writer)) (Digest, error) {
	file, err := create(name)
	if err != nil {
		return Digest{}, fmt.Errorf("draw: export %s: %w", name, err)
	}
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(file, sum), 1<<16)
	write(w)
	if err := errors.Join(w.Flush(), file.Close()); err != nil {
		return Digest{}, fmt.Errorf("draw: export %s: %w", name, err)
	}
	return Digest(sum.Sum(nil)), nil
}

// writeDraw writes draw.json. No value needs escaping: names satisfy [IsName]; the others are numbers, digits and
// times.
func (r *Result) writeDraw(w *bufio.Writer) {
	t, second := &r.Terms, time.Second
	fmt.Fprintf(w, `{
  "format": 1,
  "draw": "%s",
  "registration_closes_at": "%s",
  "entries": %d,
  "root": "%s",
  "chain_hash": "%s",
  "public_key": "%s",
  "genesis": "%s",
  "period_seconds": %d,
  "round": %d,
  "round_at": "%s",
  "stand_in": %t,
  "randomness": "%s",
  "signature": "%x",
  "seed": "%s",
  "phase": "%s",
  "phase_opens_at": "%s",
  "phase_closes_at": "%s",
  "slot_length_seconds": %d,
  "slot_step_seconds": %d,
  "slot_places": %d,
  "priority_days": %d,
  "priority_group": "%s",
  "slots": %d,
  "priority_slots": %d
}
`, t.Draw, stamp(t.ClosesAt), r.entries.Len(), r.Root, t.Chain.Hash, t.Chain.PublicKey, stamp(t.Chain.Genesis),
		t.Chain.Period/second, t.Round, stamp(t.Chain.RoundTime(t.Round)), t.StandIn, r.Beacon.Randomness,
		r.Beacon.Signature, r.Seed, t.Phase, stamp(t.Slots.OpensAt), stamp(t.Slots.ClosesAt), t.Slots.Length/second,
		t.Slots.Step/second, t.Slots.Places, t.Slots.PriorityDays, t.Slots.Group, r.schedule.slots, r.schedule.priority)
}

// stamp formats a whole second as all files of an export do.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (r *Result) writeEntries(w *bufio.Writer) {
	w.WriteString(entriesHeader)
	for position := range r.entries.Len() {
		w.Write(r.entries.Account(position))
		w.WriteByte(',')
		w.WriteString(r.entries.Group(position))
		w.WriteByte('\n')
	}
}

func (r *Result) writeResult(w *bufio.Writer) {
	w.WriteString(resultHeader)
	mac, line := newTicket(r.Seed), make([]byte, 0, 512)
	// The next winner mostly has the slot of the previous one, whose text is kept.
	slot, window := int32(-1), []byte(nil)
	for i, position := range r.byRank {
		line = strconv.AppendUint(line[:0], uint64(i)+1, 10)
		line = append(append(line, ','), r.entries.Account(int(position))...)
		line = append(append(line, ','), r.entries.Group(int(position))...)
		line = hex.AppendEncode(append(line, ','), mac.of(r.entries.Account(int(position))))
		if access, won := r.Access(int(r.entries.order[position])); !won {
			line = append(line, ",,,,false\n"...)
		} else {
			if access.Slot != slot {
				slot = access.Slot
				window = fmt.Appendf(window[:0], ",%d,%s,%s,%t\n", slot, stamp(access.OpensAt), stamp(access.ClosesAt),
					access.Priority)
			}
			line = append(line, window...)
		}
		w.Write(line)
	}
}
