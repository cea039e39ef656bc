package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// flipBit flips a bit of the byte at an offset of a file; negative ones count from the last byte that is not zero.
func flipBit(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	if at < 0 {
		end := len(b)
		for b[end-1] == 0 {
			end--
		}
		at += end
	}
	b[at] ^= 4
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// TestRotAfterShutdown damages the last group of a journal after its server was stopped, with a sale in it. No command
// takes the sale back: each names the place, and repair names what a loss would be. Then it damages what has a copy:
// verify finds it, and repair repairs it.
func TestRotAfterShutdown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	s := start(t, "--data", dir)
	held, err := s.call(http.MethodPost, "/v1/reservations",
		`{"account":"last","lines":[{"session":"ATH10","category":"A","quantity":1}]}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, held.status)
	path := "/v1/reservations/" + held.text("id")
	sold, err := s.call(http.MethodPost, path+"/confirm", `{"reference":"paid"}`)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, sold.status)
	require.Equal(t, exitDone, s.stop())

	code, out := tool(t, "verify", "--data", dir)
	require.Equal(t, exitDone, code, out)
	segment := filepath.Join(dir, "segment-00000000000000000001")
	flipBit(t, segment, -3)
	serve := []string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data", dir}
	for _, args := range [][]string{{"verify", "--data", dir}, {"journal", "dump", "--data", dir}, serve,
		{"journal", "repair", "--data", dir}, {"journal", "repair", "--dry-run", "--data", dir}} {
		code, out = tool(t, args...)
		require.Equal(t, exitFailed, code, "%v: %s", args, out)
		require.Regexp(t, `segment-00000000000000000001 at offset \d+: the checksum of a group's records is wrong after `+
			`record 2, and by the file end record 3 was durable`, out, args)
		if args[0] != "journal" || args[1] == "dump" {
			require.Contains(t, out, "`seathold journal repair --dry-run --data "+dir+"` prints what can be done")
		}
	}
	require.Contains(t, out, "--lose-after 2: at least record 3 was acknowledged")

	flipBit(t, segment, -3)
	flipBit(t, filepath.Join(dir, "seathold-journal"), 40)
	code, out = tool(t, "verify", "--data", dir)
	require.Equal(t, exitFailed, code, out)
	require.Contains(t, out, "DAMAGED       seathold-journal at offset 0: ")
	code, out = tool(t, "journal", "repair", "--dry-run", "--data", dir)
	require.Equal(t, exitDone, code, out)
	require.Contains(t, out, "would write seathold-journal anew")
	code, out = tool(t, "journal", "repair", "--data", dir)
	require.Equal(t, exitDone, code, out)
	require.Contains(t, out, "the journal can be opened: its last record is 3")
	code, out = tool(t, "verify", "--data", dir)
	require.Equal(t, exitDone, code, out)

	flipBit(t, segment, -3)
	code, out = tool(t, "journal", "repair", "--data", dir, "--lose-after", "2")
	require.Equal(t, exitDone, code, out)
	s = start(t, "--data", dir)
	back, err := s.call(http.MethodGet, path, "")
	require.NoError(t, err)
	require.Equal(t, "held", back.text("state"), "what was given up is the confirmation, and nothing else")
	require.Equal(t, exitDone, s.stop())
	code, out = tool(t, "journal", "repair", "--data", filepath.Join(t.TempDir(), "nothing"))
	require.Equal(t, exitFailed, code, fmt.Sprint(out))
}
