package mail_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// TestProvider has the user authorize at oidc-provider, whom Dovecot asks about the tokens. They live for two seconds: logins
// go on, the user is the token's, and a token that is refused is replaced by a refresh.
func TestProvider(t *testing.T) {
	t.Parallel()
	app := http.NewServeMux()
	server := httptest.NewServer(app)
	defer server.Close()
	c := peer.SecretClient("mail", "a secret").ForUsers(server.URL + "/callback")
	s := peer.StartAuthServer(t, peer.AuthServerOptions{TokenLifetime: 2 * time.Second, Clients: []peer.Client{c}, Scopes: []string{"openid", "offline_access", "mail"}})
	b := startBench(t, peer.MailOptions{Introspection: s.Introspection()})
	client, err := authcode.New(&authcode.Config{
		Name: "MAILBOX", User: mailbox, AuthURL: s.AuthURL + "?prompt=consent", TokenURL: s.TokenURL, Issuer: s.Issuer,
		ClientID: c.ID, ClientSecret: outgrant.Secret(c.Secret), RedirectURL: server.URL + "/callback", Scopes: []string{"openid", "offline_access", "mail"},
		Vault: authcode.NewMemoryVault(), HTTPClient: &http.Client{Transport: s.Transport(t)},
	})
	require.NoError(t, err)
	defer client.Close()
	app.Handle("/authorize", client.AuthorizeHandler())
	app.Handle("/callback", client.CallbackHandler(nil))
	_, err = openIMAP(t, b, client, mechanisms[0])
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	page := peer.NewBrowser(t, mailbox, s.Transport(t)).Visit(t, server.URL+"/authorize")
	require.Equal(t, http.StatusOK, page.Status, page.Text)

	inbox, err := openIMAP(t, b, client, mechanisms[0])
	require.NoError(t, err)
	first, err := client.Token(t.Context())
	require.NoError(t, err)
	rolled := 0
	for token := range client.Watch(t.Context()) { // each new one, refreshed ahead
		require.NoError(t, senders["net/smtp"](t, b, b.SMTP, client, mechanisms[0], "rolled over"))
		if token.AccessToken != first.AccessToken {
			rolled++
		}
		if rolled == 2 {
			break
		}
	}
	_, err = inbox.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	require.NoError(t, err, "a connection lives on when its token has ended")

	token, err := client.Token(t.Context())
	require.NoError(t, err)
	b.Accept(token.AccessToken.Reveal(), "")
	_, err = openPOP3(t, b, client, mechanisms[1])
	require.NoError(t, err, "the second token of the login")
}
