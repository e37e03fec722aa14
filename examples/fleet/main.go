// Fleet starts several processes that share one store of credentials, and shows what each of them does.
//
//	cd examples/fleet && go run .
//
// needs nothing else: the store is a folder of files, and the token service is in this program. With
//
//	go run . -database postgres://outgrant@127.0.0.1/outgrant
//
// it is on PostgreSQL, as for processes on many machines: they see changes at once, by notification. Tokens live eight seconds;
// on the way an artifact is deployed again, and a process is killed and started again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.database, "database", "", "`URL` of a PostgreSQL database; default: a folder of files")
	flag.IntVar(&o.workers, "workers", 4, "`number` of processes")
	flag.DurationVar(&o.time, "for", 24*time.Second, "how `long`")
	flag.StringVar(&o.dir, "dir", "", "`folder` of the store, and of its key; default: a temporary one")
	flag.IntVar(&o.worker, "worker", 0, "`number` of this process: for the program's own use")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := o.lead
	if o.worker > 0 {
		run = o.work
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// options are those of the program.
type options struct {
	database, dir   string
	workers, worker int
	time            time.Duration
}
