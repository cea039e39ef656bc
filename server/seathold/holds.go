package main

import "time"

// holds are the flags of how long holds last.
type holds struct {
	TTL     time.Duration  `default:"17m" env:"SEATHOLD_TTL" help:"How long a hold lasts unless the request asks for less (default: ${default})."`
	MaxHold *time.Duration `env:"SEATHOLD_MAX_HOLD" placeholder:"DURATION" help:"How long a hold can last in all, from its creation on, however often it is extended. Default: an hour, or --ttl if that is longer."`
}

func (f *holds) check() error {
	switch {
	case f.TTL < time.Second || f.TTL%time.Second != 0:
		return usagef("--ttl %s is not a whole number of seconds", f.TTL)
	case f.most()%time.Second != 0:
		return usagef("--max-hold %s is not a whole number of seconds", f.most())
	case f.most() < f.TTL:
		return usagef("--max-hold %s is shorter than --ttl %s, the time of every hold", f.most(), f.TTL)
	}
	return nil
}

// most returns how long a hold can last in all.
func (f *holds) most() time.Duration {
	if f.MaxHold != nil {
		return *f.MaxHold
	}
	return max(time.Hour, f.TTL)
}
