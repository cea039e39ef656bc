package server

import (
	"slices"
	"strconv"
	"time"

	"github.com/seathold/seathold/engine"
)

// This file decodes the body of each call. Every error is an *engine.Refusal.

// memberSet is a set of the members that requests have, one bit each.
type memberSet uint16

const (
	memberID memberSet = 1 << iota
	memberAccount
	memberPhase
	memberTTL
	memberLines
	memberReplaces
	memberReference
	memberAgain
	memberExpiresAt
)

// memberNames are the names of the members, by the index of their bit.
var memberNames = [...]string{"id", "account", "phase", "ttl_seconds", "lines", "replaces", "reference", "again",
	"expires_at"}

// shape is which members a request may have, and which it must have.
type shape struct{ may, must memberSet }

// The shapes of the operations of a batch. A single call about one reservation has its id in the path instead.
var (
	reserveShape = shape{memberID | memberAccount | memberPhase | memberTTL | memberLines | memberReplaces,
		memberAccount | memberLines}
	confirmShape = shape{memberID | memberReference | memberAgain, memberID}
	releaseShape = shape{memberID, memberID}
	extendShape  = shape{memberID | memberExpiresAt, memberID | memberExpiresAt}
	reduceShape  = shape{memberID | memberLines, memberID | memberLines}
	returnShape  = shape{memberID | memberReference, memberID}
)

// withoutID is the shape of the body of a single call.
func (s shape) withoutID() shape { return shape{s.may &^ memberID, s.must &^ memberID} }

// allows reports whether a request may have the member.
func (s shape) allows(name string) bool {
	bit := slices.Index(memberNames[:], name)
	return bit >= 0 && s.may>>bit&1 != 0
}

// check compares the members of a request with its shape.
func (d *decoder) check(given memberSet, s shape) error {
	if given&^s.may == 0 && s.must&^given == 0 {
		return nil
	}
	for bit, name := range memberNames {
		switch is := memberSet(1) << bit; {
		case given&^s.may&is != 0:
			return d.unknown(name)
		case s.must&^given&is != 0:
			return d.fault(name, missing)
		}
	}
	return nil
}

// reservation decodes the body of POST /v1/reservations into q. It reuses q.Lines.
func (d *decoder) reservation(body []byte, q *engine.Request) error {
	*q = engine.Request{Lines: q.Lines[:0]}
	given := memberSet(0)
	err := d.object(body, func(name string) error {
		bit, err := d.requestMember(name, q)
		given |= bit
		return err
	})
	if err != nil {
		return err
	}
	return d.check(given, reserveShape)
}

// requestMember reads the value of a member of a reservation's request.
func (d *decoder) requestMember(name string, q *engine.Request) (bit memberSet, err error) {
	switch name {
	case "id":
		q.ID, err = d.id(name)
		return memberID, err
	case "account":
		q.Account, err = d.string(name)
		return memberAccount, err
	case "phase":
		if q.Phase, err = d.string(name); err == nil && q.Phase == "" {
			err = d.fault(name, "is empty; omit it to use the only open phase that fits")
		}
		return memberPhase, err
	case "ttl_seconds":
		q.TTL, err = d.seconds(name)
		return memberTTL, err
	case "lines":
		q.Lines, err = d.lines(q.Lines)
		return memberLines, err
	case "replaces":
		q.Replaces, err = d.id(name)
		return memberReplaces, err
	}
	return 0, d.unknown(name)
}

// lines reads the lines of a reservation.
func (d *decoder) lines(lines []engine.Line) ([]engine.Line, error) {
	err := d.elements("lines", func() error {
		d.line = len(lines)
		line, err := d.oneLine()
		lines = append(lines, line)
		return err
	})
	if err == nil {
		d.line = -1
	}
	return lines, err
}

func (d *decoder) oneLine() (line engine.Line, err error) {
	var session, category, quantity bool
	err = d.members("", func(name string) (err error) {
		switch name {
		case "session":
			session = true
			line.Session, err = d.string(name)
		case "category":
			category = true
			line.Category, err = d.string(name)
		case "quantity":
			quantity = true
			var n int64
			n, err = d.integer(name)
			line.Quantity = int(n)
		default:
			err = d.unknown(name)
		}
		return err
	})
	switch {
	case err != nil:
		return line, err
	case !session:
		return line, d.fault("session", missing)
	case !category:
		return line, d.fault("category", missing)
	case !quantity:
		return line, d.fault("quantity", missing)
	}
	return line, nil
}

// change decodes the body of a call about one reservation into op. s is the shape of the operation; the call's id is in
// its path. The body is optional if no member is required. It reuses the lines of op.Request.
func (d *decoder) change(body []byte, s shape, op *engine.Op) error {
	clearOperation(op)
	s = s.withoutID()
	if len(body) == 0 && s.must == 0 {
		return nil
	}
	given := memberSet(0)
	err := d.object(body, func(name string) error {
		if !s.allows(name) {
			return d.unknown(name)
		}
		bit, err := d.operationMember(name, op)
		given |= bit
		return err
	})
	if err != nil {
		return err
	}
	op.Lines = op.Request.Lines
	return d.check(given, s)
}

// clearOperation removes what an earlier operation has left in op.
func clearOperation(op *engine.Op) {
	op.Request = engine.Request{Lines: op.Request.Lines[:0]}
	op.ID, op.Reference, op.Again, op.ExpiresAt, op.Lines = engine.ID{}, "", false, time.Time{}, nil
}

// operationMember reads the value of a member of an operation, except op.
func (d *decoder) operationMember(name string, op *engine.Op) (bit memberSet, err error) {
	switch name {
	case "reference":
		op.Reference, err = d.string(name)
		return memberReference, err
	case "again":
		op.Again, err = d.boolean(name)
		return memberAgain, err
	case "expires_at":
		op.ExpiresAt, err = d.instant(name)
		return memberExpiresAt, err
	}
	return d.requestMember(name, &op.Request)
}

// entry decodes the body of POST /v1/draws/{draw}/entries.
func (d *decoder) entry(body []byte) (account, group string, err error) {
	given := false
	err = d.object(body, func(name string) (err error) {
		switch name {
		case "account":
			given = true
			account, err = d.string(name)
		case "priority_group":
			if group, err = d.string(name); err == nil && group == "" {
				err = d.fault(name, "is empty; omit it for an account without one")
			}
		default:
			err = d.unknown(name)
		}
		return err
	})
	if err == nil && !given {
		err = d.fault("account", missing)
	}
	return account, group, err
}

// batch decodes the body of POST /v1/batch into ops. It reuses their elements.
func (d *decoder) batch(body []byte, ops []engine.Op) ([]engine.Op, error) {
	ops = ops[:0]
	given := false
	err := d.object(body, func(name string) error {
		if name != "operations" {
			return d.unknown(name)
		}
		given = true
		return d.elements(name, func() error {
			if len(ops) == maxBatch {
				return d.fault("operations", "there are more than "+strconv.Itoa(maxBatch))
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
		err = d.fault("operations", missing)
	case len(ops) == 0:
		err = d.fault("operations", "at least one is required")
	}
	return ops, err
}

// oneOperation reads an operation of a batch. Its members may be in any order, so they are checked at its end.
func (d *decoder) oneOperation(op *engine.Op) error {
	clearOperation(op)
	s, named, given := shape{}, false, memberSet(0)
	err := d.members("", func(name string) (err error) {
		bit := memberSet(0)
		if name == "op" {
			named = true
			op.Kind, s, err = d.operationKind()
		} else {
			bit, err = d.operationMember(name, op)
		}
		given |= bit
		return err
	})
	switch {
	case err != nil:
		return err
	case !named:
		return d.fault("op", missing)
	}
	op.ID, op.Lines = op.Request.ID, op.Request.Lines
	return d.check(given, s)
}

// operationKind reads the kind of an operation, which decides its shape.
func (d *decoder) operationKind() (engine.OpKind, shape, error) {
	op, err := d.string("op")
	if err != nil {
		return 0, shape{}, err
	}
	switch op {
	case "reserve":
		return engine.OpReserve, reserveShape, nil
	case "confirm":
		return engine.OpConfirm, confirmShape, nil
	case "release":
		return engine.OpRelease, releaseShape, nil
	case "extend":
		return engine.OpExtend, extendShape, nil
	case "reduce":
		return engine.OpReduce, reduceShape, nil
	case "return":
		return engine.OpReturn, returnShape, nil
	}
	return 0, shape{}, d.fault("op", "must be reserve, confirm, release, extend, reduce or return")
}
