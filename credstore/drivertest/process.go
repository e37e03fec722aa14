package drivertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A process is a worker as the suite sees it.
type process struct {
	b       *bench
	cmd     *exec.Cmd
	in      io.WriteCloser
	reports chan answer
	end     func()
}

type answer struct {
	report
	at  time.Time
	err error // the process has ended, or said something else
}

// start starts another process, which ends with the check.
func (b *bench) start() *process {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatalf("which program is this? %v", err)
	}
	cmd := exec.Command(program, "-test.run=^$") // no tests, if TestMain does not call Worker
	cmd.Env = append(os.Environ(), placeVariable+"="+b.suite.Place)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatalf("starting a process: %v", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatalf("starting a process: %v", err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatalf("starting a process: %v", err)
	}
	p := &process{b: b, cmd: cmd, in: in, reports: make(chan answer, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(out)
	}()
	p.end = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		in.Close()
		for range p.reports { // also those that nobody asked for
		}
		<-read
		_ = cmd.Wait()
		if stderr.Len() > 0 {
			b.Logf("process %d says: %s", cmd.Process.Pid, &stderr)
		}
	})
	b.Cleanup(p.end)
	if a := p.untilDone(); a.err != nil || !a.OK {
		p.end()
		b.Fatalf("a process that was started does not take orders (%v): does TestMain call drivertest.Worker, and is Suite.Place right for other processes?", a.err)
	}
	return p
}

// read passes on what the process reports, until it ends.
func (p *process) read(out io.Reader) {
	defer close(p.reports)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		a := answer{at: time.Now()}
		if err := json.Unmarshal(lines.Bytes(), &a.report); err != nil {
			a.err = fmt.Errorf("it says %q", lines.Text())
		} else if a.Error != "" {
			a.err = fmt.Errorf("it reports: %s", a.Error)
		}
		p.reports <- a
	}
}

// order tells the process to do something.
func (p *process) order(o order) {
	p.b.Helper()
	line, err := json.Marshal(o)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	if err != nil {
		p.b.Fatalf("a process does not take the order %q: %v", o.Do, err)
	}
}

// answer waits for what the process reports, but not for ever.
func (p *process) answer(limit time.Duration) answer {
	ctx, cancel := context.WithTimeout(p.b.ctx, limit)
	defer cancel()
	return p.answerOr(ctx.Done())
}

// untilDone is answer of an order that may take all the time that the check has.
func (p *process) untilDone() answer { return p.answerOr(p.b.ctx.Done()) }

func (p *process) answerOr(tooLate <-chan struct{}) answer {
	select {
	case a, ok := <-p.reports:
		if !ok {
			a.err = errors.New("it has ended")
		}
		return a
	case <-tooLate:
		return answer{err: errors.New("it does not answer in time")}
	}
}

// do is order and answer.
func (p *process) do(o order) answer {
	p.b.Helper()
	p.order(o)
	return p.done(o.Do)
}

// done waits until the order is carried out.
func (p *process) done(what string) answer {
	p.b.Helper()
	a := p.answer(2 * promptly)
	if a.err != nil {
		p.b.Fatalf("a process that was told to %s: %v", what, a.err)
	}
	return a
}

// kill ends the process as nothing can prevent. It returns when that was.
func (p *process) kill() time.Time {
	p.b.Helper()
	at := time.Now()
	if err := p.cmd.Process.Kill(); err != nil {
		p.b.Fatalf("killing a process: %v", err)
	}
	return at
}
