package outgrant_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	oauth2cc "golang.org/x/oauth2/clientcredentials"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestToOAuth2(t *testing.T) {
	t.Parallel()
	expiry := time.Now().Add(time.Hour)
	token := (&outgrant.Token{AccessToken: "access", Type: "Bearer", Expiry: expiry, Scopes: []string{"a", "b"}}).WithExtra(map[string]any{"instance_url": "x"})
	src := &oauthtest.Source{Script: []oauthtest.Step{{Token: token}, {Err: errDown}}}
	theirs := outgrant.ToOAuth2(t.Context(), src)
	got, err := theirs.Token()
	require.NoError(t, err)
	require.Equal(t, "access", got.AccessToken)
	require.True(t, got.Valid())
	require.Equal(t, "x", got.Extra("instance_url"))
	require.Equal(t, "a b", got.Extra("scope"))
	_, err = theirs.Token()
	require.ErrorIs(t, err, errDown)
	require.Same(t, src, outgrant.FromOAuth2(theirs), "there and back is the same source")
}

func TestFromOAuth2(t *testing.T) {
	t.Parallel()
	server := oauthtest.NewServer(nil)
	defer server.Close()
	cfg := &oauth2cc.Config{ClientID: "id", ClientSecret: "s3cr:et/+ %&=", TokenURL: server.TokenURL(), Scopes: []string{"a", "b"}, AuthStyle: oauth2.AuthStyleInHeader}
	src := outgrant.Cached(outgrant.FromOAuth2(cfg.TokenSource(context.WithValue(t.Context(), oauth2.HTTPClient, server.Client()))), nil)
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	require.True(t, server.Live(token.AccessToken))
	require.Equal(t, []string{"a", "b"}, token.Scopes)
	require.WithinDuration(t, time.Now().Add(time.Hour), token.Expiry, time.Minute)
}

type oauth2Func func() (*oauth2.Token, error)

func (f oauth2Func) Token() (*oauth2.Token, error) { return f() }

func TestFromOAuth2HonoursTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, release := 0, make(chan struct{})
		src := outgrant.FromOAuth2(oauth2Func(func() (*oauth2.Token, error) {
			calls++
			<-release
			return &oauth2.Token{AccessToken: "access"}, nil
		}))
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := src.Token(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		synctest.Wait()
		require.Equal(t, 1, calls, "never more than one call")
		close(release)
		token, err := src.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "access", token.AccessToken.Reveal())
	})
}

func TestFromOAuth2ErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(418)
		_, _ = w.Write([]byte("sentinel-body"))
	}))
	defer service.Close()
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, service.Client())
	retrieve := (&oauth2cc.Config{ClientID: "id", ClientSecret: "x", TokenURL: service.URL}).TokenSource(ctx)
	unreachable := oauth2Func(func() (*oauth2.Token, error) {
		return nil, &url.Error{Op: "Post", URL: "https://token.example/?key=sentinel-query", Err: errors.New("refused")}
	})
	for _, src := range []oauth2.TokenSource{retrieve, unreachable} {
		_, err := outgrant.FromOAuth2(src).Token(t.Context())
		var te *outgrant.TokenError
		require.ErrorAs(t, err, &te)
		oauthtest.AssertNoSecrets(t, []string{"sentinel-body", "sentinel-query"}, err)
	}
	_, err := outgrant.FromOAuth2(retrieve).Token(t.Context())
	require.ErrorContains(t, err, "418")
	var te *outgrant.TokenError
	require.ErrorAs(t, err, &te)
	require.Equal(t, 7*time.Second, te.RetryAfter)
	_, err = outgrant.FromOAuth2(oauth2Func(func() (*oauth2.Token, error) {
		return nil, &oauth2.RetrieveError{ErrorCode: "a\nb", ErrorDescription: "forged\nline " + strings.Repeat("x", 5000)}
	})).Token(t.Context())
	require.NotContains(t, err.Error(), "\n")
	require.Less(t, len(err.Error()), 500)
	_, err = outgrant.ToOAuth2(t.Context(), nil).Token()
	require.ErrorContains(t, err, "nil")
	_, err = outgrant.FromOAuth2(nil).Token(t.Context())
	require.ErrorContains(t, err, "nil")
	_, err = outgrant.Cached(outgrant.FromOAuth2(oauth2Func(func() (*oauth2.Token, error) { return nil, nil })), nil).Token(t.Context())
	require.ErrorContains(t, err, "neither a token nor an error")
}
