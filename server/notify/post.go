package notify

import (
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

// Security says how the connection to the SMTP server is protected.
type Security string

// The values of Security.
const (
	StartTLS Security = "starttls" // required: a server without it is refused
	Implicit Security = "implicit" // TLS from the first byte, usually on port 465
	Plain    Security = "none"     // for a server on this machine
)

// Server is an SMTP server that takes mail for anybody.
type Server struct {
	Host     string
	Port     int
	Security Security
	TLS      *tls.Config // for the first two
	User     string      // "" for none
	Password string
	Timeout  time.Duration // for each step; default 30 s
}

// post hands mails to a server over one connection, which it makes again when it breaks.
type post struct {
	client *gomail.Client
	link   *smtp.Client // nil while there is none
	from   *mail.Address
}

func newPost(s *Server, from *mail.Address) (*post, error) {
	options := []gomail.Option{gomail.WithPort(s.Port), gomail.WithoutNoop(), gomail.WithoutRset(), gomail.WithoutSMTPUTF8()}
	if s.Timeout > 0 {
		options = append(options, gomail.WithTimeout(s.Timeout))
	} else {
		options = append(options, gomail.WithTimeout(30*time.Second))
	}
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
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.User), gomail.WithPassword(s.Password))
	}
	client, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return nil, err
	}
	return &post{client: client, from: from}, nil
}

// envelope is one mail, ready to be handed over.
type envelope struct {
	to        string
	subject   string
	body      string
	messageID string
}

// messageIDOf returns what both copies of a mail have in common, should it be sent twice.
func messageIDOf(draw, root, account string, from *mail.Address) string {
	digest := sha256.Sum256([]byte(draw + "\x1f" + root + "\x1f" + account))
	_, domain, _ := strings.Cut(from.Address, "@")
	return fmt.Sprintf("seathold.%x@%s", digest[:16], domain)
}

// fate is what became of a mail.
type fate int

const (
	delivered fate = iota // the server has accepted it
	refused               // for good, for this recipient
	deferred              // the server has answered that this may pass
	broken                // the connection has; the mail may even have been accepted
	hopeless              // the server refuses every mail of ours, or us
)

// connect makes a connection where there is none. why is nil when there is one now.
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

// send hands over a mail. why says what its fate is due to.
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
	// Whatever the server did not like may have left the session in any state.
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

// drop ends the connection without ceremony.
func (p *post) drop() {
	if p.link != nil {
		_ = p.link.Close() // it is broken already
		p.link = nil
	}
}

// close takes leave of the server.
func (p *post) close() {
	if p.link != nil {
		_ = p.client.CloseWithSMTPClient(p.link) // all mails are accepted or not by now, and noted
		p.drop()
	}
}

// fateOfDialing says what it means that no session came about: a permanent answer, as to a wrong password, or a server
// that does not prove who it is, will be the same the next time.
func fateOfDialing(err error) fate {
	if code := replyOf(err); code >= 500 {
		return hopeless
	}
	var unknown *tls.CertificateVerificationError
	if errors.As(err, &unknown) || strings.Contains(err.Error(), "does not support STARTTLS") ||
		strings.Contains(err.Error(), "SMTP AUTH") {
		return hopeless
	}
	return broken
}

// fateOf says what the answer to a mail means. Code 421 announces the end of the connection.
func fateOf(err error) (fate, error) {
	var failure *gomail.SendError
	if !errors.As(err, &failure) {
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

// replyOf returns the server's code in an error; 0 for none.
func replyOf(err error) int {
	if reply := (*textproto.Error)(nil); errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}
