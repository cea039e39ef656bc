package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/valyala/fasthttp"
)

// entryHost is the server that entries are sent to, over connections that are kept.
type entryHost struct {
	client *fasthttp.HostClient
	base   *url.URL
}

func newEntryHost(base *url.URL, config *tls.Config, connections int) *entryHost {
	address := base.Host
	if base.Port() == "" {
		address += map[string]string{"http": ":80", "https": ":443"}[base.Scheme]
	}
	return &entryHost{base: base, client: &fasthttp.HostClient{
		Addr: address, IsTLS: base.Scheme == "https", TLSConfig: config, MaxConns: connections,
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, MaxIdleConnDuration: 30 * time.Second,
		MaxResponseBodySize: 1 << 16, NoDefaultUserAgentHeader: true,
		// Entries are idempotent, but how often and how long they are sent again is the sender's to decide.
		MaxIdemponentCallAttempts: 1,
	}}
}

// sender enters the accounts whose hash is its own, one after the other.
type sender struct {
	host     *entryHost
	path     string
	key      string
	patience time.Duration
	tasks    chan *task
	body     []byte
}

func newSender(host *entryHost, c *registerCommand) *sender {
	s := &sender{host: host, patience: c.Patience, path: "/v1/draws/" + url.PathEscape(c.Draw) + "/entries"}
	if c.Remote.Key != "" {
		s.key = "Bearer " + c.Remote.Key
	}
	return s
}

// work enters what comes, until there is no more. Once ctx has ended it only lets go of what comes.
func (s *sender) work(ctx context.Context) {
	for t := range s.tasks {
		t.outcome = s.enter(ctx, t)
		close(t.done)
	}
}

// enter sends an entry until the server has decided on it.
func (s *sender) enter(ctx context.Context, t *task) outcome {
	deadline := time.Now().Add(s.patience)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		if ctx.Err() != nil {
			return outcome{fatal: context.Cause(ctx)}
		}
		status, answer, err := s.send(&t.line)
		if err == nil && status != http.StatusServiceUnavailable && status != http.StatusInternalServerError {
			return s.judge(t, status, answer)
		}
		if err == nil {
			err = problemOf(status, answer)
		}
		if time.Now().Add(wait).After(deadline) {
			return outcome{fatal: fmt.Errorf("%s does not take entries: %w", s.host.base, err)}
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// send makes one call. Names of accounts and groups need no escaping in JSON.
func (s *sender) send(l *rollLine) (status int, answer []byte, err error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	s.body = append(append(append(s.body[:0], `{"account":"`...), l.account...), '"')
	if l.group != "" {
		s.body = append(append(append(s.body, `,"priority_group":"`...), l.group...), '"')
	}
	s.body = append(s.body, '}')
	request.SetRequestURI(s.host.base.Scheme + "://" + s.host.base.Host + s.path)
	request.Header.SetMethod(http.MethodPost)
	request.Header.SetContentType("application/json")
	if s.key != "" {
		request.Header.Set("Authorization", s.key)
	}
	request.SetBodyRaw(s.body)
	if err := s.host.client.Do(request, response); err != nil {
		return 0, nil, err
	}
	return response.StatusCode(), append([]byte(nil), response.Body()...), nil
}

// judge says what an answer means for the line.
func (s *sender) judge(t *task, status int, answer []byte) outcome {
	switch status {
	case http.StatusCreated:
		return outcome{entered: true}
	case http.StatusOK:
		return s.judgeRepeat(t, answer)
	}
	p := problemOf(status, answer)
	if p.Code == "malformed_request" {
		return outcome{refused: p.Detail}
	}
	return outcome{fatal: p}
}

// judgeRepeat says what it means that the account has an entry already.
func (s *sender) judgeRepeat(t *task, answer []byte) outcome {
	var entry struct {
		Account string `json:"account"`
		Group   string `json:"priority_group"`
	}
	if err := json.Unmarshal(answer, &entry); err != nil || entry.Account != t.line.account {
		return outcome{fatal: errors.Join(fmt.Errorf("%s answers with no entry of account %s", s.host.base, t.line.account), err)}
	}
	why := ""
	if t.repeated {
		why = "the account stands in an earlier line"
	}
	if entry.Group != t.line.group {
		if why == "" {
			why = "the account entered before"
		}
		if why += ", with the priority group " + entry.Group; entry.Group == "" {
			why += "none"
		}
	}
	return outcome{refused: why} // or nothing at all: it entered before
}
