package draw

import (
	"bufio"
	"fmt"
)

// The headers of format 1.
const (
	accountsEntriesHeader = "account,group\n"
	accountsResultHeader  = "rank,account,group,hmac,slot,opens_at,closes_at,priority\n"
)

// writeAccountsDraw writes draw.json of format 1, which has the terms too. As in [Terms.text], no value needs escaping.
func (r *Result) writeAccountsDraw(w *bufio.Writer) {
	t := &r.Terms
	fmt.Fprintf(w, `{
  "format": 1,
  "draw": "%s",
  "registration_closes_at": "%s",
  "entries": %d,
  "root": "%s",
%s  "randomness": "%s",
  "signature": "%x",
  "seed": "%s",
%s`, t.Draw, stamp(t.ClosesAt), r.entries.Len(), r.Root, t.chainText(), r.Beacon.Randomness, r.Beacon.Signature, r.Seed,
		t.slotsText(&r.schedule))
}
