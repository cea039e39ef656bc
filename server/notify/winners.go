package notify

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Winners returns a function that reads the winners of a verified export from its result.csv, in the order of their
// ranks. Each has the titles of titles and times in the zone.
func Winners(resultCSV string, titles Winner, zone *time.Location) func(yield func(Winner) error) error {
	return func(yield func(Winner) error) (err error) {
		file, err := os.Open(resultCSV)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		in := bufio.NewScanner(file)
		for number := 1; in.Scan(); number++ {
			if number == 1 {
				continue // the header
			}
			w, won, err := parseWinner(in.Text(), titles, zone)
			if err != nil {
				return fmt.Errorf("%s, line %d: %w", resultCSV, number, err)
			}
			if !won {
				continue
			}
			if err := yield(w); err != nil {
				return err
			}
		}
		return in.Err()
	}
}

// parseWinner reads a line of result.csv: rank, account, group, hmac, slot, opens_at, closes_at, priority. An account
// that won nothing has no slot.
func parseWinner(line string, w Winner, zone *time.Location) (_ Winner, won bool, err error) {
	f := strings.Split(line, ",")
	if len(f) != 8 {
		return w, false, fmt.Errorf("%d fields instead of 8", len(f))
	}
	if f[4] == "" {
		return w, false, nil
	}
	rank, err := strconv.ParseUint(f[0], 10, 32)
	if err != nil {
		return w, false, err
	}
	opens, err := time.Parse(time.RFC3339, f[5])
	if err != nil {
		return w, false, err
	}
	closes, err := time.Parse(time.RFC3339, f[6])
	w.Rank, w.Account, w.Priority = uint32(rank), f[1], f[7] == "true"
	w.Opens, w.Closes = opens.In(zone), closes.In(zone)
	return w, true, err
}
