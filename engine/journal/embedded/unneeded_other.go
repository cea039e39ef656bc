//go:build !linux

package embedded

import "os"

// unneeded does nothing where no such advice is known.
func unneeded(*os.File) {}
