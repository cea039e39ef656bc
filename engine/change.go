package engine

import (
	"context"
	"time"
)

// Extend moves the end of a held reservation to an instant, and fills r.
func (e *Engine) Extend(ctx context.Context, id ID, expiresAt time.Time, r *Reservation) error {
	panic("BUG: not there yet")
}

// Reduce makes a reservation, held or confirmed, keep only the lines given, and fills r.
func (e *Engine) Reduce(ctx context.Context, id ID, keep []Line, r *Reservation) error {
	panic("BUG: not there yet")
}

// Return gives back a confirmed reservation, stores the reference with it, and fills r.
func (e *Engine) Return(ctx context.Context, id ID, reference string, r *Reservation) error {
	panic("BUG: not there yet")
}

// ConfirmAgain is Confirm, and takes the lines of an expired reservation once more.
func (e *Engine) ConfirmAgain(ctx context.Context, id ID, reference string, r *Reservation) error {
	panic("BUG: not there yet")
}
