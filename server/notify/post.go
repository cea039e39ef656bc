package notify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Security is the protection of the connection to the SMTP server.
type Security string

// The values of Security.
const (
	StartTLS Security = "starttls" // required: a server without it is refused
	Implicit Security = "implicit" // TLS from the first byte, usually on port 465
	Plain    Security = "none"     // for a server on this machine
)

// Server is an SMTP server that relays mail to any recipient.
type Server struct {
	Host     string
	Port     int
	Security Security
	TLS      *tls.Config // for the first two
	User     string      // "" for none
	Password string
	Timeout  time.Duration // of each step; default 30 s
}

// post sends mails to a server over one connection, and reconnects when it breaks.
type post struct {
	client *gomail.Client
	link   *smtp.Client // nil while there is none
	from   *mail.Address
}

func newPost(s *Server, from *mail.Address) (*post, error) {
	options := []gomail.Option{gomail.WithPort(s.Port), gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithoutSMTPUTF8(), gomail.WithTimeout(cmp.Or(s.Timeout, 30*time.Second))}
	if s.TLS != nil {
		config := s.TLS.Clone()
		if config.ServerName == "" {
			config.ServerName = s.Host
		}
		options = append(options, gomail.WithTLSConfig(config))
	}
	switch s.Security {
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case Implicit:
		options = append(options, gomail.WithSSL())
	case Plain:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		return nil, fmt.Errorf("%q is none of %s, %s and %s", s.Security, StartTLS, Implicit, Plain)
	}
	if s.User != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.User),
			gomail.WithPassword(s.Password))
	}
	client, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return nil, err
	}
	return &post{client: client, from: from}, nil
}

// envelope is one mail, ready to be sent.
type envelope struct {
	to        string
	subject   string
	body      string
	messageID string
}

// messageIDOf returns the Message-ID of a mail. If it is sent twice, both copies have it.
func messageIDOf(draw, root, account string, from *mail.Address) string {
	digest := sha256.Sum256([]byte(draw + "\x1f" + root + "\x1f" + account))
	_, domain, _ := strings.Cut(from.Address, "@")
	return fmt.Sprintf("seathold.%x@%s", digest[:16], domain)
}

// fate is what became of a mail.
type fate int

const (
	delivered fate = iota // the server has accepted it
	refused               // for good, to this recipient
	deferred              // refused for now
	broken                // the connection broke; the mail may have been accepted
	hopeless              // the server refuses all our mail, or us
)

// connect makes a connection if there is none. why is nil if there is one now.
func (p *post) connect(ctx context.Context) (f fate, why error) {
	if p.link != nil {
		return 0, nil
	}
	link, err := p.client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fateOfDialing(err), fmt.Errorf("connecting: %w", err)
	}
	p.link = link
	return 0, nil
}

// send sends a mail. why is the reason for its fate.
func (p *post) send(e *envelope) (f fate, why error) {
	m, err := p.compose(e)
	if err != nil {
		return refused, err
	}
	err = p.client.SendWithSMTPClient(p.link, m)
	if err == nil || m.IsDelivered() {
		return delivered, nil
	}
	f, why = fateOf(err)
	// The refusal may have left the session in any state.
	if f == broken || p.link.Reset() != nil {
		p.drop()
	}
	return f, why
}

func (p *post) compose(e *envelope) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(p.from)
	if err := m.To(e.to); err != nil {
		return nil, err
	}
	m.Subject(e.subject)
	m.SetMessageIDWithValue(e.messageID)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(gomail.TypeTextPlain, e.body)
	return m, nil
}

// drop closes the connection without QUIT.
func (p *post) drop() {
	if p.link != nil {
		_ = p.link.Close() // it is broken already
		p.link = nil
	}
}

// close ends the session with QUIT.
func (p *post) close() {
	if p.link != nil {
		_ = p.client.CloseWithSMTPClient(p.link) // the fate of every mail is known and recorded
		p.drop()
	}
}

// fateOfDialing returns the fate of a mail when there is no session. A permanent reply, as to a wrong password, and a
// server that cannot prove its identity will be the same the next time.
func fateOfDialing(err error) fate {
	reply, replied := errors.AsType[*textproto.Error](err)
	_, unknown := errors.AsType[*tls.CertificateVerificationError](err)
	if replied && reply.Code >= 500 || unknown || strings.Contains(err.Error(), "does not support STARTTLS") ||
		strings.Contains(err.Error(), "SMTP AUTH") {
		return hopeless
	}
	return broken
}

// fateOf returns the fate of a mail by the server's reply. Code 421 announces the end of the connection.
func fateOf(err error) (fate, error) {
	failure, replied := errors.AsType[*gomail.SendError](err)
	if !replied {
		return broken, err
	}
	code := failure.ErrorCode()
	switch {
	case code == 421 || code < 400 || code > 599:
		return broken, err
	case code < 500:
		return deferred, err
	case failure.Reason == gomail.ErrSMTPMailFrom:
		return hopeless, err
	}
	return refused, err
}
