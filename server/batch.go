package server

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// Limits of POST /v1/batch.
const (
	// MaxBatch is the most operations that a batch may have.
	MaxBatch = 1000
	// MaxBatchBody is the most bytes that its body may have: a thousand packs of three sessions fit, with the longest names
	// of accounts. Only callers that may sell can make the server hold so much, see headerReceived.
	MaxBatchBody = 512 << 10
)

// batch is room for the operations of one batch and their answers. It is kept apart from the exchanges, since it is a
// thousand times larger.
type batch struct {
	ops []engine.Op
}

// batch carries out the operations of a body, in their order and each on its own, with one wait for the journal.
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
	// The request itself has been let in as one operation. A batch that is larger than the limit is let in when it would be
	// alone: it then is all that the server does.
	more := min(len(ops), s.admission.Limit()) - 1
	if !s.admission.Enter(more) {
		s.batches.Put(b)
		x.fail(&engine.Refusal{Code: engine.Overloaded})
		return
	}
	defer s.admission.Leave(more)
	x.engine.Batch(s.calls, ops)
	x.tell(fasthttp.StatusOK, appendResults(roomOf(x.ctx), ops))
	s.batches.Put(b) // not after a panic: its parts may then be in any state
}

// batch decodes the body of POST /v1/batch into ops, whose elements it uses again.
func (d *decoder) batch(body []byte, ops []engine.Op) ([]engine.Op, error) {
	ops = ops[:0]
	given := false
	err := d.object(body, func(name string) error {
		if name != "operations" {
			return d.unknown(name)
		}
		given = true
		return d.elements(name, func() error {
			if len(ops) == MaxBatch {
				return d.fault("operations", "there are more than "+strconv.Itoa(MaxBatch))
			}
			d.operation = len(ops)
			if len(ops) < cap(ops) {
				ops = ops[:len(ops)+1]
			} else {
				ops = append(ops, engine.Op{})
			}
			err := d.oneOperation(&ops[d.operation])
			if err == nil {
				d.operation = -1
			}
			return err
		})
	})
	switch {
	case err != nil:
	case !given:
		err = d.fault("operations", "is missing")
	case len(ops) == 0:
		err = d.fault("operations", "at least one")
	}
	return ops, err
}

// memberSet is a set of members of operations, one bit each.
type memberSet uint8

const (
	memberID memberSet = 1 << iota
	memberAccount
	memberPhase
	memberTTL
	memberLines
	memberReference
)

// shape says which members the operations of a kind have, and which of them must be there.
type shape struct{ may, must memberSet }

// shapeOf returns the shape of the operations with the name, and their kind.
func shapeOf(op string) (kind engine.OpKind, s shape, known bool) {
	switch op {
	case "reserve":
		return engine.OpReserve, shape{memberID | memberAccount | memberPhase | memberTTL | memberLines, memberAccount | memberLines}, true
	case "confirm":
		return engine.OpConfirm, shape{memberID | memberReference, memberID}, true
	case "release":
		return engine.OpRelease, shape{memberID, memberID}, true
	}
	return 0, shape{}, false
}

// memberName returns the name of a member by the place of its bit.
func memberName(bit int) string {
	return [...]string{"id", "account", "phase", "ttl_seconds", "lines", "reference"}[bit]
}

// oneOperation reads an operation. Its members may come in any order, so what they mean is seen only at the end.
func (d *decoder) oneOperation(op *engine.Op) error {
	q := &op.Request
	*q = engine.Request{Lines: q.Lines[:0]}
	op.Reference = ""
	kind, s, named, given := engine.OpReserve, shape{}, false, memberSet(0)
	err := d.members("", func(name string) (err error) {
		if name == "op" {
			kind, s, err = d.operationName()
			named = true
			return err
		}
		bit, err := d.operationMember(name, op)
		given |= bit
		return err
	})
	switch {
	case err != nil:
		return err
	case !named:
		return d.fault("op", "is missing")
	}
	op.Kind, op.ID = kind, q.ID
	for bit := range 6 {
		switch is := memberSet(1) << bit; {
		case given&^s.may&is != 0:
			return d.unknown(memberName(bit))
		case s.must&^given&is != 0:
			return d.fault(memberName(bit), "is missing")
		}
	}
	return nil
}

func (d *decoder) operationName() (engine.OpKind, shape, error) {
	op, err := d.string("op")
	if err != nil {
		return 0, shape{}, err
	}
	kind, s, known := shapeOf(op)
	if !known {
		err = d.fault("op", "one of reserve, confirm and release is expected")
	}
	return kind, s, err
}

// operationMember reads the value of a member of any kind of operation.
func (d *decoder) operationMember(name string, op *engine.Op) (bit memberSet, err error) {
	if name == "reference" {
		op.Reference, err = d.string(name)
		return memberReference, err
	}
	return d.requestMember(name, &op.Request)
}

// appendResults appends the answers of a batch.
func appendResults(dst []byte, ops []engine.Op) []byte {
	dst = append(dst, `{"results":[`...)
	for i := range ops {
		dst = appendResult(encode.Comma(dst, i), &ops[i])
	}
	return append(dst, `]}`...)
}

// appendResult appends an operation's answer: the status and the body that its own call would have had.
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
