//go:build linux

package peers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"
)

// Spent is processor time, the program's own and the kernel's for it, in the whole of a measurement.
type Spent struct {
	Server time.Duration // this process
	Client time.Duration // the load generator
	Redis  time.Duration
}

// Add adds the time of a further measurement.
func (s *Spent) Add(more Spent) {
	s.Server += more.Server
	s.Client += more.Client
	s.Redis += more.Redis
}

// PlaceWatched is Place, and tells the processor time that went to it. redis is the process of a Redis that takes part; 0 for
// none.
func (o *Order) PlaceWatched(redis int) (answered Answered, spent Spent, err error) {
	before, err := spentSoFar(redis)
	if err != nil {
		return answered, spent, err
	}
	if answered, err = o.Place(); err != nil {
		return answered, spent, err
	}
	after, err := spentSoFar(redis)
	return answered, Spent{Server: after.Server - before.Server, Client: answered.Spent, Redis: after.Redis - before.Redis}, err
}

func spentSoFar(redis int) (s Spent, err error) {
	s.Server = ownTime()
	if redis != 0 {
		s.Redis, err = timeOf(redis)
	}
	return s, err
}

// ownTime returns the processor time of this process.
func ownTime() time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		panic("BUG: getrusage of this process: " + err.Error())
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// tick is the unit of times in /proc, which is the same on every Linux: see proc(5), sysconf(_SC_CLK_TCK).
const tick = time.Second / 100

// timeOf returns the processor time of a process, in steps of ten milliseconds.
func timeOf(process int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; utime and stime are the 12th and 13th field behind it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	ticks := int64(0)
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", process, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// RedisProcess returns the process id of the Redis at host:port.
func RedisProcess(ctx context.Context, address string) (int, error) {
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close() //nolint:errcheck // nothing was written
	text, err := client.Info(ctx, "server").Result()
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(text, "process_id:")
	if !found {
		return 0, fmt.Errorf("the Redis at %s does not say what process it is", address)
	}
	id, _, _ := strings.Cut(rest, "\r\n")
	return strconv.Atoi(id)
}
