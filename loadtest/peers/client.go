package peers

import (
	"errors"
	"fmt"
	"time"
)

// dialogue is what a client sends on its connections and the answers that it expects.
type dialogue interface {
	// request appends the next request to out.
	request(connection int, out []byte) []byte
	// answer parses the answer at the start of in. It returns the answer's length, 0 if it is incomplete, and the number
	// of operations that it answers. An unexpected answer is an error.
	answer(connection int, in []byte) (length, operations int, err error)
}

// Client is a load generator that needs few system calls: one thread reads and writes all connections as the kernel
// reports them ready, without a goroutine, deadline or buffer for each. On two cores, the processor time of a client is
// missing from what it measures.
type Client struct {
	Address     string // host:port
	Connections int
	Depth       int // requests in flight on each connection
}

// The benchmarks over HTTP keep this many connections, with one request at a time on each: of a shop's gateways, and of
// callers that send batches.
const (
	HTTPConnections  = 512
	BatchConnections = 4
)

// Result is what a client measured.
type Result struct {
	Operations int
	Took       time.Duration
	Spent      time.Duration // processor time of the client
}

var errNeedsLinux = fmt.Errorf("%w: the load generator needs the epoll of Linux", errors.ErrUnsupported)

// maxAnswer limits an answer, in bytes.
const maxAnswer = 1 << 20
