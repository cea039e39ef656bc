package server

import (
	"github.com/valyala/fasthttp"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/server/internal/encode"
)

// This file has the calls about one reservation; routes.go dispatches to them.

func (x *exchange) reserve() {
	q, r := &x.op.Request, &x.op.Result
	if err := x.decoder.reservation(x.ctx.Request.Body(), q); err != nil {
		x.fail(err)
		return
	}
	if err := x.engine.Reserve(x.server.calls, q, r); err != nil {
		x.fail(err)
		return
	}
	if r.Repeated {
		x.respondReservation(fasthttp.StatusOK)
		return
	}
	x.location = encode.ID(append(x.location[:0], "/v1/reservations/"...), r.ID)
	x.ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, x.location)
	x.respondReservation(fasthttp.StatusCreated)
}

func (x *exchange) confirm() {
	x.change(confirmShape, func(op *engine.Op) error {
		if op.Again {
			return x.engine.ConfirmAgain(x.server.calls, op.ID, op.Reference, &op.Result)
		}
		return x.engine.Confirm(x.server.calls, op.ID, op.Reference, &op.Result)
	})
}

func (x *exchange) release() {
	x.change(releaseShape, func(op *engine.Op) error {
		return x.engine.Release(x.server.calls, op.ID, &op.Result)
	})
}

func (x *exchange) extend() {
	x.change(extendShape, func(op *engine.Op) error {
		return x.engine.Extend(x.server.calls, op.ID, op.ExpiresAt, &op.Result)
	})
}

func (x *exchange) reduce() {
	x.change(reduceShape, func(op *engine.Op) error {
		return x.engine.Reduce(x.server.calls, op.ID, op.Lines, &op.Result)
	})
}

func (x *exchange) returnTickets() {
	x.change(returnShape, func(op *engine.Op) error {
		return x.engine.Return(x.server.calls, op.ID, op.Reference, &op.Result)
	})
}

// change makes a call that changes the reservation in the path, with a body of the shape.
func (x *exchange) change(s shape, call func(op *engine.Op) error) {
	x.callByID(func(id engine.ID) error {
		if err := x.decoder.change(x.ctx.Request.Body(), s, &x.op); err != nil {
			return err
		}
		x.op.ID = id
		return call(&x.op)
	})
}

func (x *exchange) readReservation() {
	x.callByID(func(id engine.ID) error { return x.engine.Reservation(x.server.calls, id, &x.op.Result) })
}

// callByID makes a call about the reservation in the path, and responds with that reservation.
func (x *exchange) callByID(call func(id engine.ID) error) {
	id, ok := parseID(x.param)
	if !ok {
		rejectMalformed(x.ctx, "id", idRule)
		return
	}
	if err := call(id); err != nil {
		x.fail(err)
		return
	}
	x.respondReservation(fasthttp.StatusOK)
}

// respondReservation sends the reservation that the engine returned.
func (x *exchange) respondReservation(status int) {
	x.respond(status, encode.Reservation(roomOf(x.ctx), &x.op.Result))
}
