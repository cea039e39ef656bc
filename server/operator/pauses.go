package operator

import (
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/seathold/seathold/engine"
)

// paused is the body of the calls about what is paused, and of their responses:
//
//	GET, PUT /admin/sale/paused                 the whole sale
//	GET, PUT /admin/phases/{phase}/paused       a phase
//	GET, PUT /admin/sessions/{session}/paused   a session
//
// What is paused takes no new holds; all that concerns earlier ones goes on. Pausing what is paused changes nothing.
type paused struct {
	Paused *bool `json:"paused"`
}

func (s *sales) readPaused(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	what := pausable(r)
	d, err := e.Definition()
	if err != nil {
		return err
	}
	now := d.Paused.Sale
	if what.Phase != "" {
		if _, found := d.Sale.PhaseByID(what.Phase); !found {
			return &engine.Refusal{Code: engine.UnknownPhase, Phase: what.Phase}
		}
		now = slices.Contains(d.Paused.Phases, what.Phase)
	}
	if what.Session != "" {
		if _, found := d.Sale.SessionByID(what.Session); !found {
			return &engine.Refusal{Code: engine.SessionNotFound, Session: what.Session}
		}
		now = slices.Contains(d.Paused.Sessions, what.Session)
	}
	return s.respond(w, r, paused{&now})
}

func (s *sales) pause(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	data, err := body(w, r)
	if err != nil {
		return err
	}
	var wanted paused
	if err := json.Unmarshal(data, &wanted, json.RejectUnknownMembers(true)); err != nil || wanted.Paused == nil {
		return malformed(`it must be {"paused": true} or {"paused": false}`)
	}
	// The end of the operator's connection does not cancel what is being journalled.
	if err := e.Pause(context.WithoutCancel(r.Context()), pausable(r), *wanted.Paused); err != nil {
		return err
	}
	audit(r, slog.Bool("paused", *wanted.Paused))
	return s.respond(w, r, wanted)
}

// pausable is what the path names.
func pausable(r *http.Request) engine.Pausable {
	return engine.Pausable{Phase: r.PathValue("phase"), Session: r.PathValue("session")}
}
