package peers

import (
	"context"
	_ "embed"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/reserve.lua
var reserveLua string

//go:embed lua/confirm.lua
var confirmLua string

// Lua is a sale kept by scripts in a Redis.
type Lua struct {
	client                 *redis.Client
	shaReserve, shaConfirm string
}

// JournalDatabase is the database of a Redis in which measurements keep Seathold's journal, beside the scripts' sale in
// database 0.
const JournalDatabase = 1

// EmptyRedis drops all that is in a database.
func EmptyRedis(ctx context.Context, address string, database int) error {
	client := redis.NewClient(&redis.Options{Addr: address, DB: database})
	return errors.Join(client.FlushDB(ctx).Err(), client.Close())
}

// NewLua empties the sale in a Redis, puts places into its pools, by number, and loads the scripts.
func NewLua(ctx context.Context, address string, places []int) (*Lua, error) {
	// As many connections as clients have requests in flight: none waits for one.
	l := &Lua{client: redis.NewClient(&redis.Options{Addr: address, PoolSize: 64})}
	if err := l.prepare(ctx, places); err != nil {
		return nil, errors.Join(err, l.client.Close())
	}
	return l, nil
}

func (l *Lua) prepare(ctx context.Context, places []int) (err error) {
	if err := l.client.FlushDB(ctx).Err(); err != nil {
		return err
	}
	var stock []any
	for i, n := range places {
		stock = append(stock, i, n)
	}
	if err := l.client.HSet(ctx, "pools", stock...).Err(); err != nil {
		return err
	}
	if l.shaReserve, err = l.client.ScriptLoad(ctx, reserveLua).Result(); err != nil {
		return err
	}
	l.shaConfirm, err = l.client.ScriptLoad(ctx, confirmLua).Result()
	return err
}

// Scripts returns the SHA1 of the scripts that reserve and confirm.
func (l *Lua) Scripts() [2]string { return [2]string{l.shaReserve, l.shaConfirm} }

// Close ends the connections.
func (l *Lua) Close() error { return l.client.Close() }

func (l *Lua) reserve(ctx context.Context, id, account string, now, expires int64, lines []any) (Verdict, error) {
	keys := []string{"reservation:" + id, "account:" + account, "pools", "holds"}
	text, err := l.client.EvalSha(ctx, l.shaReserve, keys, append([]any{id, account, now, expires}, lines...)...).Text()
	return Verdict(text), err
}

func (l *Lua) confirm(ctx context.Context, id, account string, now int64) (Verdict, error) {
	keys := []string{"reservation:" + id, "account:" + account, "pools", "holds"}
	text, err := l.client.EvalSha(ctx, l.shaConfirm, keys, id, now).Text()
	return Verdict(text), err
}

// RulesOfLua is a Redis as CheckRules wants it.
func RulesOfLua(ctx context.Context, address string) (Peer, error) {
	sessions := RuleSessions()
	var places []int
	for range sessions {
		places = append(places, RulePlaces)
	}
	l, err := NewLua(ctx, address, places)
	if err != nil {
		return Peer{}, err
	}
	owner := map[int]string{}
	return Peer{
		Reserve: func(id int, account string, quantity int, pools [3]int, ttl int) (Verdict, error) {
			var lines []any
			for _, pool := range pools {
				lines = append(lines, pool, sessions[pool], quantity)
			}
			if owner[id] == "" {
				owner[id] = account
			}
			return l.reserve(ctx, strconv.Itoa(id), account, scriptNow, scriptNow+int64(ttl), lines)
		},
		Confirm: func(id int) (Verdict, error) { return l.confirm(ctx, strconv.Itoa(id), owner[id], scriptNow) },
		Left: func(pool int) (int, error) {
			return l.client.HGet(ctx, "pools", strconv.Itoa(pool)).Int()
		},
	}, nil
}
