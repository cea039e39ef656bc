// Package drawfiles reads, checks and writes the files of draws: exports and beacons.
package drawfiles

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/seathold/seathold/engine/catalog"
	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/engine/record"
)

// Save writes the archive of an export of the draw into a new directory dir. It unpacks and verifies it in a temporary
// directory beside dir and then renames that, so dir is always complete.
func Save(archive io.Reader, dir, id string) (summary draw.Summary, err error) {
	partial, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".partial-")
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(partial)) }()
	if err := unpack(tar.NewReader(archive), partial); err != nil {
		return summary, fmt.Errorf("the export is incomplete: %w", err)
	}
	if summary, err = draw.Verify(os.DirFS(partial)); err != nil {
		return summary, fmt.Errorf("the files from the server do not verify: %w", err)
	}
	if summary.Terms.Draw != id {
		return summary, fmt.Errorf("the server sent the draw %s", summary.Terms.Draw)
	}
	return summary, errors.Join(os.Chmod(partial, 0o755), os.Rename(partial, dir)) //nolint:gosec // it is to be published
}

// SavePrivately writes a file that only its owner can read, under its name once it is complete.
func SavePrivately(from io.Reader, name string) (err error) {
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".partial-") // mode 0600
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// maxFiles bounds an archive. An export has fewer files.
const maxFiles = 16

// unpack writes the files of an archive. It takes only plain file names, so nothing is written outside dir.
// draw.Verify checks the contents.
func unpack(archive *tar.Reader, dir string) error {
	for range maxFiles {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg || header.Name != filepath.Base(header.Name) || !filepath.IsLocal(header.Name) {
			return fmt.Errorf("the archive has %q, which is not a plain file", header.Name)
		}
		file, err := os.OpenFile(filepath.Join(dir, header.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, archive) //nolint:gosec // the header bounds its size
		if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return fmt.Errorf("the archive has more than %d files", maxFiles)
}

// Verify checks an export against itself, its terms against the sale definition, and the sale clock against the clock
// of the server's machine.
func Verify(dir string, sale *catalog.Sale) (summary draw.Summary, err error) {
	if _, err := os.Stat(dir); err != nil {
		return summary, err
	}
	if summary, err = draw.Verify(os.DirFS(dir)); err != nil {
		return summary, fmt.Errorf("%s: %w", dir, err)
	}
	i, ok := sale.DrawByID(summary.Terms.Draw)
	if !ok {
		return summary, fmt.Errorf("%s: the sale %s has no draw %q", dir, sale.Name, summary.Terms.Draw)
	}
	if err := compareTerms(&summary, record.DrawTerms(sale, i)); err != nil {
		return summary, fmt.Errorf("%s is not the draw of the sale %s: %w", dir, sale.Name, err)
	}
	if err := summary.Timing.Backdated(&summary.Terms); err != nil {
		return summary, fmt.Errorf("%s: %w", dir, err)
	}
	return summary, nil
}

// Load returns a sale definition, by name or directory, and one of its draws.
func Load(definition, id string) (*catalog.Sale, *catalog.Draw, error) {
	sale, err := catalog.Load(definition)
	if err != nil {
		return nil, nil, err
	}
	i, ok := sale.DrawByID(id)
	if !ok {
		return nil, nil, fmt.Errorf("the sale %s has no draw %q", sale.Name, id)
	}
	return sale, &sale.Draws[i], nil
}

// compareTerms compares what the export records as fixed in advance with the sale definition.
func compareTerms(s *draw.Summary, sale draw.Terms) error {
	export := s.Terms
	if s.Format == 1 {
		sale.PublishWithin = 0 // not stated
	}
	instant := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	for _, of := range []struct {
		what         string
		export, sale any
	}{
		{"registration closes at", instant(export.ClosesAt), instant(sale.ClosesAt)},
		{"the time to publish the root is", export.PublishWithin, sale.PublishWithin},
		{"the beacon chain is", export.Chain.Hash, sale.Chain.Hash},
		{"the chain's public key is", export.Chain.PublicKey, sale.Chain.PublicKey},
		{"the chain's genesis is", instant(export.Chain.Genesis), instant(sale.Chain.Genesis)},
		{"the chain's period is", export.Chain.Period, sale.Chain.Period},
		{"the deciding round is", export.Round, sale.Round},
		{"stand-in is", export.StandIn, sale.StandIn},
		{"the phase is", export.Phase, sale.Phase},
		{"the phase opens at", instant(export.Slots.OpensAt), instant(sale.Slots.OpensAt)},
		{"the phase closes at", instant(export.Slots.ClosesAt), instant(sale.Slots.ClosesAt)},
		{"the length of a slot is", export.Slots.Length, sale.Slots.Length},
		{"the step between slots is", export.Slots.Step, sale.Slots.Step},
		{"the number of winners of a slot is", export.Slots.Places, sale.Slots.Places},
		{"the number of priority days is", export.Slots.PriorityDays, sale.Slots.PriorityDays},
		{"the priority group is", export.Slots.Group, sale.Slots.Group},
	} {
		if of.export != of.sale {
			return fmt.Errorf("%s %v there and %v in the definition", of.what, of.export, of.sale)
		}
	}
	return nil
}
