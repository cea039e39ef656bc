package operator

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/server"
	"github.com/seathold/seathold/server/internal/encode"
)

// calls is what the calls below /admin/ share: who may make them, and how they are refused.
type calls struct {
	engine  func() *engine.Engine // nil while the journal is replayed
	log     *slog.Logger
	uploads *uploads
}

// handler serves all calls below /admin/. They require an admin's key if there are keys, before anything else, and
// refuse requests of other origins, so that no web site can make an operator's browser send them.
func (c *calls) handler() http.Handler {
	paths := http.NewServeMux()
	(&draws{calls: *c}).register(paths)
	(&sales{calls: *c}).register(paths)
	(&groups{calls: *c}).register(paths)
	paths.Handle("GET /admin/journal/rescue", c.call(c.rescue))
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, &refusal{&encode.Forbidden, "this call does not accept requests of web pages of other origins"})
	}))
	known := own.Handler(c.known(paths))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch role := callerOf(r).Role; {
		case role == 0:
			c.fail(w, r, &refusal{&encode.Unauthenticated, encode.KeyRule})
		case role < server.Admin:
			c.fail(w, r, &refusal{&encode.Forbidden, "this call requires a key with the role admin"})
		default:
			known.ServeHTTP(w, r)
		}
	})
}

// known serves the calls that exist. Others are refused with a problem, as on the API.
func (c *calls) known(paths *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, pattern := paths.Handler(r)
		switch {
		case redirects(answer):
			c.fail(w, r, &noSuchCall)
			return
		case pattern != "":
			paths.ServeHTTP(w, r)
			return
		}
		probe := &discarded{header: http.Header{}}
		answer.ServeHTTP(probe, r)
		if methods := probe.header.Get("Allow"); methods != "" {
			w.Header().Set("Allow", methods)
			c.fail(w, r, &refusal{&encode.MethodNotAllowed, "this path supports " + methods})
			return
		}
		c.fail(w, r, &noSuchCall)
	})
}

var noSuchCall = refusal{&encode.NotFound, "the operator's port has no such call"}

// redirects reports whether net/http would redirect a request to a path that it considers cleaner: one without empty
// segments and the segments . and .., which may be names here.
func redirects(answer http.Handler) bool { return reflect.TypeOf(answer) == redirecting }

var redirecting = reflect.TypeOf(http.RedirectHandler("/", http.StatusTemporaryRedirect))

// discarded is a response of which only the header is of use.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header            { return d.header }
func (d *discarded) Write(data []byte) (int, error) { return len(data), nil }
func (d *discarded) WriteHeader(int)                {}

// call requires an engine.
func (c *calls) call(answer func(w http.ResponseWriter, r *http.Request, e *engine.Engine) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		if e := c.engine(); e != nil {
			err = answer(w, r, e)
		} else {
			err = &refusal{&notReady, "the journal is being replayed"}
		}
		if err != nil {
			c.fail(w, r, err)
		}
	})
}

// The refusals of this port, beside those of the API, in the form of the engine's table.
var (
	notReady         = engine.Rule{Code: "not_ready", Status: 503, Title: "Not ready"}
	registrationOpen = engine.Rule{Code: "registration_open", Status: 409, Title: "Registration open"}
	alreadyDrawn     = engine.Rule{Code: "already_drawn", Status: 409, Title: "Already drawn"}
	exportUnderWay   = engine.Rule{Code: "export_under_way", Status: 409, Title: "Export under way"}
	notFrozen        = engine.Rule{Code: "draw_not_frozen", Status: 409, Title: "Draw not frozen"}
	roundNotDue      = engine.Rule{Code: "round_not_due", Status: 409, Title: "Round not due"}
	drawVoid         = engine.Rule{Code: "draw_void", Status: 409, Title: "Draw void"}
	roundRefused     = engine.Rule{Code: "round_refused", Status: 422, Title: "Round refused"}
	journalWorks     = engine.Rule{Code: "journal_works", Status: 409, Title: "Journal works"}
	beaconRefused    = engine.Rule{Code: "beacon_refused", Status: 422, Title: "Beacon refused"}
	faultyList       = engine.Rule{Code: "faulty_list", Status: 422, Title: "Faulty list"}
	faultyDefinition = engine.Rule{Code: "faulty_definition", Status: 422, Title: "Faulty definition"}
	changeRefused    = engine.Rule{Code: "change_refused", Status: 409, Title: "Change refused"}
	changeUnderWay   = engine.Rule{Code: "change_under_way", Status: 409, Title: "Change under way"}
	otherDefinition  = engine.Rule{Code: "precondition_failed", Status: 412, Title: "Another definition is in force"}
	uploadsFull      = engine.Rule{Code: "overloaded", Status: 503, Title: "Overloaded"}
	stockTaken       = engine.Rule{Code: "stock_taken", Status: 409, Title: "Stock taken"}
)

// ruleOf returns the rule of an error that is not a refusal already.
func ruleOf(err error) *engine.Rule {
	switch {
	case errors.Is(err, engine.ErrNoGroup):
		return &encode.NotFound
	case errors.Is(err, engine.ErrRegistrationOpen):
		return &registrationOpen
	case errors.Is(err, engine.ErrAlreadyDrawn):
		return &alreadyDrawn
	case errors.Is(err, engine.ErrJournalWorks):
		return &journalWorks
	case errors.Is(err, engine.ErrDrawNotFrozen):
		return &notFrozen
	case errors.Is(err, engine.ErrRoundNotDue):
		return &roundNotDue
	case errors.Is(err, draw.ErrLate), errors.Is(err, draw.ErrRoundDue), errors.Is(err, engine.ErrFreezeUndated):
		return &drawVoid
	case errors.Is(err, draw.ErrPostponing):
		return &roundRefused
	case errors.Is(err, draw.ErrOtherRound), errors.Is(err, draw.ErrRandomness), errors.Is(err, draw.ErrSignature):
		return &beaconRefused
	}
	return &encode.Internal
}

// refusal is a refusal that the engine does not have.
type refusal struct {
	rule   *engine.Rule
	detail string
}

func (r *refusal) Error() string { return r.detail }

// withFacts is a refusal, of the engine or not, with further members.
type withFacts struct {
	error
	facts any // a struct
}

func (r *withFacts) Unwrap() error { return r.error }

// fail responds with a problem.
func (c *calls) fail(w http.ResponseWriter, r *http.Request, err error) {
	var body []byte
	var rule *engine.Rule
	if refused, ok := errors.AsType[*engine.Refusal](err); ok {
		rule, body = refused.Rule(), encode.Refusal(nil, refused)
	} else {
		if own, ok := errors.AsType[*refusal](err); ok {
			rule = own.rule
		} else {
			rule = ruleOf(err)
		}
		body = encode.Problem(nil, rule, err.Error())
	}
	if more, ok := errors.AsType[*withFacts](err); ok {
		body = extended(body, more.facts)
	}
	switch rule.Status {
	case http.StatusInternalServerError:
		c.note(w, r, slog.LevelError, "a call on the operator's port failed", slog.Any("error", err))
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", encode.Challenge)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", encode.RetryAfter)
	}
	w.Header().Set("Content-Type", encode.ProblemType)
	w.WriteHeader(rule.Status)
	_, _ = w.Write(append(body, '\n')) // an error means that the client has gone
}

// extended adds the members of a struct to those of a JSON object.
func extended(object []byte, facts any) []byte {
	more, err := json.Marshal(facts)
	if err != nil {
		panic("BUG: the facts of a refusal are no JSON: " + err.Error())
	}
	return append(append(object[:len(object)-1], ','), more[1:]...)
}

// note logs an event of a call, with what joins it to the audit line of the call.
func (c *calls) note(w http.ResponseWriter, r *http.Request, level slog.Level, event string, facts ...slog.Attr) {
	facts = append(facts, slog.String("key", callerOf(r).Name), slog.String("path", shortened(r.URL.Path)))
	c.log.LogAttrs(context.WithoutCancel(r.Context()), level, event, append(facts, identifiers(w, r)...)...)
}

// cut ends a response that has begun and cannot be completed, so that the client detects that it is incomplete.
func (c *calls) cut(w http.ResponseWriter, r *http.Request, err error) error {
	if err != nil {
		c.note(w, r, slog.LevelWarn, "a response on the operator's port was cut short", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	}
	return nil
}

// respond responds with a value as JSON. A change of thousands of lines may take its reader a while.
func (c *calls) respond(w http.ResponseWriter, r *http.Request, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	out := &deadlineWriter{w: w, control: http.NewResponseController(w)}
	_, err = out.Write(append(body, '\n'))
	return c.cut(w, r, err)
}

// deadlineWriter extends the write deadline before each write: a large export may take as long as it needs, as long as
// the client keeps reading.
type deadlineWriter struct {
	w       io.Writer
	control *http.ResponseController
}

func (d *deadlineWriter) Write(data []byte) (int, error) {
	err := d.control.SetWriteDeadline(time.Now().Add(30 * time.Second))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return d.w.Write(data)
}
