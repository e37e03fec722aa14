package credstore_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/memstore"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
)

func TestOpenMemory(t *testing.T) {
	t.Parallel()
	s := credstore.OpenMemory()
	require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: "tw-key", Value: "S3NTINEL-parameter"}))
	value, err := s.SecureParameter(t.Context(), "tw-key")
	require.NoError(t, err)
	require.Equal(t, "S3NTINEL-parameter", value.Reveal())
	require.NoError(t, s.Close())

	s = credstore.OpenMemory() // another one
	t.Cleanup(func() { _ = s.Close() })
	_, err = s.SecureParameter(t.Context(), "tw-key")
	require.ErrorIs(t, err, credstore.ErrNotFound)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := credstore.Open(nil, &credstore.Options{Keeper: newKeeper(t)})
	require.ErrorContains(t, err, "the driver is nil")
	_, err = credstore.Open(memstore.New(), nil)
	require.ErrorContains(t, err, "Options.Keeper: missing: LocalKeeper has its key in a file")
	_, err = credstore.OpenDir("", nil)
	require.ErrorContains(t, err, "credstore: OpenDir: ")
}

// eachType has an artifact of each type, and what it is good for.
func eachType(t testing.TB, p *place) map[string]credstore.Artifact {
	t.Helper()
	tokenURL := samltest.SuccessFactors(p.Server, &samltest.Options{Certificates: map[string]*x509.Certificate{"api-key-1": pair(t, "signing").Leaf}})
	user := tasks(func(a *credstore.SAMLBearerAssertion) {
		a.Name, a.TokenServiceURL, a.KeyPairAlias = "users", tokenURL, "keys"
	})[0].(*credstore.SAMLBearerAssertion)
	technical := *user
	technical.Name, technical.UserID = "technical", credstore.KeyPairCommonName
	return map[string]credstore.Artifact{
		"client":    p.clientCredentials("client"),
		"users":     *user,
		"technical": &technical,
		"code":      p.authorizationCode("code"),
		"parameter": credstore.SecureParameter{Name: "parameter", Value: "S3NTINEL-parameter"},
		"keys":      &credstore.KeyPair{Name: "keys", PEM: pemOf(t, "signing")},
	}
}

func TestWhatEachTypeIsGoodFor(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for _, a := range eachType(t, p) {
			require.NoError(t, s.Deploy(t.Context(), a))
		}
		require.NoError(t, p.consent(t, s, s, "code"))

		for name, good := range map[string]struct{ token, users, parameter bool }{
			"client": {token: true}, "technical": {token: true}, "code": {token: true}, "users": {users: true}, "parameter": {parameter: true}, "keys": {},
		} {
			src, err := s.TokenSource(t.Context(), name)
			client, clientErr := s.Client(t.Context(), name)
			require.Equal(t, good.token, err == nil, "%s: %v", name, err)
			require.Equal(t, err, clientErr)
			if good.token {
				p.token(t, src)
				resp, err := client.Get("https://receiver.example/orders")
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Contains(t, string(body), "Bearer access-")
			} else {
				want := outgrant.ErrUnsupportedGrant
				if good.users {
					want = outgrant.ErrUserRequired
				}
				require.ErrorIs(t, err, want)
				require.ErrorContains(t, err, fmt.Sprintf("credstore: %q: ", name))
				require.Nil(t, src)
				require.Nil(t, client)
			}
			users, err := s.UserSource(t.Context(), name)
			require.Equal(t, good.users, err == nil, "%s: %v", name, err)
			if good.users {
				p.token(t, users.ForUser("alice"))
			} else {
				require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
				require.Nil(t, users)
			}
			value, err := s.SecureParameter(t.Context(), name)
			require.Equal(t, good.parameter, err == nil, "%s: %v", name, err)
			require.Equal(t, good.parameter, value == "S3NTINEL-parameter")
			if !good.parameter {
				require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
			}
			p.show(src, users, err, value)
		}
		for name, says := range map[string]string{"keys": "other artifacts use it by its name", "parameter": "use SecureParameter", "users": "use UserSource"} {
			require.ErrorContains(t, errOf(s.TokenSource(t.Context(), name)), says)
		}
		require.ErrorContains(t, errOf(s.UserSource(t.Context(), "client")), "which acts for itself: use TokenSource")
	})
}

func TestInfoOfEachType(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		began := time.Now()
		for _, a := range eachType(t, p) {
			require.NoError(t, s.Deploy(t.Context(), a))
		}
		all, err := s.List(t.Context())
		require.NoError(t, err)
		var names []string
		for _, info := range all {
			names = append(names, info.Name)
			require.Equal(t, info, p.infoOf(t, s, info.Name))
			require.True(t, info.DeployedOn.Equal(began), info.DeployedOn)
			require.Equal(t, info.Name == "users", info.ForUsers)
		}
		require.Equal(t, []string{"client", "code", "keys", "parameter", "technical", "users"}, names)
		require.Equal(t, "OAuth2 Client Credentials", all[0].Type)
		require.Equal(t, "client-of-client", all[0].ClientID)
		require.Equal(t, p.TokenURL(), all[0].TokenServiceURL)
		require.Equal(t, "ops@acme.example", all[1].User)
		require.Equal(t, "keys", all[5].KeyPairAlias)
		require.Equal(t, 2999, all[2].ExpiresOn.Year(), "the certificate's end")
		for _, info := range all {
			if info.Name == "code" {
				require.Equal(t, credstore.Unauthorized, info.Status)
				require.Contains(t, info.Reason, "nobody has authorized")
			} else {
				require.Equal(t, credstore.Deployed, info.Status)
				require.Empty(t, info.Reason)
			}
		}
		require.NoError(t, p.consent(t, s, s, "code"))
		info := p.infoOf(t, s, "code")
		require.Equal(t, credstore.Deployed, info.Status)
		require.True(t, info.AuthorizedOn.Equal(began))
	})
}

// An artifact comes back to be edited, without its secrets.
func TestArtifact(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for name, a := range eachType(t, p) {
			require.NoError(t, s.Deploy(t.Context(), a))
			back, err := s.Artifact(t.Context(), name)
			require.NoError(t, err)
			want, err := credstore.WithoutSecrets(a)
			require.NoError(t, err)
			require.Equal(t, want, back)
			text, err := credstore.FormatArtifacts([]credstore.Artifact{back})
			require.NoError(t, err)
			p.show(back, text)
		}
		a, err := s.Artifact(t.Context(), "client")
		require.NoError(t, err)
		err = s.Deploy(t.Context(), a)
		require.ErrorContains(t, err, `credstore: Deploy: "client": clientSecret: missing`)
		p.tokenOf(t, s, "client") // nothing has changed
	})
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	s := credstore.OpenMemory()
	t.Cleanup(func() { _ = s.Close() })
	require.NoError(t, s.Deploy(t.Context(), credstore.SecureParameter{Name: "Parameter", Value: "S3NTINEL-parameter"}))
	for _, name := range []string{"parameter", "NOPE", "", ".", "..", "../Parameter", `..\Parameter`, "a/b", "\x00", "Parameter\x00", " Parameter", "\xff", strings.Repeat("x", 1000), strings.Repeat("x", 100_000)} {
		for does, call := range map[string]func() error{
			"TokenSource":     func() error { return errOf(s.TokenSource(t.Context(), name)) },
			"Client":          func() error { return errOf(s.Client(t.Context(), name)) },
			"UserSource":      func() error { return errOf(s.UserSource(t.Context(), name)) },
			"SecureParameter": func() error { return errOf(s.SecureParameter(t.Context(), name)) },
			"Artifact":        func() error { return errOf(s.Artifact(t.Context(), name)) },
			"Info":            func() error { return errOf(s.Info(t.Context(), name)) },
			"Undeploy":        func() error { return s.Undeploy(t.Context(), name) },
		} {
			err := call()
			require.ErrorIs(t, err, credstore.ErrNotFound, "%s of %.20q: %v", does, name, err)
			require.ErrorContains(t, err, "there is no such artifact")
			require.Less(t, len(err.Error()), 600, "%s of %.20q", does, name)
		}
		require.NotEqual(t, http.StatusSeeOther, start(s, name).Code)
	}
	err := errOf(s.Tenant("acme").TokenSource(t.Context(), "NOPE"))
	require.EqualError(t, err, `credstore: "NOPE" of tenant "acme": there is no such artifact`)
}

func TestNamesThatCannotBeDeployed(t *testing.T) {
	t.Parallel()
	s := credstore.OpenMemory()
	t.Cleanup(func() { _ = s.Close() })
	for name, says := range map[string]string{
		"": "missing", ".": "must not be . or ..", "..": "must not be . or ..", "a/b": "must not contain", `a\b`: "must not contain",
		"a\x00": "cannot be printed", "\xff": "not UTF-8", " a": "blank", strings.Repeat("x", 1000): "1000 characters; at most 255",
	} {
		err := s.Deploy(t.Context(), credstore.SecureParameter{Name: name, Value: "S3NTINEL-parameter"})
		require.ErrorContains(t, err, says, "%.20q", name)
		oauthtest.AssertNoSecrets(t, []string{"S3NTINEL-parameter"}, err)
	}
	require.ErrorContains(t, s.Deploy(t.Context(), nil), "artifact: nil")
	require.ErrorContains(t, s.Deploy(t.Context(), (*credstore.KeyPair)(nil)), "artifact: nil")
	for _, tenant := range []string{"\x00", "\xff", strings.Repeat("x", 2000)} {
		err := s.Tenant(tenant).Deploy(t.Context(), credstore.SecureParameter{Name: "a", Value: "S3NTINEL-parameter"})
		require.ErrorContains(t, err, "tenant", "%.20q", tenant)
		require.Less(t, len(err.Error()), 600)
	}
	all, err := s.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
}

// Names that differ in case alone are different ones; so are tenants.
func TestNamesAreKeptApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := credstore.OpenDir(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	names := []string{"a", "A", "a.b", "a-b", "a_b", "日本", "...", "é", "e\u0301", strings.Repeat("x", 255), "con", "nul.txt"}
	tenants := []string{"", "acme", "ACME", "a", "..", "a/b", "x y"}
	for _, tenant := range tenants {
		for _, name := range names {
			require.NoError(t, s.Tenant(tenant).Deploy(t.Context(), credstore.SecureParameter{Name: name, Value: outgrant.Secret("of " + tenant + " " + name)}))
		}
	}
	for _, tenant := range tenants {
		for _, name := range names {
			value, err := s.Tenant(tenant).SecureParameter(t.Context(), name)
			require.NoError(t, err)
			require.Equal(t, "of "+tenant+" "+name, value.Reveal())
		}
		all, err := s.Tenant(tenant).List(t.Context())
		require.NoError(t, err)
		require.Len(t, all, len(names))
	}
	require.NoError(t, s.Tenant("acme").Undeploy(t.Context(), "a"))
	require.ErrorIs(t, errOf(s.Tenant("acme").SecureParameter(t.Context(), "a")), credstore.ErrNotFound)
	for _, tenant := range []string{"", "ACME"} {
		require.NoError(t, errOf(s.Tenant(tenant).SecureParameter(t.Context(), "a")))
	}
}

// However many adapters and goroutines use a credential, its token is fetched once.
func TestOneEngineForEachName(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		require.NoError(t, s.Tenant("acme").Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		p.Inject(oauthtest.Delay(time.Second))
		var mu sync.Mutex
		sources := map[outgrant.TokenSource]int{}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				src, err := s.Tenant("").TokenSource(t.Context(), "S4_ORDERS")
				if err == nil {
					_, err = src.Token(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				sources[src]++
			})
			all.Go(func() {
				client, err := s.Client(t.Context(), "S4_ORDERS")
				if err == nil {
					var resp *http.Response
					if resp, err = client.Get("https://receiver.example/orders"); err == nil {
						err = resp.Body.Close()
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Len(t, sources, 1, "the same source for the same name")
		require.Equal(t, 1, p.TokenRequests())
		require.NotEqual(t, p.tokenOf(t, s, "S4_ORDERS"), p.tokenOf(t, s.Tenant("acme"), "S4_ORDERS"))
		require.Equal(t, 2, p.TokenRequests())
	})
}

// What a client of one credential collects must not go with the requests of another one.
func TestClient(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		own := &http.Client{Transport: p, Timeout: 7 * time.Second, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		s := p.open(t, func(o *credstore.Options) { o.HTTPClient = own })
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		client, err := s.Client(t.Context(), "S4_ORDERS")
		require.NoError(t, err)
		require.NotSame(t, own, client)
		require.Equal(t, own.Timeout, client.Timeout)
		require.Nil(t, client.Jar)
		_, err = client.Get("http://receiver.example/orders")
		require.ErrorIs(t, err, outgrant.ErrInsecureURL)
		require.Equal(t, outgrant.ClientCredentials, outgrant.GrantOf(sourceOf(t, s, "S4_ORDERS")))
	})
}

func TestDescribe(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for _, a := range eachType(t, p) {
			require.NoError(t, s.Deploy(t.Context(), a))
		}
		users, err := s.UserSource(t.Context(), "users")
		require.NoError(t, err)
		for grant, src := range map[outgrant.Grant]outgrant.TokenSource{
			outgrant.ClientCredentials: sourceOf(t, s, "client"), outgrant.AuthorizationCode: sourceOf(t, s, "code"), outgrant.SAMLBearer: sourceOf(t, s, "technical"),
		} {
			require.Equal(t, grant, outgrant.GrantOf(src))
		}
		for _, user := range []string{"alice", ""} {
			of := users.ForUser(user).(outgrant.Describer).Describe()
			require.Equal(t, "users", of.Name)
			require.Equal(t, outgrant.SAMLBearer, of.Grant, "adapters look at it")
		}
		require.ErrorIs(t, errOf(users.ForUser("").Token(t.Context())), outgrant.ErrUserRequired)
	})
}
