package main

import "time"

// tables are the flags of what the server remembers and of the sizes of its tables.
type tables struct {
	Forget          time.Duration `default:"24h" env:"SEATHOLD_FORGET" help:"How long a released or expired reservation can still be asked for after its expiry, and a returned one after its return (default: ${default})."`
	MaxReservations int           `default:"33554432" env:"SEATHOLD_MAX_RESERVATIONS" placeholder:"N" help:"Room for reservations: those alive, those that ended since the start or can still be asked for, and one for each change (extend, reduce, return, confirm again) since the checkpoint that this start has read. Each takes 128 bytes once it is used (default: ${default})."`
	MaxAccounts     int           `default:"16777216" env:"SEATHOLD_MAX_ACCOUNTS" placeholder:"N" help:"Room for accounts. Each takes 64 bytes once it is used (default: ${default})."`
}

// The most that the tables support.
const (
	mostReservations = 1<<30 - 1
	mostAccounts     = 1<<31 - 1
)

func (f *tables) check() error {
	switch {
	case f.Forget < time.Second:
		return usagef("--forget %s is shorter than a second", f.Forget)
	case f.MaxReservations < 1 || f.MaxReservations > mostReservations:
		return usagef("--max-reservations %d is not from 1 to %d", f.MaxReservations, mostReservations)
	case f.MaxAccounts < 1 || f.MaxAccounts > mostAccounts:
		return usagef("--max-accounts %d is not from 1 to %d", f.MaxAccounts, mostAccounts)
	}
	return nil
}
