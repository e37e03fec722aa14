package authcode_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// jws is an ID token with a payload.
func jws(payload string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part([]byte(payload)) + "." + part([]byte("signature"))
}

// idToken is a good one for the client "app", with these claims; nil takes one away.
func idToken(claims map[string]any) string {
	all := map[string]any{"iss": "https://token-service.test", "aud": "app", "exp": time.Now().Add(time.Hour).Unix(), "sub": "4711"}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	payload, _ := json.Marshal(all)
	return jws(string(payload))
}

// consentWith is the error of an authorization that brings this ID token.
func consentWith(t testing.TB, token any, edit func(*authcode.Config)) (*site, error) {
	t.Helper()
	s, all := newDoneSite(t, oauthtest.ServerOptions{}, edit)
	s.service.Inject(oauthtest.Member("id_token", token))
	s.browser().open(startURL)
	require.Len(t, *all, 1)
	return s, (*all)[0].err
}

func TestUser(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		want    string // Config.User
		claims  map[string]any
		user    string
		another bool
	}{
		{"the e-mail address", "", map[string]any{"email": "ops@acme.example", "preferred_username": "ops"}, "ops@acme.example", false},
		{"one that is not verified", "", map[string]any{"email": "ops@acme.example", "email_verified": false, "preferred_username": "ops"}, "ops", false},
		{"the user name", "", map[string]any{"preferred_username": "ops", "upn": "u"}, "ops", false},
		{"the principal name", "", map[string]any{"upn": "ops@acme.example", "unique_name": "n"}, "ops@acme.example", false},
		{"the unique name", "", map[string]any{"unique_name": "ACME\\ops"}, "ACME\\ops", false},
		{"the subject", "", nil, "4711", false},
		{"nobody", "", map[string]any{"sub": nil}, "", false},
		{"odd types", "", map[string]any{"email": []string{"a@b.example"}, "upn": 7, "preferred_username": map[string]any{}}, "4711", false},
		{"what cannot be a name", "", map[string]any{"email": "a@b.example\x01auth=Bearer", "upn": "a\nb", "preferred_username": strings.Repeat("a", 400)}, "4711", false},

		{"the right one", "ops@acme.example", map[string]any{"email": "ops@acme.example"}, "ops@acme.example", false},
		{"the right one in other letters", "Ops@Acme.Example", map[string]any{"email": "ops@acme.example"}, "Ops@Acme.Example", false},
		{"the right one by another claim", "ops", map[string]any{"email": "ops@acme.example", "upn": "ops"}, "ops", false},
		{"the right one by the subject", "4711", map[string]any{"email": "ops@acme.example"}, "4711", false},
		{"nobody to compare", "ops@acme.example", map[string]any{"sub": nil}, "ops@acme.example", false},
		{"only a number to compare", "ops@acme.example", nil, "ops@acme.example", false},
		{"only an address to compare", "ops", map[string]any{"sub": "ops@acme.example"}, "ops", false},
		{"another one", "ops@acme.example", map[string]any{"email": "bob@acme.example"}, "bob@acme.example", true},
		{"another one by name", "ops@acme.example", map[string]any{"preferred_username": "bob"}, "bob", true},
		{"a part of it", "ops@acme.example", map[string]any{"email": "ops@acme.example.evil.test"}, "ops@acme.example.evil.test", true},
		{"another subject of the same kind", "ops", map[string]any{"sub": "bob"}, "bob", true},
		{"another address as subject", "ops@acme.example", map[string]any{"sub": "bob@acme.example"}, "bob@acme.example", true},
		{"an address that is not verified", "ops@acme.example", map[string]any{"email": "ops@acme.example", "email_verified": false, "preferred_username": "bob"}, "bob", true},
		{"claims count as they are spelled", "ops@acme.example", map[string]any{"EMAIL": "ops@acme.example", "email": "bob@acme.example"}, "bob@acme.example", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := consentWith(t, idToken(tc.claims), func(c *authcode.Config) { c.User = tc.want })
			if !tc.another {
				require.NoError(t, err)
				require.Equal(t, tc.user, s.stored().User)
				token, err := s.client.Token(t.Context())
				require.NoError(t, err)
				require.Equal(t, tc.user, token.User)
				return
			}
			require.ErrorIs(t, err, authcode.ErrWrongUser)
			require.ErrorContains(t, err, `"`+tc.want+`"`)
			require.ErrorContains(t, err, `"`+tc.user+`"`)
			s.requireNothingStored()
			require.Empty(t, s.changes())
		})
	}
}

// TestWrongUserIsNotRevoked: at some providers that would end all that the user authorized for the client, also what
// another credential lives on.
func TestWrongUserIsNotRevoked(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{User: "bob@acme.example"}, func(c *authcode.Config) {
		c.User, c.Scopes = "ops@acme.example", []string{"openid", "email"}
		provider := c.HTTPClient.Transport
		c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/revoke") {
				t.Error("revoked")
			}
			return provider.RoundTrip(r)
		})}
	})
	v := s.browser().open(startURL)
	v.requirePage(t, http.StatusForbidden, "That was another user", "bob@acme.example", "ops@acme.example", "Start again")
	require.Equal(t, 1, s.service.TokenRequests())
	s.requireNothingStored()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestIDTokenIsChecked(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tc := range []struct {
		name   string
		issuer string // Config.Issuer
		token  any
		says   string // "": it is good
	}{
		{"good", "", idToken(nil), ""},
		{"several audiences", "", idToken(map[string]any{"aud": []string{"other", "app"}}), ""},
		{"another audience", "", idToken(map[string]any{"aud": "other"}), "another client"},
		{"other audiences", "", idToken(map[string]any{"aud": []any{"other", 7}}), "another client"},
		{"a longer audience", "", idToken(map[string]any{"aud": "app2"}), "another client"},
		{"no audience", "", idToken(map[string]any{"aud": nil}), "another client"},
		{"just ended", "", idToken(map[string]any{"exp": now.Add(-4 * time.Minute).Unix()}), ""},
		{"ended", "", idToken(map[string]any{"exp": now.Add(-6 * time.Minute).Unix()}), "ended"},
		{"without an end", "", idToken(map[string]any{"exp": nil}), "ended"},
		{"the end is a text", "", idToken(map[string]any{"exp": "4000000000"}), "ended"},
		{"issuer as configured", "https://token-service.test", idToken(nil), ""},
		{"another issuer than the callback's", "", idToken(map[string]any{"iss": "https://evil.test"}), "https://evil.test"},
		{"another issuer than configured", "https://token-service.test", idToken(map[string]any{"iss": "https://token-service.test/"}), "its ID token"},
		{"no issuer", "https://token-service.test", idToken(map[string]any{"iss": nil}), "its ID token"},
		{"issuer without its scheme", "https://token-service.test", idToken(map[string]any{"iss": "token-service.test"}), ""},
		{"encrypted", "", "a.b.c.d.e", ""},
		{"empty", "", "", ""},
		{"not a text", "", 7, ""},
		{"no parts", "", "token", "cannot be read"},
		{"two parts", "", "a.b", "cannot be read"},
		{"not base64", "", "a.*.c", "cannot be read"},
		{"not JSON", "", jws("sentinel"), "cannot be read"},
		{"a list", "", jws("[1]"), "cannot be read"},
		{"null", "", jws("null"), "cannot be read"},
		{"nothing", "", jws(""), "cannot be read"},
		{"padded", "", strings.Replace(idToken(map[string]any{"sub": "1"}), ".signature", ".signature", 1), ""},
		{"huge", "", jws(strings.Repeat(" ", 70000) + "{}"), "larger than 64 KiB"},
		{"deep", "", jws(strings.Repeat("[", 20000)), "cannot be read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := consentWith(t, tc.token, func(c *authcode.Config) { c.Issuer = tc.issuer })
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.says)
			require.NotContains(t, err.Error(), "sentinel")
			require.Equal(t, strings.Contains(tc.says, "its ID token") || strings.Contains(tc.says, "evil"), isWrongIssuer(err))
			s.requireNothingStored()
		})
	}
}

func isWrongIssuer(err error) bool {
	return strings.Contains(err.Error(), authcode.ErrWrongIssuer.Error())
}

// FuzzIDToken: whatever an ID token says, an authorization succeeds with a name that can be shown and sent, or fails with an
// error that can be shown.
func FuzzIDToken(f *testing.F) {
	for _, payload := range readSeeds(f, "testdata/idtokens") {
		f.Add(payload, "")
		f.Add(payload, "ops@acme.example")
		f.Add(payload, strings.Repeat("\x80u", 1500))
	}
	f.Add("not.a.token", "")
	s := newBareSite(f, oauthtest.ServerOptions{}, nil)
	f.Fuzz(func(t *testing.T, payload, user string) {
		token := payload
		if strings.HasPrefix(payload, "{") {
			token = jws(payload)
		}
		own := *s.cfg
		own.User, own.Vault = user, authcode.NewMemoryVault()
		c, err := authcode.New(&own)
		require.NoError(t, err)
		defer c.Close()
		site := &site{t: t, service: s.service, vault: own.Vault, cfg: &own, client: c, mux: http.NewServeMux()}
		var ended error
		site.mux.Handle("/oauth/authorize", c.AuthorizeHandler())
		site.mux.Handle("/oauth/callback", c.CallbackHandler(func(_ http.ResponseWriter, _ *http.Request, err error) { ended = err }))
		s.service.ClearFaults()
		s.service.Inject(oauthtest.Member("id_token", token))
		site.browser().open(startURL)
		if ended != nil {
			if text := ended.Error(); len(text) > 2000 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("an error that cannot be shown: %q", text)
			}
			return
		}
		a := site.stored()
		if user != "" && a.User != user {
			t.Errorf("the user is %q, not %q", a.User, user)
		}
		if user == "" && strings.ContainsFunc(a.User, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("a name that cannot be sent: %q", a.User)
		}
	})
}
