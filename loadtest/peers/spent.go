//go:build linux

package peers

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/procfs"
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

func spentSoFar(redis int) (Spent, error) {
	s := Spent{Server: ownTime()}
	if redis == 0 {
		return s, nil
	}
	p, err := procfs.NewProc(redis)
	if err != nil {
		return s, err
	}
	stat, err := p.Stat()
	s.Redis = time.Duration(stat.CPUTime() * float64(time.Second))
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

// RedisProcess returns the process id of the Redis at host:port.
func RedisProcess(ctx context.Context, address string) (int, error) {
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close() //nolint:errcheck // nothing was written
	about, err := client.InfoMap(ctx, "server").Result()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(about["Server"]["process_id"])
}
