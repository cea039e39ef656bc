package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/seathold/seathold/engine/rules"
	csv "github.com/seathold/seathold/server/internal/lines"
)

// groupCommand is what is done with the members of groups. All commands call a running server.
type groupCommand struct {
	Join  joinCommand       `cmd:"" help:"Make the accounts of a CSV file members of a group."`
	Leave leaveCommand      `cmd:"" help:"End the memberships of accounts."`
	List  listGroupsCommand `cmd:"" help:"List the groups of the sale, and how many members each has."`
}

// groupPort is the operator's port of the server that a command calls.
type groupPort struct {
	To     string `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote remote `embed:""`
}

type joinCommand struct {
	Group string `arg:"" placeholder:"GROUP" help:"The group's id in the sale definition."`
	File  string `arg:"" placeholder:"FILE" help:"CSV, an account on each line; the header 'account' may be missing. - reads the standard input."`
	groupPort
}

func (c *joinCommand) Help() string {
	return `Members may buy in the phases of the sale definition with 'access: group' and this group, from now on. It reads
the whole file first, and does nothing if a line is not an account. It can be run again: who is a member stays one.`
}

// Run makes the accounts members.
func (c *joinCommand) Run(p *process) error {
	accounts, err := listedIn(c.File, p.stdin)
	if err != nil {
		return err
	}
	operator, ctx, end, err := c.Remote.operator(p, "--to", c.To)
	if err != nil {
		return err
	}
	defer end()
	done, err := operator.Join(ctx, c.Group, accounts)
	if err != nil {
		return fmt.Errorf("group %.70s, after %s of %s accounts: %w", c.Group, count(done.Entered+done.Already),
			count(len(accounts)), err)
	}
	out := lines{w: p.stdout}
	out.printf("group %s: %s accounts entered, %s were members before; %s members now", c.Group, count(done.Entered),
		count(done.Already), count(done.Members))
	return out.err
}

// listedIn reads the accounts of a file, or of the standard input if that is -.
func listedIn(name string, stdin io.Reader) (all []string, err error) {
	if name == "-" {
		return listed("standard input", stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	all, err = listed(name, file)
	return all, errors.Join(err, file.Close())
}

// listed reads a list of accounts. The error names the first lines that are not accounts.
func listed(name string, from io.Reader) (all []string, err error) {
	const most = 20
	var faults []string
	bad, in := 0, csv.NewAccounts(from)
	for {
		account, err := in.NextAccount()
		fault, isFault := errors.AsType[*csv.NotAccount](err)
		switch {
		case err == nil:
			all = append(all, string(account))
		case isFault:
			if bad++; bad <= most {
				faults = append(faults, fault.Error())
			}
		case !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%s: %w", name, err)
		case bad > most:
			return nil, fmt.Errorf("%s: %s; and %s more lines", name, strings.Join(faults, "; "), count(bad-most))
		case bad > 0:
			return nil, fmt.Errorf("%s: %s", name, strings.Join(faults, "; "))
		default:
			return all, nil
		}
	}
}

type leaveCommand struct {
	Group   string   `arg:"" placeholder:"GROUP" help:"The group's id in the sale definition."`
	Account []string `arg:"" optional:"" placeholder:"ACCOUNT" help:"An account; may be repeated."`
	File    string   `placeholder:"FILE" help:"CSV, an account on each line; the header 'account' may be missing. - reads the standard input."`
	groupPort
}

func (c *leaveCommand) Help() string {
	return `The accounts cannot buy in the group's phases any more. What they hold or have bought stays. It reads the whole
file first, and does nothing if a line is not an account. It can be run again: who is no member is counted.`
}

// Run ends the memberships.
func (c *leaveCommand) Run(p *process) error {
	accounts, err := c.accounts(p.stdin)
	if err != nil {
		return err
	}
	operator, ctx, end, err := c.Remote.operator(p, "--to", c.To)
	if err != nil {
		return err
	}
	defer end()
	ended := 0
	for i, account := range accounts {
		left, err := operator.Leave(ctx, c.Group, account)
		if err != nil {
			return fmt.Errorf("group %.70s, after %s of %s accounts: %w", c.Group, count(i), count(len(accounts)), err)
		}
		if left {
			ended++
		}
	}
	out := lines{w: p.stdout}
	switch {
	case len(accounts) > 1 || c.File != "":
		out.printf("group %s: %s memberships ended, %s accounts were no members", c.Group, count(ended),
			count(len(accounts)-ended))
	case ended > 0:
		out.printf("%s is no longer a member of group %s", accounts[0], c.Group)
	default:
		out.printf("%s was not a member of group %s", accounts[0], c.Group)
	}
	return out.err
}

// accounts returns the accounts of the arguments and of the file.
func (c *leaveCommand) accounts(stdin io.Reader) ([]string, error) {
	for _, account := range c.Account {
		if !rules.ValidAccount(account) {
			return nil, usagef("%.70q is not an account", account)
		}
	}
	if c.File == "" {
		if len(c.Account) == 0 {
			return nil, usagef("ACCOUNT or --file is required")
		}
		return c.Account, nil
	}
	named, err := listedIn(c.File, stdin)
	return append(c.Account, named...), err
}

type listGroupsCommand struct {
	groupPort
}

// Run lists the groups.
func (c *listGroupsCommand) Run(p *process) error {
	operator, ctx, end, err := c.Remote.operator(p, "--to", c.To)
	if err != nil {
		return err
	}
	defer end()
	groups, err := operator.Groups(ctx)
	if err != nil {
		return err
	}
	out := lines{w: p.stdout}
	for i := range groups {
		out.printf("group %s, %s: %s members", groups[i].Group, groups[i].Title, count(groups[i].Members))
	}
	if len(groups) == 0 {
		out.printf("the sale has no groups")
	}
	return out.err
}
