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

// Lua is a sale implemented by scripts in database 0 of a Redis.
type Lua struct {
	client                 *redis.Client
	shaReserve, shaConfirm string
}

// OpenLua checks the rules of the scripts in the Redis at host:port, which it empties, and makes the sale of Sale
// there.
func OpenLua(ctx context.Context, address string) (*Lua, error) {
	// The pool has a connection for each request in flight, so that no request awaits one.
	l := &Lua{client: redis.NewClient(&redis.Options{Addr: address, PoolSize: 64})}
	err := l.checkRules(ctx)
	if err == nil {
		err = l.prepare(ctx, len(Pools(Sale())), plenty)
	}
	if err != nil {
		return nil, errors.Join(err, l.client.Close())
	}
	return l, nil
}

// prepare empties the sale, makes pools with the given number of tickets each, and loads the scripts.
func (l *Lua) prepare(ctx context.Context, pools, tickets int) (err error) {
	if err := l.client.FlushDB(ctx).Err(); err != nil {
		return err
	}
	var stock []any
	for pool := range pools {
		stock = append(stock, pool, tickets)
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

// Close closes the connections.
func (l *Lua) Close() error { return l.client.Close() }

func (l *Lua) reserve(ctx context.Context, id, account string, now, expires int64, lines []any) (verdict, error) {
	keys := []string{"reservation:" + id, "account:" + account, "pools", "holds"}
	text, err := l.client.EvalSha(ctx, l.shaReserve, keys, append([]any{id, account, now, expires}, lines...)...).Text()
	return verdict(text), err
}

func (l *Lua) confirm(ctx context.Context, id, account string, now int64) (verdict, error) {
	keys := []string{"reservation:" + id, "account:" + account, "pools", "holds"}
	text, err := l.client.EvalSha(ctx, l.shaConfirm, keys, id, now).Text()
	return verdict(text), err
}

func (l *Lua) checkRules(ctx context.Context) error {
	sessions, owner := ruleSessions(), map[int]string{}
	if err := l.prepare(ctx, len(sessions), ruleTickets); err != nil {
		return err
	}
	return checkRules(peer{
		reserve: func(id int, account string, quantity int, pools [3]int, ttl int) (verdict, error) {
			var lines []any
			for _, pool := range pools {
				lines = append(lines, pool, sessions[pool], quantity)
			}
			if owner[id] == "" {
				owner[id] = account
			}
			return l.reserve(ctx, strconv.Itoa(id), account, scriptNow, scriptNow+int64(ttl), lines)
		},
		confirm: func(id int) (verdict, error) { return l.confirm(ctx, strconv.Itoa(id), owner[id], scriptNow) },
		available: func(pool int) (int, error) {
			return l.client.HGet(ctx, "pools", strconv.Itoa(pool)).Int()
		},
	})
}
