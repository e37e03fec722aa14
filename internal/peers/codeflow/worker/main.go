package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	o, err := readOrders()
	if err != nil {
		return err
	}
	open := o.openDir
	if o.Database != "" {
		open = o.openDatabase
	}
	store, err := open()
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	var users sync.WaitGroup
	for _, name := range o.Credentials {
		source, err := o.source(store, name)
		if err != nil {
			return err
		}
		seen := &seen{}
		for range o.Goroutines {
			users.Go(func() { o.use(source, seen, ended) })
		}
	}
	users.Wait()
	close(left)
	if err := store.Close(); err != nil {
		return err
	}
	say(Line{Closed: true})
	return nil
}

// source returns the source of a credential, which it waits for if it goes on after failures.
func (o Orders) source(store *credstore.Store, name string) (outgrant.TokenSource, error) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		source, err := store.TokenSource(ctx, name)
		cancel()
		if err == nil || !o.GoOn {
			return source, err
		}
		say(Line{Failed: err.Error()})
		time.Sleep(100 * time.Millisecond)
	}
}

// use asks for tokens, like a program that makes a call every millisecond, until the program is to end.
func (o Orders) use(source outgrant.TokenSource, seen *seen, ended <-chan struct{}) {
	reject := o.Reject
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for {
		ctx, cancel := context.WithTimeout(calls, time.Minute)
		token, err := source.Token(ctx)
		cancel()
		if err != nil {
			say(Line{Failed: err.Error()})
			if !o.GoOn {
				return
			}
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-ended:
				return
			}
		}
		if seen.isNew(digest(token)) {
			say(Line{Token: digest(token)})
		}
		if reject > 0 {
			reject--
			source.(outgrant.Invalidator).Invalidate(token)
		}
		select {
		case <-pace.C:
		case <-ended:
			return
		}
	}
}

// seen are the tokens that this process had.
type seen struct {
	mu    sync.Mutex
	known map[string]bool
}

func (s *seen) isNew(digest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	isNew := !s.known[digest]
	s.known[digest] = true
	return isNew
}
