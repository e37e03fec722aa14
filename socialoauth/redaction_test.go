package socialoauth_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

// unexported holds our types where fmt does not call methods.
type unexported struct {
	twitter  *socialoauth.TwitterSource
	facebook *socialoauth.FacebookSource
	flow     *socialoauth.ThreeLegged
	values   []any
}

// TestNothingPrintsASecret walks every type that reaches a secret through every way of printing.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	const secret = "sentinel"
	keys := socialoauth.TwitterKeys{ConsumerKey: secret, ConsumerSecret: secret, AccessToken: secret, AccessTokenSecret: secret, Name: "X"}
	fbKeys := socialoauth.FacebookKeys{ApplicationID: secret, ApplicationSecret: secret, AccessToken: secret, Name: "FB"}
	cfg := socialoauth.ThreeLeggedConfig{ConsumerKey: secret, ConsumerSecret: secret, CallbackURL: "oob", Name: "LOGIN"}
	cfg.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(oauthtest.NewOAuth1(&oauthtest.OAuth1Options{Consumers: []oauthtest.Consumer{{Key: secret, Secret: secret}}}))}
	twitter := socialoauth.Twitter(keys)
	facebook, err := socialoauth.Facebook(fbKeys)
	require.NoError(t, err)
	flow, err := socialoauth.NewThreeLegged(&cfg)
	require.NoError(t, err)
	pending, err := flow.Begin(t.Context())
	require.NoError(t, err)
	token := socialoauth.AccessToken{Token: secret, TokenSecret: secret, ScreenName: "alice"}
	var all []any
	for want, v := range map[string]any{
		`socialoauth.TwitterKeys("X")`: keys, `socialoauth.FacebookKeys("FB")`: fbKeys, `socialoauth.ThreeLeggedConfig("LOGIN")`: cfg,
		`socialoauth.TwitterSource("X")`: twitter, `socialoauth.FacebookSource("FB")`: facebook, `socialoauth.ThreeLegged("LOGIN")`: flow,
		`socialoauth.Pending`: *pending, `socialoauth.AccessToken(of "alice")`: token,
	} {
		require.Equal(t, want, fmt.Sprintf("%+v", v))
		require.Implements(t, (*fmt.Formatter)(nil), v)
		require.Implements(t, (*slog.LogValuer)(nil), v)
		require.Implements(t, (*json.Marshaler)(nil), v)
		all = append(all, v, []any{v})
	}
	transport := &outgrant.Transport{Source: twitter}
	_, errURL := twitter.Token(t.Context())
	all = append(all, &keys, &fbKeys, &cfg, *twitter, *facebook, *flow, pending, &token, transport, errURL,
		unexported{twitter, facebook, flow, nil}, &unexported{twitter, facebook, flow, nil}, twitter.Describe(), facebook.Describe())
	oauthtest.AssertNoSecrets(t, []string{secret, pending.Token.Reveal(), pending.TokenSecret.Reveal()}, all...)
}
