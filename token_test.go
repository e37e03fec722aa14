package outgrant_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

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
		"ID_TOKEN": "sentinel", "client_secret": "sentinel", "saml_assertion": "sentinel", "db_password": "sentinel"}
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
	for _, never := range []string{"refresh_token", "ID_TOKEN", "client_secret", "saml_assertion", "db_password", "absent"} {
		require.Nil(t, token.Extra(never), never)
	}
	require.Nil(t, (*outgrant.Token)(nil).Extra("x"))
}
