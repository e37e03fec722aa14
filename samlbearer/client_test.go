package samlbearer_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
	"github.com/outgrant/outgrant/samlbearer"
)

const idp = "https://idp.example"

// TestAgainstEachService gets tokens from strict services, that verify with code of their own, and shows that each of them
// refuses what is wrong.
func TestAgainstEachService(t *testing.T) {
	t.Parallel()
	certificates := map[string]*x509.Certificate{apiKey: signingCert, idp: signingCert, "neo": signingCert}
	for name, service := range map[string]struct {
		teach  func(*oauthtest.Server, *samltest.Options) string
		config samlbearer.Config
		signer samlbearer.Signer
	}{
		"SuccessFactors": {samltest.SuccessFactors, samlbearer.Config{Target: samlbearer.SuccessFactors("ACME"), ClientKey: apiKey}, samlbearer.Signer{}},
		"Cloud Foundry":  {samltest.CloudFoundry, samlbearer.Config{Target: samlbearer.BTPCloudFoundry("sb-1!t1", "se cret")}, samlbearer.Signer{Issuer: idp, Audience: "acme.alias"}},
		"Neo":            {samltest.Neo, samlbearer.Config{Target: samlbearer.BTPNeo("neo", "secret")}, samlbearer.Signer{Audience: "https://neo.test/acme"}},
	} {
		for variant, wrapper := range map[string]bool{"": false, ", in a response": true} {
			t.Run(name+variant, func(t *testing.T) {
				t.Parallel()
				server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
				cfg := service.config
				cfg.TokenURL = service.teach(server, &samltest.Options{Certificates: certificates, CompanyID: "ACME", ResponseWrapper: wrapper, Users: []string{"alice", "bob", "TECH_USER"}})
				cfg.HTTPClient, cfg.Target.ResponseWrapper = server.Client(), wrapper
				s := service.signer
				s.Key, s.Certificate = signingKey, signingCert
				s.Attributes = map[string][]string{"Groups": {"a", "b"}}
				cfg.Assertions = s
				client := newClient(t, &cfg)
				for _, user := range []string{"alice", "bob"} {
					granted := token(t, client, user)
					require.True(t, server.Live(granted.AccessToken))
				}
				require.NotEqual(t, token(t, client, "alice").AccessToken, token(t, client, "bob").AccessToken)
				technical, err := client.ForTechnicalUser().Token(t.Context())
				require.NoError(t, err)
				require.Equal(t, "TECH_USER", technical.User)

				_, err = client.ForUser("mallory").Token(t.Context())
				require.Error(t, err)
				for wrong, change := range map[string]func(*samlbearer.Signer){
					"audience":  func(s *samlbearer.Signer) { s.Audience = "wrong" },
					"recipient": func(s *samlbearer.Signer) { s.Recipient = "https://wrong.example/" },
					"key": func(s *samlbearer.Signer) {
						s.Key, s.Certificate = ecKey, certify(ecKey, pkix.Name{CommonName: "TECH_USER"}, longAgo, farAhead)
					},
				} {
					s := s
					change(&s)
					cfg.Assertions = s
					_, err := newClient(t, &cfg).ForUser("alice").Token(t.Context())
					var te *outgrant.TokenError
					require.ErrorAs(t, err, &te, wrong)
					require.False(t, te.Temporary(), wrong)
				}
			})
		}
	}
}

// TestRenewFields: new_token goes with the request that follows a rejected token, and with no other.
func TestRenewFields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
		cfg := config(server)
		cfg.TokenURL = samltest.SuccessFactors(server, &samltest.Options{Certificates: map[string]*x509.Certificate{apiKey: signingCert}})
		client := newClient(t, cfg)
		renewing := func() (all []string) {
			for _, r := range server.Requests() {
				all = append(all, r.Params.Get("new_token"))
			}
			return all
		}
		alice := client.ForUser("alice")
		first := token(t, client, "alice")
		token(t, client, "bob")
		require.Equal(t, []string{"", ""}, renewing())

		alice.(outgrant.Invalidator).Invalidate(first)
		second := token(t, client, "alice")
		require.NotEqual(t, first.AccessToken, second.AccessToken)
		require.True(t, server.Live(second.AccessToken))
		require.Equal(t, []string{"", "", "true"}, renewing())

		// Renewed as time goes by, without any rejection.
		time.Sleep(57 * time.Minute)
		same := token(t, client, "alice")
		synctest.Wait()
		require.Equal(t, second.AccessToken, same.AccessToken)
		time.Sleep(5 * time.Minute)
		third := token(t, client, "alice")
		synctest.Wait()
		require.NotEqual(t, second.AccessToken, third.AccessToken)
		for _, renew := range renewing()[3:] {
			require.Empty(t, renew)
		}

		// A failure in between: it is still to be renewed.
		server.Inject(oauthtest.Status(503))
		alice.(outgrant.Invalidator).Invalidate(third)
		_, err := alice.Token(t.Context())
		require.NoError(t, err, "the rejected one is better than none")
		synctest.Wait()
		time.Sleep(time.Minute)
		token(t, client, "alice")
		synctest.Wait()
		fourth := token(t, client, "alice")
		require.NotEqual(t, third.AccessToken, fourth.AccessToken)
		all := renewing()
		require.Equal(t, []string{"true", "true"}, all[len(all)-2:])

		alice.(outgrant.Invalidator).Invalidate(first) // which is not the current one
		require.Equal(t, fourth, token(t, client, "alice"))
		require.Len(t, renewing(), len(all))
	})
}

// TestSameToken: a token service that hands the same token back, with the time it has left, is not asked in a loop.
func TestSameToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := inMemory(nil)
		server.Inject(oauthtest.None(), oauthtest.Lasting(oauthtest.SameToken()))
		cfg := config(server)
		var same atomic.Int64
		cfg.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{FetchDone: func(e outgrant.FetchEvent) {
			if e.SameToken {
				same.Add(1)
			}
		}}}
		client := newClient(t, cfg)
		first := token(t, client, "alice")
		for range 59 {
			time.Sleep(time.Minute)
			require.Equal(t, first.AccessToken, token(t, client, "alice").AccessToken)
			synctest.Wait()
		}
		require.LessOrEqual(t, server.TokenRequests(), 3)
		require.Positive(t, same.Load())
		time.Sleep(2 * time.Minute)
		require.NotEqual(t, first.AccessToken, token(t, client, "alice").AccessToken)
		synctest.Wait()
		require.LessOrEqual(t, server.TokenRequests(), 6)
	})
}

func TestUserRequired(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	client := newClient(t, config(server))
	for _, nobody := range []string{"", " ", "\t\r\n", "\u00a0\u2003"} {
		src := client.ForUser(nobody)
		_, err := src.Token(t.Context())
		require.ErrorIs(t, err, outgrant.ErrUserRequired, "%q", nobody)
		var te *outgrant.TokenError
		require.ErrorAs(t, err, &te)
		require.Equal(t, "CRED", te.Credential)
		require.Equal(t, outgrant.SAMLBearer, te.Grant)
		require.False(t, te.Temporary())
		require.Equal(t, outgrant.SAMLBearer, outgrant.GrantOf(src))
	}
	require.Zero(t, server.TokenRequests())
}

func TestForTechnicalUser(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	client := newClient(t, cfg)
	granted, err := client.ForTechnicalUser().Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, "TECH_USER", granted.User)
	require.Same(t, client.ForUser("TECH_USER"), client.ForTechnicalUser())
	require.Equal(t, "TECH_USER", readAssertion(t, sentAssertion(t, server.Requests()[0]), signingKey.Public()).NameID.Text)
	asked := server.TokenRequests()

	certified := func(subject pkix.Name) samlbearer.Signer {
		return samlbearer.Signer{Key: signingKey, Certificate: certify(signingKey, subject, longAgo, farAhead)}
	}
	for name, test := range map[string]struct {
		source samlbearer.AssertionSource
		want   string
	}{
		"no common name":    {certified(pkix.Name{Organization: []string{"Acme"}}), "no common name"},
		"two":               {certified(commonNames("TECH_USER", "OTHER")), "2 common names"},
		"empty":             {certified(commonNames("")), "no common name"},
		"not XML":           {certified(pkix.Name{CommonName: "TECH\x01"}), "the user: "},
		"no certificate":    {samlbearer.Signer{Key: signingKey, OmitCertificate: true}, "Signer.Certificate: missing"},
		"a function":        {fixed("<a/>"), "there is no technical user"},
		"an exchange":       {exchange(server), "there is no technical user"},
		"forwarded":         {samlbearer.Forwarded{Received: fixed("<a/>"), Certificates: []*x509.Certificate{signingCert}, Issuer: "x"}, "there is no technical user"},
		"pointer to Signer": {&samlbearer.Signer{Key: signingKey, OmitCertificate: true}, "Signer.Certificate: missing"},
	} {
		cfg.Assertions = test.source
		src := newClient(t, cfg).ForTechnicalUser()
		_, err := src.Token(t.Context())
		require.ErrorContains(t, err, test.want, name)
		var te *outgrant.TokenError
		require.ErrorAs(t, err, &te, name)
		require.Equal(t, "CRED", te.Credential)
		require.Equal(t, outgrant.SAMLBearer, outgrant.GrantOf(src))
	}
	require.Equal(t, asked, server.TokenRequests(), "nobody was asked")
}

// TestNeverTheTechnicalUser: whatever is wrong with a user's call, no assertion names anybody else.
func TestNeverTheTechnicalUser(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	client := newClient(t, cfg)
	for _, user := range []string{"", "\x00", "TECH_USER\x00", "\xff", strings.Repeat("x", 1025)} {
		got, err := client.ForUser(user).Token(t.Context())
		require.Error(t, err)
		require.Nil(t, got)
	}
	require.Zero(t, server.TokenRequests())
	server.Inject(oauthtest.Lasting(oauthtest.Body(401, "application/json", `{"errorMessage":"no such user"}`)))
	_, err := client.ForUser("alice").Token(t.Context())
	require.Error(t, err)
	for _, r := range server.Requests() {
		require.Equal(t, "alice", readAssertion(t, sentAssertion(t, r), signingKey.Public()).NameID.Text)
	}
}

// TestErrorsOfSources go through, and nothing is sent.
func TestErrorsOfSources(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	away := errors.New("the directory is away")
	cfg.Assertions = assertionFunc(func(context.Context, string) ([]byte, error) { return nil, away })
	_, err := newClient(t, cfg).ForUser("alice").Token(t.Context())
	require.ErrorIs(t, err, away)
	require.NotContains(t, err.Error(), "alice", "errors leave the user out")
	var te *outgrant.TokenError
	require.ErrorAs(t, err, &te)
	require.Equal(t, server.TokenURL(), te.TokenURL)

	theirs := &outgrant.TokenError{Grant: "other", TokenURL: "https://other.example/", RetryAfter: 17 * time.Second, Code: "invalid_grant"}
	cfg.Assertions = assertionFunc(func(context.Context, string) ([]byte, error) { return nil, theirs })
	_, err = newClient(t, cfg).ForUser("alice").Token(t.Context())
	require.ErrorAs(t, err, &te)
	require.Same(t, theirs, te)
	require.Zero(t, server.TokenRequests())
}

// TestCallerLeaves when its own context ends, and the assertion is exchanged all the same.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := inMemory(nil)
		server.Inject(oauthtest.Delay(2 * time.Second))
		client := newClient(t, config(server))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := client.ForUser("alice").Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 100*time.Millisecond, time.Since(began))
		token(t, client, "alice")
		require.Equal(t, 1, server.TokenRequests())
	})
}

// TestFetchTimeout is the only bound of an exchange, also where it is long.
func TestFetchTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := inMemory(nil)
		server.Inject(oauthtest.Delay(90*time.Second), oauthtest.Delay(3*time.Minute))
		cfg := config(server)
		cfg.Cache = &outgrant.CacheOptions{FetchTimeout: 2 * time.Minute}
		client := newClient(t, cfg)
		token(t, client, "alice")
		began := time.Now()
		_, err := client.ForUser("bob").Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 2*time.Minute, time.Since(began))
		server.Close()
	})
}

// TestSourceOfUser is all that a source of ours is.
func TestSourceOfUser(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	client := newClient(t, config(server))
	var users outgrant.UserSource = client
	src := users.ForUser("alice")
	require.Same(t, src, users.ForUser("alice"))
	require.NotSame(t, src, users.ForUser("bob"))
	require.Equal(t, outgrant.Credential{Name: "CRED", Grant: outgrant.SAMLBearer, TokenURL: server.TokenURL()}, client.Describe())
	named := client.Describe()
	named.User = "alice"
	require.Equal(t, named, src.(outgrant.Describer).Describe())
	health := src.(interface{ Health() outgrant.Health })
	require.False(t, health.Health().Valid)
	for got, err := range src.(outgrant.Watcher).Watch(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, token(t, client, "alice"), got)
		break
	}
	require.True(t, health.Health().Valid)
	require.Equal(t, 1, server.TokenRequests())

	// And through the transport.
	receiver := oauthtest.HandlerTransport(server.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	transport := &outgrant.Transport{Base: receiver, SourceFor: func(*http.Request) (outgrant.TokenSource, error) { return client.ForUser("alice"), nil }}
	resp, err := (&http.Client{Transport: transport}).Get("https://receiver.example/")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	server.Revoke()
	resp, err = (&http.Client{Transport: transport}).Get("https://receiver.example/")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.Equal(t, "true", server.Requests()[1].Params.Get("new_token"))
}
