package main

import (
	"fmt"

	"github.com/seathold/seathold/server/metrics"
)

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(p *process) error {
	b := metrics.ReadBuild()
	_, err := fmt.Fprintf(p.stdout, "seathold %s, %s\n", b, b.GoVersion)
	return err
}
