package tokenclient_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
	"github.com/outgrant/outgrant/oauthtest"
)

// remoteSigner is a key that stays elsewhere, as in a KMS: nothing but crypto.Signer is known of it.
type remoteSigner struct{ key crypto.Signer }

func (s remoteSigner) Public() crypto.PublicKey { return s.key.Public() }
func (s remoteSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(random, digest, opts)
}

func TestClientAssertion(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	// Signatures are verified as RFC 7518 has them, and not by the library that made them.
	for algorithm, c := range map[string]struct {
		key    crypto.Signer
		verify func(digest, signature []byte) bool
	}{
		"":      {rsaKey, func(d, s []byte) bool { return rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, d, s) == nil }},
		"RS256": {rsaKey, func(d, s []byte) bool { return rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, d, s) == nil }},
		"PS256": {rsaKey, func(d, s []byte) bool {
			return rsa.VerifyPSS(&rsaKey.PublicKey, crypto.SHA256, d, s, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}},
		"ES256": {p256, func(d, s []byte) bool {
			return len(s) == 64 && ecdsa.Verify(&p256.PublicKey, d, new(big.Int).SetBytes(s[:32]), new(big.Int).SetBytes(s[32:]))
		}},
		"EdDSA": {ed, nil},
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			client := newClient(t, outgrant.ClientAuth{Method: outgrant.PrivateKeyJWT, Key: remoteSigner{c.key}, KeyID: "k1", Algorithm: algorithm},
				func(w http.ResponseWriter, r *http.Request) {
					parts := strings.Split(r.FormValue("client_assertion"), ".")
					if len(parts) != 3 {
						t.Errorf("not a JWS: %d parts", len(parts))
						return
					}
					var header, claims map[string]any
					decode(t, parts[0], &header)
					decode(t, parts[1], &claims)
					signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
					if digest := sha256.Sum256([]byte(parts[0] + "." + parts[1])); c.verify != nil && !c.verify(digest[:], signature) {
						t.Error("the signature is wrong")
					}
					want := algorithm
					if want == "" {
						want = "RS256"
					}
					if header["alg"] != want || header["kid"] != "k1" || claims["iss"] != "id" || claims["sub"] != "id" || claims["aud"] != tokenURL {
						t.Errorf("header %v, claims %v", header, claims)
					}
					if life := claims["exp"].(float64) - claims["iat"].(float64); life <= 0 || life > 600 {
						t.Errorf("it lives %v s", life)
					}
					if jti := claims["jti"].(string); len(jti) < 16 || seen[jti] {
						t.Errorf("jti %q is not fresh", jti)
					} else {
						seen[jti] = true
					}
					if r.FormValue("client_id") != "id" || r.FormValue("client_secret") != "" {
						t.Error("client_id, and no secret, go with it")
					}
					_, _ = io.WriteString(w, `{"access_token":"access"}`)
				})
			for range 3 {
				_, err := client.Ask(t.Context(), &tokenclient.Request{})
				require.NoError(t, err)
			}
		})
	}
}

func decode(t *testing.T, part string, into any) {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Error(err)
	}
}

func newClient(t testing.TB, auth outgrant.ClientAuth, h http.HandlerFunc) *tokenclient.Client {
	t.Helper()
	client, err := tokenclient.New(tokenclient.Config{Name: "CRED", TokenURL: tokenURL + "?sap-client=100&key=sentinel-query", ClientID: "id",
		Auth:       func(context.Context) (outgrant.ClientAuth, error) { return auth, nil },
		HTTPClient: &http.Client{Transport: oauthtest.HandlerTransport(h)}})
	require.NoError(t, err)
	return client
}

func TestCheckAuth(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for want, auth := range map[string]outgrant.ClientAuth{
		"ClientSecret: missing; client_secret_basic": {},
		"ClientSecret: missing; client_secret_post":  {Method: outgrant.ClientSecretPost},
		"ClientSecret: is the printed form":          {Secret: "[redacted]"},
		"ClientSecret: must not be set":              {Method: outgrant.PrivateKeyJWT, Secret: "s"},
		"Certificate: missing":                       {Method: outgrant.TLSClientAuth},
		"Key: missing":                               {Method: outgrant.PrivateKeyJWT},
		"Key: must not be set":                       {Secret: "s", Key: rsaKey},
		"Key: a *ecdsa.PublicKey cannot sign":        {Method: outgrant.PrivateKeyJWT, Key: key},
		`Algorithm: "ES256" does not fit`:            {Method: outgrant.PrivateKeyJWT, Key: rsaKey, Algorithm: "ES256"},
		`Algorithm: "none" does not fit`:             {Method: outgrant.PrivateKeyJWT, Key: rsaKey, Algorithm: "none"},
		"Auth: unknown":                              {Method: 99},
		"method none":                                {Method: outgrant.None, Secret: "s"},
	} {
		require.ErrorContains(t, tokenclient.CheckAuth(auth, time.Now()), want)
	}
	require.ErrorContains(t, tokenclient.CheckAuth(outgrant.ClientAuth{Method: outgrant.PrivateKeyJWT, Key: (*rsa.PrivateKey)(nil)}, time.Now()), "Key: missing")
	require.NoError(t, tokenclient.CheckAuth(outgrant.ClientAuth{Method: outgrant.None}, time.Now()))
}

// TestRotatedSecret has the token service take new-secret only from a certain point, before or after the client.
func TestRotatedSecret(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	valid, current, asked := "old-secret", outgrant.ClientAuth{Secret: "old-secret"}, 0
	client, err := tokenclient.New(tokenclient.Config{TokenURL: tokenURL, ClientID: "id",
		Auth: func(context.Context) (outgrant.ClientAuth, error) { return current, nil },
		HTTPClient: &http.Client{Transport: oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			if _, secret, _ := r.BasicAuth(); secret != valid {
				answering(401, "application/json", `{"error":"invalid_client"}`)(w, r)
				return
			}
			answering(200, "application/json", `{"access_token":"access"}`)(w, r)
		}))}})
	require.NoError(t, err)
	ask := func() (int, error) {
		asked = 0
		_, err := client.Ask(t.Context(), &tokenclient.Request{})
		return asked, err
	}
	n, err := ask()
	require.NoError(t, err)
	require.Equal(t, 1, n)

	current.Secret = "new-secret" // here first
	n, err = ask()
	require.NoError(t, err, "the previous one is tried")
	require.Equal(t, 2, n)
	valid = "new-secret"
	n, err = ask()
	require.NoError(t, err)
	require.Equal(t, 1, n)
	valid = "newest-secret" // the token service first
	n, err = ask()
	require.Error(t, err)
	require.Equal(t, 1, n, "there is no other")
	current.Secret = "wrong-secret"
	n, err = ask()
	require.Error(t, err)
	require.Equal(t, 2, n, "once")
	n, err = ask()
	require.Error(t, err)
	require.Equal(t, 1, n, "and not again, as it is refused too")
	current.Secret = "newest-secret"
	_, err = ask()
	require.NoError(t, err)
}

func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	const param = "sentinel-param"
	basic := base64.StdEncoding.EncodeToString([]byte("id:" + url.QueryEscape(clientSecret)))
	secrets := []string{clientSecret, param, "sentinel-query", basic}
	for name, auth := range map[string]outgrant.ClientAuth{
		"basic": {Secret: clientSecret}, "post": {Method: outgrant.ClientSecretPost, Secret: clientSecret},
		"key": {Method: outgrant.PrivateKeyJWT, Key: key},
	} {
		for reflects, h := range map[string]http.HandlerFunc{
			// Token services that quote what they were sent, in their error's description and code.
			"description": func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				form, _ := url.ParseQuery(string(body))
				_, secret, _ := r.BasicAuth()
				text := fmt.Sprint(r.URL, " ", r.Header, " ", string(body), form, secret)
				w.WriteHeader(400)
				_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_request", "error_description": text})
			},
			"code": func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(400)
				_ = json.NewEncoder(w).Encode(map[string]string{"error": r.FormValue("custom")})
			},
			"redirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://elsewhere.example/?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
			},
			"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		} {
			t.Run(name+"/"+reflects, func(t *testing.T) {
				t.Parallel()
				var assertion string
				client := newClient(t, auth, func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					form, _ := url.ParseQuery(string(body))
					assertion = form.Get("client_assertion")
					r.Body = io.NopCloser(strings.NewReader(string(body)))
					h(w, r)
				})
				_, err := client.Ask(t.Context(), &tokenclient.Request{
					Form: url.Values{"custom": {param}}, Secrets: []outgrant.Secret{param}})
				require.Error(t, err)
				all := secrets
				if assertion != "" {
					all = append(all[:len(all):len(all)], assertion)
				}
				oauthtest.AssertNoSecrets(t, all, err)
				require.ErrorContains(t, err, `"CRED"`)
				require.ErrorContains(t, err, "token.example")
			})
		}
	}
}

// quotingError holds a request as debugging round trippers' errors do.
type quotingError struct {
	text   string
	Header http.Header
	Body   []byte
	cause  error
}

func (e quotingError) Error() string { return e.text }
func (e quotingError) Unwrap() error { return e.cause }

// brokenBody fails while it is read.
type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
func (brokenBody) Close() error               { return nil }

// TestOddTransports uses round trippers whose own errors hold the request, in their texts or in their fields.
func TestOddTransports(t *testing.T) {
	t.Parallel()
	for name, texts := range map[string]func(body string) string{
		"nothing in the text": func(string) string { return "boom" },
		"as it is":            func(body string) string { return body },
		"quoted":              func(body string) string { return fmt.Sprintf("%q", body) },
		"base64":              func(body string) string { return base64.StdEncoding.EncodeToString([]byte("x" + body)) },
		"escaped":             func(body string) string { return strings.ToLower(url.QueryEscape(body)) },
	} {
		for _, json := range []bool{true, false} {
			for where, rt := range map[string]func(error) roundTripFunc{
				"error": func(err error) roundTripFunc { return func(*http.Request) (*http.Response, error) { return nil, err } },
				"body": func(err error) roundTripFunc {
					return func(*http.Request) (*http.Response, error) {
						return &http.Response{StatusCode: 200, Body: brokenBody{err}}, nil
					}
				},
				"content type": func(err error) roundTripFunc {
					return func(*http.Request) (*http.Response, error) {
						return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/" + err.Error()}}, Body: io.NopCloser(strings.NewReader("<"))}, nil
					}
				},
			} {
				t.Run(fmt.Sprint(name, "/", where, "/JSON ", json), func(t *testing.T) {
					t.Parallel()
					const secret = `pa"ss&w\ord<>`
					client, err := tokenclient.New(tokenclient.Config{TokenURL: tokenURL, ClientID: "id",
						HTTPClient: &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
							body, _ := io.ReadAll(req.Body)
							return rt(quotingError{texts(string(body)), req.Header, body, context.Canceled})(req)
						})},
						Auth: func(context.Context) (outgrant.ClientAuth, error) {
							return outgrant.ClientAuth{Method: outgrant.ClientSecretPost, Secret: secret}, nil
						}})
					require.NoError(t, err)
					_, err = client.Ask(t.Context(), &tokenclient.Request{JSON: json})
					require.Error(t, err)
					oauthtest.AssertNoSecrets(t, []string{secret}, err)
					require.Equal(t, where != "content type", errors.Is(err, context.Canceled), "what it is can be asked all the same")
				})
			}
		}
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
