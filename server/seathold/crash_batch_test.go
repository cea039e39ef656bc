package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// gatewayOp is an operation of a batch and the state that it gives its reservation.
type gatewayOp struct {
	promise *promise
	text    string
	state   string
}

// shopInBatches sends batches until one has no answer. Each ends the reservations of the previous one and makes new
// ones.
func (c *shopper) shopInBatches(s *program) {
	held := map[string]*promise{}
	for round := 0; ; round++ {
		var ops []gatewayOp
		for id, p := range held {
			kind, state := "confirm", "confirmed"
			if c.random.IntN(2) == 0 {
				kind, state = "release", "released"
			}
			ops = append(ops, gatewayOp{p, fmt.Sprintf(`{"op":%q,"id":%q}`, kind, id), state})
		}
		held = map[string]*promise{}
		for i := range 1 + c.random.IntN(8) {
			id := uuid.Must(uuid.NewRandom()).String()
			p := &promise{account: fmt.Sprintf("%s-%d-%d", c.name, round/4, i), lines: c.lines(), possible: []string{""}}
			c.promises[id], held[id] = p, p
			text := fmt.Sprintf(`{"op":"reserve","id":%q,"account":%q,"lines":[%s]}`, id, p.account, p.lines)
			ops = append(ops, gatewayOp{p, text, "held"})
		}
		if !c.sendBatch(s, ops) {
			return
		}
		for id, p := range held {
			if !p.allows("held") {
				delete(held, id)
			}
		}
	}
}

// sendBatch sends the operations and returns false when the server is gone.
func (c *shopper) sendBatch(s *program, ops []gatewayOp) bool {
	texts := make([]string, len(ops))
	for i, op := range ops {
		texts[i] = op.text
	}
	a, err := s.call(http.MethodPost, "/v1/batch", `{"operations":[`+strings.Join(texts, ",")+`]}`)
	results, _ := a.body["results"].([]any)
	if err != nil || a.status != http.StatusOK {
		for _, op := range ops {
			op.promise.unanswered(op.state)
		}
		return err == nil
	}
	if len(results) != len(ops) {
		s.t.Errorf("%d results of %d operations", len(results), len(ops))
		return false
	}
	for i, op := range ops {
		switch status := results[i].(map[string]any)["status"].(float64); {
		case status >= 500:
			op.promise.unanswered(op.state)
		case status < 300:
			op.promise.acknowledged(op.state)
		}
	}
	return true
}
