package main

import "github.com/seathold/seathold/server"

// limits are the flags of what the API accepts at a time.
type limits struct {
	MaxConnections           int `default:"16384" env:"SEATHOLD_MAX_CONNECTIONS" placeholder:"N" help:"Most connections of the API. Further ones are refused as overloaded (default: ${default})."`
	MaxConnectionsPerAddress int `env:"SEATHOLD_MAX_CONNECTIONS_PER_ADDRESS" placeholder:"N" help:"Most connections from one address, or from one IPv6 network of 64 bits. For servers that buyers reach directly; a gateway has few addresses. Default: no such limit."`
	MaxInFlight              int `default:"2048" env:"SEATHOLD_MAX_IN_FLIGHT" placeholder:"N" help:"Most requests that are served at a time. Others wait for their turn. Under load the server lowers the number by itself (default: ${default})."`
	MaxInFlightPerKey        int `env:"SEATHOLD_MAX_IN_FLIGHT_PER_KEY" placeholder:"N" help:"Most requests of one key that are served or wait. New holds and lists beyond are refused as overloaded; confirms, releases, changes and reads of reservations and accounts are not. Default: no such limit."`
	MaxBuffered              int `default:"256" env:"SEATHOLD_MAX_BUFFERED" placeholder:"MIB" help:"Memory in MiB for large bodies and answers in flight and for lists. What finds no room is refused as overloaded (default: ${default})."`
}

func (f *limits) check() error {
	switch {
	case f.MaxConnections < 1:
		return usagef("--max-connections %d is less than 1", f.MaxConnections)
	case f.MaxConnectionsPerAddress < 0:
		return usagef("--max-connections-per-address %d is negative", f.MaxConnectionsPerAddress)
	case f.MaxInFlight < 1:
		return usagef("--max-in-flight %d is less than 1", f.MaxInFlight)
	case f.MaxBuffered < server.LeastBuffered>>20:
		return usagef("--max-buffered %d is less than %d", f.MaxBuffered, server.LeastBuffered>>20)
	case f.MaxInFlightPerKey < 0:
		return usagef("--max-in-flight-per-key %d is negative", f.MaxInFlightPerKey)
	}
	return nil
}
