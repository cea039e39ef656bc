package engine_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cloudflare/circl/sign/bls"
	"github.com/stretchr/testify/require"

	"github.com/seathold/seathold/engine"
	"github.com/seathold/seathold/engine/audit"
	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/journal/embedded"
)

// honestRun is a draw that no stand-in decides. Its chain is the test's own, so that the test has every beacon. The
// round that decides is due 10 minutes after the close.
type honestRun struct {
	*ballotRun
	key *bls.PrivateKey[bls.KeyG2SigG1]
}

func newHonestRun(t *testing.T) *honestRun {
	key, err := bls.KeyGen[bls.KeyG2SigG1](bytes.Repeat([]byte{7}, 32), nil, nil)
	require.NoError(t, err)
	public, err := key.PublicKey().MarshalBinary()
	require.NoError(t, err)
	r := &honestRun{newBallotRun(t), key}
	b := &r.draw1.Beacon
	b.PublicKey, b.StandIn, b.Signature = hex.EncodeToString(public), false, ""
	b.Genesis, b.Period, b.Round = r.draw1.RegistrationCloses.Add(-time.Hour), 3*time.Second, 1401
	require.NoError(t, r.open())
	r.enter("alice", "club")
	r.enter("bob", "")
	return r
}

// after sets the sale clock to so long after the close.
func (r *honestRun) after(d time.Duration) { r.at(r.draw1.RegistrationCloses.Add(d)) }

func (r *honestRun) beacon(round uint64) draw.Beacon {
	message := sha256.Sum256(binary.BigEndian.AppendUint64(nil, round))
	b := draw.Beacon{Round: round}
	copy(b.Signature[:], bls.Sign(r.key, message[:]))
	b.Randomness = sha256.Sum256(b.Signature[:])
	return b
}

func (r *honestRun) state() engine.DrawState {
	status, err := r.e.Draw("draw1")
	require.NoError(r.t, err)
	return status.State
}

func (r *honestRun) freeze() error { _, err := r.e.FreezeDraw(r.t.Context(), "draw1"); return err }

func (r *honestRun) run(round uint64) error {
	_, err := r.e.RunDraw(r.t.Context(), "draw1", r.beacon(round))
	return err
}

func (r *honestRun) postpone(round uint64) error {
	_, err := r.e.PostponeDraw(r.t.Context(), "draw1", round)
	return err
}

func (r *honestRun) timing() draw.Timing {
	status, err := r.e.Draw("draw1")
	require.NoError(r.t, err)
	return status.Timing
}

func (r *honestRun) export() (files fstest.MapFS, summary draw.Summary) {
	files = fstest.MapFS{}
	require.NoError(r.t, r.e.ExportDraw("draw1", func(name string) (io.WriteCloser, error) {
		files[name] = &fstest.MapFile{}
		return &mapFile{files[name]}, nil
	}))
	summary, err := draw.Verify(files)
	require.NoError(r.t, err)
	return files, summary
}

// Whoever freezes when the round is due can try entries until the result suits. An engine that did not freeze in time
// never does, and the draw is void, also after a restart.
func TestLateFreezeVoidsTheDraw(t *testing.T) {
	r := newHonestRun(t)
	r.after(10*time.Minute - time.Millisecond)
	require.Equal(t, engine.DrawClosed, r.state())
	require.ErrorIs(t, r.run(1401), engine.ErrDrawNotFrozen)
	r.after(10 * time.Minute)
	for range 2 {
		require.Equal(t, engine.DrawVoid, r.state())
		require.ErrorIs(t, r.freeze(), draw.ErrLate)
		require.ErrorIs(t, r.run(1401), draw.ErrLate)
		require.ErrorIs(t, r.postpone(2000), draw.ErrRoundDue)
		require.Equal(t, engine.DrawVoid, r.state())
		r.checkpoint()
		r.restart()
	}
	r.audit()
}

// Another round for a void draw would be another try: the operator has seen the beacon that he did not use.
func TestVoidDrawIsNotRevived(t *testing.T) {
	for name, change := range map[string]func(b *catalog.Beacon){
		"a later round":  func(b *catalog.Beacon) { b.Round = 5000 },
		"another chain":  func(b *catalog.Beacon) { b.Genesis = b.Genesis.Add(24 * time.Hour) },
		"a stand-in":     func(b *catalog.Beacon) { b.StandIn = true },
		"nothing":        func(*catalog.Beacon) {},
		"before the due": func(b *catalog.Beacon) { b.Round = 5000 },
	} {
		r := newHonestRun(t)
		r.after(10 * time.Minute)
		if name == "before the due" {
			r.after(9 * time.Minute)
		}
		require.NoError(t, r.e.Close())
		r.sale.Files = nil // they say something else now
		change(&r.draw1.Beacon)
		err := r.open()
		if name == "nothing" || name == "before the due" {
			require.NoError(t, err, name)
			require.NoError(t, r.e.Close())
			continue
		}
		require.ErrorContains(t, err, "round 1401 was due at 2023-01-31T23:10:00Z; the draw is void", name)
	}
}

// A sale clock that is behind, set so or after a step of the wall clock, does not get an operator another round: the
// clock of the machine shows that the beacon is public.
func TestKnownBeaconIsNotReplaced(t *testing.T) {
	for _, known := range []bool{false, true} {
		r := newHonestRun(t)
		require.NoError(t, r.e.Close())
		machine := r.draw1.RegistrationCloses.Add(10*time.Minute - time.Millisecond)
		if known {
			machine = machine.Add(time.Millisecond)
		}
		r.machine = func() time.Time { return machine }
		r.after(time.Minute)
		require.NoError(t, r.open(), "the definition is the same")
		err := r.postpone(2000)
		if known {
			require.ErrorIs(t, err, draw.ErrRoundDue)
			require.ErrorContains(t, err, "round 1401 was due at 2023-01-31T23:10:00Z by the clock of the machine")
			require.Empty(t, r.timing().Postponed)
		} else {
			require.NoError(t, err)
		}
		require.NoError(t, r.e.Close())

		r = newHonestRun(t)
		require.NoError(t, r.e.Close())
		r.machine = func() time.Time { return machine }
		r.after(time.Minute)
		r.sale.Files = nil // they say something else now
		r.draw1.Beacon.Round = 5000
		err = r.open()
		if !known {
			require.NoError(t, err)
			require.NoError(t, r.e.Close())
			continue
		}
		require.ErrorContains(t, err, "round 1401 was due at 2023-01-31T23:10:00Z by the clock of the machine")
		r.draw1.Beacon.Round = 1401
		require.NoError(t, r.open(), "the definition is restored")
		require.NoError(t, r.e.Close())
	}
}

// A draw that nobody has entered may get another round in a simulation of the past.
func TestDrawWithoutEntriesGetsAnotherRound(t *testing.T) {
	r := newHonestRun(t)
	require.NoError(t, r.e.Close())
	r.dir = t.TempDir()
	r.machine = func() time.Time { return r.draw1.RegistrationCloses.Add(time.Hour) }
	require.NoError(t, r.open())
	require.NoError(t, r.e.Close())
	r.draw1.Beacon.Round = 1500
	require.NoError(t, r.open())
	require.NoError(t, r.e.Close())
}

// Frozen in time, the draw is run once its round is due. The margin is in the export.
func TestHonestDraw(t *testing.T) {
	r := newHonestRun(t)
	r.after(time.Second)
	require.NoError(t, r.freeze())
	require.NotContains(t, r.log.String(), "refuse")
	require.ErrorIs(t, r.run(1401), engine.ErrRoundNotDue, "only a clock that is behind knows a beacon so early")
	r.restart()
	r.after(10 * time.Minute)
	require.Equal(t, engine.DrawFrozen, r.state())
	require.ErrorIs(t, r.run(1402), draw.ErrOtherRound)
	require.NoError(t, r.run(1401))
	files, summary := r.export()
	require.NoError(t, summary.Timing.Backdated(&summary.Terms))
	require.Equal(t, 10*time.Minute-time.Second, summary.Timing.Due(&summary.Terms).Sub(summary.Timing.Frozen.Sale))
	for name, file := range files {
		require.NotContains(t, string(file.Data), "alice", name)
	}
	var winners []engine.DrawWinner
	require.NoError(t, r.e.DrawWinners("draw1", func(w engine.DrawWinner) error {
		winners = append(winners, w)
		return nil
	}))
	require.Len(t, winners, 2)
	for i, w := range winners {
		require.EqualValues(t, i+1, w.Rank)
		line := fmt.Sprintf("\n%d,%s,", i+1, draw.HandleOf(w.Salt, w.Account))
		require.Contains(t, string(files["result.csv"].Data), line)
	}
	gone := errors.New("the client has gone")
	require.ErrorIs(t, r.e.DrawWinners("draw1", func(engine.DrawWinner) error { return gone }), gone)
	r.audit()
}

// A sale clock that was set back lets the operator freeze and run with the beacon in hand. The export shows it.
func TestClockSetBack(t *testing.T) {
	r := newHonestRun(t)
	require.NoError(t, r.e.Close())
	machine := r.draw1.RegistrationCloses.Add(time.Hour) // and the beacon is known
	r.machine = func() time.Time { return machine }
	require.NoError(t, r.open())
	r.after(time.Minute)
	require.NoError(t, r.freeze())
	require.Contains(t, r.log.String(), "whoever verifies the draw will refuse it")
	r.after(11 * time.Minute)
	require.NoError(t, r.run(1401))
	_, summary := r.export()
	require.Equal(t, machine, summary.Timing.Frozen.Machine)
	require.ErrorIs(t, summary.Timing.Backdated(&summary.Terms), draw.ErrBackdated)
	r.audit()
}

// The way out of an outage at the close: a later round, named before the present one is due. It is journalled, and
// part of the status and of the export. A server may restart at any point.
func TestPostponedDraw(t *testing.T) {
	for life := range 3 {
		r := newHonestRun(t)
		between := func() {
			if life == 2 {
				r.checkpoint()
			}
			if life > 0 {
				r.restart()
			}
		}
		r.after(9 * time.Minute) // after an outage
		require.ErrorIs(t, r.postpone(1580), draw.ErrPostponing, "three seconds too soon")
		require.NoError(t, r.postpone(1581), "ten minutes ahead")
		require.NoError(t, r.postpone(1581), "again")
		between()
		r.after(12 * time.Minute)
		require.Equal(t, engine.DrawClosed, r.state(), "the round that was due decides no more")
		require.NoError(t, r.freeze())
		between()
		require.NoError(t, r.postpone(1700), "frozen entries stay frozen")
		between()
		r.after(30 * time.Minute)
		require.ErrorIs(t, r.run(1401), draw.ErrOtherRound)
		require.ErrorIs(t, r.run(1581), draw.ErrOtherRound)
		require.NoError(t, r.run(1700))
		require.ErrorIs(t, r.postpone(1800), engine.ErrAlreadyDrawn)
		between()
		status, err := r.e.Draw("draw1")
		require.NoError(t, err)
		require.EqualValues(t, 1401, status.Terms.Round)
		require.Len(t, status.Timing.Postponed, 2)
		require.EqualValues(t, 1581, status.Timing.Postponed[0].Round)
		require.Equal(t, r.draw1.RegistrationCloses.Add(9*time.Minute), status.Timing.Postponed[0].At.Sale)
		_, summary := r.export()
		require.Equal(t, status.Timing, summary.Timing)
		require.Equal(t, status.TermsDigest, summary.TermsDigest)
		r.audit()
	}
}

// The secret is made with the announcement and stays the same: after a restart, a checkpoint, and with another source
// of randomness. It leaves the engine in no form but the salts, and the journal's dump shows its commitment only.
func TestSecretIsJournalled(t *testing.T) {
	r := newHonestRun(t)
	status, err := r.e.Draw("draw1")
	require.NoError(t, err)
	commitment := status.Terms.Commitment
	require.NotZero(t, commitment)
	other, err := r.e.Draw("draw2")
	require.NoError(t, err)
	require.NotEqual(t, commitment, other.Terms.Commitment)
	for range 2 {
		r.restart()
		status, err = r.e.Draw("draw1")
		require.NoError(t, err)
		require.Equal(t, commitment, status.Terms.Commitment)
		r.checkpoint()
	}
	require.NoError(t, r.e.Close())
	j, err := embedded.OpenReadOnly(r.dir)
	require.NoError(t, err)
	var dump strings.Builder
	require.NoError(t, audit.Dump(j, &dump))
	require.NoError(t, j.Close())
	require.Contains(t, dump.String(), `"secret_commitment":"`+commitment.String())
	secret := strings.Repeat("random bytes", 99)[:32] // see ballotRun.open
	require.Equal(t, commitment, draw.Digest(sha256.Sum256([]byte(secret))))
	require.NotContains(t, dump.String(), hex.EncodeToString([]byte(secret)))
	require.NotContains(t, dump.String(), secret)
}

// Without randomness there is no secret, and no sale.
func TestNoRandomness(t *testing.T) {
	r := newBallotRun(t)
	_, err := engine.Open(t.Context(), engine.Options{Sale: r.sale, Durability: engine.None, MaxAccounts: 1 << 10,
		MaxReservations: 1 << 10, Random: strings.NewReader("short")})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// A standby has the secret from the journal, also after it has taken over.
func TestStandbyHasTheSecret(t *testing.T) {
	inCluster(t, func(c *cluster) {
		sale, err := catalog.Load("spec/testdata/sale")
		require.NoError(c, err)
		c.sale = sale
		commitment := func(n *node) draw.Digest {
			status, err := n.Draw("ballot")
			require.NoError(c, err)
			return status.Terms.Commitment
		}
		a := c.leader("a")
		b := c.standby("b")
		time.Sleep(10 * time.Second)
		require.NotZero(c, commitment(a))
		require.Equal(c, commitment(a), commitment(b))
		a.crash()
		time.Sleep(silence + beat)
		b.requireLeads()
		is := commitment(b)
		require.Equal(c, commitment(a), is)
		b.close()
		again := c.leader("again")
		require.Equal(c, is, commitment(again))
		again.close()
		c.verify()
	})
}
