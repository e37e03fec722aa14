package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

// lead starts the token service and the processes, and shows what they report.
func (o options) lead(ctx context.Context) error {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "fleet-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	service := oauthtest.NewServer(&oauthtest.ServerOptions{TokenLifetime: 8 * time.Second})
	defer service.Close()
	store, err := o.open(ctx, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	deploy := func(name, client string) error {
		return store.Deploy(ctx, &credstore.ClientCredentials{Name: name, TokenServiceURL: service.TokenURL(), ClientID: client, ClientSecret: "a secret"})
	}
	for _, name := range artifacts {
		if err := deploy(name, "client-of-"+name); err != nil {
			return err
		}
	}

	reports := make(chan report)
	var fleet []*process
	defer func() {
		for _, p := range fleet {
			p.end()
		}
	}()
	for i := range o.workers {
		p, err := o.start(ctx, i+1, reports)
		if err != nil {
			return err
		}
		fleet = append(fleet, p)
	}

	fmt.Printf("%d processes, %d credentials, tokens of 8 seconds\n", o.workers, len(artifacts))
	began, show := time.Now(), time.NewTicker(2*time.Second)
	defer show.Stop()
	end, redeploy, kill := time.After(o.time), time.After(o.time/3), time.After(2*o.time/3)
	sum := make([]report, o.workers)
	calls := 0
	for {
		select {
		case r := <-reports:
			sum[r.Worker-1].add(r)
			calls += r.Calls
		case <-show.C:
			fmt.Printf("%5.1fs  token requests so far: %d\n", time.Since(began).Seconds(), service.TokenRequests())
			for i := range sum {
				fmt.Printf("        process %d: %s\n", i+1, sum[i])
				sum[i] = report{}
			}
		case <-redeploy:
			fmt.Printf("%5.1fs  %s is deployed again\n", time.Since(began).Seconds(), artifacts[0])
			if err := deploy(artifacts[0], "another-client"); err != nil {
				return err
			}
		case <-kill:
			fmt.Printf("%5.1fs  process 1 is killed, and started again\n", time.Since(began).Seconds())
			fleet[0].kill()
			if fleet[0], err = o.start(ctx, 1, reports); err != nil {
				return err
			}
		case <-end:
			fmt.Printf("%d calls by %d processes, and %d token requests\n", calls, o.workers, service.TokenRequests())
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *report) add(more report) {
	r.Calls += more.Calls
	r.Requests += more.Requests
	if more.Failed != "" {
		r.Failed = more.Failed
	}
}

func (r report) String() string {
	text := []string{fmt.Sprintf("%5d calls", r.Calls)}
	if r.Requests > 0 {
		text = append(text, fmt.Sprintf("tokens fetched: %d", r.Requests))
	}
	if r.Failed != "" {
		text = append(text, "failed: "+r.Failed)
	}
	return strings.Join(text, ", ")
}

// process is one of the fleet.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	over  chan struct{}
}

func (o options) start(ctx context.Context, number int, reports chan<- report) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, "-worker", strconv.Itoa(number), "-database", o.database, "-dir", o.dir), over: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.over)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var r report
			if json.Unmarshal(lines.Bytes(), &r) == nil {
				select {
				case reports <- r:
				case <-time.After(time.Second): // nobody listens any more
				}
			}
		}
		_ = p.cmd.Wait() // killed ones fail
	}()
	return p, nil
}

// end has the process end by itself.
func (p *process) end() {
	_ = p.stdin.Close()
	<-p.over
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.over
}
