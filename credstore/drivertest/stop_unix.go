//go:build unix

package drivertest

import (
	"fmt"
	"syscall"
)

// stop stops a process, as a debugger or a machine that sleeps does.
func (p *process) stop() error { return signal(p, syscall.SIGSTOP) }

// cont lets it go on.
func (p *process) cont() error { return signal(p, syscall.SIGCONT) }

func signal(p *process, s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("sending %v: %w", s, err)
	}
	return nil
}
