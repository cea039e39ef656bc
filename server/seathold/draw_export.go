package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/seathold/seathold/engine/draw"
)

type exportCommand struct {
	Draw   string `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	Dir    string `arg:"" placeholder:"DIR" help:"A directory that does not exist yet."`
	Admin  string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

// Run fetches the export into a directory beside DIR, verifies it, and only then gives it its name: what is called DIR is
// whole.
func (c *exportCommand) Run(p *process) (err error) {
	if _, err := os.Lstat(c.Dir); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s exists already; an export goes into a new directory", c.Dir)
	}
	o, err := newCaller("--admin", c.Admin, adminPath, &c.Remote)
	if err != nil {
		return err
	}
	defer o.client.CloseIdleConnections()
	interrupted, stop := p.untilSignal()
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, longCall)
	defer cancel()
	archive, err := o.call(ctx, http.MethodGet, c.Draw, "export", nil)
	if err != nil {
		return fmt.Errorf("draw %s: %w", c.Draw, err)
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	partial, err := os.MkdirTemp(filepath.Dir(c.Dir), "."+filepath.Base(c.Dir)+".partial-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(partial)) }()
	if err := unpack(tar.NewReader(archive), partial); err != nil {
		return fmt.Errorf("draw %s: the export broke off: %w", c.Draw, err)
	}
	summary, err := draw.Verify(os.DirFS(partial))
	if err != nil {
		return fmt.Errorf("draw %s: what the server sent does not verify: %w", c.Draw, err)
	}
	if summary.Terms.Draw != c.Draw {
		return fmt.Errorf("the server sent the draw %s", summary.Terms.Draw)
	}
	if err := errors.Join(os.Chmod(partial, 0o755), os.Rename(partial, c.Dir)); err != nil { //nolint:gosec // it is meant to be published
		return err
	}
	out := lines{w: p.stdout}
	out.say("draw %s: %s entries, %s winners, in %s", summary.Terms.Draw, count(summary.Entries), count(summary.Winners), c.Dir)
	out.say("root %s", summary.Root)
	if summary.Terms.StandIn {
		out.say("%s", standInWarning)
	}
	out.say("Anyone can check it: seathold draw verify %s, or README.md there", c.Dir)
	return out.err
}

// unpack writes the files of an archive. Names are those of plain files and sizes those that are announced, so nothing is
// written elsewhere; what the files hold is judged by draw.Verify.
func unpack(archive *tar.Reader, dir string) error {
	const most = 16
	for range most {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg || header.Name != filepath.Base(header.Name) || !filepath.IsLocal(header.Name) {
			return fmt.Errorf("the archive has %q, which is no plain file", header.Name)
		}
		file, err := os.OpenFile(filepath.Join(dir, header.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, archive) //nolint:gosec // it ends where the header says
		if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	return fmt.Errorf("the archive has more than %d files", most)
}
