package authcode_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestAnswersThatAreNone tests each way in which a refresh can fail without a word about the refresh token: whether it may
// have been spent, what is told, and what the next attempt brings.
func TestAnswersThatAreNone(t *testing.T) {
	for _, tc := range []struct {
		name    string
		fault   oauthtest.Fault
		unknown string // what the mark says; "": the token was certainly not spent
		spent   bool   // it was
		state   string // default Deployed
	}{
		{"LostRequest", oauthtest.LostRequest(), "unexpected EOF", false, ""},
		{"LostResponse", oauthtest.LostResponse(), "unexpected EOF", true, ""},
		{"LostIn503", oauthtest.LostIn503(), "answer 503", true, ""},
		{"Truncated", oauthtest.Truncated(), "answer 200 the answer broke off", true, ""},
		{"HTML503", oauthtest.HTML503(), "answer 503", false, ""},
		{"Status 500", oauthtest.Status(500), "answer 500", false, ""},
		{"Status 504", oauthtest.Status(504), "answer 504", false, ""},
		{"Status 408", oauthtest.Status(408), "answer 408", false, ""},
		{"Status 404", oauthtest.Status(404), "answer 404", false, ""},
		{"Status 204", oauthtest.Status(204), "answer 204", false, ""},
		{"a page with 200", oauthtest.Body(200, "text/html", "<html>Sign in to the hotel's network</html>"), "answer 200", false, ""},
		{"a page with 403", oauthtest.Body(403, "text/html", "<html>Blocked</html>"), "answer 403", false, ""},
		{"JSON that is no token", oauthtest.Body(200, "application/json", `{"hello":"world"}`), "answer 200 the answer has no access_token", false, ""},
		{"an error in 408", oauthtest.Body(408, "application/json", `{"error":"temporarily_unavailable"}`), "answer 408 temporarily_unavailable", false, ""},
		{"server_error in 500", oauthtest.Body(500, "application/json", `{"error":"server_error"}`), "answer 500 server_error", false, ""},
		{"an answer that is too late", oauthtest.Together(oauthtest.Delay(time.Hour), oauthtest.LostRequest()), "deadline exceeded", false, ""},

		{"RetryAfter", oauthtest.RetryAfter(2 * time.Second), "", false, ""},
		{"temporarily_unavailable", oauthtest.Refuse("temporarily_unavailable", "later"), "", false, ""},
		{"a code that nobody knows", oauthtest.Refuse("mercury_in_retrograde", ""), "", false, ""},
		{"Redirect307", oauthtest.Redirect307("https://elsewhere.test/token?x=1"), "", false, authcode.Error},
		{"invalid_client", oauthtest.Refuse("invalid_client", "the secret is wrong"), "", false, authcode.Error},
		{"unauthorized_client", oauthtest.Refuse("unauthorized_client", ""), "", false, authcode.Error},
		{"invalid_scope", oauthtest.Refuse("invalid_scope", ""), "", false, authcode.Error},
		{"ErrorIn200", oauthtest.ErrorIn200("invalid_client"), "", false, authcode.Error},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				c := b.authorized(t)
				before := b.stored(t)
				time.Sleep(past)
				b.Inject(tc.fault)
				began := time.Now()
				b.fails(t, c)
				time.Sleep(31*time.Second - time.Since(began))

				a := b.stored(t)
				s := b.status(t, c)
				require.Equal(t, before.RefreshToken, a.RefreshToken, "nothing is deleted")
				require.Equal(t, before.Token, a.Token)
				require.Nil(t, a.Refused)
				if tc.unknown != "" {
					require.NotNil(t, a.Mark)
					require.Contains(t, a.Mark.Unknown, tc.unknown)
					require.True(t, began.Equal(a.Mark.Started))
					require.Contains(t, s.Reason, "the outcome of the refresh of "+began.UTC().Format("2006-01-02 15:04")+" UTC is unknown ("+a.Mark.Unknown+"): the refresh token will be tried again")
					require.Equal(t, []outgrant.AuthorizationChange{outgrant.OutcomeUnknown}, b.changes())
					require.Error(t, b.lastChange().Err)
				} else {
					require.Nil(t, a.Mark)
					require.Empty(t, b.changes())
				}
				if tc.state == "" {
					require.Equal(t, authcode.Deployed, s.State, "a temporary error never changes it")
					require.Nil(t, a.Failure)
				} else {
					require.Equal(t, tc.state, s.State)
					require.Contains(t, s.Reason, a.Failure.Reason)
					require.Contains(t, s.Reason, began.UTC().Format("2006-01-02 15:04"))
				}

				time.Sleep(30 * time.Second)
				if !tc.spent {
					b.token(t, c)
					after := b.stored(t)
					require.Nil(t, after.Mark)
					require.Nil(t, after.Failure)
					require.Equal(t, authcode.Deployed, b.status(t, c).State)
					require.Empty(t, b.status(t, c).Reason)
					require.Equal(t, outgrant.Refreshed, b.lastChange().Change)
					require.Zero(t, b.Reuses())
					return
				}
				err := b.fails(t, c)
				require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
				require.Equal(t, "invalid_grant", err.Code)
				s = b.status(t, c)
				require.Equal(t, authcode.Unauthorized, s.State)
				require.Contains(t, s.Reason, "the token service refused the refresh token: answer 400 invalid_grant")
				require.Contains(t, s.Reason, "the outcome of the refresh of "+began.UTC().Format("2006-01-02 15:04")+" UTC is unknown ("+a.Mark.Unknown+"), so its answer may have been lost")
				require.Contains(t, s.Reason, "authorize again")
				require.Contains(t, err.Error(), "its answer may have been lost", "the caller is told, too")
				require.Equal(t, []outgrant.AuthorizationChange{outgrant.OutcomeUnknown, outgrant.Unauthorized}, b.changes())
				require.Nil(t, b.stored(t).Mark)
				require.Equal(t, before.RefreshToken, b.stored(t).RefreshToken)
				require.Equal(t, 2, b.refreshes())
			})
		})
	}
}

// TestNothingWasSent tests failures before the request left the machine, which say nothing about the refresh token.
func TestNothingWasSent(t *testing.T) {
	for _, tc := range []struct {
		name string
		fail func(cfg *authcode.Config)
	}{
		{"connection refused", func(cfg *authcode.Config) {
			cfg.HTTPClient.Transport = errTransport{&net.OpError{Op: "dial", Err: errors.New("connection refused")}}
		}},
		{"no client authentication", func(cfg *authcode.Config) {
			cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) {
				return outgrant.ClientAuth{}, errors.New("the vault of secrets is sealed")
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				b.authorized(t)
				time.Sleep(past)
				c := b.process(t, tc.fail)
				b.fails(t, c)
				synctest.Wait()
				require.Nil(t, b.stored(t).Mark)
				require.Empty(t, b.changes())
				require.Zero(t, b.refreshes())
				b.token(t, b.process(t))
			})
		})
	}
}

type errTransport struct{ err error }

func (t errTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, t.err }

// TestUnknownForLong tests that the time since when the outcome has been unknown is the first one's.
func TestUnknownForLong(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		began := time.Now().UTC().Format("2006-01-02 15:04")
		b.Inject(oauthtest.LostResponse(), oauthtest.HTML503(), oauthtest.RetryAfter(time.Second), oauthtest.Status(500),
			oauthtest.Refuse("invalid_client", ""))
		for range 4 {
			b.fails(t, c)
			require.Contains(t, b.status(t, c).Reason, "the outcome of the refresh of "+began)
			require.Equal(t, authcode.Deployed, b.status(t, c).State)
			time.Sleep(5 * time.Minute)
		}
		require.Contains(t, b.stored(t).Mark.Unknown, "answer 500", "the last cause, where there are several")
		b.fails(t, c)
		require.Equal(t, authcode.Error, b.status(t, c).State)
		require.NotNil(t, b.stored(t).Mark, "the earlier mark is kept")
		time.Sleep(5 * time.Minute)
		err := b.fails(t, c)
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
		require.Contains(t, b.status(t, c).Reason, "the outcome of the refresh of "+began)
		require.Equal(t, 6, b.refreshes())
		require.Equal(t, 1, b.Reuses())
	})
}

// TestAKilledProcess tests a mark that a process left when it was killed.
func TestAKilledProcess(t *testing.T) {
	for _, spent := range []bool{false, true} {
		t.Run(map[bool]string{false: "before the token was sent", true: "after"}[spent], func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				c := b.authorized(t)
				time.Sleep(past)
				if spent { // a process that nobody hears of again uses the token
					before := b.stored(t)
					b.token(t, b.process(t))
					b.store(t, func(a *authcode.Authorization) { *a = before })
				}
				killed := time.Now()
				b.store(t, func(a *authcode.Authorization) {
					a.Mark = &authcode.Mark{Holder: "killed", Started: killed.Round(0), Until: killed.Add(time.Minute).Round(0)}
				})
				time.Sleep(10 * time.Minute)
				require.Equal(t, authcode.Deployed, b.status(t, c).State)
				if !spent {
					b.token(t, c)
					require.Empty(t, b.status(t, c).Reason)
					return
				}
				require.ErrorIs(t, b.fails(t, c), outgrant.ErrNotAuthorized)
				s := b.status(t, c)
				require.Equal(t, authcode.Unauthorized, s.State)
				require.Contains(t, s.Reason, "the outcome of the refresh of "+killed.UTC().Format("2006-01-02 15:04")+" UTC is unknown (the process that made it ended, or lost its store), so its answer may have been lost")
			})
		})
	}
}

// TestHalfAnAnswer tests an answer with a refresh token and without a usable access token: the refresh token is kept.
func TestHalfAnAnswer(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault oauthtest.Fault
		state string
	}{
		{"a token of another type", oauthtest.TokenType("DPoP"), authcode.Error},
		{"no access token", oauthtest.Member("access_token", ""), authcode.Deployed},
		{"an access token that cannot be sent", oauthtest.Member("access_token", "two\nlines"), authcode.Deployed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				c := b.authorized(t)
				before := b.stored(t)
				time.Sleep(past)
				at := time.Now()
				b.Inject(tc.fault)
				err := b.fails(t, c)
				require.Equal(t, tc.state == authcode.Deployed, err.Temporary())
				synctest.Wait()
				a := b.stored(t)
				require.NotEqual(t, before.RefreshToken, a.RefreshToken, "the old one is spent")
				require.True(t, a.Refreshed.Equal(at))
				require.True(t, a.RefreshIssued.Equal(at))
				require.Equal(t, before.Token, a.Token)
				require.Equal(t, before.TokenIssued, a.TokenIssued)
				require.Nil(t, a.Mark)
				require.Equal(t, tc.state, b.status(t, c).State)
				require.Equal(t, []outgrant.AuthorizationChange{outgrant.Refreshed}, b.changes())
				time.Sleep(time.Minute)
				b.token(t, c)
				require.Equal(t, authcode.Deployed, b.status(t, c).State)
				require.Zero(t, b.Reuses())
			})
		})
	}
}

// TestStatusWhileARefreshRuns reads what is stored all the time: what was loaded must not change under the reader.
func TestStatusWhileARefreshRuns(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.Inject(oauthtest.Together(oauthtest.Delay(5*time.Second), oauthtest.HTML503()))
		go func() { _, _ = c.Token(context.Background()) }()
		time.Sleep(time.Second)
		during := b.stored(t)
		require.NotNil(t, during.Mark)
		require.Empty(t, b.status(t, c).Reason, "it is under way")
		time.Sleep(5 * time.Second)
		require.Contains(t, b.status(t, c).Reason, "answer 503")
		require.Empty(t, during.Mark.Unknown)
	})
}

func inBubbleNamed(t *testing.T, name string, test func(t *testing.T, b *bed)) {
	t.Run(name, func(t *testing.T) { inBubble(t, oauthtest.ServerOptions{}, test) })
}
