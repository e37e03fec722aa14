package oauthtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

func TestIDToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := registeredOptions
		opts.Scopes, opts.Clients = nil, nil
		for _, tc := range []struct {
			user, scope, nonce string
			want               map[string]any // beside iss, aud, sub, iat and exp
		}{
			{"alice", "openid", "", nil},
			{"alice", "openid profile email", "n-1", map[string]any{"preferred_username": "alice", "nonce": "n-1"}},
			{"ops@acme.example", "openid email", "", map[string]any{"email": "ops@acme.example", "email_verified": true}},
		} {
			opts.User = tc.user
			s := inMemory(t, opts)
			q := consent()
			q.Set("scope", tc.scope)
			if tc.nonce != "" {
				q.Set("nonce", tc.nonce)
			}
			r := exchange(newCode(t, s, q)).granted(t, s)
			parsed, err := jwt.ParseSigned(r.text("id_token"), []jose.SignatureAlgorithm{jose.ES256})
			require.NoError(t, err)
			claims := map[string]any{}
			require.NoError(t, parsed.Claims(s.IDTokenKey(), &claims))
			want := map[string]any{"iss": s.Issuer(), "aud": "public", "sub": tc.user,
				"iat": float64(time.Now().Unix()), "exp": float64(time.Now().Add(10 * time.Minute).Unix())}
			for name, value := range tc.want {
				want[name] = value
			}
			require.Equal(t, want, claims)
			require.Error(t, parsed.Claims(inMemory(t, opts).IDTokenKey(), &claims), "each server has a key of its own")
			require.NotContains(t, refresh(r).granted(t, s).members, "id_token")
		}
		s := inMemory(t, opts)
		require.NotContains(t, authorized(t, s, "profile email").members, "id_token", "openid was not asked for")
	})
}
