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

// The files of an export. Format 1 has no terms.json.
const (
	readmeFile  = "README.md"
	termsFile   = "terms.json"
	drawFile    = "draw.json"
	entriesFile = "entries.csv"
	resultFile  = "result.csv"
	sumsFile    = "SHA256SUMS"
)

const (
	entriesHeader = "handle,group,weight\n"
	resultHeader  = "rank,handle,group,weight,hmac,slot,opens_at,closes_at,priority\n"
)

// exportFile is a file of an export and what writes it.
type exportFile struct {
	name  string
	write func(*bufio.Writer)
}

// files returns the files of the export but SHA256SUMS, in the order in which they are written.
func (r *Result) files() []exportFile {
	if !r.entries.sealed() {
		return []exportFile{{readmeFile, r.writeReadme}, {drawFile, r.writeAccountsDraw},
			{entriesFile, r.writeEntries}, {resultFile, r.writeResult}}
	}
	return []exportFile{{readmeFile, r.writeReadme}, {termsFile, r.writeTerms}, {drawFile, r.writeDraw},
		{entriesFile, r.writeEntries}, {resultFile, r.writeResult}}
}

// Export writes the draw as files of format 2, or of format 1 for entries of [FreezeAccounts]. It calls create for the
// writer of each file and closes the writer:
//
//   - README.md explains how to recompute the draw.
//   - terms.json has the terms. Its SHA-256 is [Terms.Digest]. Format 1 has the terms in draw.json.
//   - draw.json has the timing, the beacon and the values computed.
//   - entries.csv has the entries, sorted by handle.
//   - result.csv has all entries by rank, with their slots.
//   - SHA256SUMS has the digests of the others in the format of sha256sum. It is written last.
//
// No file of format 2 has an account or a salt. The same draw always gives the same bytes; [Verify] relies on this.
// Export returns the first error of create or of a writer; the files written until then are not an export.
func (r *Result) Export(create func(name string) (io.WriteCloser, error)) error {
	var sums []byte
	for _, file := range r.files() {
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

func (r *Result) writeTerms(w *bufio.Writer) { w.Write(r.Terms.text(&r.schedule)) }

// Digest returns the SHA-256 of the terms as terms.json has them. It is published with the root: the terms cannot be
// changed afterwards. The error is an ErrTerms; the Commitment must be set.
func (t *Terms) Digest() (Digest, error) {
	plan, err := t.check(true)
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(t.text(&plan)), nil
}

// text returns terms.json. No value needs escaping: names satisfy [IsName]; the others are numbers, digits and times.
func (t *Terms) text(plan *schedule) []byte {
	return fmt.Appendf(nil, `{
  "format": 2,
  "draw": "%s",
  "registration_closes_at": "%s",
  "publish_within_seconds": %d,
  "secret_commitment": "%s",
%s%s`, t.Draw, stamp(t.ClosesAt), t.PublishWithin/time.Second, t.Commitment, t.chainText(), t.slotsText(plan))
}

// chainText returns the members about the beacon. All formats have them.
func (t *Terms) chainText() string {
	return fmt.Sprintf(`  "chain_hash": "%s",
  "public_key": "%s",
  "genesis": "%s",
  "period_seconds": %d,
  "round": %d,
  "round_at": "%s",
  "stand_in": %t,
`, t.Chain.Hash, t.Chain.PublicKey, stamp(t.Chain.Genesis), t.Chain.Period/time.Second, t.Round,
		stamp(t.Chain.RoundTime(t.Round)), t.StandIn)
}

// slotsText returns the last members, about the access slots, and the end of the object. All formats have them.
func (t *Terms) slotsText(plan *schedule) string {
	return fmt.Sprintf(`  "phase": "%s",
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
`, t.Phase, stamp(t.Slots.OpensAt), stamp(t.Slots.ClosesAt), t.Slots.Length/time.Second, t.Slots.Step/time.Second,
		t.Slots.Places, t.Slots.PriorityDays, t.Slots.Group, plan.slots, plan.priority)
}

// writeDraw writes draw.json.
func (r *Result) writeDraw(w *bufio.Writer) {
	round := r.Timing.Round(&r.Terms)
	fmt.Fprintf(w, `{
  "format": 2,
  "terms": "%s",
  "entries": %d,
  "root": "%s",
  "frozen_at": "%s",
  "frozen_at_machine": "%s",
  "postponed": [`, Digest(sha256.Sum256(r.Terms.text(&r.schedule))), r.entries.Len(), r.Root,
		precise(r.Timing.Frozen.Sale), precise(r.Timing.Frozen.Machine))
	separator := ""
	for _, p := range r.Timing.Postponed {
		fmt.Fprintf(w, `%s
    {"round": %d, "round_at": "%s", "at": "%s", "at_machine": "%s"}`, separator, p.Round,
			stamp(r.Terms.Chain.RoundTime(p.Round)), precise(p.At.Sale), precise(p.At.Machine))
		separator = ","
	}
	if separator != "" {
		w.WriteString("\n  ")
	}
	fmt.Fprintf(w, `],
  "round": %d,
  "round_at": "%s",
  "randomness": "%s",
  "signature": "%x",
  "seed": "%s"
}
`, round, stamp(r.Terms.Chain.RoundTime(round)), r.Beacon.Randomness, r.Beacon.Signature, r.Seed)
}

// stamp formats a whole second as all files of an export do.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (r *Result) writeEntries(w *bufio.Writer) {
	w.WriteString(r.entries.header())
	line := make([]byte, 0, 512)
	for position := range r.entries.Len() {
		w.Write(append(r.entries.appendLine(line, position), '\n'))
	}
}

// header returns the first line of entries.csv.
func (e *Entries) header() string {
	if e.sealed() {
		return entriesHeader
	}
	return accountsEntriesHeader
}

// appendLine appends an entry as the files have it: handle, group and weight, or in format 1 account and group.
func (e *Entries) appendLine(line []byte, position int) []byte {
	if e.sealed() {
		line = append(hex.AppendEncode(line, e.name(position)), ',')
		return strconv.AppendUint(append(append(line, e.Group(position)...), ','), weight, 10)
	}
	return append(append(append(line, e.name(position)...), ','), e.Group(position)...)
}

func (r *Result) writeResult(w *bufio.Writer) {
	if r.entries.sealed() {
		w.WriteString(resultHeader)
	} else {
		w.WriteString(accountsResultHeader)
	}
	mac, line := newTicket(r.Seed, r.entries.sealed()), make([]byte, 0, 512)
	// The next winner mostly has the slot of the previous one, whose text is kept.
	slot, window := int32(-1), []byte(nil)
	for i, position := range r.byRank {
		line = strconv.AppendUint(line[:0], uint64(i)+1, 10)
		line = r.entries.appendLine(append(line, ','), int(position))
		line = hex.AppendEncode(append(line, ','), mac.of(r.entries.name(int(position))))
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
