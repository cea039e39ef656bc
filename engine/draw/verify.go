package draw

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// ErrRefused is the error of [Verify] for a directory that differs from what [Result.Export] writes for the entries,
// the beacon and the terms in it. It also wraps the error of the part at fault, such as [ErrSignature].
var ErrRefused = errors.New("draw: export refused")

// Summary describes a verified export. A directory that was forged as a whole, with a beacon chain of the forger, is
// consistent as well. A verifier must therefore compare Root with the root published when registration closed, and
// Terms, above all the chain's public key, the round and StandIn, with the sale definition.
type Summary struct {
	Terms      Terms
	Entries    int
	Root       Digest
	Randomness Digest
	Seed       Digest
	Slots      int // of the phase
	Winners    int // entries with a slot
	Priority   int // winners with a slot reserved for the priority group
}

// Verify recomputes an exported draw from its entries and its beacon and compares every byte of every file. It accepts
// exactly what [Result.Export] writes: any change to a file, even of a space, a line ending or the case of a letter, is
// refused, and so is an additional file. The error is an [ErrRefused] that names file and line; errors of the file
// system are returned unchanged.
//
// Four million entries take 7 to 10 seconds on two cores and less than 1 GiB: see BenchmarkVerify.
func Verify(export fs.FS) (Summary, error) {
	if err := checkSums(export); err != nil {
		return Summary{}, err
	}
	claim, err := readDraw(export)
	if err != nil {
		return Summary{}, err
	}
	entries, err := readEntries(export, claim.terms.Slots.Group)
	if err != nil {
		return Summary{}, err
	}
	if root := entries.Root(); root != claim.root {
		return Summary{}, fmt.Errorf("%w: %s has the root %s, but %s states %s", ErrRefused, entriesFile, root, drawFile,
			claim.root)
	}
	result, err := Run(entries, claim.terms, claim.beacon)
	if err != nil {
		return Summary{}, fmt.Errorf("%w: %s: %w", ErrRefused, drawFile, err)
	}
	err = result.Export(func(name string) (io.WriteCloser, error) {
		file, err := export.Open(name)
		if err != nil {
			return nil, err
		}
		return &comparison{name: name, file: file, line: 1}, nil
	})
	if err != nil {
		return Summary{}, err
	}
	return result.summary(), nil
}

func (r *Result) summary() Summary {
	s := Summary{
		Terms: r.Terms, Entries: r.entries.Len(), Root: r.Root, Randomness: r.Beacon.Randomness, Seed: r.Seed,
		Slots: int(r.schedule.slots),
	}
	for access := range r.Winners {
		s.Winners++
		if access.Priority {
			s.Priority++
		}
	}
	return s
}

// checkSums compares the files with SHA256SUMS, so that damage is reported before the draw is recomputed.
func checkSums(export fs.FS) error {
	found, err := fs.ReadDir(export, ".")
	if err != nil {
		return err
	}
	want := []string{readmeFile, sumsFile, drawFile, entriesFile, resultFile} // sorted as ReadDir sorts
	for i := range max(len(want), len(found)) {
		switch {
		case i >= len(found) || i < len(want) && found[i].Name() > want[i]:
			return fmt.Errorf("%w: %s is missing", ErrRefused, want[i])
		case i >= len(want) || found[i].Name() < want[i]:
			return fmt.Errorf("%w: %s is not a file of an export; remove it", ErrRefused, found[i].Name())
		case !found[i].Type().IsRegular():
			return fmt.Errorf("%w: %s is not a regular file", ErrRefused, want[i])
		}
	}
	var sums []byte
	for _, name := range []string{readmeFile, drawFile, entriesFile, resultFile} {
		digest := sha256.New()
		if err := readFile(export, name, func(file io.Reader) error {
			_, err := io.Copy(digest, file)
			return err
		}); err != nil {
			return err
		}
		sums = fmt.Appendf(sums, "%x  %s\n", digest.Sum(nil), name)
	}
	listed, err := readSmall(export, sumsFile)
	if err != nil {
		return err
	}
	if bytes.Equal(listed, sums) {
		return nil
	}
	for i, line := range bytes.SplitAfter(sums, []byte("\n")) {
		if !bytes.HasPrefix(listed, line) {
			return fmt.Errorf("%w: %s, line %d, must be %q", ErrRefused, sumsFile, i+1, bytes.TrimSpace(line))
		}
		listed = listed[len(line):]
	}
	return fmt.Errorf("%w: %s continues after its last line", ErrRefused, sumsFile)
}

// readFile opens a file, passes it to read and closes it.
func readFile(export fs.FS, name string, read func(file io.Reader) error) error {
	file, err := export.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(read(file), file.Close())
}

// readSmall reads a file of a few lines: draw.json or SHA256SUMS.
func readSmall(export fs.FS, name string) (data []byte, err error) {
	const most = 1 << 14
	err = readFile(export, name, func(file io.Reader) (err error) {
		data, err = io.ReadAll(io.LimitReader(file, most+1))
		return err
	})
	if err == nil && len(data) > most {
		err = fmt.Errorf("%w: %s exceeds %d bytes", ErrRefused, name, most)
	}
	return data, err
}

// claim is what draw.json states and Verify does not compute.
type claim struct {
	terms  Terms
	root   Digest
	beacon Beacon
}

// readDraw reads the terms, the root and the beacon from draw.json. The other members, and the syntax, are checked when
// the whole file is compared.
func readDraw(export fs.FS) (claim, error) {
	data, err := readSmall(export, drawFile)
	if err != nil {
		return claim{}, err
	}
	claimed, err := parseDraw(data)
	if err != nil {
		return claim{}, fmt.Errorf("%w: %s: %w", ErrRefused, drawFile, err)
	}
	return claimed, nil
}

func parseDraw(data []byte) (claim, error) {
	var text struct {
		Draw          string    `json:"draw"`
		ClosesAt      time.Time `json:"registration_closes_at"`
		Root          string    `json:"root"`
		ChainHash     string    `json:"chain_hash"`
		PublicKey     string    `json:"public_key"`
		Genesis       time.Time `json:"genesis"`
		Period        uint32    `json:"period_seconds"`
		Round         uint64    `json:"round"`
		StandIn       bool      `json:"stand_in"`
		Randomness    string    `json:"randomness"`
		Signature     string    `json:"signature"`
		Phase         string    `json:"phase"`
		PhaseOpensAt  time.Time `json:"phase_opens_at"`
		PhaseClosesAt time.Time `json:"phase_closes_at"`
		Length        uint32    `json:"slot_length_seconds"`
		Step          uint32    `json:"slot_step_seconds"`
		Places        uint32    `json:"slot_places"`
		PriorityDays  uint16    `json:"priority_days"`
		Group         string    `json:"priority_group"`
	}
	if err := json.Unmarshal(data, &text); err != nil {
		return claim{}, err
	}
	claimed := claim{
		beacon: Beacon{Round: text.Round},
		terms: Terms{
			Draw: text.Draw, ClosesAt: text.ClosesAt, Round: text.Round, StandIn: text.StandIn, Phase: text.Phase,
			Chain: Chain{
				Hash: text.ChainHash, PublicKey: text.PublicKey, Genesis: text.Genesis,
				Period: time.Duration(text.Period) * time.Second,
			},
			Slots: SlotRule{
				OpensAt: text.PhaseOpensAt, ClosesAt: text.PhaseClosesAt, Places: int(text.Places), Group: text.Group,
				Length: time.Duration(text.Length) * time.Second, Step: time.Duration(text.Step) * time.Second,
				PriorityDays: int(text.PriorityDays),
			},
		},
	}
	return claimed, cmp.Or(
		parseHex("root", claimed.root[:], text.Root),
		parseHex("randomness", claimed.beacon.Randomness[:], text.Randomness),
		parseHex("signature", claimed.beacon.Signature[:], text.Signature))
}

// readEntries freezes the entries of entries.csv. The priority group is one of the groups even if it has no member.
func readEntries(export fs.FS, priority string) (entries *Entries, err error) {
	err = readFile(export, entriesFile, func(file io.Reader) (err error) {
		entries, err = parseEntries(file, priority)
		return err
	})
	return entries, err
}

// parseEntries reads lines of account and group in any order. The order is checked when the whole file is compared.
func parseEntries(file io.Reader, priority string) (*Entries, error) {
	listed := new(Entries)
	if _, err := listed.memberOf([]byte(priority)); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrRefused, drawFile, err)
	}
	lines := bufio.NewReader(file) // its buffer of 4,096 bytes is longer than any valid line
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0 && number > 1:
			entries, err := listed.freeze()
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrRefused, entriesFile, err)
			}
			return entries, nil
		case err == io.EOF || err == bufio.ErrBufferFull:
			return nil, fmt.Errorf("%w: %s, line %d, does not end in a line feed", ErrRefused, entriesFile, number)
		case err != nil:
			return nil, err
		case number > 1:
			if err := listed.addLine(line[:len(line)-1]); err != nil {
				return nil, fmt.Errorf("%w: %s, line %d: %w", ErrRefused, entriesFile, number, err)
			}
		case string(line) != entriesHeader:
			return nil, fmt.Errorf("%w: %s, line 1, must be %q", ErrRefused, entriesFile, entriesHeader)
		}
	}
}

func (e *Entries) addLine(line []byte) error {
	account, name, found := bytes.Cut(line, []byte(","))
	switch {
	case !found || !IsName(account):
		return fmt.Errorf("%w: %q", errAccount, line)
	case e.Len() == MaxEntries:
		return errTooManyEntries
	}
	member, err := e.memberOf(name)
	if err != nil {
		return err
	}
	e.add(account, member)
	return nil
}

// memberOf returns the number of a group and adds a new group.
func (e *Entries) memberOf(name []byte) (uint8, error) {
	if len(name) == 0 {
		return 0, nil
	}
	if i := slices.Index(e.groups, string(name)); i >= 0 {
		return uint8(i) + 1, nil
	}
	if !IsName(name) || len(e.groups) == MaxGroups {
		return 0, fmt.Errorf("%w: %q", errGroup, name)
	}
	e.groups = append(e.groups, string(name))
	return uint8(len(e.groups)), nil
}

// comparison is a writer that accepts only the bytes that a file already has.
type comparison struct {
	name   string
	file   fs.File
	actual []byte // bytes of the file, as many as are written at a time
	line   int    // of the next byte
}

// Write refuses bytes that differ from the next bytes of the file.
func (c *comparison) Write(expected []byte) (int, error) {
	if len(c.actual) < len(expected) {
		c.actual = make([]byte, len(expected))
	}
	read, err := io.ReadFull(c.file, c.actual[:len(expected)])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, err
	}
	same := 0
	for same < read && c.actual[same] == expected[same] {
		if expected[same] == '\n' {
			c.line++
		}
		same++
	}
	switch {
	case same == len(expected):
		return same, nil
	case same == read:
		return same, fmt.Errorf("%w: %s ends early, in line %d", ErrRefused, c.name, c.line)
	}
	return same, fmt.Errorf("%w: %s differs from the recomputed draw from line %d on", ErrRefused, c.name, c.line)
}

// Close refuses a file that has more bytes.
func (c *comparison) Close() error {
	_, err := io.ReadFull(c.file, make([]byte, 1))
	if err == nil {
		err = fmt.Errorf("%w: %s continues after line %d", ErrRefused, c.name, c.line)
	} else if err == io.EOF {
		err = nil
	}
	return errors.Join(err, c.file.Close())
}
