package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// placeVariable says, in the environment of a process, that it is a worker, and where the store is.
const placeVariable = "OUTGRANT_DRIVERTEST_PLACE"

// Worker makes this process one of the suite's if the suite has started it: then it opens a store, does what it is told,
// and ends. Otherwise it does nothing. It is called first in TestMain, with the same function as in Suite.Open.
func Worker(open func(place string) (driver.Store, error)) {
	place := os.Getenv(placeVariable)
	if place == "" {
		return
	}
	if err := work(open, place, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "drivertest: worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// An order is what the suite tells a worker to do, a line of JSON each.
type order struct {
	Do         string // names one of the orders below
	Key        driver.Key
	Goroutines int    `json:",omitempty"`
	Rounds     int    `json:",omitempty"`
	Marker     string `json:",omitempty"` // a file that is there while somebody holds the lock
}

// A report is the answer to an order.
type report struct {
	OK     bool   `json:",omitempty"`
	Number int    `json:",omitempty"`
	Error  string `json:",omitempty"`
}

// orders are what a worker can do.
var orders = map[string]func(w *worker, o order) (report, error){
	"lock":    (*worker).lock,
	"trylock": (*worker).tryLock,
	"unlock":  (*worker).unlock,
	"lost":    (*worker).isLost,
	"count":   (*worker).count,
	"turns":   (*worker).turns,
	"write":   (*worker).write,
}

type worker struct {
	store  driver.Store
	held   driver.Lock
	report func(report) error
}

// work ends when there are no more orders, as the suite has ended.
func work(open func(place string) (driver.Store, error), place string, in io.Reader, out io.Writer) error {
	store, err := open(place)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(out)
	w := &worker{store: store, report: func(r report) error { return lines.Encode(r) }}
	if err := w.report(report{OK: true}); err != nil { // ready
		return err
	}
	given := make(chan order)
	go func() { // the end is noticed also while an order is carried out
		defer os.Exit(0)
		from := json.NewDecoder(in)
		for {
			var o order
			if from.Decode(&o) != nil {
				return
			}
			given <- o
		}
	}()
	for o := range given {
		do, ok := orders[o.Do]
		if !ok {
			return fmt.Errorf("no order %q", o.Do)
		}
		r, err := do(w, o)
		if err != nil {
			r.Error = err.Error()
		}
		if err := w.report(r); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) lock(o order) (report, error) {
	l, err := w.store.Lock(context.Background(), o.Key)
	w.held = l
	return report{OK: err == nil}, err
}

func (w *worker) tryLock(o order) (report, error) {
	l, ok, err := w.store.TryLock(context.Background(), o.Key)
	if ok {
		w.held = l
	}
	return report{OK: ok}, err
}

func (w *worker) unlock(order) (report, error) {
	return report{OK: true}, w.held.Unlock()
}

// isLost reports whether the lock that is held is lost, soon if not now.
func (w *worker) isLost(order) (report, error) {
	select {
	case <-w.held.Lost():
		return report{OK: true}, nil
	case <-time.After(promptly):
		return report{}, nil
	}
}

func (w *worker) count(o order) (report, error) {
	return report{OK: true}, count(context.Background(), w.store, o.Key, o.Goroutines, o.Rounds)
}

// turns takes the lock again and again. While it holds it, a file is there that nobody else may find, and the record is
// the holder's alone, so that no write of it meets a conflict.
func (w *worker) turns(o order) (report, error) {
	errs := make(chan error, o.Goroutines)
	for range o.Goroutines {
		go func() {
			var err error
			for i := 0; i < o.Rounds && err == nil; i++ {
				err = w.turn(o)
			}
			errs <- err
		}()
	}
	var all []error
	for range o.Goroutines {
		all = append(all, <-errs)
	}
	return report{OK: true}, errors.Join(all...)
}

func (w *worker) turn(o order) (err error) {
	l, err := w.store.Lock(context.Background(), o.Key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	f, err := os.OpenFile(o.Marker, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("two hold the lock at once: %w", err)
	}
	f.Close()
	if err := increment(context.Background(), w.store, o.Key); err != nil {
		return fmt.Errorf("under the lock: %w", err)
	}
	return os.Remove(o.Marker)
}

// write puts the record again and again, until the process is killed, and reports each number that is written.
func (w *worker) write(o order) (report, error) {
	for {
		r, err := w.store.Get(context.Background(), o.Key)
		if err != nil {
			return report{}, err
		}
		n, err := numberOf(r)
		if err != nil {
			return report{}, err
		}
		if _, err := w.store.Put(context.Background(), numbered(o.Key, n+1), r.Version); err != nil {
			return report{}, err
		}
		if err := w.report(report{OK: true, Number: n + 1}); err != nil {
			return report{}, err
		}
	}
}

// numbered returns a record all of whose parts tell its number. One in three is never due.
func numbered(k driver.Key, n int) driver.Record {
	text := strconv.Itoa(n)
	r := driver.Record{Key: k, Info: []byte(text), Sealed: []byte(text)}
	for len(r.Sealed) < 10_000 {
		r.Sealed = append(r.Sealed, " "+text...)
	}
	if n%3 != 0 {
		r.Due = at(n)
	}
	return r
}

// numberOf returns the number of a record, which is whole.
func numberOf(r driver.Record) (int, error) {
	n, err := strconv.Atoi(string(r.Info))
	if err != nil {
		return 0, fmt.Errorf("the record's Info is %.40q", r.Info)
	}
	want := numbered(r.Key, n)
	want.Version = r.Version
	if difference := differ(r, want); difference != "" {
		return 0, fmt.Errorf("the record with number %d is not whole: %s", n, difference)
	}
	return n, nil
}
