package codeflow_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/peers/peer"
)

// TestChaos kills, stops and restarts the processes of a fleet and its database at random, and cuts them off from it, while they
// use credentials whose tokens last a second and whose refresh tokens work once. Nothing is lost but what the token service had
// answered to a process that was killed, or stopped for longer than its request may take; and that is said.
func TestChaos(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range peer.Short(6, 20) {
		names = append(names, fmt.Sprint("CREDENTIAL_", i))
	}
	database := peer.StartPostgres(t)
	d := deployIn(t, database, time.Second, names...)
	for _, name := range names {
		d.authorize(t, name)
	}
	program := build(t, d)
	program.fetchTimeout = marksEndAfter20s
	line := peer.StartProxy(t, strings.Split(strings.Split(database.URL("outgrant"), "@")[1], "/")[0])
	program.database = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(program.database, line.Addr)
	start := func() *worker {
		return program.start(t, orders{Credentials: names, Goroutines: 2, GoOn: true})
	}
	var gone []*worker
	fleet := []*worker{start(), start(), start(), start()}
	lost := map[string]int{} // of each credential: how often an answer died
	stopped := 0
	actions := map[string]func(){
		"a process killed": func() {
			i := rand.N(len(fleet))
			fleet[i].kill()
			gone = append(gone, fleet[i])
			fleet[i] = start()
		},
		"a process stopped for as long as locks last": func() {
			w := fleet[rand.N(len(fleet))]
			require.NoError(t, w.cmd.Process.Signal(syscall.SIGSTOP))
			time.Sleep(4 * time.Second)
			require.NoError(t, w.cmd.Process.Signal(syscall.SIGCONT))
			stopped++
		},
		"the database restarted": func() {
			database.Stop(t)
			time.Sleep(rand.N(2 * time.Second))
			database.Start(t)
		},
		"the database killed": func() {
			database.Kill(t)
			time.Sleep(rand.N(2 * time.Second))
			database.Start(t)
		},
		"cut off": func() {
			line.Cut()
			time.Sleep(peer.Short(2*time.Second, 10*time.Second))
			line.Mend()
		},
	}
	done := map[string]int{}
	kinds := slices.Sorted(maps.Keys(actions))
	for began, i := time.Now(), 0; time.Since(began) < peer.Short(30*time.Second, 10*time.Minute); i++ {
		kind := kinds[i%len(kinds)]
		if i >= len(kinds) {
			kind = kinds[rand.N(len(kinds))]
		}
		actions[kind]()
		done[kind]++
		time.Sleep(rand.N(2 * time.Second))
		all, err := d.List(t.Context())
		require.NoError(t, err)
		for _, info := range all {
			if info.Status == "Unauthorized" {
				require.Contains(t, info.Reason, "is unknown (", info.Name)
				lost[info.Name]++
				d.authorize(t, info.Name)
			}
		}
	}
	time.Sleep(25 * time.Second) // what was begun by one that was killed is left alone until it must have ended
	for _, w := range fleet {
		w.end()
	}
	failed := map[string]int{}
	distinct := map[string]bool{}
	for _, w := range slices.Concat(fleet, gone) {
		for _, l := range w.awaitEnd(t) {
			if l.Token != "" {
				distinct[l.Token] = true
			}
			if l.Failed != "" {
				failed[reasonOf(l.Failed)]++
			}
		}
	}
	all, answersLost, granted := 0, 0, 0
	for _, name := range names {
		came := d.server.Refreshes(t, name)
		info := d.info(t, name)
		if info.Status == "Unauthorized" {
			require.Contains(t, info.Reason, "is unknown (", name)
			lost[name]++
		}
		require.LessOrEqual(t, max(came.Reused, came.Refused), lost[name], "%s: %+v: a refresh token is used twice where its answer was lost, and nowhere else", name, came)
		all, answersLost, granted = all+came.Requests, answersLost+lost[name], granted+came.Granted
	}
	t.Logf("%v; %d refreshes by %d requests, %d of them of tokens whose answer was lost; %d tokens seen; calls that failed: %v", done, granted, all, answersLost, len(distinct), failed)
	for reason := range failed {
		require.Contains(t, reasons, reason, "a call failed without a known reason")
	}
	require.LessOrEqual(t, answersLost, done["a process killed"]+stopped+done["cut off"])
	require.Greater(t, granted, 50)
}

// reasons are why calls may fail while the database or the token service cannot be reached, each with what a user reads.
var reasons = map[string]string{
	"the store cannot be read":     "the store cannot be read now",
	"the store cannot be written":  "its store cannot be written",
	"the store cannot be locked":   "its store cannot be locked",
	"the store cannot be loaded":   "its store cannot be read",
	"another's answer may come":    "its answer may come yet",
	"the lock was lost":            "its store lost the lock",
	"the outcome is unknown":       "is unknown (",
	"no answer in time":            "no answer within",
	"the call took too long":       "the call ended before the token service answered",
	"what came cannot be stored":   "the refresh token that came last cannot be stored",
	"the database cannot be asked": "postgres: cannot",
}

func reasonOf(failed string) string {
	for reason, text := range reasons {
		if strings.Contains(failed, text) {
			return reason
		}
	}
	return failed
}
