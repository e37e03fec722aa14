package console_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// pictures is where the pictures of all pages go, for people to look at: OUTGRANT_PICTURES, or nowhere.
func pictures(t testing.TB) string {
	dir := os.Getenv("OUTGRANT_PICTURES")
	if dir == "" {
		return t.TempDir()
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}

// everyState deploys credentials in all states that there are, and returns their names.
func everyState(t testing.TB, s *site, service *oauthtest.Server, b driver.Store) (names []string) {
	ctx := t.Context()
	as := s.store.As("alice")
	deploy := func(a credstore.Artifact) {
		t.Helper()
		require.NoError(t, as.Deploy(ctx, a))
		names = append(names, a.ArtifactName())
	}
	client := func(name, about string) *credstore.ClientCredentials {
		return &credstore.ClientCredentials{Name: name, Description: about, TokenServiceURL: service.TokenURL(), ClientID: "client-of-" + name, ClientSecret: "a secret", Scope: "orders.read orders.write"}
	}
	code := func(name, about string) *credstore.AuthorizationCode {
		return &credstore.AuthorizationCode{Name: name, Description: about, AuthorizationURL: service.AuthURL(), TokenServiceURL: service.TokenURL(), RevocationURL: service.RevokeURL(),
			ClientID: "client-of-" + name, ClientSecret: "a secret", RefreshTokenExpiryDays: 90, UserName: "ops@acme.example"}
	}
	token := func(name string) {
		src, err := s.store.TokenSource(ctx, name)
		require.NoError(t, err)
		_, _ = src.Token(ctx)
	}
	pair := func(name, file string) *credstore.KeyPair {
		text, err := os.ReadFile("../../../credstore/testdata/keys/" + file)
		require.NoError(t, err)
		return &credstore.KeyPair{Name: name, PEM: outgrant.Secret(text)}
	}

	deploy(client("CLIENT_NEW", "Nobody has used it yet"))
	deploy(client("CLIENT_FINE", "It works"))
	token("CLIENT_FINE")
	deploy(client("CLIENT_REFUSED", "Its secret is wrong"))
	service.Inject(oauthtest.Refuse("invalid_client", "the secret is wrong"))
	token("CLIENT_REFUSED")
	deploy(client("CLIENT_FAILING", "Its token service has trouble"))
	service.Inject(oauthtest.Status(503))
	token("CLIENT_FAILING")

	deploy(code("CODE_NEW", "Nobody has authorized it yet"))
	vault := s.store.Vault()
	now := time.Now()
	grant := func(name, about string, change func(*authcode.Authorization)) {
		t.Helper()
		deploy(code(name, about))
		a := authcode.Authorization{Binding: bindingOf(t, s.store, b, name), User: "ops@acme.example", RefreshToken: "refresh", Authorized: now.Add(-40 * 24 * time.Hour), Refreshed: now.Add(-20 * time.Minute),
			RefreshIssued: now.Add(-20 * time.Minute), RefreshExpires: now.Add(90 * 24 * time.Hour), Due: now.Add(70 * 24 * time.Hour),
			Token: &outgrant.Token{AccessToken: "access", Expiry: now.Add(40 * time.Minute)}, TokenIssued: now.Add(-20 * time.Minute)}
		change(&a)
		_, err := vault.Save(ctx, name, "", a)
		require.NoError(t, err)
	}
	grant("CODE_FINE", "It works", func(*authcode.Authorization) {})
	grant("CODE_REFUSED", "Its refresh token was revoked", func(a *authcode.Authorization) {
		a.Refused = &authcode.Refusal{Code: "invalid_grant", Reason: "the refresh token was revoked", At: now.Add(-time.Hour)}
	})
	grant("CODE_FAILING", "Its client secret was replaced", func(a *authcode.Authorization) {
		a.Failure = &authcode.Refusal{Code: "invalid_client", Reason: "the secret is wrong", At: now.Add(-time.Hour)}
	})
	grant("CODE_UNKNOWN", "An answer was lost", func(a *authcode.Authorization) {
		a.Mark = &authcode.Mark{Holder: "x", Started: now.Add(-time.Minute), Until: now.Add(-time.Second), Unknown: "the connection was reset"}
	})
	grant("CODE_FIXED", "The token service does not renew its refresh token", func(a *authcode.Authorization) {
		a.Fixed, a.RefreshIssued, a.RefreshExpires, a.Due = true, now.Add(-85*24*time.Hour), now.Add(5*24*time.Hour), time.Time{}
	})
	grant("CODE_ENDED", "Nobody has renewed it", func(a *authcode.Authorization) { a.RefreshExpires = now.Add(-time.Hour) })
	grant("CODE_NO_REFRESH_TOKEN", "The provider gave no refresh token", func(a *authcode.Authorization) {
		a.RefreshToken, a.RefreshIssued, a.RefreshExpires, a.Due = "", time.Time{}, time.Time{}, time.Time{}
	})

	deploy(pair("PAIR", "signing.pem"))
	deploy(&credstore.SAMLBearerAssertion{Name: "SAML_FOR_USERS", Description: "For the user of each call", ClientKey: "the-api-key", TokenServiceURL: "https://api.successfactors.example/oauth/token",
		TargetSystemType: credstore.SuccessFactors, CompanyID: "ACME", KeyPairAlias: "PAIR", Attributes: map[string]string{"use_username": "true"}})
	deploy(&credstore.ClientCredentials{Name: "CLIENT_JWT", TokenServiceURL: service.TokenURL(), ClientID: "client", ClientAuthentication: credstore.WithPrivateKeyJWT, KeyPairAlias: "PAIR"})
	deploy(&credstore.SAMLBearerAssertion{Name: "SAML_WITHOUT_PAIR", Description: "Its key pair is not deployed", ClientKey: "the-api-key", TokenServiceURL: "https://api.successfactors.example/oauth/token",
		TargetSystemType: credstore.SuccessFactors, CompanyID: "ACME", KeyPairAlias: "NOWHERE"})
	deploy(&credstore.SecureParameter{Name: "PARAMETER", Description: strings.Repeat("A very long description. ", 40), Value: "a secret"})
	deploy(&credstore.SecureParameter{Name: strings.Repeat("W", 255), Description: "\u202eright to left\u202c <b>and markup</b>", Value: "a secret"})
	deploy(&credstore.SecureParameter{Name: "שם עברי", Description: "עברית", Value: "a secret"})

	deploy(client("DAMAGED", "Its record was changed on the disk"))
	r, err := b.Get(ctx, driver.Key{Kind: "artifact", Name: "DAMAGED"})
	require.NoError(t, err)
	r.Sealed[len(r.Sealed)-1] ^= 1
	_, err = b.Put(ctx, r, r.Version)
	require.NoError(t, err)
	for _, name := range names {
		_, err := s.store.History(ctx, name) // it is stored then
		require.NoError(t, err)
	}
	return names
}

// bindingOf is what an authorization has to be bound to.
func bindingOf(t testing.TB, s *credstore.Store, b driver.Store, name string) string {
	r, err := b.Get(t.Context(), driver.Key{Kind: "artifact", Name: name})
	require.NoError(t, err)
	m := regexp.MustCompile(`"binding":"([^"]+)"`).FindSubmatch(r.Info)
	require.NotNil(t, m)
	return string(m[1])
}

// TestEveryState looks at each page under every state of a credential, light and dark, wide and narrow: with axe-core's eyes, and, by
// OUTGRANT_PICTURES, with a person's.
func TestEveryState(t *testing.T) {
	t.Parallel()
	service := oauthtest.NewServer(&oauthtest.ServerOptions{TokenLifetime: time.Hour})
	t.Cleanup(service.Close)
	backend := memstore.New()
	s := startSite(t, backend, nil)
	names := everyState(t, s, service, backend)
	pages := map[string]string{
		"list": "./", "list-attention": "./?status=attention&sort=-name", "list-nothing": "./?q=nothing+like+that", "types": "new", "import": "import",
		"message-nowhere": "nowhere", "message-nobody": "artifact?name=NOBODY", "message-callback": "callback?state=x&code=y", "delete": "delete?name=PAIR",
		"delete-code": "delete?name=CODE_FINE", "done": "artifact?name=CLIENT_FINE&done=deployed",
	}
	for _, typ := range credstore.Types() {
		pages["new-"+typ] = "new?type=" + url.QueryEscape(typ)
	}
	for _, name := range names {
		pages["artifact-"+name[:min(len(name), 40)]] = "artifact?name=" + url.QueryEscape(name)
	}
	for _, name := range []string{"CLIENT_FINE", "CODE_FINE", "SAML_FOR_USERS", "PAIR"} {
		pages["edit-"+name] = "edit?name=" + name
	}
	dir := pictures(t)
	t.Run("widths between", func(t *testing.T) {
		t.Parallel()
		b := peer.StartChromium(t)
		for _, width := range []int{320, 640, 1024, 1160} {
			b.Open(t, peer.Window{Width: width})
			for _, page := range []string{"list", "artifact-CODE_FINE", "artifact-" + strings.Repeat("W", 40), "edit-CODE_FINE", "new-OAuth2 Client Credentials"} {
				b.Goto(t, s.url+strings.TrimPrefix(pages[page], "./"))
				b.Shot(t, filepath.Join(dir, fmt.Sprint(page, "-", width, ".png")), true)
				s.requireClean(t, b, fmt.Sprint(page, " at ", width))
			}
		}
		b.Open(t, narrow) // where the columns have no heads
		b.Goto(t, s.url)
		b.Select(t, "Sort by", "failures")
		b.Click(t, "button", "Show")
		require.Equal(t, "failures", b.Evaluate(t, "document.getElementById('sort').value"))
		require.Equal(t, "CLIENT_FAILING", b.Evaluate(t, "document.querySelector('.name').textContent"))
	})
	for seen, w := range map[string]peer.Window{"wide": wide, "narrow": narrow} {
		t.Run(seen, func(t *testing.T) {
			t.Parallel()
			b := peer.StartChromium(t)
			b.Open(t, w)
			look := func(page string) {
				t.Helper()
				b.Shot(t, filepath.Join(dir, page+"-light-"+seen+".png"), true)
				s.requireClean(t, b, page)
				b.Dark(t, true)
				b.Shot(t, filepath.Join(dir, page+"-dark-"+seen+".png"), true)
				require.Empty(t, b.Check(t, "color-contrast", "link-in-text-block"), page)
				b.Dark(t, false)
			}
			for page, address := range pages {
				b.Goto(t, s.url+strings.TrimPrefix(address, "./"))
				look(page)
			}
			// What comes of forms.
			b.Goto(t, s.url+"new?type=OAuth2+SAML+Bearer+Assertion")
			b.Fill(t, "Name (required)", "A/B")
			b.Click(t, "button", "Deploy")
			require.Equal(t, "f-tokenServiceUrl", b.Evaluate(t, "document.activeElement.id"), "a browser does not send what is not complete")
			b.Fill(t, "Token service URL (required)", "acme.example")
			b.Select(t, "Target system type (required)", "SuccessFactors")
			b.Fill(t, "Key pair alias (required)", "PAIR")
			b.Fill(t, "Token service password", "a secret")
			b.Click(t, "button", "Deploy")
			require.Contains(t, b.Text(t), "Secrets and files are not sent back")
			look("problems")
			b.Goto(t, s.url+"import")
			b.Fill(t, "Or its text", `[{"type": "Secure Parameter", "name": "P"}]`)
			b.Click(t, "button", "Import")
			look("import-problems")
			b.Goto(t, s.url+"artifact?name=CLIENT_NEW")
			b.Click(t, "button", "Test")
			look("tested")
		})
	}
}
