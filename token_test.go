package outgrant_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	s := outgrant.Secret("sentinel")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.2s", "%t"} {
		require.Equal(t, "[redacted]", fmt.Sprintf(verb, s), verb)
		require.Empty(t, fmt.Sprintf(verb, outgrant.Secret("")), "that a secret is missing is no secret")
	}
	require.Equal(t, "sentinel", s.Reveal())
	b, err := json.Marshal(map[string]any{"s": s, "empty": outgrant.Secret("")})
	require.NoError(t, err)
	require.JSONEq(t, `{"s":"[redacted]","empty":""}`, string(b))
	var back struct{ S outgrant.Secret }
	require.NoError(t, json.Unmarshal([]byte(`{"S":"sentinel"}`), &back))
	require.Equal(t, s, back.S)
	require.False(t, back.S.IsRedacted())
	require.NoError(t, json.Unmarshal(b, &back))
	require.True(t, back.S.IsRedacted())
}

func TestTokenValidAt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		token *outgrant.Token
		want  bool
	}{
		"nil":             {nil, false},
		"empty":           {&outgrant.Token{}, false},
		"empty but alive": {&outgrant.Token{Expiry: now.Add(time.Hour)}, false},
		"unknown end":     {&outgrant.Token{AccessToken: "a"}, true},
		"alive":           {&outgrant.Token{AccessToken: "a", Expiry: now.Add(time.Nanosecond)}, true},
		"just ended":      {&outgrant.Token{AccessToken: "a", Expiry: now}, false},
		"by wall clock":   {&outgrant.Token{AccessToken: "a", Expiry: now.Round(0).Add(-time.Nanosecond)}, false},
	} {
		require.Equal(t, c.want, c.token.ValidAt(now), name)
	}
}

func TestTokenExtra(t *testing.T) {
	t.Parallel()
	members := map[string]any{"instance_url": "x", "list": []any{"a"}, "names": []string{"n"}, "refresh_token": "sentinel",
		"ID_TOKEN": "sentinel", "client_secret": "sentinel", "saml_assertion": "sentinel", "db_password": "sentinel",
		"refresh_tokens": []any{"sentinel"}, "authed_user": map[string]any{"id": "u", "access_token": "sentinel"}, "teams": []any{map[string]any{"token": "sentinel"}}}
	bare := &outgrant.Token{AccessToken: "a"}
	token := bare.WithExtra(members)
	require.Nil(t, bare.Extra("instance_url"), "the original is not modified")
	require.Equal(t, "a", token.AccessToken.Reveal())
	members["instance_url"] = "changed"
	members["list"].([]any)[0] = "changed"
	require.Equal(t, "x", token.Extra("instance_url"))
	require.Equal(t, []any{"a"}, token.Extra("list"))
	token.Extra("names").([]string)[0] = "changed"
	require.Equal(t, []string{"n"}, token.Extra("names"))
	require.Equal(t, map[string]any{"id": "u"}, token.Extra("authed_user"), "at any depth")
	require.Equal(t, []any{map[string]any{}}, token.Extra("teams"))
	require.Equal(t, "x", (*outgrant.Token)(nil).WithExtra(map[string]any{"a": "x"}).Extra("a"))
	for _, never := range []string{"refresh_tokens", "refresh_token", "ID_TOKEN", "client_secret", "saml_assertion", "db_password", "absent"} {
		require.Nil(t, token.Extra(never), never)
	}
	require.Nil(t, (*outgrant.Token)(nil).Extra("x"))
}

// TestCopiedToken: a copy with another access token is another token.
func TestCopiedToken(t *testing.T) {
	t.Parallel()
	cached := outgrant.Cached(outgrant.StaticToken("inner"), &outgrant.CacheOptions{Wrap: func(src outgrant.TokenSource) outgrant.TokenSource {
		return outgrant.TokenSourceFunc(func(ctx context.Context) (*outgrant.Token, error) {
			token, err := src.Token(ctx)
			if err != nil {
				return nil, err
			}
			exchanged := *token
			exchanged.AccessToken = "exchanged"
			return &exchanged, nil
		})
	}})
	token, err := cached.Token(t.Context())
	require.NoError(t, err)
	extended := token.WithExtra(nil)
	extended.AccessToken, extended.Type = "extended", "bEARER"
	for want, src := range map[string]outgrant.TokenSource{
		"Bearer exchanged": cached,
		"Bearer extended":  outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) { return extended, nil }),
	} {
		var sent string
		client := &http.Client{Transport: &outgrant.Transport{Source: src, Base: roundTripFunc(func(req *http.Request) (*http.Response, error) {
			sent = req.Header.Get("Authorization")
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})}}
		_, err = client.Get("https://receiver.test/")
		require.NoError(t, err)
		require.Equal(t, want, sent)
	}
}

// TestTokenIsKeptOnce: a cached token's bytes are in memory once, in the header that is worked out ahead.
func TestTokenIsKeptOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "Bearer", "bEARER", "PoP"} {
		original := &outgrant.Token{AccessToken: "the-access-token", Type: kind}
		cached := outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) { return original, nil }), nil)
		token, err := cached.Token(t.Context())
		require.NoError(t, err)
		var header string
		client := &http.Client{Transport: &outgrant.Transport{Source: cached, Base: roundTripFunc(func(req *http.Request) (*http.Response, error) {
			header = req.Header.Get("Authorization")
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})}}
		_, err = client.Get("https://receiver.test/")
		require.NoError(t, err)
		require.Equal(t, outgrant.Secret("the-access-token"), token.AccessToken)
		require.Equal(t, outgrant.Secret("the-access-token"), original.AccessToken)
		end := header[len(header)-len(token.AccessToken):]
		require.Equal(t, token.AccessToken.Reveal(), end)
		require.Same(t, unsafe.StringData(end), unsafe.StringData(token.AccessToken.Reveal()), "the same bytes, for %q", kind)
	}
}

// TestTokenWithoutExtra keeps nothing for members that there are not.
func TestTokenWithoutExtra(t *testing.T) {
	t.Parallel()
	bare := &outgrant.Token{AccessToken: "a"}
	for name, members := range map[string]map[string]any{"nil": nil, "none": {}, "only secrets": {"refresh_token": "sentinel"}} {
		require.Equal(t, bare, bare.WithExtra(members), name)
		require.Nil(t, bare.WithExtra(members).Extra("refresh_token"), name)
	}
	with := bare.WithExtra(map[string]any{"a": "x"})
	require.Equal(t, "x", with.Extra("a"))
	require.Equal(t, bare, with.WithExtra(nil), "replaced by none")
	require.Equal(t, "x", with.Extra("a"))
}
