package main

import (
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/seathold/seathold/engine/draw"
	"github.com/seathold/seathold/server/client"
)

type checkEntryCommand struct {
	File   string `arg:"" placeholder:"FILE" help:"The answer of GET /v1/draws/DRAW/entries/ACCOUNT, as JSON."`
	Root   string `placeholder:"HEX" help:"The root that was published when registration closed. Without it, the root in the answer or in the export is used."`
	Result string `placeholder:"DIR" help:"The export of the draw. Verify it with draw verify. The entry must be in it, with the same rank."`
}

func (c *checkEntryCommand) Help() string {
	return `An entrant receives the salt of the own entry from the server, and nobody else does. This command shows that
the salt opens the handle to the account, that the handle was among the entries when the root was published, and with
--result that the export has the entry with the same rank. Whoever sees FILE learns the account's handle.`
}

// Run checks one entry.
func (c *checkEntryCommand) Run(p *process) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	var entry client.Entry
	if err := json.Unmarshal(text, &entry); err != nil {
		return fmt.Errorf("%s is not the answer of a server: %w", c.File, err)
	}
	root, err := c.root(&entry)
	if err != nil {
		return err
	}
	handle, err := proved(&entry, root)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	out := lines{w: p.stdout}
	out.printf("draw        %s", entry.Draw)
	out.printf("account     %s", entry.Account)
	if entry.Handle != "" {
		out.printf("handle      %s, which the salt opens to this account", handle)
	}
	out.printf("entry       one of %s under the root %s", count(int(entry.Proof.Size)), root)
	if c.Root == "" {
		out.printf("            compare it with what was published when registration closed, or pass that with --root")
	}
	if c.Result != "" {
		if err := c.compare(&entry, handle); err != nil {
			return err
		}
		out.printf("rank        %s, as in %s", count(entry.Rank), c.Result)
	}
	return out.err
}

// root returns the published root, or the one that the server states.
func (c *checkEntryCommand) root(entry *client.Entry) (root draw.Digest, err error) {
	stated, err := digest("digest", entry.Digest)
	if err != nil || c.Root == "" {
		return stated, err
	}
	if root, err = digest("--root", strings.ToLower(c.Root)); err != nil {
		return root, usageError{err}
	}
	if root != stated {
		return root, fmt.Errorf("%s has the root %s; published was %s", c.File, stated, root)
	}
	return root, nil
}

func digest(what, digits string) (d draw.Digest, err error) {
	data, err := hex.DecodeString(digits)
	if err != nil || len(data) != len(d) {
		return d, fmt.Errorf("%s %q is not 64 hexadecimal digits", what, digits)
	}
	return draw.Digest(data), nil
}

// proved checks the opening and the proof of an entry. It returns what stands for the account in the export.
func proved(entry *client.Entry, root draw.Digest) (name string, err error) {
	proof := draw.Proof{Leaf: entry.Proof.Leaf, Size: entry.Proof.Size}
	for _, digits := range entry.Proof.Path {
		node, err := digest("a node of the proof,", digits)
		if err != nil {
			return "", err
		}
		proof.Path = append(proof.Path, node)
	}
	notProved := fmt.Errorf("the proof does not lead from the entry to the root %s", root)
	if entry.Handle == "" { // format 1
		if !proof.VerifyAccount(root, entry.Account, entry.Group) {
			return "", notProved
		}
		return entry.Account, nil
	}
	handle, badHandle := digest("the handle", entry.Handle)
	salt, badSalt := digest("the salt", entry.Salt)
	if err := errors.Join(badHandle, badSalt); err != nil {
		return "", err
	}
	if draw.HandleOf(salt, entry.Account) != handle {
		return "", fmt.Errorf("the salt does not open the handle to the account %s", entry.Account)
	}
	if !proof.Verify(root, handle, entry.Group) {
		return "", notProved
	}
	return handle.String(), nil
}

// compare looks the entry up in result.csv.
func (c *checkEntryCommand) compare(entry *client.Entry, name string) (err error) {
	file, err := os.Open(filepath.Join(c.Result, "result.csv"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	in := csv.NewReader(file)
	in.ReuseRecord = true
	for {
		line, err := in.Read()
		switch {
		case err == io.EOF:
			return fmt.Errorf("%s has no entry %s: it was left out", file.Name(), name)
		case err != nil:
			return fmt.Errorf("%s: %w", file.Name(), err)
		case len(line) > 2 && line[1] == name:
			if line[0] != strconv.Itoa(entry.Rank) || line[2] != entry.Group {
				return fmt.Errorf("%s has the entry at rank %s, group %q; the server's answer has rank %d, group %q",
					file.Name(), line[0], line[2], entry.Rank, entry.Group)
			}
			return nil
		}
	}
}
