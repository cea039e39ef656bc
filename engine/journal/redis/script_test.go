//go:build unix

package redis

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDevelopmentRedis runs scripts/redis as a developer does and ends it as Ctrl-C does. It must leave no files.
func TestDevelopmentRedis(t *testing.T) {
	parent := t.TempDir()
	script := exec.Command("../../../scripts/redis")
	script.Env = append(os.Environ(), "TMPDIR="+parent, "DIR=")
	script.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := script.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, script.Start())
	url := ""
	lines := bufio.NewScanner(out)
	for url == "" && lines.Scan() {
		if printed, ok := strings.CutPrefix(lines.Text(), "--redis "); ok {
			url = printed
		}
	}
	if url != "" {
		report := check(t, url)
		require.True(t, report.Safe, report)
		appendAndRecover(t, url)
	}
	require.NoError(t, syscall.Kill(-script.Process.Pid, syscall.SIGINT))
	for lines.Scan() {
	}
	require.NoError(t, script.Wait())
	require.NotEmpty(t, url, "no URL was printed")
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
}
