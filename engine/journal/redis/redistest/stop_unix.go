//go:build unix

package redistest

import (
	"syscall"

	"github.com/stretchr/testify/require"
)

// Stop suspends the process, as on a stalled machine: connections stay open, and nothing responds.
func (s *Server) Stop() { require.NoError(s.t, s.process.Process.Signal(syscall.SIGSTOP)) }

// Continue ends Stop.
func (s *Server) Continue() { require.NoError(s.t, s.process.Process.Signal(syscall.SIGCONT)) }
