package operator

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/seathold/seathold/engine"
)

// wantedStock is the body of PUT /admin/sessions/{session}/pools/{category}. A member that is missing stays as it is.
// Withheld counts the places of returned tickets, as the answer does.
type wantedStock struct {
	Capacity *int `json:"capacity"`
	Withheld *int `json:"withheld"`
}

// asked returns what was asked for, for the log: the pool may have other numbers again.
func (w *wantedStock) asked() (attrs []slog.Attr) {
	if w.Capacity != nil {
		attrs = append(attrs, slog.Int("capacity", *w.Capacity))
	}
	if w.Withheld != nil {
		attrs = append(attrs, slog.Int("withheld", *w.Withheld))
	}
	return attrs
}

// pool is what the call responds with.
type pool struct {
	Session   string `json:"session"`
	Category  string `json:"category"`
	Capacity  int    `json:"capacity"`
	Available int    `json:"available"`
	Held      int    `json:"held"`
	Sold      int    `json:"sold"`
	Withheld  int    `json:"withheld"`
}

// setStock sets the numbers of a pool. It never takes what is held or sold.
func (s *sales) setStock(w http.ResponseWriter, r *http.Request, e *engine.Engine) error {
	data, err := body(w, r)
	if err != nil {
		return err
	}
	var wanted wantedStock
	err = json.Unmarshal(data, &wanted, json.RejectUnknownMembers(true))
	if err != nil || wanted.Capacity == nil && wanted.Withheld == nil {
		return malformed(`it must be {"capacity": N}, {"withheld": N}, or both`)
	}
	session, category := r.PathValue("session"), r.PathValue("category")
	// The end of the operator's connection does not cancel what is being journalled.
	stock, err := e.SetStock(context.WithoutCancel(r.Context()), session, category, wanted.Capacity, wanted.Withheld)
	if taken, ok := errors.AsType[*engine.StockTaken](err); ok {
		return &withFacts{&refusal{&stockTaken, err.Error()}, struct {
			Session  string `json:"session"`
			Category string `json:"category"`
			Taken    int    `json:"taken"`
		}{taken.Session, taken.Category, taken.Taken}}
	}
	if err != nil {
		return err
	}
	audit(r, wanted.asked()...)
	return s.respond(w, r, pool{session, category, stock.Capacity, stock.Available, stock.Held, stock.Sold,
		stock.Withheld})
}
