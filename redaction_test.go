package outgrant_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// privateKey is one whose bytes are a sentinel.
func privateKey() crypto.Signer {
	return ed25519.PrivateKey(bytes.Repeat([]byte("sentinel"), 8))
}

// unexported holds our types where fmt does not call methods, and looks behind pointers where a verb does not fit.
type unexported struct {
	source      outgrant.TokenSource
	static      outgrant.TokenSource
	cached      *outgrant.CachedSource
	transport   *outgrant.Transport
	client      *http.Client
	err         error
	event       any
	foreign     outgrant.TokenSource
	authorizing func() outgrant.ClientAuth
}

// TestNothingPrintsASecret walks every type of this package that reaches a secret through every way of printing.
func TestNothingPrintsASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const secret = "sentinel-access-token"
		token := (&outgrant.Token{AccessToken: secret}).WithExtra(map[string]any{"x": "y"})
		var events []any
		hooks := &outgrant.Hooks{
			FetchStart:  func(e outgrant.FetchEvent) { events = append(events, e, &e) },
			FetchDone:   func(e outgrant.FetchEvent) { events = append(events, e, &e) },
			Invalidated: func(e outgrant.InvalidateEvent) { events = append(events, e) },
		}
		src := &oauthtest.Source{Script: []oauthtest.Step{{Token: token}, {Err: &outgrant.TokenError{Code: "invalid_client"}}}}
		opts := &outgrant.CacheOptions{Hooks: hooks}
		cached := outgrant.Cached(src, opts)
		ctx := context.WithValue(t.Context(), ctxKey{}, "sentinel-of-the-caller")
		_, err := cached.Token(ctx)
		require.NoError(t, err)
		synctest.Wait()
		cached.Invalidate(token)
		_, err = cached.Token(ctx)
		require.Error(t, err)
		synctest.Wait()
		require.Len(t, events, 9)
		fetch, isFetch := events[len(events)-1].(*outgrant.FetchEvent)
		require.True(t, isFetch)
		require.Equal(t, "sentinel-of-the-caller", fetch.Trigger.Value(ctxKey{}))

		static := outgrant.StaticToken(secret)
		staticToken, err := static.Token(ctx)
		require.NoError(t, err)
		auth := outgrant.ClientAuth{Secret: secret, Key: privateKey(), Certificate: &tls.Certificate{PrivateKey: privateKey(), Certificate: [][]byte{{1}}}}
		transport := &outgrant.Transport{Source: static, Base: &outgrant.Transport{Source: cached}}
		client := outgrant.NewClient(static)
		health := cached.Health()
		foreign := outgrant.FromOAuth2(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: secret}))
		holder := unexported{static, static, cached, transport, client, err, *fetch, foreign, func() outgrant.ClientAuth { return auth }}
		req, reqErr := http.NewRequest(http.MethodGet, "http://receiver.example/?q=sentinel-query", nil)
		require.NoError(t, reqErr)
		_, refused := transport.RoundTrip(req)
		require.ErrorIs(t, refused, outgrant.ErrInsecureURL)

		outputs := append(events, outgrant.Secret(secret), token, *token, staticToken, *staticToken, auth, &auth, static, cached, transport, *transport,
			client, *client, health, &health, err, refused, holder, &holder, opts, *opts, hooks, src, outgrant.ToOAuth2(ctx, static), foreign, outgrant.FromOAuth2(nil),
			[]outgrant.Secret{secret}, map[string]outgrant.Secret{"k": secret}, []*outgrant.Token{token}, struct{ T outgrant.Token }{*token},
			struct{ S outgrant.TokenSource }{static}, slog.GroupValue(slog.Any("token", token), slog.Any("auth", auth)))
		oauthtest.AssertNoSecrets(t, []string{"sentinel"}, outputs...)
	})
}
