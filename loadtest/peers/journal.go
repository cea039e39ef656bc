package peers

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
	"github.com/seathold/seathold/engine/journal/redis"
)

// Journal is a way to keep Seathold's journal.
type Journal struct {
	Name  string // "none", "embedded", or any other name for a Redis
	Where string // a directory, or host:port
}

// journalDatabase is the database of a Redis that holds Seathold's journal; the scripts' sale is in database 0.
const journalDatabase = 1

// Empty returns the journal after emptying it. An embedded journal is in dir, which must be new or empty.
func (k Journal) Empty(ctx context.Context, dir string) (Journal, error) {
	switch k.Name {
	case "none":
		return k, nil
	case "embedded":
		k.Where = dir
		return k, nil
	}
	client := goredis.NewClient(&goredis.Options{Addr: k.Where, DB: journalDatabase})
	return k, errors.Join(client.FlushDB(ctx).Err(), client.Close())
}

// Open opens an engine on the journal, sized for a number of accounts.
func (k Journal) Open(ctx context.Context, accounts int) (*Seathold, error) {
	var b journal.Backend
	var err error
	switch k.Name {
	case "none":
	case "embedded":
		b, err = embedded.Open(k.Where, embedded.Options{})
	default:
		// Empty has flushed the database, after which a new journal must be asked for.
		b, err = redis.Open(redis.Options{Address: fmt.Sprintf("redis://%s/%d", k.Where, journalDatabase), New: true})
	}
	if err != nil {
		return nil, err
	}
	return openSeathold(ctx, b, accounts)
}
