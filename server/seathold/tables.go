package main

import "time"

// tables are the flags of what the server remembers and of the sizes of its tables.
type tables struct {
	Forget          time.Duration `default:"24h" env:"SEATHOLD_FORGET" help:"How long what has ended can still be read, on the sale clock: a released or returned reservation from then on, an expired one after its expiry. Then it is forgotten: its id is free, and its row is used again. Where a table is over three quarters full, what ended first is forgotten earlier. At least a second; choose it longer than clients retry (default: ${default})."`
	MaxReservations int           `default:"33554432" env:"SEATHOLD_MAX_RESERVATIONS" placeholder:"N" help:"Room for reservations: those held or sold, those that have ended and are not forgotten (--forget), and for a moment one for each change (extend, reduce, return, confirm again). Each takes 128 bytes once it is used, and more for a reference, more than four lines and the index: at most 248. Without room, calls are refused as full (default: ${default})."`
	MaxAccounts     int           `default:"16777216" env:"SEATHOLD_MAX_ACCOUNTS" placeholder:"N" help:"Room for accounts: those of reservations that are not forgotten, and those that have entered a draw or a group. Each takes 64 bytes once it is used, and up to 128 more for a name of more than 55 bytes and the index (default: ${default})."`
}

// The most that the tables support.
const (
	mostReservations = 1<<30 - 1
	mostAccounts     = 1<<31 - 1
)

func (f *tables) check() error {
	switch {
	case f.Forget < time.Second:
		return usagef("--forget %s is shorter than a second; use more than clients retry", f.Forget)
	case f.MaxReservations < 1 || f.MaxReservations > mostReservations:
		return usagef("--max-reservations %d is not from 1 to %d", f.MaxReservations, mostReservations)
	case f.MaxAccounts < 1 || f.MaxAccounts > mostAccounts:
		return usagef("--max-accounts %d is not from 1 to %d", f.MaxAccounts, mostAccounts)
	}
	return nil
}
