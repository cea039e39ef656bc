package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// flipBits flips bits of the byte at an offset of a file; negative ones count from the last byte that is not zero.
func flipBits(t *testing.T, path string, at int, bits byte) {
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
	b[at] ^= bits
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

	lastRecord := func() string {
		t.Helper()
		code, out := tool(t, "verify", "--data", dir)
		require.Equal(t, exitDone, code, out)
		found := regexp.MustCompile(`the last has number (\d+)`).FindStringSubmatch(out)
		require.Len(t, found, 2, out)
		return found[1]
	}
	last, kept := lastRecord(), ""
	segment := filepath.Join(dir, "segment-00000000000000000001")
	flipBits(t, segment, -3, 6)
	serve := []string{"serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data", dir}
	for _, args := range [][]string{{"verify", "--data", dir}, {"journal", "dump", "--data", dir}, serve,
		{"journal", "repair", "--data", dir}, {"journal", "repair", "--dry-run", "--data", dir}} {
		code, out := tool(t, args...)
		require.Equal(t, exitFailed, code, "%v: %s", args, out)
		place := regexp.MustCompile(`segment-00000000000000000001 at offset \d+: the checksum of a group's records is ` +
			`wrong after record (\d+), and by the file end record ` + last + ` was durable`).FindStringSubmatch(out)
		require.Len(t, place, 2, "%v: %s", args, out)
		kept = place[1]
		if args[0] != "journal" || args[1] == "dump" {
			require.Contains(t, out, "`seathold journal repair --dry-run --data "+dir+"` prints what can be done")
		} else {
			require.Contains(t, out, "--lose-after "+kept+": at least ")
		}
	}

	flipBits(t, segment, -3, 4) // one bit is left
	code, out := tool(t, "journal", "repair", "--data", dir)
	require.Equal(t, exitDone, code, out)
	require.Equal(t, last, lastRecord())
	require.Contains(t, out, "put back one bit of segment-00000000000000000001")
	flipBits(t, filepath.Join(dir, "seathold-journal"), 40, 1)
	code, out = tool(t, "verify", "--data", dir)
	require.Equal(t, exitFailed, code, out)
	require.Contains(t, out, "DAMAGED       seathold-journal at offset 0: ")
	code, out = tool(t, "journal", "repair", "--dry-run", "--data", dir)
	require.Equal(t, exitDone, code, out)
	require.Contains(t, out, "would write seathold-journal anew")
	code, out = tool(t, "journal", "repair", "--data", dir)
	require.Equal(t, exitDone, code, out)
	require.Contains(t, out, "the journal can be opened: its last record is "+last)
	require.Equal(t, last, lastRecord())

	flipBits(t, segment, -3, 6)
	code, out = tool(t, "journal", "repair", "--data", dir, "--lose-after", kept)
	require.Equal(t, exitDone, code, out)
	require.Equal(t, kept, lastRecord())
	require.Equal(t, exitDone, start(t, "--data", dir).stop())
	code, out = tool(t, "journal", "repair", "--data", filepath.Join(t.TempDir(), "nothing"))
	require.Equal(t, exitFailed, code, fmt.Sprint(out))
}
