//go:build unix

package redistest

import (
	"syscall"

	"github.com/stretchr/testify/require"
)

// Stop stops the process as a stalled machine does: connections stay open, and nothing is answered.
func (s *Server) Stop() { require.NoError(s.t, s.process.Process.Signal(syscall.SIGSTOP)) }

// Continue ends Stop.
func (s *Server) Continue() { require.NoError(s.t, s.process.Process.Signal(syscall.SIGCONT)) }
