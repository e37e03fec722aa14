package codeflow_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// artifact is a credential as an administrator writes it.
const artifact = `[{"type": "OAuth2 Authorization Code", "name": %q, "authorizationUrl": %q, "tokenServiceUrl": %q, "revocationUrl": %q,
	"issuer": %q, "clientId": %q, "clientSecret": %q, "userName": "alice@acme.example", "scope": "openid email offline_access odata.read",
	"redirectUrl": %q}]`

// deployed is a store with credentials that alice can authorize at the app. Each has a client of its name.
type deployed struct {
	*credstore.Store
	dir      string
	database *peer.Postgres // nil: the store is in the folder
	app      *app
	server   *peer.AuthServer
}

// deploy makes a store in a folder.
func deploy(t testing.TB, accessTokens time.Duration, names ...string) *deployed {
	t.Helper()
	return deployIn(t, nil, accessTokens, names...)
}

// deployIn makes a store in a database; nil: in a folder.
func deployIn(t testing.TB, database *peer.Postgres, accessTokens time.Duration, names ...string) *deployed {
	t.Helper()
	d := &deployed{dir: t.TempDir(), database: database, app: startApp(t)}
	var clients []peer.Client
	for _, name := range names {
		clients = append(clients, peer.SecretClient(name, secret).ForUsers(d.app.callbacks("")...))
	}
	s := startServer(t, accessTokens, clients...)
	store, err := d.open(t, &credstore.Options{HTTPClient: &http.Client{Transport: s.Transport(t)}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	d.Store, d.server = store, s
	for _, c := range clients {
		all, err := credstore.ParseArtifacts(fmt.Appendf(nil, artifact, c.ID, s.AuthURL+"?prompt=consent", s.TokenURL, s.RevocationURL,
			s.Issuer, c.ID, c.Secret, c.Redirects[0]))
		require.NoError(t, err)
		require.NoError(t, store.Deploy(t.Context(), all[0]))
	}
	d.app.mux.Handle("/authorize", store.AuthorizeHandler())
	d.app.mux.Handle("/callback", store.CallbackHandler(nil))
	return d
}

func (d *deployed) open(t testing.TB, opts *credstore.Options) (*credstore.Store, error) {
	t.Helper()
	if d.database == nil {
		return credstore.OpenDir(d.dir, opts)
	}
	var err error
	opts.Keeper, err = credstore.LocalKeeper(filepath.Join(d.dir, "keeper.key"))
	require.NoError(t, err)
	return credstore.Open(d.database.OpenStore(t), opts)
}

// authorize has alice authorize a credential.
func (d *deployed) authorize(t testing.TB, name string) {
	t.Helper()
	page := browse(t, d.server, "alice", d.app.URL+"/authorize?name="+name)
	require.Equal(t, http.StatusOK, page.Status, page.Text)
	require.Equal(t, "Deployed", d.info(t, name).Status)
}

func (d *deployed) info(t testing.TB, name string) credstore.Info {
	t.Helper()
	all, err := d.List(t.Context())
	require.NoError(t, err)
	for _, info := range all {
		if info.Name == name {
			return info
		}
	}
	require.Fail(t, "it is not in the list")
	return credstore.Info{}
}

// stored returns what the store has of a user's authorization.
func (d *deployed) stored(t testing.TB, name string) authcode.Authorization {
	t.Helper()
	stored, err := d.Vault().Load(t.Context(), name)
	require.NoError(t, err)
	return stored
}

// A credential is deployed, authorized once, used, and taken back with all that it opened.
func TestStore(t *testing.T) {
	t.Parallel()
	d := deploy(t, time.Minute, "MAILBOX")
	receiver := peer.StartReceiver(t, d.server.Introspection(), d.server.PKI)
	require.Equal(t, "Unauthorized", d.info(t, "MAILBOX").Status)
	client, err := d.Client(t.Context(), "MAILBOX")
	require.NoError(t, err)
	_, err = client.Get(receiver.URL)
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)

	d.authorize(t, "MAILBOX")
	resp, err := client.Get(receiver.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	source, err := d.TokenSource(t.Context(), "MAILBOX")
	require.NoError(t, err)
	token := tokenOf(t, source)
	require.Equal(t, "alice@acme.example", token.User)
	source.(outgrant.Invalidator).Invalidate(token)
	refreshed := tokenOf(t, source)
	require.True(t, askAbout(t, d.server, refreshed).Active)
	require.Equal(t, peer.Refreshes{Requests: 1, Granted: 1}, d.server.Refreshes(t, "MAILBOX"))

	require.NoError(t, d.Undeploy(t.Context(), "MAILBOX"))
	require.False(t, askAbout(t, d.server, refreshed).Active, "it was revoked")
	_, err = source.Token(t.Context())
	require.ErrorIs(t, err, credstore.ErrNotFound)
}
