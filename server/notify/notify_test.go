package notify

import (
	"context"
	"crypto/tls"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

const header = "rank,account,address,reason\n"

// Every winner gets one letter, over one connection, at the rate and no faster.
func TestRunSendsEachWinnerOneLetter(t *testing.T) {
	b := newMailbox(t, nil)
	s := newSending(t, b)
	s.Rate = 4
	report, failures, err := s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, Report{Winners: winners, Sent: 19, Failed: 1}, report)
	require.Equal(t, header+"8,w7,,no address\n", failures)
	once(t, b)
	require.Equal(t, 1, b.sessions)
	m := b.byRecipient()["w3@example.net"][0]
	require.Equal(t, "Your slot, w3", m.mail.Header.Get("Subject"))
	require.Equal(t, `"Tickets" <tickets@example.org>`, m.mail.Header.Get("From"))
	require.Equal(t, "<w3@example.net>", m.mail.Header.Get("To"))
	require.Equal(t, "auto-generated", m.mail.Header.Get("Auto-Submitted"))
	require.Regexp(t, `^<seathold\.[0-9a-f]{32}@example\.org>$`, m.mail.Header.Get("Message-ID"))
	require.Contains(t, m.body, "Rank 4 in Packs: 15/02/2023 10:00 CET\r\n.\r\nend",
		"nine in UTC is ten in Paris, and a line with a dot does not end the mail")
	ids := map[string]bool{}
	for _, m := range b.mails {
		ids[m.mail.Header.Get("Message-ID")] = true
	}
	require.Len(t, ids, 19)
	require.Len(t, s.slept, 18)
	for _, pause := range s.slept {
		require.Equal(t, 250*time.Millisecond, pause)
	}

	again, failures, err := s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, Report{Winners: winners, Before: 19, Failed: 1}, again)
	require.Equal(t, header+"8,w7,,no address\n", failures)
	once(t, b)
}

// A pause, however long, earns no burst.
func TestRateHasNoBursts(t *testing.T) {
	b := newMailbox(t, nil)
	s := newSending(t, b)
	s.Rate = 2
	var starts []time.Time
	b.onData = func(string) (error, bool) {
		if len(starts) == 5 {
			s.clock = s.clock.Add(time.Hour) // a slow server
		}
		starts = append(starts, s.clock)
		return nil, false
	}
	_, _, err := s.run(t.Context())
	require.NoError(t, err)
	for i := 1; i < len(starts); i++ {
		if i != 5 && i != 6 { // the slow reply itself, and the mail that was due meanwhile
			require.GreaterOrEqual(t, starts[i].Sub(starts[i-1]), 500*time.Millisecond, "mail %d", i)
		}
	}
	require.GreaterOrEqual(t, starts[7].Sub(starts[5]), 500*time.Millisecond)
}

// After a broken connection a mail whose reply was lost is sent again, with the same Message-ID.
func TestReconnectAfterBrokenConnections(t *testing.T) {
	b := newMailbox(t, nil)
	s := newSending(t, b)
	tries := map[string]int{}
	b.onData = func(to string) (err error, lost bool) {
		tries[to]++
		switch {
		case to == "w4@example.net" && tries[to] == 1:
			return nil, true // accepted, and the reply lost
		case to == "w9@example.net" && tries[to] <= 3:
			return errors.New("not accepted"), true
		}
		return nil, false
	}
	report, _, err := s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, Report{Winners: winners, Sent: 19, Failed: 1}, report)
	once(t, b, "w4@example.net")
	require.Equal(t, 5, b.sessions)
}

// A server that does not come back ends the run. The next run continues.
func TestRunEndsWithoutServer(t *testing.T) {
	b := newMailbox(t, nil)
	s := newSending(t, b)
	gone := false
	b.onMail = func(string) error {
		if gone = gone || b.accepted() == 11; gone {
			return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "closing down"}
		}
		return nil
	}
	report, _, err := s.run(t.Context())
	require.ErrorIs(t, err, ErrServer)
	require.ErrorContains(t, err, "closing down")
	require.Equal(t, 11, report.Sent)
	require.Equal(t, maxConnections, b.sessions)
	b.onMail = nil
	report, _, err = s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, 8, report.Sent)
	require.Equal(t, 11, report.Before)
	once(t, b)
}

// After an interrupted run nothing is sent twice. After a crash at most the one mail in flight is.
func TestNextRunContinues(t *testing.T) {
	b := newMailbox(t, nil)
	s := newSending(t, b)
	for i := range 4 {
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("stopped by a signal")
		b.onData = func(string) (error, bool) {
			if b.accepted() == 3+4*i {
				cancel(stop)
			}
			return nil, false
		}
		_, _, err := s.run(ctx)
		require.ErrorIs(t, err, stop)
		require.Equal(t, 4+4*i, b.accepted())
	}
	b.onData = nil

	// The machine stops between the server's acceptance of a mail and its record, in the middle of writing the record.
	log, err := os.ReadFile(s.Log)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(log), "try 17 w16\nsent 17\n"), string(log))
	require.NoError(t, os.WriteFile(s.Log, []byte(strings.TrimSuffix(string(log), " 17\n")), 0o600))
	report, _, err := s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, Report{Winners: winners, Sent: 4, Before: 15, Failed: 1, InFlight: 1}, report)
	once(t, b, "w16@example.net")
	report, _, err = s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, Report{Winners: winners, Before: 19, Failed: 1}, report)
}

// Wherever the log is cut, the next run reaches every winner, and sends again only what the log lost.
func TestLogCutAnywhere(t *testing.T) {
	b := newMailbox(t, nil)
	s := newSending(t, b)
	_, _, err := s.run(t.Context())
	require.NoError(t, err)
	whole, err := os.ReadFile(s.Log)
	require.NoError(t, err)
	for cut := 0; cut < len(whole); cut += 7 {
		require.NoError(t, os.WriteFile(s.Log, whole[:cut], 0o600))
		known := strings.Count(string(whole[:cut]), "\nsent ")
		if lines := strings.Split(string(whole[:cut]), "\n"); strings.HasPrefix(lines[len(lines)-1], "sent ") {
			known-- // a line without a line feed does not count
		}
		report, _, err := s.run(t.Context())
		require.NoError(t, err)
		require.Equal(t, known, report.Before, "cut at %d", cut)
		require.Equal(t, 19-known, report.Sent, "cut at %d", cut)
	}
	for name, content := range map[string]string{
		"another draw": strings.Replace(string(whole), "draw1", "draw2", 1),
		"another root": strings.Replace(string(whole), "00ff", "00fe", 1),
		"other file":   "hello\n",
		"unknown note": string(whole) + "gone 3\n",
		"no rank":      string(whole) + "sent x\n",
		"rank nothing": string(whole) + "sent 0\n",
	} {
		require.NoError(t, os.WriteFile(s.Log, []byte(content), 0o600))
		_, _, err := s.run(t.Context())
		require.ErrorIs(t, err, errLog, name)
		kept, err := os.ReadFile(s.Log)
		require.NoError(t, err)
		require.Equal(t, content, string(kept), name)
	}
	require.NoError(t, os.WriteFile(s.Log, whole, 0o600))
	held, err := openLog(s.Log, "draw1", "00ff")
	require.NoError(t, err)
	_, _, err = s.run(t.Context())
	require.ErrorContains(t, err, "in use by another process")
	require.NoError(t, held.close())
}

// A refusal for now is retried, in rounds further and further apart. A refusal for good is not.
func TestRefusals(t *testing.T) {
	b := newMailbox(t, nil)
	s := newSending(t, b)
	tries := map[string]int{}
	b.onRcpt = func(to string) error {
		tries[to]++
		switch {
		case to == "w1@example.net" && tries[to] <= 2:
			return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "greylisted"}
		case to == "w2@example.net":
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "not today"}
		case to == "w3@example.net":
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
		}
		return nil
	}
	b.onData = func(to string) (error, bool) {
		if to == "w5@example.net" {
			return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "looks like spam"}, false
		}
		return nil, false
	}
	report, failures, err := s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, Report{Winners: winners, Sent: 16, Failed: 3, Deferred: 1}, report)
	require.Equal(t, 3, tries["w1@example.net"])
	require.Equal(t, 3, tries["w2@example.net"])
	require.Equal(t, 1, tries["w3@example.net"])
	require.Contains(t, s.slept, time.Second)
	require.Contains(t, s.slept, 2*time.Second)
	require.Equal(t, 1, b.sessions)
	lines := strings.Split(failures, "\n")
	require.Len(t, lines, 6)
	require.Contains(t, lines[1], "4,w3,w3@example.net,")
	require.Contains(t, lines[1], "5.1.1 no such mailbox")
	require.NotContains(t, lines[1], "seathold")
	require.Contains(t, lines[2], "6,w5,w5@example.net,")
	require.Equal(t, "8,w7,,no address", lines[3])
	require.Contains(t, lines[4], "3,w2,w2@example.net,")
	require.Contains(t, lines[4], "4.2.1 not today")

	b.onRcpt, b.onData = nil, nil
	report, failures, err = s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, Report{Winners: winners, Sent: 1, Before: 16, Failed: 3}, report)
	require.Contains(t, failures, "no such")
	require.Contains(t, failures, "(in an earlier run)")
	s.RetryFailed = true
	report, failures, err = s.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, Report{Winners: winners, Sent: 2, Before: 17, Failed: 1}, report)
	require.Equal(t, header+"8,w7,,no address\n", failures)
	once(t, b)
}

// The list is opened in spreadsheets. Addresses, and what servers reply, are those of strangers.
func TestListOfFailuresHasNoFormulas(t *testing.T) {
	var list strings.Builder
	r := &round{failures: csv.NewWriter(&list)}
	require.NoError(t, r.list(&Winner{Rank: 7, Account: "-1"}, "+1@example.org", "@no; =1+1"))
	r.failures.Flush()
	require.Equal(t, "7,'-1,'+1@example.org,'@no;' =1+1\n", list.String())
}

// A refusal of every mail ends the run before any winner is recorded as refused.
func TestHopelessServerEndsTheRun(t *testing.T) {
	certificate, pool := selfSigned(t)
	secure := newMailbox(t, func(s *smtp.Server) { s.TLSConfig = certificate })
	plain := newMailbox(t, func(s *smtp.Server) { s.AllowInsecureAuth = true })
	plain.onMail = func(string) error { return &smtp.SMTPError{Code: 550, Message: "not from you"} }
	for want, change := range map[string]func(*sending){
		"not from you": func(s *sending) { s.Server.Port, s.Server.Security = plain.port, Plain },
		"STARTTLS":     func(s *sending) { s.Server.Port, s.Server.Security = plain.port, StartTLS },
		"certificate": func(s *sending) {
			s.Server.Security, s.Server.TLS = StartTLS, &tls.Config{MinVersion: tls.VersionTLS12}
		},
		"Authentication failed":        func(s *sending) { s.Server.User, s.Server.Password = "tickets", "wrong" },
		"\"ssl3\" is none of starttls": func(s *sending) { s.Server.Security = "ssl3" },
		"a rate of":                    func(s *sending) { s.Rate = -1 },
		"the sender":                   func(s *sending) { s.From = "Tickets <tickets@exa mple.org>" },
		"the sender \"a@b.c, d@e.f\"":  func(s *sending) { s.From = "a@b.c, d@e.f" },
	} {
		s := newSending(t, secure)
		s.Server.Security, s.Server.TLS = StartTLS, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
		change(s)
		report, failures, err := s.run(t.Context())
		require.ErrorContains(t, err, want)
		require.Zero(t, report.Sent+report.Failed, want)
		require.NotContains(t, failures, "w0", want)
		require.Empty(t, s.slept, want)
	}
	s := newSending(t, secure)
	s.Server.Security, s.Server.TLS = StartTLS, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	s.Server.User, s.Server.Password = "tickets", "correct"
	_, _, err := s.run(t.Context())
	require.NoError(t, err)
	once(t, secure)
}

// No template, account or address can add a header or a recipient.
func TestNothingIsInjected(t *testing.T) {
	for _, address := range []string{"", "a", "@b.c", "a@", "a@b..c", "a@-b.c", "a@b.c\r\nBcc: x@y.z", "a@b.c\nx",
		"a@b.c>", "<a@b.c>",
		"A <a@b.c>", "a@b.c,d@e.f", "a@b.c;d@e.f", "a b@c.d", `"a b"@c.d`, "a@[127.0.0.1]", "a@b_c.d", "ä@b.c", "a@ä.b",
		"a\x00@b.c", "a@b.c ", strings.Repeat("a", 65) + "@b.c", "a@" + strings.Repeat("b", 64) + ".c",
		"a@" + strings.Repeat("b.", 130) + "c", ".a@b.c", "a..b@c.d"} {
		require.ErrorIs(t, checkAddress(address), errAddress, "%q", address)
	}
	for _, address := range []string{"a@b", "a.b+c@d-e.example", "A_1'x@xn--p1ai.example",
		strings.Repeat("a", 64) + "@b.c"} {
		require.NoError(t, checkAddress(address))
	}
	for template, want := range map[string]string{
		"":                                             "must begin",
		"Hello\n\nx":                                   "must begin",
		"Subject: x\nBcc: a@b.c\n\nx":                  "must begin",
		"Subject: {{.Nobody}}\n\nx":                    "Nobody",
		"Subject: x\n\n{{.Opens.Forma}}":               "Forma",
		"Subject: x\n\n{{":                             "unclosed",
		"Subject: {{\"a\\nBcc: b@c.d\"}}\n\nx":         "not one line",
		"Subject: {{\"\\r\"}}x\n\nx":                   "not one line",
		"Subject:  \n\nx":                              "not one line",
		"Subject: {{printf \"%300s\" .Phase}}\n\nx":    "longer than",
		"Subject: x\n\n{{printf \"%999999s\" .Phase}}": "longer than",
		"Subject: \xff\n\nx":                           "not UTF-8",
	} {
		_, err := ParseLetter([]byte(template))
		require.ErrorIs(t, err, ErrLetter, template)
		require.ErrorContains(t, err, want, template)
	}
	l, err := ParseLetter([]byte("\xef\xbb\xbfSubject: Votre créneau {{.Phase}}\r\n\r\nÀ {{.Opens.Format \"15:04\"}}\r\n"))
	require.NoError(t, err)
	_, _, err = l.render(&Winner{Phase: "a\r\nBcc: x@y.z"})
	require.ErrorIs(t, err, ErrLetter)
	subject, body, err := l.render(&Winner{Phase: "é", Opens: time.Date(2023, 1, 1, 8, 30, 0, 0, time.UTC)})
	require.NoError(t, err)
	require.Equal(t, "Votre créneau é", subject)
	require.Equal(t, "À 08:30\n", body)
}

func TestAddresses(t *testing.T) {
	a := newAddresses()
	for i := range 10_000 {
		require.NoError(t, a.add(fmt.Sprintf("account-%d", i), fmt.Sprintf("a%d@example.org", i)))
	}
	require.NoError(t, a.add("account-1", "a1@example.org"))
	require.ErrorIs(t, a.add("account-2", "other@example.org"), errAmbiguous)
	require.ErrorIs(t, a.add("account-2", "a2@example.org"), errAmbiguous)
	require.ErrorIs(t, a.add("account-x", "nowhere"), errAddress)
	require.Error(t, a.add("", "a@b.c"))
	require.Equal(t, 10_000, a.used)
	for i := range 10_000 {
		address, err := a.of(fmt.Sprintf("account-%d", i))
		if i == 2 {
			require.ErrorContains(t, err, "two different addresses")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("a%d@example.org", i), address)
	}
	_, err := a.of("account-x")
	require.ErrorContains(t, err, "no address")
}

// DNS ignores the case of a domain; before the @, only the domain's server knows.
func TestAddressesThatDifferInCase(t *testing.T) {
	a := newAddresses()
	require.NoError(t, a.add("alice", "Alice@Example.ORG"))
	require.NoError(t, a.add("alice", "Alice@example.org"))
	require.NoError(t, a.add("alice", "Alice@EXAMPLE.org"))
	address, err := a.of("alice")
	require.NoError(t, err)
	require.Equal(t, "Alice@Example.ORG", address)
	require.ErrorIs(t, a.add("alice", "alice@example.org"), errAmbiguous)
	require.NoError(t, a.add("bob", "bob@XN--BCHER-KVA.example"))
	require.NoError(t, a.add("bob", "bob@xn--bcher-kva.example"))
	require.ErrorIs(t, a.add("bob", "bob@xn--bcher-kva.exampl"), errAmbiguous)
}

func TestRepeatedHeaderOfAddresses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.csv")
	text := "account,email\nalice,a@example.org\naccount,email\n\xef\xbb\xbf\"account\",\"email\"\r\nbob,b@example.org\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	var complaints strings.Builder
	a, err := ReadAddresses(path, &complaints)
	require.NoError(t, err)
	require.Empty(t, complaints.String())
	address, err := a.of("bob")
	require.NoError(t, err)
	require.Equal(t, "b@example.org", address)
	require.Equal(t, 2, a.used)
}
