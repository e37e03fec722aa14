package credstore_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

func withHistory(o *credstore.Options) { o.History = true }

// settled is what there is to see of a credential when nothing goes on beside.
func settled(t testing.TB, p *place, s *credstore.Store, name string) credstore.Info {
	t.Helper()
	synctest.Wait()
	return p.infoOf(t, s, name)
}

// told returns what a history says, the latest first.
func told(tb testing.TB, s *credstore.Store, name string) (what []string) {
	tb.Helper()
	synctest.Wait() // hooks are called after the callers have their token
	events, err := s.History(tb.Context(), name)
	require.NoError(tb, err)
	for _, e := range events {
		text := e.What
		if e.Count > 1 {
			text = fmt.Sprintf("%s x%d", text, e.Count)
		}
		if e.Who != "" {
			text += " by " + e.Who
		}
		what = append(what, text)
	}
	return what
}

func TestHistoryOfClientCredentials(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		ctx := t.Context()
		require.Empty(t, told(t, s, "S4_ORDERS"))
		require.NoError(t, s.As("alice").Deploy(ctx, p.clientCredentials("S4_ORDERS")))
		require.NoError(t, s.As("bob").Deploy(ctx, p.clientCredentials("S4_ORDERS")), "nothing has changed, and nothing is told")
		info := settled(t, p, s, "S4_ORDERS")
		require.Equal(t, "alice", info.DeployedBy)
		require.Zero(t, info.TokenFetched)

		src := sourceOf(t, s, "S4_ORDERS")
		for range 3 {
			p.token(t, src)
			info = settled(t, p, s, "S4_ORDERS")
			require.Equal(t, time.Now(), info.TokenFetched.Local(), "also before it is stored")
			require.True(t, info.TokenExpires.After(time.Now()))
			time.Sleep(time.Until(info.TokenExpires))
		}
		require.Equal(t, []string{"token fetched x3", "deployed by alice"}, told(t, s, "S4_ORDERS"))

		p.Inject(oauthtest.Status(503))
		_, err := src.Token(ctx)
		require.Error(t, err)
		info = settled(t, p, s, "S4_ORDERS")
		require.Equal(t, credstore.Deployed, info.Status, "it passes by itself")
		require.Contains(t, info.Reason, "503")
		require.Contains(t, info.Reason, "tried again")
		require.Equal(t, 1, info.Failures[23])
		events, err := s.History(ctx, "S4_ORDERS")
		require.NoError(t, err)
		require.Equal(t, "no token", events[0].What)
		require.True(t, events[0].Failed)
		require.Contains(t, events[0].Reason, "503")

		time.Sleep(2 * time.Hour)
		p.token(t, src)
		info = settled(t, p, s, "S4_ORDERS")
		require.Empty(t, info.Reason)
		require.Equal(t, 1, info.Failures[21])
		listed, err := s.List(ctx)
		require.NoError(t, err)
		require.Equal(t, []credstore.Info{info}, listed)
		time.Sleep(30 * time.Hour)
		require.Zero(t, settled(t, p, s, "S4_ORDERS").Failures)

		require.NoError(t, s.As("carol").Undeploy(ctx, "S4_ORDERS"))
		require.Equal(t, []string{"undeployed by carol", "token fetched", "no token", "token fetched x3", "deployed by alice"}, told(t, s, "S4_ORDERS"))
		p.show(events, info)
		p.assertNoSecrets(t)
	})
}

func TestARefusedClientNeedsAttention(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		wrong := func(a *credstore.ClientCredentials) { a.Description = "its secret is an old one" }
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", wrong)))
		p.Inject(oauthtest.Refuse("invalid_client", ""))
		_, err := sourceOf(t, s, "S4_ORDERS").Token(t.Context())
		require.ErrorContains(t, err, "invalid_client")
		info := settled(t, p, s, "S4_ORDERS")
		require.Equal(t, credstore.Error, info.Status)
		require.Contains(t, info.Reason, "check client id, secret")

		time.Sleep(time.Second)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		info = settled(t, p, s, "S4_ORDERS")
		require.Equal(t, credstore.Deployed, info.Status, "that was another one")
		require.Empty(t, info.Reason)
	})
}

func TestHistoryOfAnAuthorizationCode(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		require.NoError(t, s.As("alice").Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		require.NoError(t, p.consent(t, s.As("bob"), s, "MAILBOX"))
		info := settled(t, p, s, "MAILBOX")
		require.Equal(t, time.Now(), info.TokenFetched.Local())
		require.Equal(t, time.Now(), info.RefreshTokenIssued.Local())
		require.True(t, info.TokenExpires.After(time.Now()))
		src := sourceOf(t, s, "MAILBOX")
		p.token(t, src)
		time.Sleep(time.Until(info.TokenExpires))
		p.token(t, src)
		synctest.Wait()
		require.Equal(t, []string{"refreshed", "authorized by bob", "deployed by alice"}, told(t, s, "MAILBOX"))
		require.Zero(t, settled(t, p, s, "MAILBOX").Failures)
	})
}

// TestHistoryOfAFleet has two processes note at the same time, and a backend that is away.
func TestHistoryOfAFleet(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		one, other := p.open(t, withHistory), p.open(t, withHistory)
		require.NoError(t, one.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		synctest.Wait()
		p.backend.inject(func(_ context.Context, op string, k driver.Key) error {
			if k.Kind == "history" {
				return errors.New("away")
			}
			return nil
		})
		p.token(t, sourceOf(t, one, "S4_ORDERS"))
		p.token(t, sourceOf(t, other, "S4_ORDERS"))
		synctest.Wait()
		_, err := one.History(t.Context(), "S4_ORDERS")
		require.ErrorContains(t, err, "away")
		_, err = one.Info(t.Context(), "S4_ORDERS")
		require.ErrorContains(t, err, "away")
		p.backend.inject(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"token fetched x2", "deployed"}, told(t, one, "S4_ORDERS"))
		require.Equal(t, []string{"token fetched x2", "deployed"}, told(t, other, "S4_ORDERS"))
	})
}

func TestHistoryIsStoredOnClose(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: time.Second}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		src := sourceOf(t, s, "S4_ORDERS")
		for range 5 {
			p.token(t, src)
			time.Sleep(time.Second)
		}
		p.backend.count()
		require.NoError(t, s.Close())
		require.Equal(t, []string{"token fetched x5", "deployed"}, told(t, p.open(t, withHistory), "S4_ORDERS"))
	})
}

// TestHistoryCosts counts what is asked of the backend: a read and a write a minute.
func TestHistoryCosts(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: 2 * time.Second}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory, func(o *credstore.Options) { o.PollInterval = 24 * time.Hour })
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		src := sourceOf(t, s, "S4_ORDERS")
		p.token(t, src)
		synctest.Wait()
		p.backend.count()
		for began := time.Now(); time.Since(began) < 10*time.Minute; {
			p.token(t, src)
			time.Sleep(time.Second)
		}
		counts := p.backend.count()
		require.InDelta(t, 10, counts["put"], 1)
		require.InDelta(t, 10, counts["get"], 1)
	})
}

// TestHistoryOfFailuresCosts has a token service that is away: that is told at once, and then no oftener than all else.
func TestHistoryOfFailuresCosts(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory, func(o *credstore.Options) { o.PollInterval = 24 * time.Hour })
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		p.Inject(oauthtest.Lasting(oauthtest.Status(503)))
		src := sourceOf(t, s, "S4_ORDERS")
		synctest.Wait()
		p.backend.count()
		for began := time.Now(); time.Since(began) < 10*time.Minute; {
			_, err := src.Token(t.Context())
			require.Error(t, err)
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, p.backend.count()["put"], 11)
		info := settled(t, p, s, "S4_ORDERS")
		require.Greater(t, info.Failures[23], 11)
		require.Equal(t, []string{fmt.Sprintf("no token x%d", info.Failures[23]), "deployed"}, told(t, s, "S4_ORDERS"))
	})
}

// TestHistoryIsInOrder has one process store what is older than what another one has stored.
func TestHistoryIsInOrder(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: 10 * time.Second}, func(t *testing.T, p *place) {
		one, other := p.open(t, withHistory), p.open(t, withHistory)
		require.NoError(t, one.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		synctest.Wait()
		src := sourceOf(t, one, "S4_ORDERS")
		p.token(t, src) // which is stored a minute later
		time.Sleep(11 * time.Second)
		p.token(t, src)
		time.Sleep(time.Second)
		require.NoError(t, other.As("bob").Deploy(t.Context(), p.clientCredentials("S4_ORDERS", func(a *credstore.ClientCredentials) { a.Description = "new" })))
		synctest.Wait()
		require.Equal(t, []string{"deployed by bob", "deployed"}, told(t, other, "S4_ORDERS"))
		require.Equal(t, []string{"deployed by bob", "token fetched x2", "deployed"}, told(t, one, "S4_ORDERS"))
	})
}

func TestHistoryIsForgotten(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		for _, name := range []string{"GONE", "BACK"} {
			require.NoError(t, s.Deploy(t.Context(), p.clientCredentials(name)))
			require.NoError(t, s.Undeploy(t.Context(), name))
			require.Len(t, told(t, s, name), 2)
		}
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("BACK")))
		defer running(t, s)()
		time.Sleep(29 * 24 * time.Hour)
		require.Len(t, told(t, s, "GONE"), 2)
		time.Sleep(2 * 24 * time.Hour)
		require.Empty(t, told(t, s, "GONE"))
		require.Len(t, told(t, s, "BACK"), 3)
	})
}

// TestHistoryIsBounded has what somebody did outlast what goes on by itself.
func TestHistoryIsBounded(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		require.NoError(t, s.As("alice").Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		src := sourceOf(t, s, "S4_ORDERS")
		for range 40 {
			p.token(t, src)
			time.Sleep(2 * time.Hour)
			p.Inject(oauthtest.Status(503))
			_, err := src.Token(t.Context())
			require.Error(t, err)
			time.Sleep(2 * time.Hour)
		}
		events := told(t, s, "S4_ORDERS")
		require.Len(t, events, 50)
		require.Equal(t, "deployed by alice", events[49])
	})
}

func TestADamagedHistoryIsReplaced(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		k := driver.Key{Kind: "history", Name: "S4_ORDERS"}
		synctest.Wait()
		r, err := p.backend.Get(t.Context(), k)
		require.NoError(t, err)
		r.Sealed[len(r.Sealed)-1] ^= 1
		_, err = p.backend.Put(t.Context(), r, r.Version)
		require.NoError(t, err)
		require.Empty(t, told(t, s, "S4_ORDERS"))
		require.Equal(t, credstore.Deployed, settled(t, p, s, "S4_ORDERS").Status)
		p.token(t, sourceOf(t, s, "S4_ORDERS"))
		require.Equal(t, []string{"token fetched"}, told(t, s, "S4_ORDERS"))
	})
}

func TestNoted(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		var noted []string
		s := p.open(t, func(o *credstore.Options) {
			o.Noted = func(tenant, name string, e credstore.Event) {
				noted = append(noted, tenant+" "+name+" "+e.What+" "+e.Who)
			}
		})
		acme := s.As("alice").Tenant("acme")
		require.NoError(t, acme.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		require.NoError(t, acme.Undeploy(t.Context(), "S4_ORDERS"))
		require.Equal(t, []string{"acme S4_ORDERS deployed alice", "acme S4_ORDERS undeployed alice"}, noted)
		events, err := acme.History(t.Context(), "S4_ORDERS")
		require.NoError(t, err)
		require.Empty(t, events, "without Options.History")
	})
}

func TestTry(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		ctx := t.Context()
		require.NoError(t, s.Deploy(ctx, p.clientCredentials("S4_ORDERS")))
		used := p.tokenOf(t, s, "S4_ORDERS")
		synctest.Wait() // till that is noted
		token, err := s.As("alice").Try(ctx, "S4_ORDERS", "")
		require.NoError(t, err)
		require.NotEqual(t, used, token.AccessToken, "it is another one")
		require.Equal(t, used, p.tokenOf(t, s, "S4_ORDERS"), "others go on with theirs")

		p.Inject(oauthtest.Status(503))
		_, err = s.As("alice").Try(ctx, "S4_ORDERS", "")
		require.ErrorContains(t, err, "503")
		require.Equal(t, 1, settled(t, p, s, "S4_ORDERS").Failures[23])
		require.Equal(t, []string{"tried by alice", "tried by alice", "token fetched", "deployed"}, told(t, s, "S4_ORDERS"))

		p.authorized(t, s, "MAILBOX")
		before := p.tokenOf(t, s, "MAILBOX")
		token, err = s.Try(ctx, "MAILBOX", "")
		require.NoError(t, err)
		require.NotEqual(t, before, token.AccessToken)
		require.Len(t, p.requests("refresh_token"), 1)
		p.Inject(oauthtest.Status(503))
		_, err = s.Try(ctx, "MAILBOX", "")
		require.ErrorContains(t, err, "503", "the token that is good still does not hide it")

		_, err = s.Try(ctx, "NOBODY", "")
		require.ErrorIs(t, err, credstore.ErrNotFound)
		require.NoError(t, s.Deploy(ctx, &credstore.SAMLBearerAssertion{Name: "SF_TASKS", ClientKey: "key", TokenServiceURL: p.TokenURL(), TargetSystemType: credstore.SuccessFactors, CompanyID: "ACME", KeyPairAlias: "nowhere"}))
		_, err = s.As("alice").Try(ctx, "SF_TASKS", "bob")
		require.ErrorContains(t, err, "nowhere")
		events, err := s.History(ctx, "SF_TASKS")
		require.NoError(t, err)
		require.Equal(t, "tried by alice", told(t, s, "SF_TASKS")[0])
		require.Contains(t, events[0].Reason, "for the user bob: ")
		require.Contains(t, events[0].Reason, `"nowhere" is not deployed`)
		require.NoError(t, s.Deploy(ctx, credstore.SecureParameter{Name: "PARAM", Value: "S3NTINEL"}))
		_, err = s.Try(ctx, "PARAM", "")
		require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
	})
}

func TestDeployIf(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		ctx := t.Context()
		about := func(text string) *credstore.ClientCredentials {
			return p.clientCredentials("S4_ORDERS", func(a *credstore.ClientCredentials) { a.Description = text })
		}
		require.ErrorIs(t, s.DeployIf(ctx, about("one"), "some version"), credstore.ErrChanged, "there is none")
		require.NoError(t, s.DeployIf(ctx, about("one"), ""))
		require.ErrorIs(t, s.DeployIf(ctx, about("two"), ""), credstore.ErrChanged, "there is one")
		one := settled(t, p, s, "S4_ORDERS").Version
		require.NoError(t, s.DeployIf(ctx, about("two"), one))
		require.ErrorIs(t, s.DeployIf(ctx, about("three"), one), credstore.ErrChanged)
		require.ErrorIs(t, s.UndeployIf(ctx, "S4_ORDERS", one), credstore.ErrChanged)

		// Somebody deploys between the look and the deletion.
		seen := settled(t, p, s, "S4_ORDERS").Version
		p.backend.inject(func(_ context.Context, op string, k driver.Key) error {
			if op == "delete" && k.Kind == "artifact" {
				p.backend.inject(nil)
				require.NoError(t, s.Deploy(ctx, about("at the last moment")))
			}
			return nil
		})
		require.ErrorIs(t, s.UndeployIf(ctx, "S4_ORDERS", seen), credstore.ErrChanged)
		info := settled(t, p, s, "S4_ORDERS")
		require.Equal(t, "at the last moment", info.Description)

		// Of many at once, one wins.
		won := make(chan error, 8)
		for i := range cap(won) {
			go func() { won <- s.DeployIf(ctx, about(fmt.Sprint("at once ", i)), info.Version) }()
		}
		wins := 0
		for range cap(won) {
			if err := <-won; err == nil {
				wins++
			} else {
				require.ErrorIs(t, err, credstore.ErrChanged)
			}
		}
		require.Equal(t, 1, wins)
		require.NoError(t, s.UndeployIf(ctx, "S4_ORDERS", settled(t, p, s, "S4_ORDERS").Version))
		require.ErrorIs(t, s.UndeployIf(ctx, "S4_ORDERS", ""), credstore.ErrNotFound)
	})
}

// TestOneUserIsNotAllUsers has the token service refuse one of many users: that is told, and the credential is not in trouble.
func TestOneUserIsNotAllUsers(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		require.NoError(t, s.Deploy(t.Context(), signingPair(t)))
		require.NoError(t, s.Deploy(t.Context(), &credstore.SAMLBearerAssertion{Name: "SF_TASKS", ClientKey: "key", TokenServiceURL: p.TokenURL(),
			TargetSystemType: credstore.SuccessFactors, CompanyID: "ACME", KeyPairAlias: "sf-signing"}))
		users, err := s.UserSource(t.Context(), "SF_TASKS")
		require.NoError(t, err)
		for _, failure := range []struct{ code, status, reason string }{
			{"invalid_grant", credstore.Deployed, ""},
			{"unauthorized_client", credstore.Error, "allow this grant for the client"},
		} {
			p.Inject(oauthtest.Refuse(failure.code, "no"))
			_, err = users.ForUser("user of " + failure.code).Token(t.Context())
			require.ErrorContains(t, err, failure.code)
			info := settled(t, p, s, "SF_TASKS")
			require.Equal(t, failure.status, info.Status, failure.code)
			require.Contains(t, info.Reason, failure.reason)
		}
		require.Equal(t, 2, settled(t, p, s, "SF_TASKS").Failures[23])
		require.Equal(t, []string{"no token", "no token", "deployed"}, told(t, s, "SF_TASKS"))
		_, err = s.Try(t.Context(), "SF_TASKS", "")
		require.ErrorIs(t, err, outgrant.ErrUserRequired)
	})
}

// TestAnOldFailureIsOver has a credential that was tried before it was authorized.
func TestAnOldFailureIsOver(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		p.authorized(t, s, "MAILBOX")
		time.Sleep(time.Second)
		p.Inject(oauthtest.Status(503))
		_, err := s.Try(t.Context(), "MAILBOX", "")
		require.Error(t, err)
		require.Contains(t, settled(t, p, s, "MAILBOX").Reason, "503")
		time.Sleep(time.Second)
		require.NoError(t, p.consent(t, s, s, "MAILBOX"))
		require.Empty(t, settled(t, p, s, "MAILBOX").Reason)

		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("CALENDAR")))
		_, err = s.Try(t.Context(), "CALENDAR", "")
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
		require.Zero(t, settled(t, p, s, "CALENDAR").Failures)
	})
}

// TestAnUndeploymentThatFails: nothing is revoked of what stays, and what is gone has its event.
func TestAnUndeploymentThatFails(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		p.authorized(t, s, "MAILBOX")
		fail := func(kind string) {
			p.backend.inject(func(_ context.Context, op string, k driver.Key) error {
				if op == "delete" && k.Kind == kind {
					return errDisk
				}
				return nil
			})
		}
		fail("artifact")
		require.ErrorIs(t, s.As("alice").Undeploy(t.Context(), "MAILBOX"), errDisk)
		p.tokenOf(t, s, "MAILBOX")
		require.Empty(t, p.revocations())
		fail("grant")
		err := s.As("alice").Undeploy(t.Context(), "MAILBOX")
		require.ErrorIs(t, err, errDisk)
		require.ErrorContains(t, err, "undeploy it again")
		require.Contains(t, told(t, s, "MAILBOX"), "undeployed by alice")
		p.backend.inject(nil)
		require.NoError(t, s.UndeployIf(t.Context(), "MAILBOX", "the version that was seen"), "what is left is removed whatever it was")
		require.Zero(t, grantOf(t, s, "MAILBOX").Authorized)
		require.ErrorIs(t, s.UndeployIf(t.Context(), "MAILBOX", "the version that was seen"), credstore.ErrChanged)
		require.ErrorIs(t, s.UndeployIf(t.Context(), "MAILBOX", ""), credstore.ErrNotFound)

		// Somebody deploys another one of that name while what is left is being removed.
		p.authorized(t, s, "CALENDAR")
		fail("grant")
		require.Error(t, s.Undeploy(t.Context(), "CALENDAR"))
		p.backend.inject(func(_ context.Context, op string, k driver.Key) error {
			if op == "get" && k.Kind == "grant" {
				p.backend.inject(nil)
				require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("CALENDAR")))
			}
			return nil
		})
		require.ErrorIs(t, s.UndeployIf(t.Context(), "CALENDAR", "the version that was seen"), credstore.ErrChanged)
		p.tokenOf(t, s, "CALENDAR")
	})
}

// TestADeploymentWhoseAnswerIsLost has its event, and is no failure.
func TestADeploymentWhoseAnswerIsLost(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		p.backend.loses.Store(true)
		require.NoError(t, s.As("alice").Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		p.backend.loses.Store(false)
		require.Equal(t, []string{"deployed by alice"}, told(t, s, "S4_ORDERS"))
	})
}

// TestAnUndeploymentWhoseAnswerIsLost has its event, and ends what was authorized.
func TestAnUndeploymentWhoseAnswerIsLost(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		p.authorized(t, s, "MAILBOX")
		p.backend.loses.Store(true)
		require.NoError(t, s.As("alice").Undeploy(t.Context(), "MAILBOX"))
		p.backend.loses.Store(false)
		require.Contains(t, told(t, s, "MAILBOX"), "undeployed by alice")
		require.Zero(t, grantOf(t, s, "MAILBOX").Authorized)
		require.Len(t, p.revocations(), 1)
	})
}

// TestWhatHappenedIsToldOnce, also where the answer to its storing was lost.
func TestWhatHappenedIsToldOnce(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		p.backend.loses.Store(true)
		p.Inject(oauthtest.Status(503))
		_, err := s.As("alice").Try(t.Context(), "S4_ORDERS", "")
		require.Error(t, err)
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		p.backend.loses.Store(false)
		require.Equal(t, []string{"tried by alice", "deployed"}, told(t, s, "S4_ORDERS"))
		require.Equal(t, 1, settled(t, p, s, "S4_ORDERS").Failures[23])
	})
}

// TestCauses has each cause say what to do, and nothing of this machine.
func TestCauses(t *testing.T) {
	refused := func(code int) *outgrant.TokenError { return &outgrant.TokenError{StatusCode: code} }
	failed := func(err error) *outgrant.TokenError { return &outgrant.TokenError{Err: err} }
	for want, err := range map[string]error{
		"answer 404; check the token service URL":                                                                           refused(404),
		"answer 429; the token service wants fewer requests":                                                                refused(429),
		"answer 503; the token service has trouble":                                                                         refused(503),
		"answer 401 invalid_client; check client id, secret or certificate, and the client authentication method":           &outgrant.TokenError{StatusCode: 401, Code: "invalid_client"},
		"invalid_scope (x); check the scope":                                                                                &outgrant.TokenError{Code: "invalid_scope", Description: "x"},
		"EOF; check the token service URL, and whether the token service can be reached from here":                          failed(io.EOF),
		"dial tcp: lookup nohost.invalid: no such host; check the host of the token service URL, and the name service":      failed(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nohost.invalid", Server: "10.0.0.53:53"}}),
		"dial tcp: connection refused; check the token service URL, and whether the token service can be reached from here": failed(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}),
		"tls: failed to verify certificate: x; check the token service URL, and whether its certificate is trusted here":    failed(&tls.CertificateVerificationError{Err: errors.New("x")}),
	} {
		require.Equal(t, want, credstore.CauseOf(err))
	}
}

// TestRefusedConsentsAreForgottenFirst: who may only authorize a credential drives no change out of its history.
func TestRefusedConsentsAreForgottenFirst(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		require.NoError(t, s.As("alice").Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		for i := range 60 {
			credstore.NoteConsent(s.As("carol"), "S4_ORDERS", fmt.Errorf("refused %d", i))
		}
		what := told(t, s, "S4_ORDERS")
		require.Len(t, what, 50)
		require.Equal(t, "deployed by alice", what[49])
		credstore.NoteConsent(s.As("carol"), "S4_ORDERS", authcode.ErrUsed)
		events, err := s.History(t.Context(), "S4_ORDERS")
		require.NoError(t, err)
		require.Equal(t, "refused 59", events[0].Reason, "how it has ended was told before")
	})
}

// TestTheNewestIsKept, also where nothing else may be forgotten.
func TestTheNewestIsKept(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		for i := range 55 {
			require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", func(a *credstore.ClientCredentials) { a.Description = fmt.Sprint(i) })))
		}
		_, err := s.Try(t.Context(), "S4_ORDERS", "")
		require.NoError(t, err)
		what := told(t, s, "S4_ORDERS")
		require.Len(t, what, 50)
		require.Equal(t, "tried", what[0])
	})
}

// TestTestsAreForgottenFirst: who may only test a credential drives nothing else out of its history.
func TestTestsAreForgottenFirst(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		require.NoError(t, s.As("alice").Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		for range 60 {
			time.Sleep(2 * time.Second)
			_, err := s.As("bob").Try(t.Context(), "S4_ORDERS", "")
			require.NoError(t, err)
		}
		what := told(t, s, "S4_ORDERS")
		require.Len(t, what, 50)
		require.Equal(t, "deployed by alice", what[49])
	})
}

// TestASharedClientIsNotNamed: who reads a history may not be one who may know of the other credential.
func TestASharedClientIsNotNamed(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, withHistory)
		for _, name := range []string{"HIDDEN", "MINE"} {
			require.NoError(t, s.Deploy(t.Context(), p.authorizationCode(name, func(a *credstore.AuthorizationCode) { a.ClientID = "the same" })))
		}
		settled(t, p, s, "MINE")
		events, err := s.History(t.Context(), "MINE")
		require.NoError(t, err)
		require.Equal(t, string(outgrant.SharedClient), events[0].What)
		require.Contains(t, events[0].Reason, "another credential has the same client")
		require.NotContains(t, fmt.Sprint(events), "HIDDEN")
	})
}

func TestCheckAndSecretsOf(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		require.NoError(t, s.Check(p.clientCredentials("S4_ORDERS")))
		err := s.Check(p.clientCredentials("S4_ORDERS", func(a *credstore.ClientCredentials) { a.TokenServiceURL = "http://acme.example/token" }))
		require.ErrorContains(t, err, "tokenServiceUrl")
		_, err = s.Info(t.Context(), "S4_ORDERS")
		require.ErrorIs(t, err, credstore.ErrNotFound, "nothing is stored")
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		names, err := s.SecretsOf(t.Context(), "S4_ORDERS")
		require.NoError(t, err)
		require.Equal(t, []string{"clientSecret"}, names)
		_, err = s.SecretsOf(t.Context(), "NOBODY")
		require.ErrorIs(t, err, credstore.ErrNotFound)
	})
}
