package samlbearer_test

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

// busyService answers with a status and Retry-After until status is 200, and counts the requests.
type busyService struct {
	status      int
	retryAfter  time.Duration
	asked, made atomic.Int64
}

func (s *busyService) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.asked.Add(1)
	w.Header().Set("Retry-After", strconv.Itoa(int(s.retryAfter/time.Second)))
	w.WriteHeader(s.status)
	_, _ = w.Write([]byte(`{"access_token":"access"}`))
}

func (s *busyService) client(t *testing.T) *samlbearer.Client {
	return newClient(t, &samlbearer.Config{Target: samlbearer.SuccessFactors("ACME"), TokenURL: "https://token.example/", ClientKey: apiKey,
		Assertions: counted(&s.made), HTTPClient: &http.Client{Transport: oauthtest.HandlerTransport(s)}})
}

// refusal asks for a user's token, which is refused, and returns how long the service wants to be left alone.
func refusal(t *testing.T, client *samlbearer.Client, user string, status int) time.Duration {
	t.Helper()
	_, err := client.ForUser(user).Token(t.Context())
	te, ok := errors.AsType[*outgrant.TokenError](err)
	require.True(t, ok, err)
	require.Equal(t, status, te.StatusCode)
	return te.RetryAfter
}

// TestRetryAfterIsForAllUsers of a client: a service that is busy is left alone by all of them, and by no other client.
func TestRetryAfterIsForAllUsers(t *testing.T) {
	t.Parallel()
	const users = 1000
	for _, status := range []int{429, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := &busyService{status: status, retryAfter: time.Minute}
				client, other := service.client(t), service.client(t)
				for i := range users {
					require.Equal(t, time.Minute-time.Duration(i)*time.Millisecond, refusal(t, client, strconv.Itoa(i), status), "what is left of it")
					time.Sleep(time.Millisecond)
				}
				require.EqualValues(t, 1, service.asked.Load())
				require.EqualValues(t, 1, service.made.Load(), "nor is an assertion made for nothing")
				require.Equal(t, time.Minute, refusal(t, other, "0", status))
				require.EqualValues(t, 2, service.asked.Load(), "another client is another matter")

				time.Sleep(time.Minute - users*time.Millisecond - 1)
				require.EqualValues(t, 1, refusal(t, client, "newcomer", status))
				require.EqualValues(t, 2, service.asked.Load())
				time.Sleep(time.Nanosecond)
				service.status = 200
				for i := range users {
					token(t, client, strconv.Itoa(i))
				}
				require.EqualValues(t, 2+users, service.asked.Load())
			})
		})
	}
}

// TestRetryAfterOfOneUser: other answers are about the request, or say that nobody knows.
func TestRetryAfterOfOneUser(t *testing.T) {
	t.Parallel()
	for _, status := range []int{302, 400, 401, 403, 408, 500, 502} {
		service := &busyService{status: status, retryAfter: time.Minute}
		client := service.client(t)
		for i := range 3 {
			refusal(t, client, strconv.Itoa(i), status)
			refusal(t, client, strconv.Itoa(i), status) // who was told waits
		}
		require.EqualValues(t, 3, service.asked.Load(), status)
	}
}

// TestRetryAfterIsBounded: five minutes are what anybody may ask for.
func TestRetryAfterIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &busyService{status: 503, retryAfter: 24 * time.Hour}
		client := service.client(t)
		require.Equal(t, 24*time.Hour, refusal(t, client, "alice", 503), "what it said")
		time.Sleep(time.Minute)
		require.Equal(t, 4*time.Minute, refusal(t, client, "bob", 503))
		time.Sleep(4 * time.Minute)
		require.EqualValues(t, 1, service.asked.Load())
		refusal(t, client, "carol", 503)
		require.EqualValues(t, 2, service.asked.Load())
	})
}

// TestRetryAfterSparesWhoHasAToken: a token is served as before, a rejected one is better than none.
func TestRetryAfterSparesWhoHasAToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &busyService{status: 200}
		client := service.client(t)
		first := token(t, client, "alice")
		service.status, service.retryAfter = 429, time.Minute
		refusal(t, client, "bob", 429)
		require.Equal(t, first, token(t, client, "alice"))
		sourceOf(client, "alice").Invalidate(first)
		require.Equal(t, first, token(t, client, "alice"))
		synctest.Wait()
		require.EqualValues(t, 2, service.asked.Load())
	})
}
