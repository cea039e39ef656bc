package handshake

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seathold/seathold/server/internal/latency"
)

// reason is why a handshake failed.
type reason int

const (
	timedOut          reason = iota // the client was too slow
	overloaded                      // it waited too long for a slot
	ended                           // the server closed the connection, for example to shut down
	abandoned                       // the client closed the connection while it waited for a slot
	disconnected                    // the client closed the connection at another moment
	refused                         // the client sent an alert: it does not trust the server's certificate, for example
	clientCertificate               // the client's certificate is missing, or no authority's
	notTLS                          // the first bytes are not those of a handshake
	incompatible                    // everything else: no common version or cipher suite, broken messages
	reasons
)

var reasonNames = [reasons]string{"timeout", "overloaded", "closed", "abandoned", "disconnected",
	"refused_by_client", "client_certificate", "not_tls", "protocol"}

// reasonOf classifies the error of a handshake.
func reasonOf(err error) reason {
	var network net.Error
	var remote *net.OpError
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, header := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, errOverloaded):
		return overloaded
	case errors.Is(err, errAbandoned):
		return abandoned
	case errors.Is(err, errEnded):
		return ended
	case errors.As(err, &remote) && remote.Op == "remote error":
		return refused
	case errors.As(err, &network) && network.Timeout():
		return timedOut
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return disconnected
	case certificate, strings.HasPrefix(err.Error(), "tls: client didn't provide a certificate"):
		return clientCertificate
	case header:
		return notTLS
	}
	return incompatible
}

// counts are what a Queue counts.
type counts struct {
	inProgress atomic.Int64
	full       atomic.Uint64
	resumed    atomic.Uint64
	failed     [reasons]atomic.Uint64
	took       latency.Histogram
}

// succeed counts a complete handshake.
func (c *counts) succeed(took time.Duration, resumed bool) {
	if resumed {
		c.resumed.Add(1)
	} else {
		c.full.Add(1)
	}
	c.took.Observe(took)
}

// Stats are the counts of a Queue. They are read while it runs, so one may be newer than another by a moment.
type Stats struct {
	InProgress int // begun and not ended; those that wait included
	Waiting    int // for a slot
	Full       uint64
	Resumed    uint64
	Failed     map[string]uint64 // by reason; every reason is listed
	Took       *latency.Counts   // of complete handshakes, waiting included
}

// Stats reads the counts.
func (q *Queue) Stats() Stats {
	c := &q.counts
	s := Stats{InProgress: int(c.inProgress.Load()), Waiting: q.slots.waiting(), Full: c.full.Load(),
		Resumed: c.resumed.Load(), Failed: map[string]uint64{}, Took: &latency.Counts{}}
	for why, name := range reasonNames {
		s.Failed[name] = c.failed[why].Load()
	}
	c.took.AddTo(s.Took)
	return s
}
