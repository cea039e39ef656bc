package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/procfs"
	"github.com/redis/go-redis/v9"
)

// Job is the work of a client process.
type Job struct {
	Client
	For      time.Duration
	Workload Workload
	Demand   Demand
	Crowd    int       // accounts
	First    uint64    // number of the first reservation; Measure sets it for the next job
	Scripts  [2]string // SHA1 of the scripts that reserve and confirm
}

// Workload names the requests of a job.
type Workload string

// The workloads.
const (
	WorkloadReserve Workload = "reserve" // one ticket a request
	WorkloadPack    Workload = "pack"    // one ticket of each of three pools a request
	WorkloadRefused Workload = "refused" // one ticket of a sold-out pool
	WorkloadBatch   Workload = "batch"   // a thousand reservations of one ticket a request
	WorkloadPacks   Workload = "packs"   // a thousand operations a request: packs reserved, earlier ones confirmed
	WorkloadScript  Workload = "script"  // a call of a Redis script a request: packs reserved and confirmed
)

const batchSize = 1000

// clientVariable holds the job, as JSON, of a client process.
const clientVariable = "SEATHOLD_BENCH_CLIENT"

// report is what a client process prints.
type report struct {
	Result
	Next  uint64
	Fault string
}

// ServeClient runs the job of a client process and exits; in any other process it returns at once. A program that
// measures calls it first in main. The client is a process of its own so that neither its goroutines nor its garbage
// burden the server.
func ServeClient() {
	text := os.Getenv(clientVariable)
	if text == "" {
		return
	}
	var j Job
	var r report
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		runtime.LockOSThread()
		r, err = j.run()
	}
	if err != nil {
		r.Fault = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// run runs the job in this process.
func (j *Job) run() (r report, err error) {
	talk, next, err := j.dialogue()
	if err != nil {
		return r, err
	}
	r.Result, err = j.Client.run(j.For, talk)
	r.Next = *next
	return r, err
}

// dialogue returns the dialogue of the workload, and where it keeps the number of its next reservation.
func (j *Job) dialogue() (talk dialogue, next *uint64, err error) {
	sale := Sale()
	pools := Pools(sale)
	crowd := NewCrowd(j.Crowd, len(pools), j.Demand)
	single := func(lines int, status string) (dialogue, *uint64, error) {
		s := newSingles(crowd, pools, j.First, lines, status)
		return s, &s.next, nil
	}
	switch j.Workload {
	case WorkloadReserve:
		return single(1, "201")
	case WorkloadPack:
		return single(3, "201")
	case WorkloadRefused:
		return single(1, "409")
	case WorkloadBatch, WorkloadPacks:
		b := newBatches(crowd, pools, max(j.First, 1), j.Connections, j.Workload == WorkloadPacks)
		return b, &b.next, nil
	case WorkloadScript:
		var sessions []string
		for _, p := range pools {
			sessions = append(sessions, strconv.Itoa(sale.Pools[p.Index].Session))
		}
		s := newScripts(crowd, sessions, max(j.First, 1), j.Connections, j.Scripts)
		return s, &s.next, nil
	}
	return nil, nil, fmt.Errorf("unknown workload %q", j.Workload)
}

// start runs the job in a process of its own, which is this program again, and sets First for the next job.
func (j *Job) start() (Result, error) {
	if runtime.GOOS != "linux" {
		return Result{}, errNeedsLinux
	}
	program, err := os.Executable()
	if err != nil {
		return Result{}, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return Result{}, err
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), clientVariable+"="+string(text), "GOGC=400")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return Result{}, fmt.Errorf("the client process: %w", err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		return Result{}, fmt.Errorf("the client process printed %q: %w", out, err)
	}
	if r.Fault != "" {
		return Result{}, errors.New("the client process: " + r.Fault)
	}
	j.First = r.Next
	return r.Result, nil
}

// Spent is the processor time of a whole measurement, in user space and in the kernel.
type Spent struct {
	Server time.Duration // this process
	Client time.Duration // the load generator
	Redis  time.Duration
}

// Measure runs the job in a client process and adds the processor time that it took to spent. redis is the process id
// of a Redis that takes part; 0 for none.
func (j *Job) Measure(redis int, spent *Spent) (Result, error) {
	server := ownTime()
	before, err := timeOf(redis)
	if err != nil {
		return Result{}, err
	}
	result, err := j.start()
	if err != nil {
		return Result{}, err
	}
	after, err := timeOf(redis)
	spent.Server += ownTime() - server
	spent.Client += result.Spent
	spent.Redis += after - before
	return result, err
}

// timeOf returns the processor time of a process, in steps of 10 ms; 0 for process 0.
func timeOf(process int) (time.Duration, error) {
	if process == 0 {
		return 0, nil
	}
	p, err := procfs.NewProc(process)
	if err != nil {
		return 0, err
	}
	stat, err := p.Stat()
	return time.Duration(stat.CPUTime() * float64(time.Second)), err
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
