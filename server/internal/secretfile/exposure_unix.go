//go:build unix

package secretfile

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// exposure says what other users can do with a file, and how to end it; "" if they can do nothing.
func exposure(info fs.FileInfo) string {
	owner := -1
	if status, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(status.Uid)
	}
	return exposureOf(info.Mode().Perm(), owner, os.Geteuid())
}

// exposureOf judges a mode. Reading by the group is no exposure if it is how this process, which is neither the owner
// nor root, reads the file: systemd and Kubernetes give secrets of root to a service in this way.
func exposureOf(mode fs.FileMode, owner, process int) string {
	hint := "chmod 600 it (in Kubernetes: defaultMode 0400)"
	throughGroup := owner != process && process != 0
	if throughGroup {
		hint = "chmod 640 it (in Kubernetes: defaultMode 0440)"
	}
	var faults []string
	switch {
	case mode&0o004 != 0:
		faults = append(faults, "can be read by all users of this machine")
	case mode&0o040 != 0 && !throughGroup:
		faults = append(faults, "can be read by its group")
	}
	switch {
	case mode&0o002 != 0:
		faults = append(faults, "can be changed by all users of this machine")
	case mode&0o020 != 0:
		faults = append(faults, "can be changed by its group")
	}
	if faults == nil {
		return ""
	}
	return strings.Join(faults, " and ") + "; " + hint
}
