package credstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// holding has values in unexported fields, where fmt calls no method.
type holding struct {
	store   *credstore.Store
	source  outgrant.TokenSource
	users   outgrant.UserSource
	user    outgrant.TokenSource
	vault   any
	options *credstore.Options
}

// Whatever there is of a store, printed in every way, holds no secret.
func TestSecretsArePrintedNowhere(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		acme := s.Tenant("acme")
		types := eachType(t, p)
		var outputs []any
		for _, a := range types {
			require.NoError(t, acme.Deploy(t.Context(), a))
			own := reflect.New(reflect.TypeOf(a))
			own.Elem().Set(reflect.ValueOf(a))
			outputs = append(outputs, a, own.Interface(), []credstore.Artifact{a}, map[string]any{"a": a}, struct{ A credstore.Artifact }{a})
		}
		require.NoError(t, p.consent(t, acme, acme, "code"))
		for _, name := range []string{"code", "client", "technical"} {
			src := sourceOf(t, acme, name)
			p.token(t, src)
			client, err := acme.Client(t.Context(), name)
			require.NoError(t, err)
			outputs = append(outputs, src, client.Transport, struct{ Source outgrant.TokenSource }{src})
		}
		users, err := acme.UserSource(t.Context(), "users")
		require.NoError(t, err)
		alice := users.ForUser("alice")
		p.token(t, alice)
		src, opts := sourceOf(t, acme, "code"), p.options()
		for name := range types {
			a, err := acme.Artifact(t.Context(), name)
			require.NoError(t, err)
			info := p.infoOf(t, acme, name)
			outputs = append(outputs, a, info)
		}
		grant := grantOf(t, acme, "code")
		outputs = append(outputs, s, acme, *acme, users, alice, acme.Vault(), opts, *opts, grant, &grant,
			holding{acme, src, users, alice, acme.Vault(), opts}, &holding{acme, src, users, alice, acme.Vault(), opts})
		p.mu.Lock()
		secrets := append([]string{"S3NTINEL", "BEGIN PRIVATE KEY", "oucxe3idn+xMq8rPVCyWL4FYcbahRANCAARgnk63hYRU5liks2rWgKoJG2jPo6CQ"}, p.secrets...)
		outputs = append(outputs, p.shown...)
		p.mu.Unlock()
		oauthtest.AssertNoSecrets(t, secrets, outputs...)

		require.Equal(t, `credstore.Store(tenant "acme")`, fmt.Sprintf("%+v", acme))
		require.Equal(t, `credstore.TokenSource("code" of tenant "acme")`, fmt.Sprintf("%#v", src))
		require.Equal(t, `credstore.UserSource("users" of tenant "acme")`, fmt.Sprintf("%#v", users))
		of := users.(outgrant.Describer).Describe()
		require.Equal(t, outgrant.SAMLBearer, of.Grant, "adapters check it")
		require.Equal(t, "users", of.Name)
		require.Equal(t, `credstore.TokenSource(a user of "users" of tenant "acme")`, fmt.Sprintf("%#v", alice), "nor the user")
	})
}

// The errors of everything that can go wrong.
func TestErrorsHoldNoSecrets(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		types := eachType(t, p)
		errs := map[string]error{}
		for _, a := range types {
			require.NoError(t, s.Deploy(t.Context(), a))
		}
		require.NoError(t, p.consent(t, s, s, "code"))
		for name := range types {
			errs["TokenSource "+name] = errOf(s.TokenSource(t.Context(), name))
			errs["UserSource "+name] = errOf(s.UserSource(t.Context(), name))
			errs["SecureParameter "+name] = errOf(s.SecureParameter(t.Context(), name))
		}
		for name, a := range map[string]credstore.Artifact{
			"URL": p.clientCredentials("x", func(a *credstore.ClientCredentials) {
				a.TokenServiceURL = "https://user:S3NTINEL-url@host/?x=S3NTINEL-query"
			}),
			"words": p.clientCredentials("x", func(a *credstore.ClientCredentials) { a.ClientAuthentication = "wrong" }),
			"redacted": p.clientCredentials("x", func(a *credstore.ClientCredentials) {
				a.ClientSecret = outgrant.Secret(outgrant.Secret("S3NTINEL-x").String())
			}),
			"PEM":          credstore.KeyPair{Name: "x", PEM: "S3NTINEL-pem" + pemOf(t, "signing")[60:]},
			"PKCS#12":      credstore.KeyPair{Name: "x", PKCS12: []byte("S3NTINEL-p12"), Password: "S3NTINEL-password"},
			"its password": credstore.KeyPair{Name: "x", PKCS12: readFile(t, "testdata/keys/signing.p12"), Password: "S3NTINEL-wrong"},
			"parameter":    credstore.SecureParameter{Name: "x", Value: outgrant.Secret("S3NTINEL" + string(make([]byte, 5000)))},
			"custom": p.clientCredentials("x", func(a *credstore.ClientCredentials) {
				a.CustomParameters = []credstore.CustomParameter{{Key: "client_secret", Value: "S3NTINEL-custom"}}
			}),
		} {
			errs[name] = s.Deploy(t.Context(), a)
			require.Error(t, errs[name], name)
		}
		for name, fault := range map[string]oauthtest.Fault{
			"refused": oauthtest.Refuse("invalid_client", "the secret S3NTINEL-client-secret is wrong"), "503": oauthtest.HTML503(), "lost": oauthtest.LostResponse(),
			"cut": oauthtest.Truncated(), "away": oauthtest.RetryAfter(time.Minute),
		} {
			for _, of := range []string{"client", "code", "technical"} {
				if of == "technical" && name == "refused" {
					continue // it sends no secret that could come back
				}
				src := sourceOf(t, s, of)
				token, err := src.Token(t.Context())
				require.NoError(t, err)
				p.Inject(oauthtest.Times(3, fault)...)
				src.(outgrant.Invalidator).Invalidate(token)
				errs[name+" of "+of] = errOf(src.Token(t.Context()))
				p.ClearFaults()
				time.Sleep(2 * time.Hour)
				if errOf(src.Token(t.Context())) != nil {
					require.NoError(t, p.consent(t, s, s, "code"))
				}
				time.Sleep(time.Minute)
			}
		}
		p.backend.inject(func(context.Context, string, driver.Key) error { return errDisk })
		for _, a := range types {
			errs["no backend "+a.ArtifactName()] = s.Deploy(t.Context(), a)
		}
		var outputs []any
		for _, err := range errs {
			if err != nil {
				outputs = append(outputs, err, errors.Join(err), fmt.Errorf("wrapped: %w", err))
			}
		}
		require.GreaterOrEqual(t, len(outputs), 3*25)
		oauthtest.AssertNoSecrets(t, append([]string{"S3NTINEL"}, p.secrets[:min(10, len(p.secrets))]...), outputs...)
	})
}
