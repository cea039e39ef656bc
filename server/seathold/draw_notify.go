package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/server/internal/drawfiles"
	"github.com/seathold/seathold/server/notify"
)

type notifyCommand struct {
	Draw        string        `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	Result      string        `required:"" placeholder:"DIR" help:"The export of the draw. It is verified before anything is sent."`
	Winners     string        `placeholder:"FILE" help:"The winners' accounts, as draw export writes them beside the export (default: DIR.winners.csv)."`
	Addresses   string        `required:"" placeholder:"FILE" help:"CSV with the header 'account,email'."`
	Template    string        `required:"" placeholder:"FILE" help:"The letter: a line 'Subject: …', an empty line, the text. See --help."`
	SMTP        string        `name:"smtp" required:"" placeholder:"HOST:PORT" help:"The SMTP server."`
	TLS         string        `default:"starttls" enum:"starttls,implicit,none" help:"Protection of the connection to it: starttls (default), implicit, none."`
	From        string        `required:"" placeholder:"ADDRESS" help:"The sender, for example 'Tickets <tickets@example.org>'."`
	User        string        `placeholder:"NAME" help:"Log in to the SMTP server with this name and the password in SEATHOLD_SMTP_PASSWORD."`
	Password    string        `env:"SEATHOLD_SMTP_PASSWORD" hidden:""`
	CACert      string        `placeholder:"FILE" help:"Trust the certificates of these authorities, PEM."`
	Rate        float64       `default:"10" placeholder:"N" help:"Mails a second, at most, evenly spaced (default: ${default})."`
	Retries     int           `default:"4" placeholder:"N" help:"Further rounds through the mails that the server refused for now (default: ${default})."`
	Backoff     time.Duration `default:"30s" help:"Pause before the first of these rounds, doubled before each further one (default: ${default})."`
	RetryFailed bool          `help:"Send again what the server refused for good in an earlier run."`
	State       string        `placeholder:"FILE" help:"Where to record what was sent (default: DIR.notify.log). Run the command again with the same file to continue."`
	Zone        string        `default:"Europe/Paris" placeholder:"ZONE" help:"The time zone of the letter, an IANA zone such as Europe/Paris or UTC (default: ${default})."`
	Sale        string        `default:"paris2024" env:"SEATHOLD_SALE" placeholder:"NAME|DIR" help:"The sale definition that the draw belongs to (default: ${default})."`
}

func (c *notifyCommand) Help() string {
	return `The template is in the language of Go's text/template. It can use {{.Account}}, {{.Rank}}, {{.Draw}} and
{{.Phase}} (their titles), {{.Priority}}, {{.Opens}} and {{.Closes}}, the last two for example as
{{.Opens.Format "2 January 2006, 15:04"}}.

No mail is sent twice that is known to have been sent: every mail is recorded in the file --state, on disk,
before and after it is sent. If the command, the machine or the connection ends after the server has accepted
a mail and before that is recorded, the next run sends this one mail again. Both copies have the same
Message-ID.

Winners who get no mail are listed with the reason in FILE.failures.csv beside --state. An apostrophe there
precedes what a spreadsheet would take for a formula. Refusals for now (4xx) are retried. Refusals for good
(5xx) are not, unless --retry-failed is given.

An account with two different addresses gets no mail. Addresses that differ only in the case of the domain
are the same.`
}

// Run sends the mails that earlier runs have not sent.
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
	if o.Addresses, err = notify.ReadAddresses(c.Addresses, p.stderr); err != nil {
		return err
	}
	ctx, stop := p.untilSignal()
	defer stop()
	bar := newProgressBar(p.stderr)
	o.Progress = func(r notify.Report) { bar.show("winners", r.Winners, total, describe(r)) }
	report, err := notify.Run(ctx, o)
	bar.end()
	out := lines{w: p.stdout}
	out.printf("draw %s: %s winners; %s", c.Draw, count(total), describe(report))
	if report.InFlight > 0 {
		out.printf("one mail was in flight when the previous run ended; if it arrives twice, both have the same Message-ID")
	}
	if report.Failed+report.Deferred > 0 {
		out.printf("who and why: %s", list)
	}
	switch {
	case err != nil:
		return fmt.Errorf("stopped: %w; run it again to continue", err)
	case report.Deferred > 0:
		return errors.Join(out.err, fmt.Errorf("the server refuses %s mails for now; run it again to send them",
			count(report.Deferred)))
	}
	return out.err
}

func describe(r notify.Report) string {
	return fmt.Sprintf("%s sent now, %s in earlier runs, %s get no mail, %s refused for now", count(r.Sent),
		count(r.Before), count(r.Failed), count(r.Deferred))
}

// options checks everything that can be checked before a server is called.
func (c *notifyCommand) options() (o notify.Options, winners int, err error) {
	if c.Retries < 0 || c.Backoff <= 0 {
		return o, 0, usagef("--retries must not be negative, and --backoff must be positive")
	}
	text, err := os.ReadFile(c.Template)
	if err != nil {
		return o, 0, err
	}
	o = notify.Options{Draw: c.Draw, From: c.From, Rate: c.Rate, Retries: c.Retries, Backoff: c.Backoff,
		RetryFailed: c.RetryFailed, Log: c.State}
	if o.Log == "" {
		o.Log = filepath.Clean(c.Result) + ".notify.log"
	}
	if o.Server, err = c.server(); err != nil {
		return o, 0, err
	}
	if o.Letter, err = notify.ParseLetter(text); err != nil {
		return o, 0, fmt.Errorf("--template %s: %w", c.Template, err)
	}
	winners, err = c.winners(&o)
	return o, winners, err
}

func (c *notifyCommand) server() (s notify.Server, err error) {
	host, port, err := net.SplitHostPort(c.SMTP)
	if err != nil {
		return s, usagef("--smtp: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return s, usagef("--smtp: %q is not a port", port)
	}
	s = notify.Server{Host: host, Port: int(number), Security: notify.Security(c.TLS), User: c.User, Password: c.Password}
	s.TLS, err = trusting(c.CACert)
	return s, err
}

// winners verifies the export and the winners' accounts, and sets how to read them.
func (c *notifyCommand) winners(o *notify.Options) (int, error) {
	zone, err := catalog.LoadZone(c.Zone)
	if err != nil {
		return 0, usagef("--zone %s", err)
	}
	sale, d, err := drawfiles.Load(c.Sale, c.Draw)
	if err != nil {
		return 0, err
	}
	summary, err := drawfiles.Verify(c.Result, sale)
	if err != nil {
		return 0, err
	}
	if summary.Terms.Draw != c.Draw {
		return 0, fmt.Errorf("%s is an export of the draw %s", c.Result, summary.Terms.Draw)
	}
	o.Root = summary.Root.String()
	titles := notify.Winner{Draw: d.Title, Phase: sale.Phases[d.Phase].Title}
	accounts := c.Winners
	switch {
	case summary.Format == 1:
		accounts = "" // result.csv has them
	case accounts == "":
		accounts = winnersOf(c.Result)
	}
	o.Winners = notify.Winners(filepath.Join(c.Result, "result.csv"), accounts, titles, zone)
	return summary.Winners, o.Winners(func(notify.Winner) error { return nil }) // before anything is sent
}
