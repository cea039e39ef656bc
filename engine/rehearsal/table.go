package rehearsal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// WriteTable writes the report as a text for humans.
func (r *Report) WriteTable(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "Rehearsal of %s at scale %g, seed %d, %d workers, durability %s\n\n", r.Sale, r.Scale, r.Seed,
		r.Workers, r.Durability)
	for i := range r.Draws {
		d := &r.Draws[i]
		fmt.Fprintf(b, "%s: %s entries, %s of them with priority; %s came to buy. Seed %s\n", d.Draw, comma(d.Entries),
			comma(d.Priority), comma(d.Buyers), d.Seed)
	}
	for i := range r.Groups {
		r.writeGroup(b, &r.Groups[i])
	}
	b.WriteByte('\n')
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	cells := bufio.NewWriter(table)
	fmt.Fprintln(cells, "phase\tvisits\trequests\theld\tconfirmed\treleased\texpired\trefused\ttickets\t"+
		"sessions sold out\toperations/s\tp99\t")
	for i := range r.Phases {
		r.phaseRow(cells, i)
	}
	r.refusalRows(cells)
	if err := errors.Join(cells.Flush(), table.Flush()); err != nil {
		return err
	}
	r.writeAudit(b)
	return b.Flush()
}

// writeGroup writes how many members a group has, and who came to its phases.
func (r *Report) writeGroup(w *bufio.Writer, g *groupReport) {
	fmt.Fprintf(w, "%s: %s members\n", g.Group, comma(g.Members))
	for i := range r.Phases {
		if p := &r.Phases[i]; p.Group == g.Group {
			fmt.Fprintf(w, "%s: for the members of %s; %s visits, %s of them by others, who were refused\n", p.Phase, g.Group,
				comma(p.Visits), comma(p.Outsiders))
		}
	}
}

func (r *Report) phaseRow(w *bufio.Writer, i int) {
	p, m := &r.Phases[i], &r.Measured.Phases[i]
	refused := 0
	for _, n := range p.Refused {
		refused += n
	}
	fmt.Fprintf(w, "%s\t", p.Phase)
	for _, n := range []int{p.Visits, p.Requests, p.Held, p.Confirmed, p.Released, p.Expired, refused, p.Tickets,
		p.SoldOutSessions, int(m.PerSecond)} {
		fmt.Fprintf(w, "%s\t", comma(n))
	}
	fmt.Fprintf(w, "%.1f ms\t\n", m.P99Ms)
}

// refusalRows writes the number of refusals, a line for each code, a column for each phase.
func (r *Report) refusalRows(w *bufio.Writer) {
	fmt.Fprint(w, "\t\nrefused for\t")
	for i := range r.Phases {
		fmt.Fprintf(w, "%s\t", r.Phases[i].Phase)
	}
	fmt.Fprintln(w)
	for _, code := range r.codes() {
		fmt.Fprintf(w, "%s\t", code)
		for i := range r.Phases {
			fmt.Fprintf(w, "%s\t", comma(r.Phases[i].Refused[code]))
		}
		fmt.Fprintln(w)
	}
}

func (r *Report) writeAudit(w *bufio.Writer) {
	p, a, m := &r.Places, &r.Audit, &r.Measured
	fmt.Fprintf(w, "\ntickets  %s offered, %s of them requested, %s sold, %s left, %s requested and left\n",
		comma(p.Offered), comma(p.AskedFor), comma(p.Sold), comma(p.Left), comma(p.Missed))
	fmt.Fprintf(w, "reads    %s pools, %s accounts, %s reservations checked against I1, I2 and I4 and the buyers' "+
		"counts\n", comma(a.Pools), comma(a.Accounts), comma(a.Reservations))
	if r.Durability == "none" {
		fmt.Fprintln(w, "journal  none")
	} else {
		fmt.Fprintf(w, "journal  %s records replayed, I1, I2, I3 and I6 checked after each\n", comma(a.Records))
	}
	for _, problem := range a.Problems {
		fmt.Fprintf(w, "BROKEN   %s\n", problem)
	}
	if a.Broken > 0 {
		fmt.Fprintf(w, "audit    %s problems\n", comma(a.Broken))
	} else {
		fmt.Fprintln(w, "audit    clean")
	}
	fmt.Fprintf(w, "took     %s: the sale %s, the reads %s, the journal %s\n", seconds(m.Seconds), seconds(m.SaleSeconds),
		seconds(m.AuditSeconds), seconds(m.VerifySeconds))
	if m.PeakBytes == 0 {
		fmt.Fprintln(w, "memory   not reported by this system")
		return
	}
	fmt.Fprintf(w, "memory   %.2f GiB at the peak\n", float64(m.PeakBytes)/(1<<30))
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// comma writes a number with a comma between groups of three digits.
func comma(n int) string { return humanize.Comma(int64(n)) }
