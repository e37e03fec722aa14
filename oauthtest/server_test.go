package oauthtest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
		require.Empty(t, s.Requests())
		w := clientCredentials("scope", "read")
		w.query = "sap-client=100"
		w.header.Set("X-Test", "1")
		w.granted(t, s)
		clientCredentials().as("client-1", "wrong").send(t, s)
		clientCredentials().authorized("Basic !").send(t, s)
		s.Inject(oauthtest.HTML503(), oauthtest.LostResponse())
		_, _, _ = tokenRequest("grant_type", "x", "client_id", "post").do(t, s)
		_, _, _ = clientCredentials().do(t, s)
		get := clientCredentials()
		get.method = "GET"
		get.send(t, s)

		type brief struct {
			client, grant string
			status        int
		}
		var briefs []brief
		all := s.Requests()
		for _, r := range all {
			briefs = append(briefs, brief{r.ClientID, r.GrantType, r.Status})
		}
		require.Equal(t, []brief{{"client-1", "client_credentials", 200}, {"client-1", "client_credentials", 401}, {"", "client_credentials", 400},
			{"post", "x", 503}, {"client-1", "client_credentials", 0}, {"client-1", "", 405}}, briefs)
		require.Equal(t, 6, s.TokenRequests())
		require.Equal(t, "read", all[0].Params.Get("scope"))
		require.Equal(t, "1", all[0].Header.Get("X-Test"))
		require.Equal(t, "sap-client=100", all[0].URL.RawQuery)
		require.WithinDuration(t, time.Now(), all[0].Time, time.Minute)
		require.Nil(t, all[5].Params)
	})
}

func TestRequestsKeepsTheLatestThousand(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{})
	for range 1001 {
		clientCredentials().send(t, s)
	}
	tokenRequest("grant_type", "last").send(t, s)
	require.Equal(t, 1002, s.TokenRequests())
	all := s.Requests()
	require.Len(t, all, 1000)
	require.Equal(t, "last", all[999].GrantType)
}

func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, oauthtest.ServerOptions{TokenLifetime: time.Minute})
		r := clientCredentials().granted(t, s)
		require.Equal(t, 60.0, r.members["expires_in"])
		time.Sleep(time.Minute - time.Nanosecond)
		require.True(t, live(s, r))
		time.Sleep(time.Nanosecond)
		require.False(t, live(s, r))
	})
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	both(t, oauthtest.ServerOptions{}, func(t *testing.T, s *oauthtest.Server) {
		clientCredentials().granted(t, s)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(s.Close)
		}
		wg.Wait()
		s.Close()
		_, _, err := clientCredentials().do(t, s)
		require.Error(t, err, "a closed server does not answer")
		require.Equal(t, 1, s.TokenRequests())
	})
}

func TestCloseDuringADelay(t *testing.T) {
	t.Parallel()
	s := oauthtest.NewServer(nil)
	s.Inject(oauthtest.Delay(time.Hour))
	failed := make(chan error, 1)
	go func() {
		_, _, err := clientCredentials().do(t, s)
		failed <- err
	}()
	require.Eventually(t, func() bool { return s.TokenRequests() == 1 }, 10*time.Second, time.Millisecond)
	start := time.Now()
	s.Close()
	require.Error(t, <-failed)
	require.Less(t, time.Since(start), 10*time.Second)
	require.Zero(t, s.Requests()[0].Status, "it is not processed")
}

func TestCloseDuringADelayInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
		s.Inject(oauthtest.Delay(time.Hour))
		start, failed := time.Now(), make(chan error, 1)
		go func() {
			_, _, err := clientCredentials().do(t, s)
			failed <- err
		}()
		synctest.Wait()
		s.Close()
		requireCut(t, <-failed)
		require.Zero(t, time.Since(start))
	})
}

func TestCloseWaitsForHandlers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
		var ended bool
		s.Handle("slow", func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) {
			time.Sleep(time.Second)
			ended = true
			return &oauthtest.Granted{}, nil
		})
		go func() { _, _, _ = tokenRequest("grant_type", "slow", "client_id", "x").do(t, s) }()
		synctest.Wait()
		s.Close()
		require.True(t, ended)
	})
}

// TestClientThatLeavesDuringADelay: its request is processed, and nothing waits for the end of the delay.
func TestClientThatLeavesDuringADelay(t *testing.T) {
	t.Parallel()
	both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
		first := authorized(t, s, "")
		s.Inject(oauthtest.Delay(time.Hour))
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			for s.TokenRequests() < 2 {
				time.Sleep(time.Millisecond)
			}
			leave()
		}()
		_, err := s.Client().Do(refresh(first).request(t, s).WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
		require.Eventually(t, func() bool { return s.Requests()[1].Status == 200 }, 10*time.Second, time.Millisecond)
		refresh(first).refused(t, s, 400, "invalid_grant", "used before")
	})
}

func TestServerOfYourOwn(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{})
	own := httptest.NewServer(s)
	defer own.Close()
	w := clientCredentials()
	req := w.request(t, s)
	req.URL.Scheme, req.URL.Host, req.Host = "http", own.Listener.Addr().String(), ""
	resp, err := own.Client().Do(req)
	require.NoError(t, err)
	r := decode(t, resp)
	require.Equal(t, 200, r.status)
	require.True(t, live(s, r))
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
		protected := oauthtest.HandlerTransport(s.Protect(http.NotFoundHandler()))
		s.Handle("custom", func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
			r.Params.Set("mine", "1")
			return &oauthtest.Granted{SameToken: true, RefreshToken: true}, nil
		})
		shared := authorized(t, s, "")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 10 {
					r := clientCredentials().send(t, s)
					_, _, _ = tokenRequest("grant_type", "custom", "client_id", "public").do(t, s)
					refresh(shared).send(t, s)
					req, _ := http.NewRequest("GET", "https://receiver.test/", nil)
					req.Header.Set("Authorization", "Bearer "+r.text("access_token"))
					resp, err := protected.RoundTrip(req)
					if err != nil || resp.StatusCode != 404 && resp.StatusCode != 401 {
						t.Errorf("%v %v", resp, err)
					}
					switch i {
					case 0:
						s.Inject(oauthtest.Times(2, oauthtest.Together(oauthtest.SameToken(), oauthtest.Member("x", 1)))...)
					case 1:
						for _, r := range s.Requests() {
							_ = r.Params.Get("mine")
						}
					case 2:
						s.Revoke()
					case 3:
						s.ClearFaults()
					case 4:
						_ = s.String()
						s.Live(outgrant.Secret(r.text("access_token")))
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1+8*10*3, s.TokenRequests())
	})
}

func TestConcurrentReuseEndsTheFamily(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	for range 20 {
		first := authorized(t, s, "")
		answers := make([]reply, 4)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = refresh(first).send(t, s) })
		}
		wg.Wait()
		granted := 0
		for _, r := range answers {
			if r.status == 200 {
				granted++
				require.False(t, live(s, r))
				refresh(r).refused(t, s, 400, "invalid_grant", "revoked")
			}
		}
		require.Equal(t, 1, granted)
		require.False(t, live(s, first))
	}
}
