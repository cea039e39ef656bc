package peers

import (
	"context"
	"fmt"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/journal/redis"
)

// Journal is a way to keep Seathold's journal: `none`, `embedded`, or a Redis by what it is set to.
type Journal struct {
	Name  string
	Where string // a directory, or host:port
}

// Empty returns a place for a journal in which there is none: the directory, which must be new or empty, or the Redis,
// emptied.
func (k Journal) Empty(ctx context.Context, dir string) (Journal, error) {
	switch k.Name {
	case "none":
		return k, nil
	case "embedded":
		k.Where = dir
		return k, nil
	}
	return k, EmptyRedis(ctx, k.Where, JournalDatabase)
}

// Open opens an engine on what is there, made for so many accounts.
func (k Journal) Open(ctx context.Context, accounts int) (*Seathold, error) {
	var b journal.Backend
	var err error
	switch k.Name {
	case "none":
	case "embedded":
		b, err = embedded.Open(k.Where, embedded.Options{})
	default:
		b, err = redis.Open(redis.Options{Address: fmt.Sprintf("redis://%s/%d", k.Where, JournalDatabase)})
	}
	if err != nil {
		return nil, err
	}
	return OpenSeathold(ctx, b, accounts)
}
