package notify

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/seathold/seathold/engine/draw"
)

// Winners returns the winners of a draw in the order of their ranks, from the result.csv of its export and from the
// file of the winners' accounts. The latter is checked against the former: each line must be the opening of the
// winner's handle. accountsCSV is "" for an export of format 1, which has the accounts itself. Each winner has the
// given titles, and instants in the given zone.
func Winners(resultCSV, accountsCSV string, titles Winner, zone *time.Location) func(yield func(Winner) error) error {
	return func(yield func(Winner) error) (err error) {
		result, err := openTable(resultCSV)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, result.file.Close()) }()
		opens := 5 // the column: after rank, account, group, hmac and slot
		var accounts *table
		if accountsCSV != "" {
			opens++ // the weight follows the group
			if accounts, err = openTable(accountsCSV); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, accounts.file.Close()) }()
			if err := accounts.header(); err != nil {
				return err
			}
		}
		if err := result.header(); err != nil {
			return err
		}
		for {
			w := titles
			handle, won, err := result.winner(&w, opens, zone)
			switch {
			case err == io.EOF:
				return nil
			case err != nil:
				return err
			case !won:
				continue
			}
			w.Account = handle
			if accounts != nil {
				if w.Account, err = accounts.account(w.Rank, handle); err != nil {
					return err
				}
			}
			if err := yield(w); err != nil {
				return err
			}
		}
	}
}

// table is a CSV file that is read line by line.
type table struct {
	file *os.File
	in   *csv.Reader
	name string
}

func openTable(name string) (*table, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	t := &table{file: file, in: csv.NewReader(bufio.NewReader(file)), name: name}
	t.in.ReuseRecord = true
	return t, nil
}

// header skips the first line, which sets the number of fields.
func (t *table) header() error {
	_, err := t.in.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return nil
}

// winner reads a line of result.csv. The opening of the slot is in column at, and its close and whether it is a
// priority slot follow. won is false for an entry without a slot.
func (t *table) winner(w *Winner, at int, zone *time.Location) (name string, won bool, err error) {
	f, err := t.in.Read()
	switch {
	case err == io.EOF:
		return "", false, err
	case err == nil && len(f) <= at+2:
		err = fmt.Errorf("it has %d columns", len(f))
	}
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", t.name, err)
	}
	if f[at] == "" {
		return "", false, nil
	}
	rank, badRank := strconv.ParseUint(f[0], 10, 32)
	opens, badOpening := time.Parse(time.RFC3339, f[at])
	closes, badClosing := time.Parse(time.RFC3339, f[at+1])
	if err := errors.Join(badRank, badOpening, badClosing); err != nil {
		return "", false, fmt.Errorf("%s: %w", t.name, err)
	}
	w.Rank, w.Priority = uint32(rank), f[at+2] == "true"
	w.Opens, w.Closes = opens.In(zone), closes.In(zone)
	return strings.Clone(f[1]), true, nil
}

// account reads the next line of the winners' accounts, which must open the handle of this rank.
func (t *table) account(rank uint32, handle string) (string, error) {
	f, err := t.in.Read()
	switch {
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	case err == nil && len(f) == 3 && f[0] == strconv.FormatUint(uint64(rank), 10):
		var salt draw.Digest
		if n, err := hex.Decode(salt[:], []byte(f[2][:min(len(f[2]), 2*len(salt))])); err == nil && n == len(salt) &&
			draw.HandleOf(salt, f[1]).String() == handle {
			return strings.Clone(f[1]), nil
		}
	}
	return "", errors.Join(fmt.Errorf("%s: not the winners of this export: the account of rank %d does not follow", t.name,
		rank), err)
}
