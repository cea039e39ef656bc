package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// postbox is an SMTP server that keeps the mails by recipient.
type postbox struct {
	mu    sync.Mutex
	mails map[string][]string
}

// boxSession is one connection to it.
type boxSession struct {
	*postbox
	to string
}

func (b *postbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &boxSession{postbox: b}, nil }

func (s *boxSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *boxSession) Reset()                               {}
func (s *boxSession) Logout() error                        { return nil }

func (s *boxSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.to = to; to == "full@example.org" {
		return &smtp.SMTPError{Code: 552, Message: "mailbox full"}
	}
	return nil
}

func (s *boxSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails[s.to] = append(s.mails[s.to], strings.ReplaceAll(string(text), "=\r\n", "")) // undo the folding of long lines
	return err
}

func newPostbox(t *testing.T) (b *postbox, address string) {
	b = &postbox{mails: map[string][]string{}}
	post := smtp.NewServer(b)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error)
	go func() { ended <- post.Serve(ln) }()
	t.Cleanup(func() {
		require.NoError(t, post.Close())
		if err := <-ended; err != nil {
			require.ErrorIs(t, err, smtp.ErrServerClosed)
		}
	})
	return b, ln.Addr().String()
}

// The winners of an exported draw get their slots by mail, each once. Winners without a mail are listed.
func TestNotifyWinners(t *testing.T) {
	s := newDrawServer(t, "")
	roll := write(t, "account,priority_group\nalice,club\nbob,\ncarol,\ndave,\nerin,\nfrank,\n")
	done(t, "draw", "register", "--draw", "draw1", "--file", roll, "--server", s.api)
	s.at("2023-02-01T00:00:00Z")
	done(t, "draw", "run", "--draw", "draw1", "--admin", s.admin)
	dir := filepath.Join(t.TempDir(), "export")
	done(t, "draw", "export", "--draw", "draw1", "--admin", s.admin, dir)

	b, address := newPostbox(t)
	addresses := write(t, "account,email\nalice,alice@example.org\nbob,\"bob@example.org\"\r\n\n"+
		"carol,carol@example.org\ncarol,other@example.org\ndave,dave@\nerin,full@example.org\nstranger,s@example.org\n"+
		"no comma\n")
	letter := write(t, "Subject: {{.Draw}}: your slot\n\n"+
		"{{.Account}}, {{.Phase}}: {{.Opens.Format \"2 January 15:04 MST\"}} to "+
		"{{.Closes.Format \"2 January 15:04 MST\"}}{{if .Priority}}, Club{{end}}\n")
	args := []string{"draw", "notify", "--draw", "draw1", "--result", dir, "--addresses", addresses,
		"--template", letter, "--smtp", address, "--tls", "none", "--from", "Paris <tickets@example.org>", "--rate", "1000"}
	code, out, complaints := command(args...)
	require.Equal(t, exitDone, code, complaints)
	require.Contains(t, out, "6 winners; 2 sent now, 0 in earlier runs, 4 get no mail, 0 refused for now")
	require.Contains(t, complaints, "line 6: the account has another address in an earlier line")
	require.Contains(t, complaints, "line 7: not a mail address")
	require.Contains(t, complaints, "line 10: 1 fields instead of 2")
	require.Len(t, b.mails, 2)
	require.Len(t, b.mails["alice@example.org"], 1)
	require.Contains(t, b.mails["alice@example.org"][0],
		"alice, Packs of three sessions: 15 February 10:00 CET to 17 February 10:00 CET, Club")
	require.Contains(t, b.mails["bob@example.org"][0],
		"bob, Packs of three sessions: 19 February 10:00 CET to 21 February 10:00 CET\r\n")
	list := read(t, dir+".notify.log.failures.csv")
	for _, line := range []string{",carol,,two different addresses\n", ",dave,,no address\n", ",frank,,no address\n",
		",erin,full@example.org,", "mailbox full"} {
		require.Contains(t, list, line)
	}
	require.Equal(t, 5, strings.Count(list, "\n"))
	require.Contains(t, done(t, args...), "0 sent now, 2 in earlier runs, 4 get no mail")
	require.Len(t, b.mails["alice@example.org"], 1)

	refused := func(want string, change ...string) {
		t.Helper()
		refusedWith(t, want, append(args[:len(args):len(args)], change...)...)
	}
	refused("no such file", "--template", "/nowhere")
	refused("must begin", "--template", addresses)
	refused("the first line must be account,email", "--addresses", letter)
	refused("has no draw", "--draw", "draw9")
	refused("is an export of the draw draw1", "--draw", "draw2")
	result := filepath.Join(dir, "result.csv")
	good := read(t, result)
	require.NoError(t, os.WriteFile(result, []byte(strings.Replace(good, "\n1,", "\n9,", 1)), 0o600))
	refused("export refused")
	require.NoError(t, os.WriteFile(result, []byte(good), 0o600))
	winners := read(t, dir+".winners.csv")
	require.NoError(t, os.WriteFile(dir+".winners.csv", []byte(strings.Replace(winners, ",alice,", ",alicf,", 1)), 0o600))
	refused("not the winners of this export: the account of rank")
	refused("no such file", "--winners", "/nowhere")
	require.NoError(t, os.WriteFile(dir+".winners.csv", []byte(winners), 0o600))
	for _, change := range [][]string{{"--smtp", "nowhere"}, {"--smtp", "h:0"}, {"--tls", "ssl3"}, {"--zone", "Mars"},
		{"--zone="}, {"--zone", "Local"}, {"--zone", "localtime"}, {"--retries=-1"}, {"--backoff", "0s"}} {
		code, _, _ := command(append(args[:len(args):len(args)], change...)...)
		require.Equal(t, exitUsage, code, change)
	}
	began := time.Now()
	code, _, complaints = command(append(args[:len(args):len(args)], "--smtp", "127.0.0.1:1",
		"--state", filepath.Join(t.TempDir(), "new"), "--backoff", "1ms")...)
	require.Equal(t, exitFailed, code)
	require.Contains(t, complaints,
		"stopped: SMTP server: connecting: dial tcp 127.0.0.1:1: connect: connection refused; run it again to continue")
	require.Less(t, time.Since(began), 20*time.Second)
}
