//go:build !linux

package main

import (
	"errors"
	"fmt"
	"syscall"
)

var errNeedsLinux = fmt.Errorf("%w: source addresses and small windows need Linux", errors.ErrUnsupported)

func lateBind(_, _ string, _ syscall.RawConn) error { return errNeedsLinux }

func smallWindow(_, _ string, _ syscall.RawConn) error { return errNeedsLinux }
