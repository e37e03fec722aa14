// Package main is a program that uses the credentials of a store on PostgreSQL, beside others like it.
package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/postgres"
	"github.com/outgrant/outgrant/examples/fleet/listen"
)

// Orders are what the program is to do, in the environment variable ORDERS.
type Orders struct {
	Database    string // URL
	Keeper      string // file
	Listen      string // pgx or pq; "": it polls
	Credentials []string
	Every       time.Duration // each credential is used that often, until standard input ends
}

// Line is what the program says, in JSON, each on a line of its own.
type Line struct {
	At         time.Time
	Ready      bool   `json:",omitempty"`
	Listening  bool   `json:",omitempty"`
	Credential string `json:",omitempty"`
	Token      string `json:",omitempty"` // a digest of one that is new
	Failed     string `json:",omitempty"` // why a call failed
	Calls      int    `json:",omitempty"` // at the end
}

var (
	speaking  sync.Mutex
	listening sync.Once
)

func say(l Line) {
	speaking.Lock()
	defer speaking.Unlock()
	l.At = time.Now()
	text, _ := json.Marshal(l) // nothing in it can fail
	_, _ = os.Stdout.Write(append(text, '\n'))
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var o Orders
	if err := json.Unmarshal([]byte(os.Getenv("ORDERS")), &o); err != nil {
		return err
	}
	store, err := o.open()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	sources := map[string]outgrant.TokenSource{}
	for _, name := range o.Credentials {
		if sources[name], err = store.TokenSource(ctx, name); err != nil {
			return err
		}
	}
	say(Line{Ready: true})
	var using sync.WaitGroup
	calls := make(chan int, len(sources))
	for name, src := range sources {
		using.Go(func() { calls <- o.use(ctx, name, src) })
	}
	using.Wait()
	close(calls)
	total := 0
	for n := range calls {
		total += n
	}
	say(Line{Calls: total})
	return store.Close()
}

func (o Orders) open() (*credstore.Store, error) {
	db, err := sql.Open("pgx", o.Database)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := postgres.Migrate(ctx, db, nil); err != nil { // all of them at once
		return nil, err
	}
	opts := &postgres.Options{}
	switch o.Listen {
	case "pgx":
		opts.Listen = listen.PGX(o.Database)
	case "pq":
		opts.Listen = listen.PQ(o.Database)
	}
	if l := opts.Listen; l != nil {
		opts.Listen = func(ctx context.Context, channel string, changed func()) error {
			return l(ctx, channel, func() {
				listening.Do(func() { say(Line{Listening: true}) })
				changed()
			})
		}
	}
	drv, err := postgres.Open(ctx, db, opts)
	if err != nil {
		return nil, err
	}
	keeper, err := credstore.LocalKeeper(o.Keeper)
	if err != nil {
		return nil, err
	}
	return credstore.Open(drv, &credstore.Options{Keeper: keeper, ShareTokens: true})
}

// use uses a credential, and returns how often.
func (o Orders) use(ctx context.Context, name string, src outgrant.TokenSource) (calls int) {
	pace := time.NewTicker(o.Every)
	defer pace.Stop()
	var last outgrant.Secret
	for {
		token, err := src.Token(ctx)
		if ctx.Err() != nil {
			return calls
		}
		calls++
		switch {
		case err != nil:
			say(Line{Credential: name, Failed: err.Error()})
		case token.AccessToken != last:
			last = token.AccessToken
			sum := sha256.Sum256([]byte(last.Reveal()))
			say(Line{Credential: name, Token: hex.EncodeToString(sum[:8])})
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return calls
		}
	}
}
