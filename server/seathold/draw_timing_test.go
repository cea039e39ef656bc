package main

import (
	"bytes"
	"crypto/sha256"
	be "encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/bls"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine/catalog"
)

// ownChain is a beacon chain of the test's own, which signs the rounds of draw1 in a copy of the Paris 2024
// definition. Round 1201 is due when registration closes, 1401 ten minutes later.
type ownChain struct {
	key  *bls.PrivateKey[bls.KeyG2SigG1]
	sale string // directory of the definition
}

func newOwnChain(t *testing.T) *ownChain {
	key, err := bls.KeyGen[bls.KeyG2SigG1](bytes.Repeat([]byte{7}, 32), nil, nil)
	require.NoError(t, err)
	public, err := key.PublicKey().MarshalBinary()
	require.NoError(t, err)
	c := &ownChain{key: key, sale: filepath.Join(t.TempDir(), "sale")}
	require.NoError(t, os.CopyFS(c.sale, os.DirFS("../../engine/catalog/paris2024")))
	closes := time.Date(2023, 1, 31, 23, 0, 0, 0, time.UTC)
	c.replace(t, "beacons:\n", fmt.Sprintf("beacons:\n  own: {chain_hash: %s, public_key: %x, genesis: %d, period: 3}\n",
		strings.Repeat("ab", 32), public, closes.Add(-time.Hour).Unix()))
	definition := read(t, filepath.Join(c.sale, "sale.yaml"))
	from := strings.Index(definition, "      chain: quicknet\n      round: 1000\n")
	to := from + strings.Index(definition[from:], "  draw2:")
	c.replace(t, definition[from:to], "      chain: own\n      round: 1401\n")
	return c
}

// replace changes the definition.
func (c *ownChain) replace(t *testing.T, old, changed string) {
	path := filepath.Join(c.sale, "sale.yaml")
	definition := read(t, path)
	require.Contains(t, definition, old)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(definition, old, changed, 1)), 0o600))
}

func (c *ownChain) beacon(t *testing.T, round uint64) (file string) {
	message := sha256.Sum256(be.BigEndian.AppendUint64(nil, round))
	signature := bls.Sign(c.key, message[:])
	return write(t, fmt.Sprintf(`{"round":%d,"randomness":"%x","signature":"%x"}`, round, sha256.Sum256(signature),
		signature))
}

// serve serves the definition on the first day of the registration, with two entries.
func (c *ownChain) serve(t *testing.T) *drawServer {
	sale, err := catalog.Load(c.sale)
	require.NoError(t, err)
	s := &drawServer{t: t, sale: sale}
	s.at("2022-12-01T00:00:00Z")
	s.machine = func() time.Time { return *s.now.Load() }
	s.start(t.TempDir(), "")
	t.Cleanup(s.stop)
	done(t, "draw", "register", "--draw", "draw1", "--file", write(t, "account\nalice\nbob@example.org\n"), "--server",
		s.api)
	return s
}

// A definition with a round three seconds after the close is refused, with file, line and field.
func TestRoundTooSoonIsRefused(t *testing.T) {
	c := newOwnChain(t)
	c.replace(t, "round: 1401", "round: 1202")
	code, _, stderr := command("serve", "--sale", c.sale, "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data",
		t.TempDir())
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `sale.yaml:\d+: draws.draw1.beacon.round: round 1202 is published at 2023-01-31T23:00:03Z, 3s after`,
		stderr)
}

// A draw with a round of its own, from the commands: postponed, run, exported, verified, and checked by an entrant.
func TestHonestDrawFromTheCommandLine(t *testing.T) {
	c := newOwnChain(t)
	s := c.serve(t)
	on := func(command string, more ...string) []string {
		return append([]string{"draw", command, "--draw", "draw1", "--admin", s.admin}, more...)
	}
	s.at("2023-01-31T23:05:00Z")
	s.await("frozen")
	refusedWith(t, "round_refused", on("postpone", "--round", "1500")...)
	require.Contains(t, done(t, on("postpone", "--round", "1501")...),
		"draw draw1 is decided by round 1501 of own, due at 2023-01-31T23:15:00Z")
	refusedWith(t, "round_not_due", on("run", "--beacon", c.beacon(t, 1501))...)
	s.at("2023-01-31T23:15:00Z")
	refusedWith(t, "draw_void", on("postpone", "--round", "2000")...)
	refusedWith(t, "beacon of another round: 1401 instead of 1501", on("run", "--beacon", c.beacon(t, 1401))...)
	require.Contains(t, done(t, on("run", "--beacon", c.beacon(t, 1501))...), "round     1501")

	dir := filepath.Join(t.TempDir(), "export")
	done(t, on("export", dir)...)
	out := done(t, "draw", "verify", dir, "--sale", c.sale, "--server", s.api)
	require.Contains(t, out,
		"frozen      at 2023-01-31T23:05:00.000Z by the organiser's clock; 10m0s before the round was due")
	require.Contains(t, out, "postponed   at 2023-01-31T23:05:00.000Z to round 1501, due at 2023-01-31T23:15:00Z")
	require.Contains(t, out, "Nothing in an export shows when its root was published.")
	for _, name := range []string{"entries.csv", "result.csv", "draw.json", "terms.json", "README.md"} {
		require.NotContains(t, read(t, filepath.Join(dir, name)), "example.org")
	}
	published := s.text("/v1/draws/draw1")
	at := strings.Index(published, `"terms":"`) + len(`"terms":"`)
	other := newRelay(t, published[:at]+strings.Repeat("0", 64)+published[at+64:])
	refusedWith(t, "its terms have the digest", "draw", "verify", dir, "--sale", c.sale, "--server",
		strings.TrimSuffix(other, "/public/1000"))
	s.checkEntry(dir)
}

// checkEntry checks an entry as its owner does.
func (s *drawServer) checkEntry(dir string) {
	t := s.t
	_, answer := s.call("GET", "/v1/draws/draw1/entries/bob@example.org", "")
	text := s.text("/v1/draws/draw1/entries/bob@example.org")
	root := answer["digest"].(string)
	out := done(t, "draw", "check", write(t, text), "--root", strings.ToUpper(root), "--result", dir)
	require.Contains(t, out, "account     bob@example.org")
	require.Contains(t, out, "one of 2 under the root "+root)
	require.Contains(t, done(t, "draw", "check", write(t, text)), "compare it with what was published")
	clubbed := strings.Replace(text, `{`, `{"priority_group":"club",`, 1)
	for want, changed := range map[string]string{
		"the salt does not open the handle to the account eve@example.org": strings.Replace(text, "bob@", "eve@", 1),
		"the proof does not lead from the entry":                           clubbed,
		"is not 64 hexadecimal digits":                                     strings.Replace(text, `"salt":"`, `"salt":"0`, 1),
		"is not the answer of a server":                                    text[1:],
	} {
		refusedWith(t, want, "draw", "check", write(t, changed))
	}
	zeros := hex.EncodeToString(make([]byte, 32))
	refusedWith(t, "published was "+zeros, "draw", "check", write(t, text), "--root", zeros)
	code, _, _ := command("draw", "check", write(t, text), "--root", "12")
	require.Equal(t, exitUsage, code)
	result := filepath.Join(dir, "result.csv")
	good := read(t, result)
	handle := answer["handle"].(string)
	better := strings.NewReplacer("\n1,"+handle, "\n7,"+handle, "\n2,"+handle, "\n7,"+handle)
	for want, changed := range map[string]string{
		"it was left out":                   strings.Replace(good, handle, zeros, 1),
		"has the entry at rank 7, group \"": better.Replace(good),
	} {
		require.NoError(t, os.WriteFile(result, []byte(changed), 0o600))
		refusedWith(t, want, "draw", "check", write(t, text), "--result", dir)
	}
}

// With the beacon in hand, nothing can be frozen: not by the server, nor by the operator's calls.
func TestGrindingIsRefused(t *testing.T) {
	c := newOwnChain(t)
	s := c.serve(t)
	s.at("2023-01-31T23:10:00Z") // the server was down meanwhile
	s.await("void")
	refusedWith(t, "draw_void", "draw", "run", "--draw", "draw1", "--admin", s.admin, "--beacon", c.beacon(t, 1401))
	refusedWith(t, "draw_void", "draw", "postpone", "--draw", "draw1", "--admin", s.admin, "--round", "5000")
	refusedWith(t, "draw_not_run", "draw", "export", "--draw", "draw1", "--admin", s.admin,
		filepath.Join(t.TempDir(), "x"))
}

// A sale clock that is set back hides nothing: draw verify compares it with the clock of the machine.
func TestClockSetBackIsFound(t *testing.T) {
	c := newOwnChain(t)
	s := c.serve(t)
	s.stop()
	known := time.Date(2023, 2, 2, 0, 0, 0, 0, time.UTC)
	s.machine = func() time.Time { return known }
	s.start(t.TempDir(), "")
	s.at("2022-12-01T00:00:00Z")
	done(t, "draw", "register", "--draw", "draw1", "--file", write(t, "account\nann\nbob\n"), "--server", s.api)
	s.at("2023-01-31T23:05:00Z")
	s.await("frozen")
	s.at("2023-01-31T23:10:00Z")
	done(t, "draw", "run", "--draw", "draw1", "--admin", s.admin, "--beacon", c.beacon(t, 1401))
	dir := filepath.Join(t.TempDir(), "export")
	require.Contains(t, done(t, "draw", "export", "--draw", "draw1", "--admin", s.admin, dir),
		"WARNING: draw verify refuses")
	refusedWith(t, "there it was 2023-02-02T00:00:00.000Z when the entries were frozen", "draw", "verify", dir,
		"--sale", c.sale)
}
