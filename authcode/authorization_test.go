package authcode_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// full is an authorization that has everything.
func full() authcode.Authorization {
	at := func(n int) time.Time { return time.Date(2026, 1, n, 1, 2, 3, 456789, time.UTC) }
	token := &outgrant.Token{AccessToken: "the access token", Type: "Bearer", Expiry: at(1), Scopes: []string{"mail", "calendar"}, User: "alice"}
	return authcode.Authorization{
		Binding: "0123456789abcdef", User: "alice", RefreshToken: "the refresh token",
		Token:       token.WithExtra(map[string]any{"instance_url": "https://a.test", "groups": []any{"x", 1.0, nil}, "id_token": "the ID token"}),
		TokenIssued: at(2), Authorized: at(3), Refreshed: at(4), RefreshIssued: at(5), RefreshExpires: at(6), Fixed: true, Due: at(7),
		Mark:    &authcode.Mark{Holder: "h", Started: at(8), Since: at(9), Until: at(10), Unknown: "answer 503"},
		Refused: &authcode.Refusal{Code: "invalid_grant", Reason: "refused", At: at(11)},
		Failure: &authcode.Refusal{Code: "invalid_client", Reason: "failed", At: at(12)},
	}
}

func TestRevealAndParse(t *testing.T) {
	t.Parallel()
	noToken := full()
	noToken.Token = nil
	for name, a := range map[string]authcode.Authorization{"everything": full(), "nothing": {}, "no access token": noToken} {
		data, err := a.Reveal()
		require.NoError(t, err, name)
		back, err := authcode.ParseAuthorization(data)
		require.NoError(t, err, name)
		require.True(t, sameAuthorization(a, back), name)
	}
	data, err := full().Reveal()
	require.NoError(t, err)
	require.NotContains(t, string(data), "the ID token")
	empty, err := authcode.Authorization{}.Reveal()
	require.NoError(t, err)
	require.Equal(t, "{}", string(empty))
	back, err := authcode.ParseAuthorization(data)
	require.NoError(t, err)
	require.Equal(t, "https://a.test", back.Token.Extra("instance_url"))
	require.Equal(t, []any{"x", 1.0, nil}, back.Token.Extra("groups"))
}

// TestAStoredAuthorizationIsReadable holds what is sealed in stores: its members may become more, and must not be renamed.
func TestAStoredAuthorizationIsReadable(t *testing.T) {
	t.Parallel()
	for _, seed := range readSeeds(t, "testdata/authorizations") {
		if !strings.Contains(seed, "the refresh token") {
			continue
		}
		a, err := authcode.ParseAuthorization([]byte(seed))
		require.NoError(t, err)
		require.True(t, sameAuthorization(full(), a))
		return
	}
	t.Error("the file is missing")
}

// sameAuthorization compares with all secrets.
func sameAuthorization(a, b authcode.Authorization) bool {
	one, err1 := a.Reveal()
	other, err2 := b.Reveal()
	return err1 == nil && err2 == nil && string(one) == string(other)
}

func TestAuthorizationPrintsNoSecret(t *testing.T) {
	t.Parallel()
	a := full()
	wrapped := struct {
		A authcode.Authorization
		P *authcode.Authorization
		M map[string]authcode.Authorization
	}{a, &a, map[string]authcode.Authorization{"x": a}}
	secrets := []string{"the access token", "the refresh token", "the ID token"}
	oauthtest.AssertNoSecrets(t, secrets, a, &a, wrapped, []authcode.Authorization{a}, a.Status(time.Now()), a.Mark, a.Refused)
	require.Equal(t, `authcode.Authorization(of "alice")`, a.String())
	require.Equal(t, "authcode.Authorization(none)", authcode.Authorization{}.String())
	encoded, err := json.Marshal(a)
	require.NoError(t, err)
	require.Equal(t, `"authcode.Authorization(of \"alice\")"`, string(encoded))

	_, err = authcode.ParseAuthorization([]byte(`{"refresh_token":"the refresh token","authorized":"the access token"}`))
	require.EqualError(t, err, "authcode: not an authorization")
	oauthtest.AssertNoSecrets(t, secrets, err)
}

// TestHostileAuthorizations tests what is not one. It is sealed, so nobody but an older or newer version can have made it.
func TestHostileAuthorizations(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "[]", "7", `"text"`, "{", "{}x", `{"refresh_token":7}`, `{"scopes":"mail"}`, `{"scopes":[1]}`, `{"expiry":"soon"}`, `{"expiry":7}`,
		`{"mark":[]}`, `{"mark":{"Until":"x"}}`, `{"fixed":"yes"}`, `{"extra":[]}`, strings.Repeat("[", 100_000),
		`{"authorized":"2026-01-03T01:02:03Z","authorized":false}`,
	} {
		a, err := authcode.ParseAuthorization([]byte(text))
		require.Error(t, err, text[:min(len(text), 40)])
		require.True(t, sameAuthorization(authcode.Authorization{}, a))
	}
	for _, text := range []string{"null", "{}", `{"of a later version":{"x":[1]}}`, `{"mark":null,"refused":null}`, `{"extra":{"x":1}}`, `{"access_token":""}`} {
		a, err := authcode.ParseAuthorization([]byte(text))
		require.NoError(t, err, text)
		require.Nil(t, a.Token)
		require.Equal(t, authcode.Unauthorized, a.Status(time.Now()).State)
	}
}

// FuzzParseAuthorization tests that what is read can be written, and comes back as it was.
func FuzzParseAuthorization(f *testing.F) {
	for _, seed := range readSeeds(f, "testdata/authorizations") {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := authcode.ParseAuthorization(data)
		if err != nil {
			return
		}
		_ = a.Status(time.Now())
		written, err := a.Reveal()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := authcode.ParseAuthorization(written)
		if err != nil || !sameAuthorization(a, back) {
			t.Fatalf("%v, or not the same", err)
		}
	})
}
