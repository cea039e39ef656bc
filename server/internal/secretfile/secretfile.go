// Package secretfile reads files with secrets: callers' keys and private keys of certificates.
package secretfile

import (
	"fmt"
	"io"
	"os"
)

// Read returns the content of a file with a secret, at most limit bytes. If other users of the machine can read or
// change the file, warning says so and how to end it; it is for the operator's log, and also set when the content could
// not be read. Of a symbolic link the target is judged, so that secrets mounted by Kubernetes are judged by their mode.
func Read(path string, limit int) (content []byte, warning string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer file.Close() //nolint:errcheck // read only
	info, err := file.Stat()
	if err != nil {
		return nil, "", err
	}
	if info.Mode().IsRegular() { // pipes and terminals are as private as the process that has made them
		if fault := exposure(info); fault != "" {
			warning = path + " " + fault
		}
	}
	content, err = io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err == nil && len(content) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	if err != nil {
		return nil, warning, err
	}
	return content, warning, nil
}
