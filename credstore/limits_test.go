package credstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

func limited(to int) func(*credstore.Options) {
	return func(o *credstore.Options) { o.Limits.AuthorizationCodes = to }
}

func TestLimitOfAuthorizationCodes(t *testing.T) {
	for name, test := range map[string]struct{ option, limit int }{"default": {0, 500}, "another": {3, 3}, "none": {-1, 600}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
				s := p.open(t, limited(test.option))
				deploy := func(at *credstore.Store, i int) error {
					return at.Deploy(t.Context(), p.authorizationCode(fmt.Sprintf("MAILBOX_%d", i)))
				}
				for i := range test.limit {
					require.NoError(t, deploy(s, i))
				}
				if test.option < 0 {
					return
				}
				err := deploy(s, test.limit)
				require.ErrorIs(t, err, credstore.ErrLimit)
				require.EqualError(t, err, fmt.Sprintf(`credstore: "MAILBOX_%d": the limit is reached: the tenant has %d authorization codes: undeploy one, or raise Limits.AuthorizationCodes`, test.limit, test.limit))
				require.ErrorIs(t, errOf(s.Info(t.Context(), fmt.Sprintf("MAILBOX_%d", test.limit))), credstore.ErrNotFound)
				require.NoError(t, deploy(s, 0), "one that is there")
				require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")), "another type")
				require.NoError(t, deploy(s.Tenant("acme"), 0), "another tenant")
				require.ErrorIs(t, deploy(p.open(t, limited(test.option)), test.limit), credstore.ErrLimit, "another process")

				require.NoError(t, s.Undeploy(t.Context(), "MAILBOX_1"))
				require.NoError(t, deploy(s, test.limit))
				require.ErrorIs(t, deploy(s, 1), credstore.ErrLimit)
				require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("MAILBOX_0")), "one becomes another type")
				require.NoError(t, deploy(s, 1))
				require.ErrorIs(t, deploy(s, 0), credstore.ErrLimit)
			})
		})
	}
}

func TestLimitOfDeploysAtOnce(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, limited(5))
		p.backend.inject(func(context.Context, string, driver.Key) error {
			time.Sleep(time.Millisecond)
			return nil
		})
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				err := s.Deploy(t.Context(), p.authorizationCode(fmt.Sprintf("MAILBOX_%d", i)))
				if err != nil && !errors.Is(err, credstore.ErrLimit) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		list, err := s.List(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 5)
	})
}

// What cannot be stored does not count for long.
func TestLimitAfterADeployThatFailed(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, limited(2))
		p.backend.inject(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, s.Deploy(ctx, p.authorizationCode("MAILBOX_0")))
		p.backend.inject(nil)
		for i := range 2 {
			require.NoError(t, s.Deploy(t.Context(), p.authorizationCode(fmt.Sprintf("MAILBOX_%d", i+1))))
		}
		require.ErrorIs(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX_0")), credstore.ErrLimit)
	})
}

// To count does not read all artifacts at each deploy.
func TestDeploysDoNotCountEachTime(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		for limit, tenant := range map[int]string{0: "one", 1000: "two", -1: "three"} {
			s := p.open(t, limited(limit)).Tenant(tenant)
			p.backend.count()
			for i := range 100 {
				require.NoError(t, s.Deploy(t.Context(), p.authorizationCode(fmt.Sprintf("MAILBOX_%d", i))))
			}
			require.Equal(t, 1, p.backend.count()["list"], "to count")
		}
	})
}

// What one process has counted is not what is there when others deploy, too.
func TestLimitOfSeveralProcesses(t *testing.T) {
	for _, limit := range []int{1, 3, 20} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
				stores := []*credstore.Store{p.open(t, limited(limit)), p.open(t, limited(limit))}
				for i := range limit + 4 {
					err := stores[i%2].Deploy(t.Context(), p.authorizationCode(fmt.Sprintf("MAILBOX_%d", i)))
					require.Equal(t, i >= limit, errors.Is(err, credstore.ErrLimit), "%d: %v", i, err)
				}
				stores = append(stores, p.open(t, limited(limit)))
				for i := range 6 {
					require.ErrorIs(t, stores[i%3].Deploy(t.Context(), p.authorizationCode(fmt.Sprintf("ANOTHER_%d", i))), credstore.ErrLimit)
				}
			})
		})
	}
}

// One client that may have one refresh token for a user must not be two credentials': the operator is warned.
func TestSharedClient(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		as := func(client, user string) func(*credstore.AuthorizationCode) {
			return func(a *credstore.AuthorizationCode) { a.ClientID, a.UserName = client, user }
		}
		warned, deployed := 0, 0
		deploy := func(at *credstore.Store, name, client, user string, with ...string) {
			t.Helper()
			deployed++ // so that each is another one
			again := func(a *credstore.AuthorizationCode) { a.Description = fmt.Sprint(deployed) }
			require.NoError(t, at.Deploy(t.Context(), p.authorizationCode(name, as(client, user), again)))
			require.Len(t, p.events, warned+len(with))
			for _, other := range with {
				e := p.events[warned]
				same := "has the same client and user"
				if user == "" {
					same = "has the same client and names no user, either"
				}
				require.Equal(t, outgrant.SharedClient, e.Change)
				require.Equal(t, outgrant.Credential{Name: name, Grant: outgrant.AuthorizationCode, TokenURL: p.TokenURL()}, e.Credential)
				require.ErrorContains(t, e.Err, fmt.Sprintf("%q %s: where", other, same))
				warned++
			}
		}
		deploy(s, "A", "app", "ops")
		deploy(s, "A", "app", "ops")
		deploy(s, "B", "app", "another")
		deploy(s, "C", "another", "ops")
		deploy(s.Tenant("acme"), "D", "app", "ops")
		deploy(s, "E", "app", "ops", "A")
		deploy(s, "A", "app", "ops", "E")
		require.NoError(t, s.Undeploy(t.Context(), "E"))
		deploy(s, "A", "app", "ops")
		deploy(s, "B", "app", "ops", "A")
		deploy(other, "C", "app", "third")
		time.Sleep(time.Minute) // counts are old by then
		deploy(s, "F", "app", "third", "C")
		deploy(s, "G", "app", "")
		deploy(s, "H", "app", "", "G")
	})
}
