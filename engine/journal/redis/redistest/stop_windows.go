package redistest

import "github.com/stretchr/testify/require"

// Stop fails the test: Windows has neither a redis-server nor a signal that stops a process.
func (s *Server) Stop() { require.Fail(s.t, "a process cannot be stopped on Windows") }

// Continue fails the test, as Stop does.
func (s *Server) Continue() { s.Stop() }
