package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
	"github.com/seathold/seathold/server/notify"
)

type notifyCommand struct {
	Draw        string        `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	Result      string        `required:"" placeholder:"DIR" help:"The export of the draw. It is verified before anything is sent."`
	Addresses   string        `required:"" placeholder:"FILE" help:"CSV with the header 'account,email'."`
	Template    string        `required:"" placeholder:"FILE" help:"The letter: a line 'Subject: …', an empty line, the text. See --help."`
	SMTP        string        `name:"smtp" required:"" placeholder:"HOST:PORT" help:"The SMTP server."`
	TLS         string        `default:"starttls" enum:"starttls,implicit,none" help:"How the connection to it is protected: starttls (default), implicit, none."`
	From        string        `required:"" placeholder:"ADDRESS" help:"The sender, for example 'Tickets <tickets@example.org>'."`
	User        string        `placeholder:"NAME" help:"Log in to the SMTP server with this name and the password in SEATHOLD_SMTP_PASSWORD."`
	Password    string        `env:"SEATHOLD_SMTP_PASSWORD" hidden:""`
	CACert      string        `placeholder:"FILE" help:"Trust the certificates of these authorities, PEM."`
	Rate        float64       `default:"10" placeholder:"N" help:"Mails a second, at most, evenly spaced (default: ${default})."`
	Retries     int           `default:"4" placeholder:"N" help:"Further rounds through mails that the server refused for now (default: ${default})."`
	Backoff     time.Duration `default:"30s" help:"Pause before the first of these rounds, then twice as long each time (default: ${default})."`
	RetryFailed bool          `help:"Send again what the server had refused for good in an earlier run."`
	State       string        `placeholder:"FILE" help:"Where to note what was sent (default: DIR.notify.log). Call the command again with the same to go on."`
	Zone        string        `default:"Europe/Paris" placeholder:"ZONE" help:"The zone of the times in the letter (default: ${default})."`
	Sale        string        `default:"paris2024" env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"The sale definition that the draw belongs to (default: ${default})."`
}

func (c *notifyCommand) Help() string {
	return `The template is in the language of Go's text/template. It can name {{.Account}}, {{.Rank}}, {{.Draw}} and {{.Phase}} (their
titles), {{.Priority}}, {{.Opens}} and {{.Closes}}, the last two for example as {{.Opens.Format "2 January 2006, 15:04"}}.

Nothing is sent twice that is known to have been sent: the file --state notes every mail before and after it is handed over,
on disk. If the command, the machine or the connection ends after the server has accepted a mail and before that is noted,
this one mail is sent again by the next run; both copies carry the same Message-ID.

Winners who get no mail are listed in FILE.failures.csv beside --state, with the reason. Refusals for now (4xx) are tried
again, refusals for good (5xx) are not, unless --retry-failed is given.`
}

// Run sends what has not been sent.
func (c *notifyCommand) Run(p *process) (err error) {
	o, total, err := c.options()
	if err != nil {
		return err
	}
	list := o.Log + ".failures.csv"
	failures, err := os.Create(list)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, failures.Close()) }()
	o.Failures = failures
	if err := c.readAddresses(o.Addresses, p.stderr); err != nil {
		return err
	}
	ctx, stop := p.untilSignal()
	defer stop()
	bar := newProgressBar(p.stderr)
	o.Progress = func(r notify.Report) {
		bar.show("winners", r.Winners, total, fmt.Sprintf("%s of %s: %s sent, %s before, %s without, %s waiting", count(r.Winners),
			count(total), count(r.Sent), count(r.Before), count(r.Failed), count(r.Deferred)))
	}
	report, err := notify.Run(ctx, o)
	bar.end()
	out := lines{w: p.stdout}
	out.say("draw %s: %s winners; %s sent now, %s in earlier runs, %s get no mail, %s refused for now", c.Draw, count(total),
		count(report.Sent), count(report.Before), count(report.Failed), count(report.Deferred))
	if report.UnderWay > 0 {
		out.say("one mail was under way when the run before ended; if it arrives twice, both have the same Message-ID")
	}
	if report.Failed+report.Deferred > 0 {
		out.say("who and why: %s", list)
	}
	switch {
	case err != nil:
		return fmt.Errorf("stopped: %w; call it again to go on", err)
	case report.Deferred > 0:
		return errors.Join(out.err, fmt.Errorf("the server still refuses %s mails for now; call it again to send them", count(report.Deferred)))
	}
	return out.err
}

// options checks everything that can be checked before a server is called.
func (c *notifyCommand) options() (o notify.Options, winners int, err error) {
	host, port, err := net.SplitHostPort(c.SMTP)
	if err != nil {
		return o, 0, usagef("--smtp: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return o, 0, usagef("--smtp: %q is no port", port)
	}
	if c.Retries < 0 || c.Backoff <= 0 {
		return o, 0, usagef("--retries and --backoff cannot be negative, and --backoff not nothing")
	}
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return o, 0, usagef("--zone: %w", err)
	}
	text, err := os.ReadFile(c.Template)
	if err != nil {
		return o, 0, err
	}
	o = notify.Options{Draw: c.Draw, From: c.From, Rate: c.Rate, Retries: c.Retries, Backoff: c.Backoff, RetryFailed: c.RetryFailed,
		Log: c.State, Addresses: notify.NewAddresses(),
		Server: notify.Server{Host: host, Port: int(number), Security: notify.Security(c.TLS), User: c.User, Password: c.Password}}
	if c.Retries == 0 {
		o.Retries = -1
	}
	if o.Log == "" {
		o.Log = filepath.Clean(c.Result) + ".notify.log"
	}
	if o.Server.TLS, err = (&remote{CACert: c.CACert}).tls(); err != nil {
		return o, 0, err
	}
	if o.Letter, err = notify.ParseLetter(text); err != nil {
		return o, 0, fmt.Errorf("--template %s: %w", c.Template, err)
	}
	winners, err = c.winners(&o, zone)
	return o, winners, err
}

// winners verifies the export and says how to read its winners.
func (c *notifyCommand) winners(o *notify.Options, zone *time.Location) (int, error) {
	sale, i, err := drawOf(c.Sale, c.Draw)
	if err != nil {
		return 0, err
	}
	summary, err := draw.Verify(os.DirFS(c.Result))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.Result, err)
	}
	if summary.Terms.Draw != c.Draw {
		return 0, fmt.Errorf("%s is an export of the draw %s", c.Result, summary.Terms.Draw)
	}
	if err := compareTerms(summary.Terms, record.DrawTerms(sale, i)); err != nil {
		return 0, fmt.Errorf("%s is not the draw of the sale %s: %w", c.Result, sale.Name, err)
	}
	o.Root = summary.Root.String()
	common := notify.Winner{Draw: sale.Draws[i].Title, Phase: sale.Phases[sale.Draws[i].Phase].Title}
	o.Winners = func(yield func(notify.Winner) error) error {
		return eachWinner(filepath.Join(c.Result, "result.csv"), common, zone, yield)
	}
	return summary.Winners, nil
}

// eachWinner reads the winners of a verified export, in the order of their ranks.
func eachWinner(path string, common notify.Winner, zone *time.Location, yield func(notify.Winner) error) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	in := bufio.NewScanner(file)
	for number := 1; in.Scan(); number++ {
		if number == 1 {
			continue
		}
		w, won, err := parseWinner(in.Text(), common, zone)
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", path, number, err)
		}
		if !won {
			continue
		}
		if err := yield(w); err != nil {
			return err
		}
	}
	return in.Err()
}

// parseWinner reads a line of result.csv: rank, account, group, hmac, slot, opens_at, closes_at, priority.
func parseWinner(line string, w notify.Winner, zone *time.Location) (_ notify.Winner, won bool, err error) {
	f := strings.Split(line, ",")
	if len(f) != 8 {
		return w, false, fmt.Errorf("%d fields instead of 8", len(f))
	}
	if f[4] == "" {
		return w, false, nil
	}
	rank, err := strconv.ParseUint(f[0], 10, 32)
	if err != nil {
		return w, false, err
	}
	opens, err := time.Parse(time.RFC3339, f[5])
	if err != nil {
		return w, false, err
	}
	closes, err := time.Parse(time.RFC3339, f[6])
	w.Rank, w.Account, w.Priority = uint32(rank), f[1], f[7] == "true"
	w.Opens, w.Closes = opens.In(zone), closes.In(zone)
	return w, true, err
}

// readAddresses reads the addresses. A line that is none is told of and passed over; the account then has no address.
func (c *notifyCommand) readAddresses(book *notify.Addresses, complaints io.Writer) (err error) {
	file, err := os.Open(c.Addresses)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	in := newFileLines(file)
	header, err := in.header()
	if err != nil {
		return err
	}
	if header != "account,email" {
		return fmt.Errorf("%s: the first line must be account,email, not %q", c.Addresses, clipped([]byte(header)))
	}
	const told = 20
	bad := 0
	for {
		line, long, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		fields := fieldsOf(line)
		switch {
		case long:
			err = fmt.Errorf("longer than %d bytes", maxLine)
		case len(fields) != 2:
			err = fmt.Errorf("%d fields instead of 2", len(fields))
		default:
			err = book.Add(string(fields[0]), string(fields[1]))
		}
		if err != nil {
			if bad++; bad <= told {
				_, _ = fmt.Fprintf(complaints, "%s, line %d: %v\n", c.Addresses, in.number, err) // they are told again as winners without an address
			}
		}
	}
	if bad > told {
		_, _ = fmt.Fprintf(complaints, "%s: %s more lines are no addresses\n", c.Addresses, count(bad-told))
	}
	return nil
}
