package credstore_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
)

// withClient is another version of an artifact.
func withClient(id string) func(*credstore.ClientCredentials) {
	return func(a *credstore.ClientCredentials) { a.ClientID = id }
}

func TestRedeployTakesEffectAtTheNextRequest(t *testing.T) {
	t.Parallel()
	p := newPlace(t, oauthtest.ServerOptions{})
	s := p.open(t, func(o *credstore.Options) { o.PollInterval = time.Millisecond })
	require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("version-0"))))
	src := sourceOf(t, s, "S4_ORDERS")
	var over atomic.Bool
	var callers sync.WaitGroup
	for range 4 { // requests that are running
		callers.Go(func() {
			for !over.Load() {
				if _, err := src.Token(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 50 {
		version := fmt.Sprintf("version-%d", i)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient(version))))
		require.Equal(t, version, p.clientOf(t, src))
	}
	over.Store(true)
	callers.Wait()
}

func TestUndeployed(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, s, "S4_ORDERS")
		client, err := s.Client(t.Context(), "S4_ORDERS")
		require.NoError(t, err)
		require.Equal(t, "old", p.clientOf(t, src))
		require.NoError(t, s.Undeploy(t.Context(), "S4_ORDERS"))
		require.ErrorIs(t, errOf(src.Token(t.Context())), credstore.ErrNotFound)
		require.EqualError(t, errOf(s.TokenSource(t.Context(), "S4_ORDERS")), `credstore: "S4_ORDERS": there is no such artifact`)
		_, err = client.Get("https://receiver.example/orders")
		require.ErrorIs(t, err, credstore.ErrNotFound)
		require.ErrorIs(t, s.Undeploy(t.Context(), "S4_ORDERS"), credstore.ErrNotFound)
		src.(outgrant.Invalidator).Invalidate(&outgrant.Token{AccessToken: "whatever"})

		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
		require.Equal(t, "new", p.clientOf(t, src))
		_, err = client.Get("https://receiver.example/orders")
		require.NoError(t, err)
	})
}

func TestTypesChangeUnderOneName(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		types := eachType(t, p)
		require.NoError(t, s.Deploy(t.Context(), types["keys"]))
		deploy := func(a credstore.Artifact) {
			t.Helper()
			switch a := a.(type) {
			case *credstore.ClientCredentials:
				a.Name = "X"
			case *credstore.AuthorizationCode:
				a.Name = "X"
			case credstore.SecureParameter:
				a.Name = "X"
				require.NoError(t, s.Deploy(t.Context(), a))
				return
			case credstore.SAMLBearerAssertion:
				a.Name = "X"
				require.NoError(t, s.Deploy(t.Context(), a))
				return
			}
			require.NoError(t, s.Deploy(t.Context(), a))
		}
		deploy(types["client"])
		src := sourceOf(t, s, "X")
		p.token(t, src)

		deploy(types["code"])
		require.ErrorIs(t, errOf(src.Token(t.Context())), outgrant.ErrNotAuthorized)
		require.NoError(t, p.consent(t, s, s, "X"))
		p.token(t, src)

		deploy(types["parameter"])
		require.ErrorIs(t, errOf(src.Token(t.Context())), outgrant.ErrUnsupportedGrant)
		require.Len(t, p.revocations(), 1)

		deploy(types["users"])
		require.ErrorIs(t, errOf(src.Token(t.Context())), outgrant.ErrUserRequired)
		users, err := s.UserSource(t.Context(), "X")
		require.NoError(t, err)
		alice := users.ForUser("alice")
		p.token(t, alice)

		deploy(types["client"])
		p.token(t, src)
		require.ErrorIs(t, errOf(alice.Token(t.Context())), outgrant.ErrUnsupportedGrant)
		require.Equal(t, credstore.Deployed, p.infoOf(t, s, "X").Status)
	})
}

// A key pair that is replaced takes the artifacts along that use it.
func TestKeyPairsAreFollowed(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		trust := func(name string) {
			samltest.SuccessFactors(p.Server, &samltest.Options{Certificates: map[string]*x509.Certificate{"api-key-1": pair(t, name).Leaf}})
		}
		types := eachType(t, p)
		require.ErrorContains(t, s.Deploy(t.Context(), &credstore.KeyPair{Name: "keys", PEM: "no PEM"}), "pem: ")
		require.NoError(t, s.Deploy(t.Context(), types["technical"]), "what it refers to may come later")
		require.NoError(t, s.Deploy(t.Context(), types["users"]))
		require.ErrorContains(t, errOf(s.TokenSource(t.Context(), "technical")), `credstore: "technical": keyPairAlias: the key pair "keys" is not deployed`)
		info := p.infoOf(t, s, "technical")
		require.Equal(t, credstore.Error, info.Status)
		require.Contains(t, info.Reason, `the key pair "keys" is not deployed: deploy it`)

		require.NoError(t, s.Deploy(t.Context(), types["keys"]))
		p.requireStatus(t, s, "technical", credstore.Deployed)
		technical, there := sourceOf(t, s, "technical"), sourceOf(t, other, "technical")
		users, err := s.UserSource(t.Context(), "users")
		require.NoError(t, err)
		alice := users.ForUser("alice")
		for _, src := range []outgrant.TokenSource{technical, there, alice} {
			p.token(t, src)
		}
		require.Equal(t, "TECHNICAL_USER", userOf(t, technical))

		trust("rsa")
		require.NoError(t, s.Deploy(t.Context(), &credstore.KeyPair{Name: "keys", PEM: pemOf(t, "rsa")}))
		require.Equal(t, "sb-rsa", userOf(t, technical))
		require.NoError(t, errOf(alice.Token(t.Context())))
		require.Equal(t, "alice", userOf(t, alice))
		time.Sleep(time.Second)
		require.Equal(t, "sb-rsa", userOf(t, there))

		require.NoError(t, s.Undeploy(t.Context(), "keys"))
		for _, src := range []outgrant.TokenSource{technical, alice} {
			require.ErrorContains(t, errOf(src.Token(t.Context())), `keyPairAlias: the key pair "keys" is not deployed`)
		}
		require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: "keys", Value: "S3NTINEL-parameter"}))
		for _, src := range []outgrant.TokenSource{technical, alice} {
			require.ErrorContains(t, errOf(src.Token(t.Context())), `keyPairAlias: "keys" is of the type "Secure Parameter", not a key pair`)
		}
		require.Equal(t, credstore.Error, p.infoOf(t, s, "technical").Status)
		require.NoError(t, s.Deploy(t.Context(), &credstore.KeyPair{Name: "keys", PEM: pemOf(t, "rsa")}))
		require.Equal(t, "sb-rsa", userOf(t, technical))
		require.Equal(t, "alice", userOf(t, alice))
	})
}

func userOf(t testing.TB, src outgrant.TokenSource) string {
	t.Helper()
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	return token.User
}

// Of two deploys at once one stays, whole.
func TestDeploysAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var stores []*credstore.Store
	for range 3 {
		s, err := credstore.OpenDir(dir, nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		stores = append(stores, s)
	}
	version := func(i int) *credstore.ClientCredentials {
		text := fmt.Sprintf("%d", i)
		return &credstore.ClientCredentials{Name: "S4_ORDERS", Description: text, TokenServiceURL: "https://acme.example/" + text, ClientID: text, ClientSecret: outgrant.Secret("S3NTINEL-" + text)}
	}
	var deploys sync.WaitGroup
	for i := range 24 {
		deploys.Go(func() {
			s := stores[i%len(stores)]
			if err := s.Deploy(t.Context(), version(i)); err != nil {
				t.Error(err)
			}
			if _, err := s.TokenSource(t.Context(), "S4_ORDERS"); err != nil {
				t.Error(err)
			}
		})
	}
	deploys.Wait()
	info, err := stores[0].Info(t.Context(), "S4_ORDERS")
	require.NoError(t, err)
	var last int
	_, err = fmt.Sscan(info.ClientID, &last)
	require.NoError(t, err)
	for _, s := range stores {
		a, err := s.Artifact(t.Context(), "S4_ORDERS")
		require.NoError(t, err)
		want, err := credstore.WithoutSecrets(version(last))
		require.NoError(t, err)
		require.Equal(t, want, a)
	}
	require.Equal(t, "https://acme.example/"+info.ClientID, info.TokenServiceURL)
}

// Undeploys and deploys at once leave the artifact there or not, and never half.
func TestDeploysAndUndeploysAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t, oauthtest.ServerOptions{})
	stores := []*credstore.Store{p.open(t), p.open(t)}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			s := stores[i%2]
			if err := s.Deploy(t.Context(), p.authorizationCode("MAILBOX")); err != nil {
				t.Error(err)
			}
			_ = p.consent(t, s, stores[1-i%2], "MAILBOX") // it may be gone by then
			if err := s.Undeploy(t.Context(), "MAILBOX"); err != nil && !errors.Is(err, credstore.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range stores {
		_, err := s.Info(t.Context(), "MAILBOX")
		if err != nil {
			require.ErrorIs(t, err, credstore.ErrNotFound)
		}
	}
}
