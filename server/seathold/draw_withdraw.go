package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/seathold/seathold/engine/rules"
	"github.com/seathold/seathold/server/client"
	csv "github.com/seathold/seathold/server/internal/lines"
)

type withdrawCommand struct {
	Draw    string   `required:"" placeholder:"DRAW" help:"The draw's id in the sale definition."`
	Account []string `placeholder:"ACCOUNT" help:"An account whose entry is taken back; may be repeated."`
	File    string   `placeholder:"FILE" help:"CSV with the header 'account': the accounts whose entries are taken back."`
	Admin   string   `default:"http://127.0.0.1:9090" env:"SEATHOLD_ADMIN" placeholder:"URL" help:"The operator's port of the server (default: ${default})."`
	Remote  remote   `embed:""`
}

func (c *withdrawCommand) Help() string {
	return `An entrant may ask to be taken out of a draw. Entries are taken back until they are frozen, which the
server does at the close of registration: from then on their digest is published. The account may enter
again. The command can be run again: accounts that have no entry are counted and change nothing. It reads the
whole file first, and does nothing if a line is not an account.`
}

// Run withdraws the entries.
func (c *withdrawCommand) Run(p *process) error {
	accounts, err := c.accounts()
	if err != nil {
		return err
	}
	operator, ctx, end, err := c.Remote.operator(p, "--admin", c.Admin)
	if err != nil {
		return err
	}
	defer end()
	withdrawn, without, err := withdrawAll(ctx, operator, c.Draw, accounts)
	out := lines{w: p.stdout}
	out.printf("draw %s: %s entries withdrawn, %s accounts have none", c.Draw, count(withdrawn), count(without))
	if err != nil {
		return fmt.Errorf("draw %s, stopped after %s of %s accounts: %w", c.Draw, count(withdrawn+without),
			count(len(accounts)), err)
	}
	return out.err
}

// withdrawAll withdraws the entries one after the other, and counts the accounts that have none.
func withdrawAll(ctx context.Context, operator *client.Operator, draw string, accounts []string) (
	withdrawn, without int, err error) {
	for _, account := range accounts {
		err := operator.Withdraw(ctx, draw, account)
		refusal, refused := errors.AsType[*client.Error](err)
		switch {
		case refused && refusal.Code == "entry_not_found":
			without++
		case err != nil:
			return withdrawn, without, err
		default:
			withdrawn++
		}
	}
	return withdrawn, without, nil
}

// accounts returns the accounts of the flags and of the file.
func (c *withdrawCommand) accounts() ([]string, error) {
	all := c.Account
	for _, account := range all {
		if !rules.ValidAccount(account) {
			return nil, usagef("--account: %.70q is not an account", account)
		}
	}
	if c.File == "" {
		if len(all) == 0 {
			return nil, usagef("--account or --file is required")
		}
		return all, nil
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	named, err := readAccounts(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	return append(all, named...), nil
}

// readAccounts reads accounts, one a line. Repetitions of the header are skipped.
func readAccounts(from io.Reader) (all []string, err error) {
	in := csv.NewReader(from)
	header, err := in.Header()
	if err != nil {
		return nil, err
	}
	if header != csv.AccountHeader {
		return nil, fmt.Errorf("the first line must be account, not %q", csv.Clip([]byte(header)))
	}
	for {
		account, err := in.NextAccount()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, string(account))
	}
}
