package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// artifacts are the credentials that the processes use.
var artifacts = []string{"S4_ORDERS", "S4_INVOICES", "CRM"}

// report is what a process tells, in JSON, each on a line of its own.
type report struct {
	Worker   int
	Calls    int // with a valid token, since the last report
	Requests int // to the token service, since then
	Failed   string
}

// counted counts what goes to the token service.
type counted struct{ requests atomic.Int64 }

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return http.DefaultTransport.RoundTrip(req)
}

// work uses the credentials until standard input ends, and reports twice a second.
func (o options) work(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	wire := &counted{}
	store, err := o.open(ctx, &http.Client{Transport: wire})
	if err != nil {
		return err
	}
	defer store.Close()
	go func() { _ = store.Run(ctx) }() // renews what users have authorized, and forgets tokens that have ended

	said := time.Now()
	r := report{Worker: o.worker}
	for ctx.Err() == nil {
		for _, name := range artifacts {
			source, err := store.TokenSource(ctx, name)
			if err != nil {
				return err
			}
			_, err = source.Token(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				r.Failed = err.Error()
				continue
			}
			r.Calls++
		}
		if time.Since(said) > 500*time.Millisecond {
			said = time.Now()
			r.Requests = int(wire.requests.Swap(0))
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			fmt.Println(string(line))
			r = report{Worker: o.worker}
		}
		select {
		case <-time.After(5 * time.Millisecond): // other work
		case <-ctx.Done():
		}
	}
	return nil
}
