package authcode_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestProviders(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg   *authcode.Config
		query map[string]string // of the authorization URL
	}{
		"Microsoft 365":       {authcode.Microsoft365("acme.example"), map[string]string{"scope": "offline_access"}},
		"Microsoft 365, any":  {authcode.Microsoft365(""), nil},
		"Microsoft 365, odd":  {authcode.Microsoft365("a/b?c"), nil},
		"Google":              {authcode.Google(), map[string]string{"access_type": "offline", "prompt": "consent"}},
		"Dropbox":             {authcode.Dropbox(), map[string]string{"token_access_type": "offline"}},
		"Dropbox, as SAP has": {sapDropbox(), map[string]string{"token_access_type": "offline", "state": "", "client_id": "app"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) {
				own := *tc.cfg
				own.Name, own.ClientID, own.ClientSecret, own.RedirectURL = c.Name, c.ClientID, c.ClientSecret, c.RedirectURL
				own.Vault, own.MayAuthorize = c.Vault, c.MayAuthorize
				*c = own
			})
			u, err := url.Parse(s.browser().begin(startURL))
			require.NoError(t, err)
			require.Equal(t, "https", u.Scheme)
			require.True(t, strings.HasPrefix(tc.cfg.AuthURL, "https://"+u.Host+u.EscapedPath()))
			q := u.Query()
			require.Equal(t, "app", q.Get("client_id"))
			require.NotEqual(t, "fixed", q.Get("state"))
			for key, want := range tc.query {
				if want != "" {
					require.Equal(t, want, q.Get(key), key)
				}
				require.Len(t, q[key], 1)
			}
		})
	}
	require.Equal(t, "https://login.microsoftonline.com/acme.example/oauth2/v2.0/token", authcode.Microsoft365("acme.example").TokenURL)
	require.Equal(t, "https://login.microsoftonline.com/common/oauth2/v2.0/authorize", authcode.Microsoft365("").AuthURL)
	require.Equal(t, 90*24*time.Hour, authcode.Microsoft365("").RefreshTokenExpiry)
}

// sapDropbox is SAP's example: the URL has already what is ours to set.
func sapDropbox() *authcode.Config {
	c := authcode.Dropbox()
	c.AuthURL = "https://www.dropbox.com/oauth2/authorize?client_id=theirs&response_type=code&token_access_type=offline&redirect_uri=https://old.test/cb&state=fixed"
	return c
}

// TestOfflineAccess: Microsoft 365 gives no refresh token without it, so it is asked for whatever the scopes are.
func TestOfflineAccess(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		edit func(*authcode.Config)
		want string
	}{
		{func(*authcode.Config) {}, "offline_access"},
		{func(c *authcode.Config) { c.Scopes = append(c.Scopes, "Mail.Read") }, "offline_access Mail.Read"},
		{func(c *authcode.Config) { c.Scopes = []string{"Mail.Read"} }, "Mail.Read offline_access"},
		{func(c *authcode.Config) { c.Scopes = nil }, "offline_access"},
	} {
		s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) {
			m := authcode.Microsoft365("")
			m.Name, m.ClientID, m.ClientSecret, m.RedirectURL, m.Vault, m.MayAuthorize = c.Name, c.ClientID, c.ClientSecret, c.RedirectURL, c.Vault, c.MayAuthorize
			*c = *m
			tc.edit(c)
		})
		given := len(s.cfg.Scopes)
		require.Equal(t, tc.want, param(s.browser().begin(startURL), "scope"))
		require.Len(t, s.cfg.Scopes, given, "the caller's configuration is left alone")
	}
	mine := append(make([]string, 0, 4), "Mail.Read")
	m := authcode.Microsoft365("")
	m.Name, m.ClientID, m.ClientSecret, m.Vault, m.Scopes = "M", "app", appSecret, authcode.NewMemoryVault(), mine
	_, err := authcode.New(m)
	require.NoError(t, err)
	require.Empty(t, mine[:2][1], "nor is what lies behind it")
}

// TestGoogleMayLeaveItsIssuerOut tests that its answer is taken with and without iss, and with no other.
func TestGoogleMayLeaveItsIssuerOut(t *testing.T) {
	t.Parallel()
	for iss, status := range map[string]int{"": 200, "https://accounts.google.com": 200, "https://other.test": 403} {
		s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) {
			own := *authcode.Google()
			own.Name, own.AuthURL, own.TokenURL, own.ClientID, own.ClientSecret, own.RedirectURL = c.Name, c.AuthURL, c.TokenURL, c.ClientID, c.ClientSecret, c.RedirectURL
			own.Auth, own.Vault, own.MayAuthorize, own.HTTPClient = c.Auth, c.Vault, c.MayAuthorize, c.HTTPClient
			*c = own
		})
		b := s.browser()
		b.open(with(b.consent(startURL), "iss", iss)).requirePage(t, status)
	}
}
