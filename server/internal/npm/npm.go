// Package npm installs the npm packages of a folder of tests.
package npm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Install installs the packages of package-lock.json, in the working directory, into node_modules, unless they are
// there. It puts the Node.js of scripts/test, if there is one, before the machine's on PATH. Processes that call it at
// the same time install them once.
func Install() (err error) {
	own, err := filepath.Abs("../../.tools/node/node_modules/.bin")
	if err != nil {
		return err
	}
	if err = os.Setenv("PATH", own+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		return err
	}
	lock := flock.New("package.json")
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // it only frees the lock
	pinned, err := os.ReadFile("package-lock.json")
	if err != nil {
		return err
	}
	mark := filepath.Join("node_modules", ".installed")
	if installed, err := os.ReadFile(mark); err == nil && bytes.Equal(installed, pinned) {
		return nil
	}
	command := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return os.WriteFile(mark, pinned, 0o600)
}
