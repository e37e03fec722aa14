//go:build !unix

package drivertest

import "errors"

// stop: on this system a process cannot be stopped.
func (*process) stop() error { return errors.ErrUnsupported }

func (*process) cont() error { return errors.ErrUnsupported }
