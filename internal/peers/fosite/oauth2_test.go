package fosite_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	xclientcredentials "golang.org/x/oauth2/clientcredentials"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// Programs move from golang.org/x/oauth2 one end at a time: its sources feed our client, and ours feed its client.
func TestOAuth2(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	receiver := peer.StartReceiver(t, s.introspection(), nil)
	// The context of x/oauth2 carries its HTTP client.
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, s.Client())
	theirs := &xclientcredentials.Config{ClientID: clientID, ClientSecret: clientSecret, TokenURL: s.tokenURL(),
		Scopes: []string{"odata.read"}, EndpointParams: url.Values{"audience": {audience}}, AuthStyle: oauth2.AuthStyleInHeader}

	t.Run("their source, our client", func(t *testing.T) {
		t.Parallel()
		source := outgrant.Cached(outgrant.FromOAuth2(theirs.TokenSource(ctx)), nil)
		require.Equal(t, http.StatusOK, get(t, outgrant.NewClient(source), receiver.URL))
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"odata.read"}, token.Scopes)
	})
	t.Run("their source with a wrong secret", func(t *testing.T) {
		t.Parallel()
		wrong := *theirs
		wrong.ClientSecret = "not/the secret+at&all%"
		_, err := outgrant.FromOAuth2(wrong.TokenSource(ctx)).Token(t.Context())
		var refused *outgrant.TokenError
		require.True(t, errors.As(err, &refused), "%v", err)
		require.Equal(t, "invalid_client", refused.Code)
		oauthtest.AssertNoSecrets(t, []string{wrong.ClientSecret}, err)
	})
	t.Run("our source, their client", func(t *testing.T) {
		t.Parallel()
		source, err := clientcredentials.New(configFor(s))
		require.NoError(t, err)
		client := oauth2.NewClient(ctx, outgrant.ToOAuth2(ctx, source))
		require.Equal(t, http.StatusOK, get(t, client, receiver.URL))
	})
}

func get(t testing.TB, client *http.Client, url string) int {
	t.Helper()
	resp, err := client.Get(url)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
