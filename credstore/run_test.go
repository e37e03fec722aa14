package credstore_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

const day = 24 * time.Hour

// running runs the job of each store until stop is called.
func running(t testing.TB, stores ...*credstore.Store) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var jobs sync.WaitGroup
	for _, s := range stores {
		jobs.Go(func() {
			if err := s.Run(ctx); err != context.Canceled {
				t.Errorf("Run returns %v", err)
			}
		})
	}
	return func() {
		cancel()
		jobs.Wait()
	}
}

func unlimited(o *credstore.Options) { o.Limits.AuthorizationCodes = -1 }

func expiring(days int) func(*credstore.AuthorizationCode) {
	return func(a *credstore.AuthorizationCode) { a.RefreshTokenExpiryDays = days }
}

func name(i int) string { return fmt.Sprintf("MAILBOX_%04d", i) }

// Of ten thousand authorization codes a hundred are due: these are read, and each is renewed once, whoever works on it.
func TestRunReadsWhatIsDue(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		var stores []*credstore.Store
		var wires []*paced
		for range 3 {
			w := &paced{place: p}
			stores = append(stores, p.open(t, unlimited, func(o *credstore.Options) { o.HTTPClient = &http.Client{Transport: w} }))
			wires = append(wires, w)
		}
		for i := range 100 {
			tenant := stores[0].Tenant(fmt.Sprintf("tenant-%d", i%7))
			p.authorized(t, tenant, name(i), expiring(90))
		}
		for i := range 9900 { // not due, and not read
			_, err := p.backend.Store.Put(t.Context(), driver.Record{Key: driver.Key{Kind: "grant", Name: fmt.Sprintf("not due %d", i)}, Due: time.Now().Add(80 * day)}, "")
			require.NoError(t, err)
		}
		time.Sleep(77 * day)
		p.Inject(oauthtest.Lasting(oauthtest.Delay(2 * time.Second)))
		for _, w := range wires {
			w.watch()
		}
		p.backend.count()
		stop := running(t, stores...)
		time.Sleep(30 * time.Second)
		renewed := map[string]int{}
		for _, r := range p.requests("refresh_token") {
			renewed[r.ClientID]++
		}
		require.Len(t, renewed, 100)
		for client, n := range renewed {
			require.Equal(t, 1, n, client)
		}
		require.Zero(t, p.Reuses())
		counts := p.backend.count()
		require.Less(t, counts["get"], 100*20, "a few for each and process: %v", counts)
		require.LessOrEqual(t, counts["put"], 100*2+100/10*6, "two for each, and turns at the token service: %v", counts)
		require.Zero(t, counts["list"])
		require.LessOrEqual(t, counts["due"], 3*2)

		time.Sleep(time.Hour)
		counts = p.backend.count()
		require.Zero(t, counts["get"], "nothing is due any more")
		require.InDelta(t, 3*62, counts["due"], 10, "one look a minute for each process")
		stop()
		var shares []int
		for _, w := range wires {
			require.LessOrEqual(t, w.most, 8, "at once")
			require.GreaterOrEqual(t, w.least, 100*time.Millisecond, "between two")
			shares = append(shares, w.sent)
		}
		require.NotContains(t, shares, 0, "the processes share the work: %v", shares)
	})
}

// paced notes how close together the requests of a process are, from the time that it is watched.
type paced struct {
	place *place

	mu        sync.Mutex
	watched   bool
	sent      int
	now, most int
	last      time.Time
	least     time.Duration
}

func (p *paced) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = true
}

func (p *paced) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.now++
	if p.watched {
		if pause := time.Since(p.last); p.sent == 1 || p.sent > 1 && pause < p.least {
			p.least = pause
		}
		p.sent++
		p.most, p.last = max(p.most, p.now), time.Now()
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.now--
	}()
	return p.place.RoundTrip(r)
}

// Those that fail are left alone for a while, and do not keep others waiting.
func TestRunLeavesAloneWhatFails(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for i := range 250 { // nobody has deployed them
			a := consented("S3NTINEL-refresh")
			a.Due = time.Now().Add(day)
			_, err := s.Vault().Save(t.Context(), fmt.Sprintf("gone %d", i), "", a)
			require.NoError(t, err)
		}
		broken := func(a *credstore.AuthorizationCode) {
			expiring(90)(a)
			a.ClientSecret, a.SendAs, a.KeyPairAlias = "", credstore.WithPrivateKeyJWT, "keys"
		}
		require.NoError(t, s.Deploy(t.Context(), &credstore.KeyPair{Name: "keys", PEM: pemOf(t, "signing")}))
		for i := range 50 {
			p.authorized(t, s, fmt.Sprintf("broken %d", i), broken)
		}
		require.NoError(t, s.Undeploy(t.Context(), "keys"))
		time.Sleep(5 * day)
		for i := range 20 {
			p.authorized(t, s, name(i), expiring(90))
		}
		time.Sleep(77 * day)
		defer running(t, s)()
		time.Sleep(time.Minute)
		require.Len(t, p.requests("refresh_token"), 20)
		time.Sleep(5 * time.Minute)
		p.backend.count()
		time.Sleep(time.Hour)
		require.InDelta(t, 250*2+6*50*3, p.backend.count()["get"], 200, "each is tried every ten minutes, or once an hour where there is none")

		require.NoError(t, s.Deploy(t.Context(), &credstore.KeyPair{Name: "keys", PEM: pemOf(t, "signing")}))
		time.Sleep(11 * time.Minute)
		require.Len(t, p.requests("refresh_token"), 20+50)
		require.Zero(t, p.Reuses())
	})
}

// A token service that is away is asked again, not all the time, and nothing is lost.
func TestRunWithATokenServiceThatIsAway(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for i := range 20 {
			p.authorized(t, s, name(i), expiring(90))
		}
		time.Sleep(77 * day)
		p.Inject(oauthtest.Lasting(oauthtest.HTML503()))
		defer running(t, s)()
		time.Sleep(6 * time.Hour)
		asked := len(p.requests("refresh_token"))
		require.LessOrEqual(t, asked, 20*6+20*2, "once an hour")
		require.GreaterOrEqual(t, asked, 20*2, "though it is left alone")
		for i := range 20 {
			require.Contains(t, p.infoOf(t, s, name(i)).Reason, "is unknown", "nobody knows what a 503 did")
		}
		p.ClearFaults()
		time.Sleep(90 * time.Minute)
		for i := range 20 {
			info := p.infoOf(t, s, name(i))
			require.Equal(t, credstore.Deployed, info.Status)
			require.Empty(t, info.Reason)
			require.Greater(t, time.Until(info.RenewalDue), 60*day)
		}
	})
}

// A refresh token of three days lives on as long as somebody runs the job, and one of ninety.
func TestRunKeepsRefreshTokensAlive(t *testing.T) {
	days, soak := 10, os.Getenv("OUTGRANT_SOAK") == "1"
	if soak {
		days = 365
	}
	inBubble(t, oauthtest.ServerOptions{RefreshTokenLifetime: 3 * day}, func(t *testing.T, short *place) {
		long := newPlace(t, oauthtest.ServerOptions{RefreshTokenLifetime: 90 * day})
		shortStore, longStore := short.open(t), long.open(t)
		short.authorized(t, shortStore, "MAILBOX", expiring(3))
		long.authorized(t, longStore, "MAILBOX", expiring(90))
		long.authorized(t, longStore, "FOREVER")
		stop := running(t, shortStore, longStore)
		time.Sleep(time.Duration(days) * day)
		short.tokenOf(t, shortStore, "MAILBOX")
		refreshes := len(short.requests("refresh_token"))
		require.Greater(t, refreshes, days, "more than one a day")
		require.Less(t, refreshes, days*2)
		stop()
		if !soak {
			time.Sleep((72 - 10) * day)
			stop = running(t, longStore)
			time.Sleep(5 * day)
			stop()
			days = 77
		}
		refreshes = len(long.requests("refresh_token"))
		require.GreaterOrEqual(t, refreshes, days/76)
		require.LessOrEqual(t, refreshes, days/72)
		if !soak {
			time.Sleep(80 * day)
		}
		long.tokenOf(t, longStore, "MAILBOX")
		require.Zero(t, short.Reuses()+long.Reuses())
	})
}

// Where the token service does not renew the refresh token, the user is told when it ends.
func TestRunWithARefreshTokenThatIsNotRenewed(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{KeepRefreshToken: true}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX", expiring(3))
		ends := p.infoOf(t, s, "MAILBOX").ExpiresOn
		defer running(t, s)()
		time.Sleep(3*day - time.Hour)
		require.Len(t, p.requests("refresh_token"), 1, "it is tried once")
		info := p.infoOf(t, s, "MAILBOX")
		require.Equal(t, credstore.Deployed, info.Status)
		require.Contains(t, info.Reason, "re-authorize by "+ends.UTC().Format("2006-01-02"))
		time.Sleep(time.Hour + time.Minute)
		info = p.infoOf(t, s, "MAILBOX")
		require.Equal(t, credstore.Unauthorized, info.Status)
		require.Contains(t, info.Reason, "the authorization ended on")
		requireNotAuthorized(t, sourceOf(t, s, "MAILBOX"))
	})
}

func TestRunEnds(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		for i := range 20 {
			p.authorized(t, s, name(i), expiring(90))
		}
		time.Sleep(77 * day)
		p.Inject(oauthtest.Lasting(oauthtest.Delay(20 * time.Second)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(5 * time.Second)
		cancel()
		began := time.Now()
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Zero(t, time.Since(began), "also while it renews")
		require.NoError(t, s.Close())
		p.ClearFaults()
		for i := range 20 {
			p.tokenOf(t, other, name(i))
		}
		require.Zero(t, p.Reuses(), "what it had begun was stored")

		require.ErrorContains(t, s.Run(t.Context()), "the store is closed")
		go func() { ended <- other.Run(t.Context()) }()
		time.Sleep(time.Second)
		began = time.Now()
		require.NoError(t, other.Close())
		require.ErrorContains(t, <-ended, "the store is closed")
		require.Zero(t, time.Since(began))
	})
}

// The backend fails for an hour.
func TestRunWithoutABackend(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX", expiring(90))
		time.Sleep(77 * day)
		p.backend.inject(func(context.Context, string, driver.Key) error { return errDisk })
		defer running(t, s)()
		time.Sleep(time.Hour)
		require.Empty(t, p.requests("refresh_token"))
		require.Less(t, p.backend.count()["due"], 70)
		p.backend.inject(nil)
		time.Sleep(11 * time.Minute)
		require.Len(t, p.requests("refresh_token"), 1)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized, outgrant.Refreshed}, p.changes())
	})
}

// The backend fails for good, or only what is due is damaged.
func TestRunTellsThatTheBackendFailsForGood(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		due := func(err error) {
			p.backend.inject(func(_ context.Context, op string, _ driver.Key) error {
				if op == "due" {
					return err
				}
				return nil
			})
		}
		ended := make(chan error, 1)
		due(driver.ErrDamaged)
		go func() { ended <- s.Run(t.Context()) }()
		time.Sleep(30 * day)
		due(errDisk)
		time.Sleep(50 * time.Minute)
		due(nil)
		time.Sleep(2 * time.Minute)
		due(errDisk)
		time.Sleep(time.Hour)
		require.Empty(t, ended)
		time.Sleep(2 * time.Minute)
		require.Len(t, ended, 1)
		err := <-ended
		require.ErrorIs(t, err, errDisk)
		require.EqualError(t, err, "credstore: Run: for an hour it could not be told what is due: no space left on device; start it again")
		p.show(err)
	})
}

// A refresh token expiry that is deployed later holds for the refresh token that is there, also for one that nobody uses.
func TestRunWithAnExpiryThatIsDeployedLater(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{RefreshTokenLifetime: 30 * day}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX")
		require.Zero(t, p.infoOf(t, s, "MAILBOX").ExpiresOn)
		issued := time.Now()
		time.Sleep(5 * day)
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX", expiring(30))))
		info := p.infoOf(t, s, "MAILBOX")
		require.Equal(t, credstore.Deployed, info.Status)
		require.WithinDuration(t, issued.Add(30*day), info.ExpiresOn, time.Second)
		require.False(t, info.RenewalDue.IsZero())
		defer running(t, s)()
		time.Sleep(100 * day)
		require.Equal(t, credstore.Deployed, p.infoOf(t, s, "MAILBOX").Status)
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		require.Zero(t, p.infoOf(t, s, "MAILBOX").RenewalDue)
	})
}
