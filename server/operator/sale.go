package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/server/internal/encode"
)

// tarType is the content type of a definition's files.
const tarType = "application/x-tar"

// sales are an operator's calls for the sale's definition:
//
//	GET  /admin/sale         what is in force and what is paused; with Accept: application/x-tar its files
//	POST /admin/sale/plan    what the definition in the body would change, and what stands against it; nothing changes
//	POST /admin/sale/apply   put the definition in the body into force, if If-Match names what is in force
//
// A body is a tar archive of the files of a definition. ETag is the digest of what is in force, and so is the digest
// of a plan. Applying what is in force changes nothing. The calls of pauses.go and pools.go make single changes.
type sales struct {
	calls
	reading sync.Mutex
}

// register adds the calls below /admin/ that concern the definition.
func (s *sales) register(paths *http.ServeMux) {
	paths.Handle("GET /admin/sale", s.call(s.read))
	paths.Handle("POST /admin/sale/plan", s.call(s.plan))
	paths.Handle("POST /admin/sale/apply", s.call(s.apply))
	paths.Handle("PUT /admin/sessions/{session}/pools/{category}", s.call(s.setStock))
	for _, path := range []string{
		"/admin/sale/paused", "/admin/phases/{phase}/paused", "/admin/sessions/{session}/paused"} {
		paths.Handle("GET "+path, s.call(s.readPaused))
		paths.Handle("PUT "+path, s.call(s.pause))
	}
}

// inForce is what GET /admin/sale responds with.
type inForce struct {
	Sale        string         `json:"sale"`
	Title       string         `json:"title"`
	Version     int            `json:"version"`
	Digest      string         `json:"digest"`
	FilesDigest string         `json:"files_digest"`
	Since       jsontext.Value `json:"since"`
	Sessions    int            `json:"sessions"` // without those that were removed
	Paused      pausedParts    `json:"paused"`
}

// pausedParts are the ids of what is paused.
type pausedParts struct {
	Sale     bool     `json:"sale"`
	Phases   []string `json:"phases"`
	Sessions []string `json:"sessions"`
}

func (s *sales) read(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	d, err := e.Definition()
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+d.Digest.String()+`"`)
	w.Header().Set("Vary", "Accept")
	if accepts(r, tarType) {
		return s.sendFiles(w, r, &d)
	}
	since, sessions := encode.Time(nil, d.Since), 0
	for i := range d.Sale.Sessions {
		if !d.Sale.Sessions[i].Removed {
			sessions++
		}
	}
	return s.respond(w, r, inForce{Sale: d.Sale.Name, Title: d.Sale.Title, Version: d.Version, Digest: d.Digest.String(),
		FilesDigest: d.FilesDigest.String(), Since: since, Sessions: sessions,
		Paused: pausedParts{d.Paused.Sale, d.Paused.Phases, d.Paused.Sessions}})
}

// accepts reports whether the Accept header names the type.
func accepts(r *http.Request, contentType string) bool {
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), contentType) {
				return true
			}
		}
	}
	return false
}

// sendFiles responds with the files of the definition.
func (s *sales) sendFiles(w http.ResponseWriter, r *http.Request, d *engine.Definition) error {
	if d.Files == nil {
		return &refusal{&encode.NotFound, "the definition in force has no files: the journal is from an earlier release. " +
			"Apply the definition once, and later versions have them"}
	}
	w.Header().Set("Content-Type", tarType)
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.tar"`, d.Sale.Name))
	out := &deadlineWriter{w: w, control: http.NewResponseController(w)}
	_, err := out.Write(d.Files.AppendTar(nil))
	return s.cut(w, r, err)
}

// planned is what POST /admin/sale/plan responds with.
type planned struct {
	Digest     string   `json:"digest"`
	Changes    []string `json:"changes"`
	Objections []string `json:"objections"`
	Same       bool     `json:"same"`                     // the files are those in force
	Next       int      `json:"next_version"`             // that apply would make, unless it changes nothing
	Earlier    int      `json:"earlier_version,omitzero"` // the last in which the same was in force before
}

func (s *sales) plan(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	plan, err := s.planOf(w, r, e)
	if err != nil {
		return faulty(err)
	}
	w.Header().Set("ETag", `"`+plan.Digest.String()+`"`)
	return s.respond(w, r, planned{Digest: plan.Digest.String(), Changes: texts(plan.Changes),
		Objections: plan.Objections, Same: plan.Same, Next: plan.Next, Earlier: plan.Earlier})
}

// planOf plans the definition in the body.
func (s *sales) planOf(w http.ResponseWriter, r *http.Request, e *engine.Engine) (plan engine.Plan, err error) {
	sale, used, err := s.definition(w, r)
	if err != nil {
		return plan, err
	}
	defer used()
	return e.Plan(sale)
}

// applied is what POST /admin/sale/apply responds with.
type applied struct {
	Version int      `json:"version"`
	Digest  string   `json:"digest"`
	Changes []string `json:"changes"`
}

func (s *sales) apply(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	on, err := condition(e, r)
	if err != nil {
		return err
	}
	result, err := s.applyOn(w, r, e, on)
	if errors.Is(err, engine.ErrOtherDefinition) {
		d, known := e.Definition()
		if known != nil {
			return known
		}
		return differs(d.Digest, err.Error())
	}
	if objected, ok := errors.AsType[*engine.ChangeRefused](err); ok {
		return &withFacts{&refusal{&changeRefused, err.Error()}, struct {
			Objections []string `json:"objections"`
		}{objected.Objections}}
	}
	if err != nil {
		return faulty(err)
	}
	changes := texts(result.Changes)
	audit(r, slog.Int("version", result.Version), slog.String("change", summary(changes)))
	w.Header().Set("ETag", `"`+result.Digest.String()+`"`)
	return s.respond(w, r, applied{Version: result.Version, Digest: result.Digest.String(), Changes: changes})
}

// applyOn puts the definition in the body into force, if that with the digest is in force.
func (s *sales) applyOn(w http.ResponseWriter, r *http.Request, e *engine.Engine, on draw.Digest) (
	done engine.Applied, err error) {
	sale, used, err := s.definition(w, r)
	if err != nil {
		return done, err
	}
	defer used()
	// The end of the operator's connection does not cancel what is being journalled.
	return e.Apply(context.WithoutCancel(r.Context()), sale, on)
}

// condition returns the digest in If-Match that is in force. It is the one that the plan had, in quotes as ETag or
// bare as in JSON, and may be one of a list.
func condition(e *engine.Engine, r *http.Request) (on draw.Digest, err error) {
	d, err := e.Definition()
	if err != nil {
		return on, err
	}
	sent := strings.Join(r.Header.Values("If-Match"), ",")
	for tag := range strings.SplitSeq(sent, ",") {
		if tag = strings.TrimSpace(tag); tag == `"`+d.Digest.String()+`"` || tag == d.Digest.String() {
			return d.Digest, nil
		}
	}
	detail := `If-Match must be the digest of the plan, in quotes; "*" is not accepted`
	if strings.Contains(sent, `"`) && !strings.HasPrefix(sent, "W/") {
		detail = engine.ErrOtherDefinition.Error()
	}
	return on, differs(d.Digest, detail)
}

// differs is the refusal of a change that was not planned for what is in force, which it names.
func differs(inForce draw.Digest, detail string) error {
	return &withFacts{&refusal{&otherDefinition, detail}, struct {
		Digest string `json:"digest"`
	}{inForce.String()}}
}

// texts are the changes as lines of text.
func texts(changes []catalog.Change) []string {
	all := make([]string, len(changes))
	for i := range changes {
		all[i] = changes[i].String()
	}
	return all
}

// summary is what the audit line has of a change. The journal has all of it.
func summary(changes []string) string {
	const most = 10
	if len(changes) == 0 {
		return "none"
	}
	text := strings.Join(changes[:min(most, len(changes))], "; ")
	if more := len(changes) - most; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}
