package credstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// Where it cannot be told what is deployed now, what was deployed is used on.
func TestBackendThatFails(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string, driver.Key) error{
		"fails": func(context.Context, string, driver.Key) error { return errDisk },
		"hangs": hang,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
				s, other := p.open(t), p.open(t)
				types := eachType(t, p)
				require.NoError(t, s.Deploy(t.Context(), types["keys"]))
				for _, name := range []string{"client", "users", "code"} {
					require.NoError(t, s.Deploy(t.Context(), types[name]))
				}
				require.NoError(t, p.consent(t, s, s, "code"))
				users, err := s.UserSource(t.Context(), "users")
				require.NoError(t, err)
				for _, src := range []outgrant.TokenSource{sourceOf(t, s, "client"), users.ForUser("alice"), sourceOf(t, s, "code")} {
					had := p.token(t, src)
					p.backend.inject(fault)
					for range 100 {
						time.Sleep(100 * time.Millisecond)
						began := time.Now()
						require.Equal(t, had, p.token(t, src))
						require.LessOrEqual(t, time.Since(began), 250*time.Millisecond)
					}
					began := time.Now()
					for range 1000 { // once in a while, and not each
						require.Equal(t, had, p.token(t, src))
					}
					require.LessOrEqual(t, time.Since(began), 250*time.Millisecond)
					p.backend.inject(nil)
					time.Sleep(11 * time.Second)
					require.Equal(t, had, p.token(t, src))
				}
				require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("client", withClient("new"))))
				time.Sleep(time.Second)
				require.Equal(t, "new", p.clientOf(t, sourceOf(t, s, "client")))
			})
		})
	}
}

// It is seen that the artifact is another, and then the backend fails.
func TestBackendThatFailsWhileFollowing(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, s, "S4_ORDERS")
		require.Equal(t, "old", p.clientOf(t, src))
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
		time.Sleep(time.Second)
		var reads atomic.Int32
		p.backend.inject(func(context.Context, string, driver.Key) error {
			if reads.Add(1) > 1 {
				return errDisk
			}
			return nil
		})
		require.Equal(t, "old", p.clientOf(t, src))
		require.EqualValues(t, 2, reads.Load())
		p.backend.inject(nil)
		time.Sleep(time.Second)
		require.Equal(t, "new", p.clientOf(t, src))
	})
}

// A first use cannot do without the backend, and says so.
func TestFirstUseWithoutABackend(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		p.backend.inject(func(context.Context, string, driver.Key) error { return errDisk })
		err := errOf(s.TokenSource(t.Context(), "S4_ORDERS"))
		require.ErrorIs(t, err, errDisk)
		require.ErrorContains(t, err, `credstore: "S4_ORDERS": the store cannot be read now: `)
		p.backend.inject(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, errOf(s.TokenSource(ctx, "S4_ORDERS")), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		p.backend.inject(nil)
		p.tokenOf(t, s, "S4_ORDERS")
	})
}

// What cannot be stored is not deployed, and what was is whole.
func TestDeployThatFails(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX")
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		had := p.tokenOf(t, s, "MAILBOX")
		p.backend.inject(func(_ context.Context, op string, _ driver.Key) error {
			if op == "put" {
				return errDisk
			}
			return nil
		})
		for _, a := range []credstore.Artifact{
			p.clientCredentials("S4_ORDERS", withClient("new")), p.clientCredentials("another"),
			p.authorizationCode("MAILBOX", func(a *credstore.AuthorizationCode) { a.ClientID = "another" }), p.authorizationCode("another mailbox"),
		} {
			err := s.Deploy(t.Context(), a)
			require.ErrorIs(t, err, errDisk)
			require.ErrorContains(t, err, fmt.Sprintf("credstore: %q: ", a.ArtifactName()))
			p.show(err)
		}
		p.backend.inject(nil)
		require.Equal(t, had, p.tokenOf(t, s, "MAILBOX"))
		require.Equal(t, "old", p.clientOf(t, sourceOf(t, s, "S4_ORDERS")))
		require.Empty(t, p.revocations())
		all, err := s.List(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)

		p.backend.inject(func(_ context.Context, op string, _ driver.Key) error {
			if op == "delete" {
				return errDisk
			}
			return nil
		})
		for _, name := range []string{"S4_ORDERS", "MAILBOX"} {
			require.ErrorIs(t, s.Undeploy(t.Context(), name), errDisk)
			require.NoError(t, errOf(s.Info(t.Context(), name)))
		}
		p.backend.inject(nil)
		for _, name := range []string{"S4_ORDERS", "MAILBOX"} {
			require.NoError(t, s.Undeploy(t.Context(), name))
			require.ErrorIs(t, errOf(s.Info(t.Context(), name)), credstore.ErrNotFound)
		}
	})
}
