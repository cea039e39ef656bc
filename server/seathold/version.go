package main

import (
	"fmt"
	"runtime/debug"

	"github.com/seathold/seathold/server/metrics"
)

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(p *process) error {
	b := build()
	_, err := fmt.Fprintf(p.stdout, "seathold %s, %s\n", versionOf(b), b.GoVersion)
	return err
}

// build returns what the Go command recorded in the binary.
func build() metrics.Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return metrics.Build{Version: "unknown", GoVersion: "unknown"}
	}
	b := metrics.Build{Version: info.Main.Version, GoVersion: info.GoVersion}
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.Revision = setting.Value[:min(12, len(setting.Value))] + b.Revision
		case setting.Key == "vcs.modified" && setting.Value == "true":
			b.Revision += "+changes"
		}
	}
	return b
}

func versionOf(b metrics.Build) string {
	if b.Revision == "" {
		return b.Version
	}
	return b.Version + " (" + b.Revision + ")"
}
