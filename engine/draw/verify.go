package draw

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// ErrRefused is the error of [Verify] for a directory that differs from what [Result.Export] writes for the entries,
// the beacon and the terms in it. It also wraps the error of the part at fault, such as [ErrSignature].
var ErrRefused = errors.New("draw: export refused")

// Summary describes a verified export. A directory that was forged as a whole, with a beacon chain of the forger, is
// consistent as well. A verifier must therefore compare Root with the root published when registration closed, and
// Terms, above all the chain's public key, the round and StandIn, with the sale definition. Timing is what the server
// recorded: nothing in an export shows when the root was published.
type Summary struct {
	Format      int    // 1 or 2
	Terms       Terms  // of format 1 without PublishWithin and Commitment
	TermsDigest Digest // of terms.json; zero in format 1
	Timing      Timing // zero in format 1
	Entries     int
	Root        Digest
	Randomness  Digest
	Seed        Digest
	Slots       int // of the phase
	Winners     int // entries with a slot
	Priority    int // winners with a slot reserved for the priority group
}

// Verify recomputes an exported draw from its entries and its beacon and compares every byte of every file. It accepts
// exactly what [Result.Export] writes, in format 1 or 2: any change to a file, even of a space, a line ending or the
// case of a letter, is refused, and so is an additional file. It refuses a timing that [Run] refuses. The error is an
// [ErrRefused] that names file and line; errors of the file system are returned unchanged.
//
// Four million entries take 7 to 10 seconds on two cores and less than 1 GiB: see BenchmarkVerify.
func Verify(export fs.FS) (Summary, error) {
	sealed, err := checkSums(export)
	if err != nil {
		return Summary{}, err
	}
	claim, err := readClaim(export, sealed)
	if err != nil {
		return Summary{}, err
	}
	entries, err := readEntries(export, claim.terms.Slots.Group, sealed)
	if err != nil {
		return Summary{}, err
	}
	if root := entries.Root(); root != claim.root {
		return Summary{}, fmt.Errorf("%w: %s has the root %s, but %s states %s", ErrRefused, entriesFile, root, drawFile,
			claim.root)
	}
	result, err := Run(entries, claim.terms, claim.timing, claim.beacon)
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
		Format: 1, Terms: r.Terms, Timing: r.Timing, Entries: r.entries.Len(), Root: r.Root,
		Randomness: r.Beacon.Randomness, Seed: r.Seed, Slots: int(r.schedule.slots),
	}
	if r.entries.sealed() {
		s.Format, s.TermsDigest = 2, sha256.Sum256(r.Terms.text(&r.schedule))
	}
	for access := range r.Winners {
		s.Winners++
		if access.Priority {
			s.Priority++
		}
	}
	return s
}

// checkSums compares the files with SHA256SUMS, so that damage is reported before the draw is recomputed. An export
// with terms.json is of format 2, which has sealed entries.
func checkSums(export fs.FS) (sealed bool, err error) {
	found, err := fs.ReadDir(export, ".")
	if err != nil {
		return false, err
	}
	written := []string{readmeFile, drawFile, entriesFile, resultFile}
	if sealed = slices.ContainsFunc(found, func(f fs.DirEntry) bool { return f.Name() == termsFile }); sealed {
		written = slices.Insert(written, 1, termsFile)
	}
	want := append(slices.Clone(written), sumsFile)
	slices.Sort(want) // as ReadDir sorts
	for i := range max(len(want), len(found)) {
		switch {
		case i >= len(found) || i < len(want) && found[i].Name() > want[i]:
			return false, fmt.Errorf("%w: %s is missing", ErrRefused, want[i])
		case i >= len(want) || found[i].Name() < want[i]:
			return false, fmt.Errorf("%w: %s is not a file of an export; remove it", ErrRefused, found[i].Name())
		case !found[i].Type().IsRegular():
			return false, fmt.Errorf("%w: %s is not a regular file", ErrRefused, want[i])
		}
	}
	var sums []byte
	for _, name := range written {
		digest := sha256.New()
		if err := readFile(export, name, func(file io.Reader) error {
			_, err := io.Copy(digest, file)
			return err
		}); err != nil {
			return false, err
		}
		sums = fmt.Appendf(sums, "%x  %s\n", digest.Sum(nil), name)
	}
	return sealed, compareSums(export, sums)
}

func compareSums(export fs.FS, sums []byte) error {
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

// readSmall reads a file of a few lines.
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
