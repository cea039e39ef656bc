package redistest

import "github.com/stretchr/testify/require"

// Stop fails the test: Windows has neither redis-server nor a signal that suspends a process.
func (s *Server) Stop() { require.Fail(s.t, "a process cannot be suspended on Windows") }

// Continue fails the test, as Stop does.
func (s *Server) Continue() { s.Stop() }
