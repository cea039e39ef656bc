package redistest

import (
	"bufio"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// DelaySyncs makes every sync of the server's file take so much longer, until the end of the test, as a slower disk
// would. It needs strace, and skips the test where that is missing.
func (s *Server) DelaySyncs(delay time.Duration) {
	s.t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		s.t.Skip("strace is not installed")
	}
	tracer := exec.Command(strace, "-f", "-p", fmt.Sprint(s.process.Process.Pid), "-o", "/dev/null",
		"-e", "trace=fdatasync", "-e", fmt.Sprintf("inject=fdatasync:delay_exit=%d", delay.Microseconds()))
	out, err := tracer.StderrPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, tracer.Start())
	s.t.Cleanup(func() {
		tracer.Process.Kill() // an error means that it has already ended
		tracer.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "attached") {
			go func() {
				for lines.Scan() {
				}
			}()
			return
		}
	}
	require.Fail(s.t, "strace cannot attach to redis-server")
}
