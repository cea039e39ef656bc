package notify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/mail"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mailbox is a real SMTP server that keeps what it accepts.
type mailbox struct {
	t      *testing.T
	server *smtp.Server
	host   string
	port   int

	mu       sync.Mutex
	mails    []received
	sessions int

	// onMail, onRcpt and onData, if set, decide about a sender, a recipient and a whole mail. With lost the connection
	// breaks before the reply.
	onMail func(from string) error
	onRcpt func(to string) error
	onData func(to string) (err error, lost bool)
}

type received struct {
	to   string
	mail *mail.Message
	body string
	raw  string
}

func newMailbox(t *testing.T, change func(*smtp.Server)) *mailbox {
	b := &mailbox{t: t}
	b.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sessions++
		return &session{box: b, conn: c}, nil
	}))
	b.server.Domain = "mailbox.test"
	b.server.ErrorLog = discard{}
	if change != nil {
		change(b.server)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := ln.Addr().(*net.TCPAddr)
	b.host, b.port = "127.0.0.1", address.Port
	served := make(chan error)
	go func() { served <- b.server.Serve(ln) }()
	t.Cleanup(func() {
		require.NoError(t, b.server.Close())
		if err := <-served; err != nil { // Serve returns nil or this, depending on timing
			require.ErrorIs(t, err, smtp.ErrServerClosed)
		}
	})
	return b
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// session is the state of one connection.
type session struct {
	box  *mailbox
	conn *smtp.Conn
	to   string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "tickets" || password != "correct" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.box.onMail != nil {
		return s.box.onMail(from)
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	if s.box.onRcpt != nil {
		return s.box.onRcpt(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	lost := false
	if s.box.onData != nil {
		if err, lost = s.box.onData(s.to); err != nil && !lost {
			return err
		}
	}
	if err == nil {
		s.box.keep(s.to, raw)
	}
	if lost {
		_ = s.conn.Conn().Close() // before the client gets the reply
	}
	return nil
}

func (s *session) Reset()        { s.to = "" }
func (s *session) Logout() error { return nil }

func (b *mailbox) keep(to string, raw []byte) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		panic(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, received{to: to, mail: m, body: string(body), raw: string(raw)})
}

// byRecipient returns what was accepted for each address.
func (b *mailbox) byRecipient() map[string][]received {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string][]received{}
	for _, m := range b.mails {
		all[m.to] = append(all[m.to], m)
	}
	return all
}

func (b *mailbox) accepted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mails)
}

// sending is a run for 20 winners. Number 7 has no address.
type sending struct {
	Options
	failures bytes.Buffer
	slept    []time.Duration
	clock    time.Time
}

const winners = 20

func newSending(t *testing.T, b *mailbox) *sending {
	letter, err := ParseLetter([]byte("Subject: Your slot, {{.Account}}\n\nRank {{.Rank}} in {{.Phase}}: " +
		"{{.Opens.Format \"02/01/2006 15:04 MST\"}}\n.\nend\n"))
	require.NoError(t, err)
	paris, err := time.LoadLocation("Europe/Paris")
	require.NoError(t, err)
	s := &sending{clock: time.Unix(1_700_000_000, 0)}
	opens := time.Date(2023, 2, 15, 9, 0, 0, 0, time.UTC)
	s.Options = Options{
		Draw: "draw1", Root: "00ff", Addresses: newAddresses(), Letter: letter, From: "Tickets <tickets@example.org>",
		Server: Server{Host: b.host, Port: b.port, Security: Plain, Timeout: 5 * time.Second},
		Log:    filepath.Join(t.TempDir(), "log"),
		Rate:   100, Retries: 2, Backoff: time.Second, Failures: &s.failures,
		Winners: func(yield func(Winner) error) error {
			for i := range winners {
				w := Winner{Account: fmt.Sprintf("w%d", i), Rank: uint32(i + 1), Draw: "First draw", Phase: "Packs",
					Opens: opens.In(paris), Closes: opens.Add(48 * time.Hour).In(paris)}
				if err := yield(w); err != nil {
					return err
				}
			}
			return nil
		},
		Now: func() time.Time { return s.clock },
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.slept = append(s.slept, d)
			s.clock = s.clock.Add(d)
			return context.Cause(ctx)
		},
	}
	for i := range winners {
		if i != 7 {
			require.NoError(t, s.Addresses.add(fmt.Sprintf("w%d", i), fmt.Sprintf("w%d@example.net", i)))
		}
	}
	return s
}

// run returns the report and the failures of a run.
func (s *sending) run(ctx context.Context) (Report, string, error) {
	s.failures.Reset()
	report, err := Run(ctx, s.Options)
	return report, s.failures.String(), err
}

// once requires that every winner with an address got one mail; those in twice got two.
func once(t *testing.T, b *mailbox, twice ...string) {
	t.Helper()
	got := b.byRecipient()
	for i := range winners {
		to := fmt.Sprintf("w%d@example.net", i)
		want := 1
		if i == 7 {
			want = 0
		}
		if strings.Contains(strings.Join(twice, " ")+" ", to+" ") {
			want = 2
		}
		require.Len(t, got[to], want, to)
		for _, m := range got[to] {
			require.Equal(t, got[to][0].mail.Header.Get("Message-ID"), m.mail.Header.Get("Message-ID"))
		}
	}
}

// selfSigned makes a certificate for 127.0.0.1, and a pool that trusts it.
func selfSigned(t *testing.T) (*tls.Config, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	own := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own}}, pool
}
