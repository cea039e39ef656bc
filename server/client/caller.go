package client

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seathold/seathold/server/internal/correlation"
	"github.com/seathold/seathold/server/internal/pause"
)

// Options are where a server is and how to call it. Only URL is required.
type Options struct {
	URL string      // http or https, without a path: http://127.0.0.1:8080
	Key string      // sent as a bearer token
	TLS *tls.Config // for https; default: the system's authorities, TLS 1.2 or later

	Connections int           // at most so many at a time; default 64
	Attempts    int           // to make one call; default 5
	Patience    time.Duration // no retry starts later than this after the first attempt; default 1 minute

	// Sleep waits between attempts; default: a timer. It returns early with the context's cause.
	Sleep func(ctx context.Context, d time.Duration) error
}

const (
	answerTimeout = 30 * time.Second // from a request of the API to the head of its answer, and from there to its end
	dialTimeout   = 10 * time.Second
	firstWait     = 20 * time.Millisecond // before the first retry, twice as long before each further one
	maxWait       = 5 * time.Second
	maxAnswer     = 64 << 20 // bytes
	maxProblem    = 4 << 20  // bytes; one may list what stands against a change, line by line
)

var errURL = errors.New("not a URL such as http://127.0.0.1:8080")

// caller sends requests to one server.
type caller struct {
	base    string
	o       Options
	timeout time.Duration // for the head of an answer, and again for its body; 0 for none
	http    *http.Client
}

func newCaller(o Options, timeout time.Duration) (*caller, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" ||
		strings.Trim(base.Path, "/") != "" || base.RawQuery != "" {
		return nil, fmt.Errorf("%q is %w", o.URL, errURL)
	}
	o.Connections, o.Attempts = cmp.Or(o.Connections, 64), cmp.Or(o.Attempts, 5)
	o.Patience = cmp.Or(o.Patience, time.Minute)
	if o.Sleep == nil {
		o.Sleep = pause.Sleep
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS, TLSHandshakeTimeout: dialTimeout,
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, DisableCompression: true,
		MaxConnsPerHost: o.Connections, MaxIdleConnsPerHost: o.Connections, IdleConnTimeout: 30 * time.Second,
		ResponseHeaderTimeout: timeout,
	}
	// A redirect could turn a POST into a GET, or send the key unencrypted.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &caller{base: base.Scheme + "://" + base.Host, o: o, timeout: timeout,
		http: &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

// call makes an idempotent call, with retries, and decodes the answer.
func (c *caller) call(ctx context.Context, method, path string, content, answer any) (status int, err error) {
	return c.retry(ctx, func(ctx context.Context) (int, error) { return c.once(ctx, method, path, content, answer) })
}

// retry makes attempts until one is final. All have the same request id.
func (c *caller) retry(ctx context.Context, attempt func(context.Context) (int, error)) (status int, err error) {
	ctx = identified(ctx)
	began := time.Now()
	for attempts, wait := 1, firstWait; ; attempts, wait = attempts+1, min(2*wait, maxWait) {
		status, err = attempt(ctx)
		refusal, refused := errors.AsType[*Error](err)
		if err == nil || refused && refusal.Status < 500 || attempts == c.o.Attempts {
			return status, err
		}
		if ended := context.Cause(ctx); ended != nil {
			return status, ended
		}
		delay := wait/2 + rand.N(wait/2) // jitter: clients refused together do not return together
		if refused {
			delay += refusal.RetryAfter
		}
		deadline, bounded := ctx.Deadline()
		if time.Since(began)+delay > c.o.Patience || bounded && time.Until(deadline) < delay {
			return status, err
		}
		if ended := c.o.Sleep(ctx, delay); ended != nil {
			return status, errors.Join(ended, err)
		}
	}
}

// once makes one attempt. The status is that of a success.
func (c *caller) once(ctx context.Context, method, path string, content, answer any) (status int, err error) {
	var body []byte
	if content != nil {
		if body, err = json.Marshal(content); err != nil {
			return 0, err
		}
	}
	response, err := c.send(ctx, method, path, body) //nolint:bodyclose // read closes it
	if err != nil {
		return 0, err
	}
	text, err := c.read(response, maxAnswer)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return 0, noAnswer(response.StatusCode, requestIDOf(response), err.Error())
	}
	return response.StatusCode, nil
}

// list makes one attempt to read a list, compressed, unless it has the entity tag. changed is false if it has.
func (c *caller) list(ctx context.Context, path, known string, answer any) (tag string, changed bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return "", false, err
	}
	request.Header.Set("Accept-Encoding", "gzip")
	if known != "" {
		request.Header.Set("If-None-Match", known)
	}
	response, err := c.exchange(request) //nolint:bodyclose // read closes it
	if err != nil {
		return "", false, err
	}
	text, err := c.read(response, maxAnswer)
	if err != nil {
		return "", false, err
	}
	if response.StatusCode == http.StatusNotModified {
		return known, false, nil
	}
	if response.Header.Get("Content-Encoding") == "gzip" {
		if text, err = unzip(text); err != nil {
			return "", false, noAnswer(response.StatusCode, requestIDOf(response), err.Error())
		}
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return "", false, noAnswer(response.StatusCode, requestIDOf(response), err.Error())
	}
	return response.Header.Get("ETag"), true, nil
}

// unzip decompresses up to maxAnswer bytes.
func unzip(text []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxAnswer))
}

// send sends a request and returns a successful response, whose body the caller closes.
func (c *caller) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return c.exchange(request)
}

// exchange sends a request and returns a successful response, whose body the caller closes. A 304 is one if the request
// has a condition.
func (c *caller) exchange(request *http.Request) (*http.Response, error) {
	if request.ContentLength > 0 && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.o.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.o.Key)
	}
	identify(request)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w (request %s)", err, request.Header.Get(correlation.RequestID))
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusCreated ||
		response.StatusCode == http.StatusNotModified && request.Header.Get("If-None-Match") != "" {
		return response, nil
	}
	text, err := c.read(response, maxProblem)
	if err != nil {
		return nil, err
	}
	refusal := &Error{}
	if json.Unmarshal(text, refusal) != nil || refusal.Code == "" {
		line, _, _ := strings.Cut(string(text), "\n")
		refusal = noAnswer(response.StatusCode, "", fmt.Sprintf("no problem document but %.80q", line))
	}
	refusal.Status, refusal.RequestID = response.StatusCode, requestIDOf(response)
	if seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 31); err == nil {
		refusal.RetryAfter = time.Duration(seconds) * time.Second
	}
	return nil, refusal
}

// read returns the body of a response, at most limit bytes of it, and closes it.
func (c *caller) read(response *http.Response, limit int64) ([]byte, error) {
	defer func() { _ = response.Body.Close() }() // read to its end
	stalled := time.AfterFunc(cmp.Or(c.timeout, math.MaxInt64), func() { _ = response.Body.Close() })
	text, err := io.ReadAll(io.LimitReader(response.Body, limit))
	if inTime := stalled.Stop(); err != nil && !inTime {
		err = os.ErrDeadlineExceeded
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w (request %s)", response.Request.Method, response.Request.URL, err,
			requestIDOf(response))
	}
	return text, nil
}

// Error is a refusal: a problem document (RFC 9457) as the server sent it, alone or as the result of an operation in a
// batch. What does not answer as a Seathold server does has the code "no_answer".
type Error struct {
	Status     int            `json:"status"`
	Code       string         `json:"code"`
	Type       string         `json:"type"` // a URN that ends in the code
	Title      string         `json:"title"`
	Detail     string         `json:"detail"`
	Facts      map[string]any `json:",embed"` // the other members: strings, numbers as float64, booleans
	RetryAfter time.Duration  `json:"-"`      // how long the server wants no retry; 0 if it gave no time
	RequestID  string         `json:"-"`      // finds the request in the server's log; "" for an operation of a batch
}

func (e *Error) Error() string {
	if e.RequestID == "" {
		return e.Code + ": " + e.Detail
	}
	return e.Code + ": " + e.Detail + " (request " + e.RequestID + ")"
}

// Text returns a fact that is a string, such as session; "" if there is none.
func (e *Error) Text(fact string) string {
	text, _ := e.Facts[fact].(string)
	return text
}

// Count returns a fact that is a number, such as available; 0 if there is none.
func (e *Error) Count(fact string) int {
	n, _ := e.Facts[fact].(float64)
	return int(n)
}

// Flag returns a fact that is a boolean, such as can_take_again; false if there is none.
func (e *Error) Flag(fact string) bool {
	flag, _ := e.Facts[fact].(bool)
	return flag
}

// Time returns a fact that is an instant, such as opens_at; the zero time if there is none.
func (e *Error) Time(fact string) time.Time {
	at, _ := time.Parse(time.RFC3339, e.Text(fact)) // zero if it is none
	return at
}

// noAnswer is the error of a response that is not one of a Seathold server.
func noAnswer(status int, requestID, why string) *Error {
	detail := fmt.Sprintf("status %d: %s; is this a Seathold server?", status, why)
	return &Error{Status: status, Code: "no_answer", Detail: detail, RequestID: requestID}
}
