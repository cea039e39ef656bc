package notify

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
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
		in := csv.NewReader(bufio.NewReader(file))
		in.FieldsPerRecord, in.ReuseRecord = 8, true // rank, account, group, hmac, slot, opens_at, closes_at, priority
		for {
			f, err := in.Read()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", resultCSV, err)
			}
			if f[0] == "rank" || f[4] == "" { // the header, or an account without a slot
				continue
			}
			rank, badRank := strconv.ParseUint(f[0], 10, 32)
			opens, badOpening := time.Parse(time.RFC3339, f[5])
			closes, badClosing := time.Parse(time.RFC3339, f[6])
			if err := errors.Join(badRank, badOpening, badClosing); err != nil {
				return fmt.Errorf("%s: %w", resultCSV, err)
			}
			w := titles
			w.Rank, w.Account, w.Priority = uint32(rank), f[1], f[7] == "true"
			w.Opens, w.Closes = opens.In(zone), closes.In(zone)
			if err := yield(w); err != nil {
				return err
			}
		}
	}
}
