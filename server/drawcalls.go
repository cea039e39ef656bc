package server

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/draw"
)

// DrawCalls are what an operator does with draws, for the operator's port:
//
//	GET  /admin/draws/{draw}          the same as on the API
//	POST /admin/draws/{draw}/freeze   end registration, when its time is over, and publish the digest of the entries; the
//	                                  server does so by itself within a second of the close
//	POST /admin/draws/{draw}/run      decide the draw; the body is the beacon as a drand relay gives it
//	GET  /admin/draws/{draw}/export   the files of the export, as a tar stream
//
// The first three answer with the draw as the API shows it. Freezing again changes nothing and is a success. Refusals are
// problem+json with a code, beside those of the API:
//
//	409 registration_open    it is not over
//	409 already_drawn        the draw was run before; its result stands
//	409 draw_not_run         there is nothing to export
//	409 export_under_way     one at a time; each takes the memory of all entries twice
//	422 beacon_refused       it is of another round, or not the chain's
//
// After a refusal nothing has changed. Pages of other origins are refused, so that no web site can make an operator's
// browser call these.
type DrawCalls struct {
	// Engine is the one in charge; nil while the journal is replayed.
	Engine func() *engine.Engine
	// Keys, if set, ask for an admin's key.
	Keys *Keys
	Log  *slog.Logger

	exporting sync.Mutex
}

// Codes that only the operator's port knows.
const (
	codeRegistrationOpen engine.Code = "registration_open"
	codeAlreadyDrawn     engine.Code = "already_drawn"
	codeExportUnderWay   engine.Code = "export_under_way"
	codeBeaconRefused    engine.Code = "beacon_refused"
	codeNotReady         engine.Code = "not_ready"
)

// MaxBeacon is the most bytes of a beacon.
const MaxBeacon = 4096

// Handler makes the calls ready to be mounted at /admin/draws/.
func (c *DrawCalls) Handler() http.Handler {
	paths := http.NewServeMux()
	paths.Handle("GET /admin/draws/{draw}", c.call(c.read))
	paths.Handle("POST /admin/draws/{draw}/freeze", c.call(c.freeze))
	paths.Handle("POST /admin/draws/{draw}/run", c.call(c.run))
	paths.Handle("GET /admin/draws/{draw}/export", c.call(c.export))
	return http.NewCrossOriginProtection().Handler(paths)
}

// call answers with an engine in charge and an operator known.
func (c *DrawCalls) call(answer func(w http.ResponseWriter, r *http.Request, e *engine.Engine) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.permit(w, r); err != nil {
			c.fail(w, r, err)
			return
		}
		e := c.Engine()
		if e == nil {
			c.fail(w, r, &operatorRefusal{503, codeNotReady, "Not ready", "the journal is being replayed"})
			return
		}
		if err := answer(w, r, e); err != nil {
			c.fail(w, r, err)
		}
	})
}

// permit asks for an admin's key where there are keys.
func (c *DrawCalls) permit(w http.ResponseWriter, r *http.Request) error {
	if c.Keys == nil {
		return nil
	}
	switch role := c.Keys.RoleOf([]byte(r.Header.Get("Authorization"))); {
	case role == 0:
		w.Header().Set("WWW-Authenticate", `Bearer realm="seathold"`)
		return &operatorRefusal{401, codeUnauthenticated, "Not authenticated", "send a valid key as Authorization: Bearer KEY"}
	case role < Admin:
		return &operatorRefusal{403, codeForbidden, "Not allowed for this key", "this takes an admin's key"}
	}
	return nil
}

func (c *DrawCalls) read(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	status, err := e.Draw(r.PathValue("draw"))
	return c.tell(w, e, status, err)
}

func (c *DrawCalls) freeze(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	// The outcome stands even if the operator's connection does not.
	status, err := e.FreezeDraw(context.WithoutCancel(r.Context()), r.PathValue("draw"))
	return c.tell(w, e, status, err)
}

func (c *DrawCalls) run(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBeacon))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return &operatorRefusal{413, codePayloadTooLarge, "Payload too large", fmt.Sprintf("a beacon has at most %d bytes", MaxBeacon)}
	}
	if err != nil {
		return malformed("body", "it did not arrive whole")
	}
	beacon, err := draw.ParseBeacon(data)
	if err != nil {
		return malformed("body", err.Error())
	}
	status, err := e.RunDraw(context.WithoutCancel(r.Context()), r.PathValue("draw"), beacon)
	return c.tell(w, e, status, err)
}

func (c *DrawCalls) tell(w http.ResponseWriter, e *engine.Engine, status engine.DrawStatus, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(appendDraw(nil, e, &status), '\n'))
	return c.cut(err)
}

// export goes through the draw twice, first for the sizes, which a tar file has before its files. The same draw gives the
// same bytes, so nothing needs to be kept in between.
func (c *DrawCalls) export(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	if !c.exporting.TryLock() {
		return &operatorRefusal{409, codeExportUnderWay, "Export under way", "a draw is being exported; try again when that is done"}
	}
	defer c.exporting.Unlock()
	id, sizes := r.PathValue("draw"), map[string]*size{}
	if err := e.ExportDraw(id, func(name string) (io.WriteCloser, error) {
		sizes[name] = new(size)
		return sizes[name], r.Context().Err()
	}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.tar"`, id))
	archive := tar.NewWriter(&patientWriter{w: w, control: http.NewResponseController(w)})
	err := e.ExportDraw(id, func(name string) (io.WriteCloser, error) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(*sizes[name]), Format: tar.FormatPAX}
		return unclosed{archive}, archive.WriteHeader(header)
	})
	return c.cut(errors.Join(err, archive.Close()))
}

// cut ends an answer that has begun and cannot be ended well: the client then sees that it is not whole.
func (c *DrawCalls) cut(err error) error {
	if err != nil {
		c.Log.Warn("an operator's answer was cut short", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// size counts what is written to it.
type size int64

func (s *size) Write(data []byte) (int, error) {
	*s += size(len(data))
	return len(data), nil
}

func (s *size) Close() error { return nil }

// unclosed is one file of the archive, which goes on after it.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// patientWriter moves the deadline of the answer on with each part that the client took: a large export may take as long
// as it needs, but not stand still.
type patientWriter struct {
	w       io.Writer
	control *http.ResponseController
}

func (p *patientWriter) Write(data []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(data)
}

// operatorRefusal is a refusal with a code of this port.
type operatorRefusal struct {
	status int
	code   engine.Code
	title  string
	detail string
}

func (r *operatorRefusal) Error() string { return r.detail }

// fail answers with a problem.
func (c *DrawCalls) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *engine.Refusal
	var own *operatorRefusal
	var body []byte
	status := 0
	switch {
	case errors.As(err, &refusal):
		status, _ = statusOf(refusal.Code)
		body = appendRefusal(nil, refusal)
	default:
		if !errors.As(err, &own) {
			own = operatorRefusalOf(err)
		}
		if own.status == 500 {
			c.Log.Error("an operator's call failed", "path", r.URL.Path, "error", err)
		}
		status, body = own.status, own.problem()
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // where that fails the client has gone
}

func operatorRefusalOf(err error) *operatorRefusal {
	for _, of := range []struct {
		error   error
		refusal operatorRefusal
	}{
		{engine.ErrRegistrationOpen, operatorRefusal{409, codeRegistrationOpen, "Registration open", ""}},
		{engine.ErrAlreadyDrawn, operatorRefusal{409, codeAlreadyDrawn, "Already drawn", ""}},
		{draw.ErrOtherRound, operatorRefusal{422, codeBeaconRefused, "Beacon refused", ""}},
		{draw.ErrRandomness, operatorRefusal{422, codeBeaconRefused, "Beacon refused", ""}},
		{draw.ErrSignature, operatorRefusal{422, codeBeaconRefused, "Beacon refused", ""}},
	} {
		if errors.Is(err, of.error) {
			of.refusal.detail = err.Error()
			return &of.refusal
		}
	}
	return &operatorRefusal{500, codeInternal, "Internal error", err.Error()}
}

func (r *operatorRefusal) problem() []byte {
	dst := append(append([]byte(`{"type":"`+typePrefix), r.code...), `","title":"`...)
	dst = append(append(dst, r.title...), `","status":`...)
	dst = appendInt(dst, r.status)
	dst = appendString(append(dst, `,"detail":`...), r.detail)
	return append(append(append(dst, `,"code":"`...), r.code...), `"}`...)
}
