package embedded_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seathold/seathold/engine/journal"
	"github.com/seathold/seathold/engine/journal/embedded"
)

// Two records are appended as one group, and delivered when the journal is opened again.
func Example() {
	parent, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "sale")

	j, last := open(dir)
	run := journal.AppendRecord(journal.AppendRecord(nil, []byte("held")), []byte("confirmed"))
	if err := j.Append(context.Background(), journal.Group{First: last + 1, Count: 2, Records: run}); err != nil {
		panic(err)
	}
	if err := j.Close(); err != nil {
		panic(err)
	}

	j, last = open(dir)
	defer j.Close()
	fmt.Println("the last record is", last)
	// Output:
	// record 1: held
	// record 2: confirmed
	// the last record is 2
}

// open opens the journal in a directory, prints its records and returns the sequence of the last one.
func open(dir string) (j *embedded.Journal, last uint64) {
	j, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		panic(err)
	}
	recovered, err := j.Recover(journal.Recovery{
		Begin: func(journal.CheckpointInfo) error { return nil },
		Chunk: func([]byte) error { return nil }, // there is no checkpoint here
		Group: func(g journal.Group) error {
			for seq, rest := g.First, g.Records; len(rest) > 0; seq++ {
				var record []byte
				if record, rest, err = journal.Next(rest); err != nil {
					return err
				}
				fmt.Printf("record %d: %s\n", seq, record)
			}
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	return j, recovered.Last
}
