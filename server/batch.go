package server

import (
	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// The limits of POST /v1/batch.
const (
	maxBatch = 1000 // operations
	// maxBatchBody is the most bytes of the body: a thousand packs of three sessions fit, with the longest account names.
	// Only callers that may sell can make the server buffer this much, see headerReceived.
	maxBatchBody = 512 << 10
	// operationBytes is roughly what an operation and its result take.
	operationBytes = 1536
)

// batch is the memory for the operations of one batch and their results. Batches are pooled apart from exchanges, since
// one is a thousand times larger.
type batch struct {
	ops []engine.Op
}

// batch executes the operations of a body, in their order and each on its own, with one wait for the journal.
func (x *exchange) batch() {
	s := x.server
	b := s.batches.Get().(*batch)
	ops, err := x.decoder.batch(x.ctx.Request.Body(), b.ops)
	b.ops = ops
	if err != nil {
		s.batches.Put(b)
		x.fail(err)
		return
	}
	large := len(ops)*operationBytes > exempt
	if large && !s.budget.take(&x.conn().held.answer, int64(len(ops)*operationBytes), nil) {
		s.batches.Put(b)
		x.fail(&engine.Refusal{Code: engine.Overloaded})
		return
	}
	x.engine.Batch(s.calls, ops)
	if large {
		room := s.results.Get().(*[]byte)
		*room = appendResults((*room)[:0], ops)
		x.respond(fasthttp.StatusOK, nil)
		x.holdAnswer(room)
	} else if body := appendResults(roomOf(x.ctx), ops); len(body) > exempt {
		x.respond(fasthttp.StatusOK, nil) // its operations have been executed, so it is never refused
		large := body                     // escapes
		x.holdAnswer(&large)
	} else {
		x.respond(fasthttp.StatusOK, body)
	}
	for i := range ops {
		ops[i].Result.DropTexts() // the memory of the body is used again
	}
	s.batches.Put(b) // not after a panic, which may leave it in any state
}

// appendResults appends the results of a batch.
func appendResults(dst []byte, ops []engine.Op) []byte {
	dst = append(dst, `{"results":[`...)
	for i := range ops {
		dst = appendResult(encode.Comma(dst, i), &ops[i])
	}
	return append(dst, `]}`...)
}

// appendResult appends an operation's result: the status and the body that a single call would have had.
func appendResult(dst []byte, op *engine.Op) []byte {
	if op.Err != nil {
		refusal := refusalOf(op.Err)
		dst = encode.Int(append(dst, `{"status":`...), refusal.Rule().Status)
		return append(encode.Refusal(append(dst, `,"problem":`...), refusal), '}')
	}
	status := fasthttp.StatusOK
	if op.Kind == engine.OpReserve && !op.Result.Repeated {
		status = fasthttp.StatusCreated
	}
	dst = encode.Int(append(dst, `{"status":`...), status)
	return append(encode.Reservation(append(dst, `,"reservation":`...), &op.Result), '}')
}
