package client

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// Sale is the definition of a running sale, and what is paused.
type Sale struct {
	Sale        string    `json:"sale"`
	Title       string    `json:"title"`
	Version     int       `json:"version"`
	Digest      string    `json:"digest"`       // of all that is in force, in hexadecimal
	FilesDigest string    `json:"files_digest"` // of the organiser's files
	Since       time.Time `json:"since"`        // of the last change, on the sale clock
	Sessions    int       `json:"sessions"`
	Paused      struct {
		Sale     bool     `json:"sale"`
		Phases   []string `json:"phases"`
		Sessions []string `json:"sessions"`
	} `json:"paused"`
}

// Plan is what a definition would change, and what stands against it.
type Plan struct {
	Digest         string   `json:"digest"` // of what is in force; Apply takes it
	Changes        []string `json:"changes"`
	Objections     []string `json:"objections"`
	Same           bool     `json:"same"`            // the files are those in force
	NextVersion    int      `json:"next_version"`    // that ApplySale would make, unless it changes nothing
	EarlierVersion int      `json:"earlier_version"` // the last in which the same was in force before; 0 for none
}

// Applied is what a definition has changed.
type Applied struct {
	Version int      `json:"version"`
	Digest  string   `json:"digest"`
	Changes []string `json:"changes"`
}

// StockWanted are the numbers that a pool is to have, as PoolStock has them; nil for those that stay.
type StockWanted struct {
	Capacity *int `json:"capacity,omitzero"`
	Withheld *int `json:"withheld,omitzero"` // in all, places of returned tickets included
}

// PoolStock is the stock of one pool.
type PoolStock struct {
	Session   string `json:"session"`
	Category  string `json:"category"`
	Capacity  int    `json:"capacity"`
	Available int    `json:"available"`
	Held      int    `json:"held"`
	Sold      int    `json:"sold"`
	Withheld  int    `json:"withheld"`
}

// Sale returns what is in force.
func (o *Operator) Sale(ctx context.Context) (s Sale, err error) {
	_, err = o.c.call(ctx, http.MethodGet, "/admin/sale", nil, &s)
	return s, err
}

// SaleFiles returns the files of the definition in force, as a tar archive.
func (o *Operator) SaleFiles(ctx context.Context) (archive []byte, err error) {
	_, err = o.c.retry(ctx, func(ctx context.Context) (int, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.c.base+"/admin/sale", nil)
		if err != nil {
			return 0, err
		}
		request.Header.Set("Accept", tarType)
		response, err := o.c.exchange(request) //nolint:bodyclose // read closes it
		if err != nil {
			return 0, err
		}
		archive, err = o.c.read(response, maxAnswer)
		return response.StatusCode, err
	})
	return archive, err
}

// tarType is the content type of a definition's files.
const tarType = "application/x-tar"

// PlanSale returns what the definition in a tar archive would change. Refused with faulty_definition (faults).
func (o *Operator) PlanSale(ctx context.Context, archive []byte) (p Plan, err error) {
	_, err = o.c.retry(ctx, func(ctx context.Context) (int, error) {
		return o.sendBody(ctx, "/admin/sale/plan", tarType, archive, "", &p)
	})
	return p, err
}

// ApplySale puts the definition in a tar archive into force if what is in force has the digest, which is that of a
// plan. It is not retried: after a broken connection, plan again. Refused with precondition_failed (digest),
// change_refused (objections) and faulty_definition (faults).
func (o *Operator) ApplySale(ctx context.Context, archive []byte, digest string) (a Applied, err error) {
	_, err = o.sendBody(ctx, "/admin/sale/apply", tarType, archive, digest, &a)
	return a, err
}

// sendBody makes one attempt of a POST whose body is not JSON. digest is what has to be in force, or "".
func (o *Operator) sendBody(ctx context.Context, path, contentType string, body []byte, digest string, answer any) (
	int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", contentType)
	if digest != "" {
		request.Header.Set("If-Match", `"`+digest+`"`)
	}
	response, err := o.c.exchange(request) //nolint:bodyclose // read closes it
	if err != nil {
		return 0, err
	}
	text, err := o.c.read(response, maxAnswer)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return 0, noAnswer(response.StatusCode, requestIDOf(response), err.Error())
	}
	return response.StatusCode, nil
}

type pauseState struct {
	Paused bool `json:"paused"`
}

// SetPaused pauses the sale, a phase or a session, or lets it go on. Exactly one of the ids, or none for the sale, is
// not "". Refused with unknown_phase and session_not_found.
func (o *Operator) SetPaused(ctx context.Context, phase, session string, paused bool) error {
	var now pauseState
	_, err := o.c.call(ctx, http.MethodPut, pausePath(phase, session), pauseState{paused}, &now)
	return err
}

// Paused reports whether the sale, a phase or a session is paused. See SetPaused.
func (o *Operator) Paused(ctx context.Context, phase, session string) (bool, error) {
	var now pauseState
	_, err := o.c.call(ctx, http.MethodGet, pausePath(phase, session), nil, &now)
	return now.Paused, err
}

func pausePath(phase, session string) string {
	switch {
	case phase != "":
		return "/admin/phases/" + escaped(phase) + "/paused"
	case session != "":
		return "/admin/sessions/" + escaped(session) + "/paused"
	}
	return "/admin/sale/paused"
}

// SetStock sets the numbers of a pool, and returns its stock. Refused with stock_taken (taken: held and sold),
// session_not_found and unknown_category.
func (o *Operator) SetStock(ctx context.Context, session, category string, to StockWanted) (p PoolStock, err error) {
	_, err = o.c.call(ctx, http.MethodPut,
		"/admin/sessions/"+escaped(session)+"/pools/"+escaped(category), to, &p)
	return p, err
}

// Texts returns a fact that is a list of strings, such as objections; none if there is no such fact.
func (e *Error) Texts(fact string) (all []string) {
	list, _ := e.Facts[fact].([]any)
	for _, element := range list {
		if text, ok := element.(string); ok {
			all = append(all, text)
		}
	}
	return all
}
