package credstore_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// claimingBackend is a backend that shares work out, and that counts how often it does.
type claimingBackend struct{ *sharedBackend }

func (b *claimingBackend) Claim(ctx context.Context, kind string, before time.Time, limit int, hold time.Duration) ([]driver.Key, error) {
	if err := b.begin(ctx, "claim", driver.Key{Kind: kind}); err != nil {
		return nil, err
	}
	return b.Store.(driver.Claimer).Claim(ctx, kind, before, limit, hold)
}

// watched is the network of a process. It notes when token requests are sent.
type watched struct {
	*place
	mu   *sync.Mutex
	sent *[]time.Time // by all processes
	own  int
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	*w.sent = append(*w.sent, time.Now())
	w.own++
	w.mu.Unlock()
	return w.place.RoundTrip(r)
}

// A fleet keeps credentials fresh that all have one token service: an hour as any other, then six hours in which the token
// service is away, and how they are made up for. Their refresh tokens last 30 days, and are due after 24.
func TestRunInAFleet(t *testing.T) {
	const workers, life = 8, 24 * day
	credentials := 20_000
	if testing.Short() {
		credentials = 6_000
	}
	if os.Getenv("OUTGRANT_SOAK") == "1" {
		credentials = 1_000_000
	}
	hourly := credentials / int(life/time.Hour)
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		backend := &claimingBackend{p.backend}
		open := func(change ...func(*credstore.Options)) *credstore.Store {
			silent := func(o *credstore.Options) { o.Hooks = nil } // they would keep all that is shown
			return p.openOn(t, backend, append(change, silent)...)
		}
		var mu sync.Mutex
		var sent []time.Time
		var stores []*credstore.Store
		var wires []*watched
		for range workers {
			w := &watched{place: p, mu: &mu, sent: &sent}
			stores = append(stores, open(unlimited, func(o *credstore.Options) { o.HTTPClient = &http.Client{Transport: w} }))
			wires = append(wires, w)
		}
		// Those that become due in eight hours, and the others, which are not read.
		began := time.Now()
		first := open(unlimited)
		for i := range 8 * hourly {
			tenant := first.Tenant(fmt.Sprint("tenant-", i/100))
			p.authorized(t, tenant, name(i), expiring(30))
			a, err := tenant.Vault().Load(t.Context(), name(i))
			require.NoError(t, err)
			a.Due = began.Add(life + time.Duration(i)*time.Hour/time.Duration(hourly))
			_, err = tenant.Vault().Save(t.Context(), name(i), a.RefreshToken, a)
			require.NoError(t, err)
		}
		for i := range credentials - 8*hourly {
			_, err := p.backend.Store.Put(t.Context(), driver.Record{Key: driver.Key{Kind: "grant", Name: fmt.Sprint("later ", i)}, Due: began.Add(life + 9*time.Hour + time.Duration(i)*time.Microsecond)}, "")
			require.NoError(t, err)
		}
		time.Sleep(time.Until(began.Add(life)))
		p.backend.count()
		sent = nil
		stop := running(t, stores...)
		report := func(what string) (requests []time.Time, densest int) {
			mu.Lock()
			defer mu.Unlock()
			requests, sent = sent, nil
			for i := range requests {
				n := 1
				for n < len(requests)-i && requests[i+n].Sub(requests[i]) < time.Second {
					n++
				}
				densest = max(densest, n)
			}
			counts := p.backend.count()
			t.Logf("%s: %d token requests, at most %d in a second; the backend was asked %v", what, len(requests), densest, counts)
			require.Zero(t, counts["list"])
			return requests, densest
		}

		time.Sleep(time.Hour)
		requests, densest := report("an hour")
		require.InDelta(t, hourly, len(requests), float64(hourly)/10)
		require.LessOrEqual(t, densest, 11)
		require.Zero(t, p.Reuses())

		p.Inject(oauthtest.Lasting(oauthtest.HTML503()))
		time.Sleep(6 * time.Hour)
		requests, densest = report("six hours without the token service")
		require.LessOrEqual(t, densest, 11)
		require.Less(t, len(requests), 6*60*workers, "it is left alone")

		p.ClearFaults()
		back := time.Now()
		time.Sleep(time.Hour)
		requests, densest = report("an hour after it is back")
		require.LessOrEqual(t, densest, 11, "no stampede")
		stop()
		for i, w := range wires {
			require.Positive(t, w.own, "process %d", i)
		}
		due, err := p.backend.Store.Due(t.Context(), "grant", time.Now().Add(-10*time.Minute), 10*credentials)
		require.NoError(t, err)
		require.Empty(t, due, "all is made up for")
		mostBusy := slices.MaxFunc(requests, time.Time.Compare)
		t.Logf("the last of the hour was sent %v after it was back", mostBusy.Sub(back).Round(time.Second))
		require.Zero(t, p.Reuses())
	})
}
