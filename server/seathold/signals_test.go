//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A signal ends what does not await it: here the start of a server that reads its keys from a named pipe, to which
// nobody writes.
func TestSignalDuringAStart(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		s := begin(t, "--durability", "none", "--keys", pipe)
		keys, err := os.OpenFile(pipe, os.O_WRONLY, 0) // it opens once the server reads
		require.NoError(t, err)
		require.NoError(t, s.command.Process.Signal(signal))
		<-s.exited
		require.NoError(t, keys.Close())
		require.Equal(t, exitFailed, s.command.ProcessState.ExitCode())
		require.Equal(t, "seathold: ended by a signal: "+signal.String()+"\n", s.output.String())
	}
}

// A signal ends a command that waits for its standard input.
func TestSignalDuringACommand(t *testing.T) {
	path, err := binary()
	require.NoError(t, err)
	command, out := exec.Command(path, "group", "join", "club", "-"), &output{}
	command.Stdout, command.Stderr, command.Env = out, out, withoutDelay()
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	for range 64 { // more than a pipe holds: it reads
		_, err := stdin.Write(make([]byte, 4096))
		require.NoError(t, err)
	}
	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	require.Error(t, command.Wait())
	require.Equal(t, exitFailed, command.ProcessState.ExitCode())
	require.Equal(t, "seathold: ended by a signal: terminated\n", out.String())
}

// A second signal ends a start that the first one cannot stop: here that of a server whose journal has a named pipe for
// a file, from which nothing comes.
func TestSecondSignalDuringAStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.Equal(t, exitDone, start(t, "--data", dir).stop())
	segments, err := filepath.Glob(filepath.Join(dir, "segment-*"))
	require.NoError(t, err)
	require.NotEmpty(t, segments)
	require.NoError(t, os.Remove(segments[0]))
	require.NoError(t, syscall.Mkfifo(segments[0], 0o600))

	s := begin(t, "--data", dir)
	for _, logged := range []string{"replaying the journal", "stopping before the sale is open"} {
		s.await(func() bool { return strings.Contains(s.output.String(), logged) })
		require.NoError(t, s.command.Process.Signal(syscall.SIGTERM))
	}
	<-s.exited
	require.Equal(t, exitFailed, s.command.ProcessState.ExitCode())
	require.Contains(t, s.output.String(), "seathold: ended by a second signal\n")
}
