package tokenclient_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/tokenclient"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const (
	clientSecret = "sentinel/client secret"
	tokenURL     = "https://token.example/oauth/token"
)

// ask sends a token request to a handler.
func ask(t testing.TB, h http.HandlerFunc) (*tokenclient.Answer, error) {
	t.Helper()
	client, err := tokenclient.New(tokenclient.Config{
		Name: "CRED", Grant: outgrant.ClientCredentials, TokenURL: tokenURL, ClientID: "id",
		Auth: func(context.Context) (outgrant.ClientAuth, error) {
			return outgrant.ClientAuth{Method: outgrant.ClientSecretPost, Secret: clientSecret}, nil
		},
		HTTPClient: &http.Client{Transport: oauthtest.HandlerTransport(h)},
	})
	require.NoError(t, err)
	return client.Ask(t.Context(), &tokenclient.Request{})
}

func answering(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestExpiresIn(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		`3600`: time.Hour, `"3600"`: time.Hour, `" 3600 "`: time.Hour, `3599.5`: 3599500 * time.Millisecond, `"3599.5"`: 3599500 * time.Millisecond, `1e3`: 1000 * time.Second,
		`0`: 0, `-1`: 0, `"-3600"`: 0, `null`: 0, `"soon"`: 0, `""`: 0, `true`: 0, `[3600]`: 0, `{}`: 0, `"NaN"`: 0, `-1e300`: 0,
		`1e300`: 10 * 365 * 24 * time.Hour, `"1e999"`: 10 * 365 * 24 * time.Hour, `1e400`: 10 * 365 * 24 * time.Hour, `-1e400`: 0, `99999999999999999999`: 10 * 365 * 24 * time.Hour, `"Inf"`: 10 * 365 * 24 * time.Hour,
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			before := time.Now()
			answer, err := ask(t, answering(200, "application/json", `{"access_token":"access","expires_in":`+value+`}`))
			require.NoError(t, err)
			if want == 0 {
				require.True(t, answer.Token.Expiry.IsZero(), "unknown")
				return
			}
			require.WithinDuration(t, before.Add(want), answer.Token.Expiry, 10*time.Second)
		})
	}
	t.Run("absent", func(t *testing.T) {
		answer, err := ask(t, answering(200, "application/json", `{"access_token":"access"}`))
		require.NoError(t, err)
		require.True(t, answer.Token.Expiry.IsZero())
		require.Equal(t, "Bearer", answer.Token.Type)
		require.Nil(t, answer.Token.Scopes)
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const json = "application/json"
	for name, c := range map[string]struct {
		status       int
		contentType  string
		body         string
		wantErr      string // "" for a token
		wantCode     string
		wantRetrying bool
	}{
		"a number that is too large":  {200, json, `{"access_token":"access","serial":1e400,"deep":[{"n":1e999}]}`, "", "", false},
		"plain":                       {200, json, `{"access_token":"access"}`, "", "", false},
		"201":                         {201, json, `{"access_token":"access"}`, "", "", false},
		"no content type":             {200, "", `{"access_token":"access"}`, "", "", false},
		"wrong content type":          {200, "text/html", `{"access_token":"access"}`, "", "", false},
		"byte order mark and blanks":  {200, json, "\xef\xbb\xbf \n{\"access_token\":\"access\"}\n ", "", "", false},
		"error null on success":       {200, json, `{"access_token":"access","error":null,"error_description":""}`, "", "", false},
		"error empty on success":      {200, json, `{"access_token":"access","error":""}`, "", "", false},
		"bearer in odd case":          {200, json, `{"access_token":"access","token_type":"bEARER"}`, "", "", false},
		"BearerToken":                 {200, json, `{"access_token":"access","token_type":"BearerToken"}`, "", "", false},
		"a form":                      {200, "application/x-www-form-urlencoded; charset=utf-8", `access_token=access&expires_in=60`, "", "", false},
		"a form as plain text":        {200, "text/plain", `access_token=access`, "", "", false},
		"dpop":                        {200, json, `{"access_token":"access","token_type":"DPoP"}`, `"DPoP"`, "", false},
		"mac":                         {200, json, `{"access_token":"access","token_type":"mac"}`, "unsupported token type", "", false},
		"no token":                    {200, json, `{"token_type":"Bearer"}`, "no access_token", "", true},
		"token is a number":           {200, json, `{"access_token":12345}`, "no access_token", "", true},
		"token is empty":              {200, json, `{"access_token":""}`, "no access_token", "", true},
		"token with a line break":     {200, json, `{"access_token":"access\r\nX-Evil: 1"}`, "cannot be sent", "", true},
		"token with a blank":          {200, json, `{"access_token":"acc ess"}`, "cannot be sent", "", true},
		"token not ASCII":             {200, json, `{"access_token":"accéss"}`, "cannot be sent", "", true},
		"wrong case of the member":    {200, json, `{"Access_Token":"access"}`, "no access_token", "", true},
		"empty":                       {200, json, ``, "empty", "", true},
		"blank":                       {200, json, "  \n", "empty", "", true},
		"truncated":                   {200, json, `{"access_token":"acc`, "not valid JSON", "", true},
		"truncated after a member":    {200, json, `{"access_token":"access"`, "not valid JSON", "", true},
		"trailing data":               {200, json, `{"access_token":"access"} x`, "not valid JSON", "", true},
		"two documents":               {200, json, `{"access_token":"access"}{"access_token":"other"}`, "not valid JSON", "", true},
		"an array":                    {200, json, `["access_token"]`, "not a token response", "", true},
		"a text":                      {200, json, `"access_token"`, "not a token response", "", true},
		"duplicate member":            {200, json, `{"access_token":"access","access_token":"other"}`, "twice", "", true},
		"duplicate by escape":         {200, json, `{"access_token":"access","\u0061ccess_token":"other"}`, "twice", "", true},
		"duplicate in a form":         {200, "text/plain", `access_token=access&access_token=other`, "twice", "", true},
		"not UTF-8":                   {200, json, "{\"access_token\":\"acc\xff\"}", "not UTF-8", "", true},
		"deeply nested":               {200, json, `{"access_token":"access","x":` + strings.Repeat("[", 300_000) + strings.Repeat("]", 300_000) + `}`, "not valid JSON", "", true},
		"a page":                      {200, "text/html", `<html>login</html>`, "not a token response", "", true},
		"huge":                        {200, json, `{"access_token":"access","x":"` + strings.Repeat("x", 1<<20) + `"}`, "larger than 1 MiB", "", true},
		"error in 200":                {200, json, `{"error":"invalid_client"}`, "invalid_client", "invalid_client", false},
		"error and token in 200":      {200, json, `{"error":"invalid_scope","access_token":"access"}`, "invalid_scope", "invalid_scope", false},
		"error in a form":             {200, "text/plain", `error=invalid_grant`, "invalid_grant", "invalid_grant", false},
		"error as an object in 200":   {200, json, `{"error":{"code":1},"access_token":"access"}`, "not a text", "", true},
		"refused":                     {400, json, `{"error":"invalid_scope","error_description":"no such scope"}`, "invalid_scope (no such scope)", "invalid_scope", false},
		"refused by an object":        {400, json, `{"error":{"code":190,"message":"it has\nended"}}`, "answer 400 (it has ended)", "", true},
		"an object that may pass":     {400, json, `{"error":{"code":190,"is_transient":true}}`, "temporarily_unavailable", "temporarily_unavailable", true},
		"an object that quotes":       {400, json, `{"error":{"message":"sentinel/client secret"}}`, "not shown", "", true},
		"refused by UAA":              {401, json, `{"error":"unauthorized","error_description":"Bad credentials"}`, "unauthorized", "unauthorized", false},
		"temporarily unavailable":     {400, json, `{"error":"temporarily_unavailable"}`, "temporarily_unavailable", "temporarily_unavailable", true},
		"server_error":                {400, json, `{"error":"server_error"}`, "server_error", "server_error", true},
		"unknown code":                {400, json, `{"error":"quota_of_the_day"}`, "quota_of_the_day", "quota_of_the_day", true},
		"4xx that says nothing":       {403, "text/html", `<html>blocked</html>`, "answer 403", "", true},
		"404":                         {404, "text/html", ``, "answer 404", "", true},
		"error as an object":          {400, json, `{"error":{"code":400,"message":"x"}}`, "answer 400", "", true},
		"code with control character": {400, json, `{"error":"a\u0007b"}`, "answer 400", "", true},
		"429":                         {429, json, `{"error":"invalid_client"}`, "answer 429", "invalid_client", true},
		"408":                         {408, "", ``, "answer 408", "", true},
		"HTML 503":                    {503, "text/html", `<h1>sorry</h1>`, "answer 503", "", true},
		"500 with a code":             {500, json, `{"error":"invalid_grant"}`, "answer 500", "invalid_grant", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, err := ask(t, answering(c.status, c.contentType, c.body))
			if c.wantErr == "" {
				require.NoError(t, err)
				require.Equal(t, "access", answer.Token.AccessToken.Reveal())
				require.Equal(t, "Bearer", answer.Token.Type)
				return
			}
			require.Nil(t, answer)
			require.ErrorContains(t, err, c.wantErr)
			require.ErrorContains(t, err, `"CRED"`)
			require.ErrorContains(t, err, "token.example")
			var te *outgrant.TokenError
			require.ErrorAs(t, err, &te)
			require.Equal(t, c.status, te.StatusCode)
			require.Equal(t, c.wantCode, te.Code)
			require.Equal(t, tokenURL, te.TokenURL)
			require.Equal(t, c.wantRetrying, te.Temporary(), "temporary")
			require.NotContains(t, err.Error(), "<", "never the body")
		})
	}
}

func TestOtherMembers(t *testing.T) {
	t.Parallel()
	answer, err := ask(t, answering(200, "application/json", `{"access_token":"sentinel-access","refresh_token":"sentinel-refresh","id_token":"sentinel-id",
		"token_type":"bearer","expires_in":60,"scope":"read  write","instance_url":"https://x.example","n":1,"large":1e400,"deep":{"a":[1]},"device_secret":"sentinel-device"}`))
	require.NoError(t, err)
	require.Equal(t, "sentinel-refresh", answer.RefreshToken.Reveal())
	require.Equal(t, "sentinel-id", answer.IDToken.Reveal())
	token := answer.Token
	require.Equal(t, []string{"read", "write"}, token.Scopes)
	require.Equal(t, "https://x.example", token.Extra("instance_url"))
	require.EqualValues(t, 1, token.Extra("n"))
	require.Equal(t, "1e400", token.Extra("large"))
	for _, never := range []string{"access_token", "refresh_token", "id_token", "device_secret", "expires_in", "scope", "token_type", "absent"} {
		require.Nil(t, token.Extra(never), never)
	}
	token.Extra("deep").(map[string]any)["a"].([]any)[0] = "changed"
	require.Equal(t, map[string]any{"a": []any{1.0}}, token.Extra("deep"), "copies")
	oauthtest.AssertNoSecrets(t, []string{"sentinel"}, answer, *answer, token, *token)

	answer, err = ask(t, answering(200, "application/json", `{"access_token":"access","scope":["read","write more"]}`))
	require.NoError(t, err)
	require.Equal(t, []string{"read", "write", "more"}, answer.Token.Scopes)
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"120": 2 * time.Minute, " 5 ": 5 * time.Second, "": 0, "-1": 0, "soon": 0, "99999999999999": math.MaxInt32 * time.Second, "99999999999999999999999": math.MaxInt32 * time.Second, "2147483647": math.MaxInt32 * time.Second,
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat):  time.Hour,
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat): 0,
	} {
		_, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(503)
		})
		var te *outgrant.TokenError
		require.ErrorAs(t, err, &te)
		require.InDelta(t, want, te.RetryAfter, float64(3*time.Second), header)
	}
}

// TestErrorsInAnotherShape: a member of the service's own says what is wrong, and the status which code it is.
func TestErrorsInAnotherShape(t *testing.T) {
	t.Parallel()
	const secret = "sentinel secret of the request"
	own := tokenclient.Config{ErrorMember: "errorMessage", ErrorCodes: map[int]string{401: "invalid_client", 400: "invalid_request"}}
	for name, c := range map[string]struct {
		cfg       tokenclient.Config
		status    int
		body      string
		code      string
		says      string
		temporary bool
	}{
		"known status":         {own, 401, `{"errorMessage":"who are you"}`, "invalid_client", "who are you", false},
		"unknown status":       {own, 418, `{"errorMessage":"teapot"}`, "", "teapot", true},
		"500":                  {own, 500, `{"errorMessage":"oops"}`, "", "oops", true},
		"RFC 6749 goes before": {own, 401, `{"error":"invalid_grant","errorMessage":"other"}`, "invalid_grant", "", false},
		"error is empty":       {own, 401, `{"error":"","errorMessage":"who"}`, "invalid_client", "who", false},
		"error is an object":   {own, 401, `{"error":{"x":1},"errorMessage":"who"}`, "invalid_client", "who", false},
		"no text":              {own, 401, `{"errorMessage":["who"]}`, "invalid_client", "", false},
		"empty":                {own, 401, `{"errorMessage":""}`, "invalid_client", "", false},
		"absent":               {own, 401, `{"message":"who"}`, "invalid_client", "", false},
		"a page":               {own, 401, `<html>`, "invalid_client", "", false},
		"a page of a gateway":  {own, 502, `<html>`, "", "", true},
		"an object":            {tokenclient.Config{ObjectCodes: map[int]string{190: "invalid_grant"}}, 200, `{"error":{"code":190,"message":"it has ended"}}`, "invalid_grant", "it has ended", false},
		"another object":       {tokenclient.Config{ObjectCodes: map[int]string{190: "invalid_grant"}}, 400, `{"error":{"code":2,"message":"no"}}`, "", "no", true},
		"not configured":       {tokenclient.Config{}, 401, `{"errorMessage":"who","":"who"}`, "", "", true},
		"no codes":             {tokenclient.Config{ErrorMember: "errorMessage"}, 401, `{"errorMessage":"who"}`, "", "who", true},
		"quotes a secret":      {own, 401, `{"errorMessage":"you sent ` + secret + `"}`, "invalid_client", "(not shown: it quotes a secret)", false},
		"in lines":             {own, 401, `{"errorMessage":"a\nb\u0007"}`, "invalid_client", "a b", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := c.cfg
			cfg.TokenURL, cfg.ClientID = tokenURL, "id"
			cfg.Auth = func(context.Context) (outgrant.ClientAuth, error) {
				return outgrant.ClientAuth{Method: outgrant.None}, nil
			}
			cfg.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(answering(c.status, "application/json", c.body))}
			client, err := tokenclient.New(cfg)
			require.NoError(t, err)
			_, err = client.Ask(t.Context(), &tokenclient.Request{Secrets: []outgrant.Secret{secret}})
			var te *outgrant.TokenError
			require.ErrorAs(t, err, &te)
			require.Equal(t, c.code, te.Code)
			require.Equal(t, c.says, te.Description)
			require.Equal(t, c.status, te.StatusCode)
			require.Equal(t, c.temporary, te.Temporary())
			require.NotContains(t, err.Error(), "sentinel")
		})
	}
	t.Run("in a success it means nothing", func(t *testing.T) {
		t.Parallel()
		cfg := own
		cfg.TokenURL, cfg.ClientID = tokenURL, "id"
		cfg.Auth = func(context.Context) (outgrant.ClientAuth, error) {
			return outgrant.ClientAuth{Method: outgrant.None}, nil
		}
		cfg.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(answering(200, "application/json", `{"access_token":"access","errorMessage":"none"}`))}
		client, err := tokenclient.New(cfg)
		require.NoError(t, err)
		_, err = client.Ask(t.Context(), &tokenclient.Request{})
		require.NoError(t, err)
	})
}

// TestIssuedTokenType: an exchange gets what it asked for, and only that is exempt from what an access token must be.
func TestIssuedTokenType(t *testing.T) {
	t.Parallel()
	const saml2 = "urn:ietf:params:oauth:token-type:saml2"
	for name, c := range map[string]struct {
		wants, body string
		wantType    string
		wantErr     string
	}{
		"as asked":             {saml2, `{"access_token":"PGE+ \n","issued_token_type":"` + saml2 + `","token_type":"N_A"}`, "N_A", ""},
		"without token_type":   {saml2, `{"access_token":"x","issued_token_type":"` + saml2 + `"}`, "", ""},
		"another":              {saml2, `{"access_token":"sentinel","issued_token_type":"urn:x","token_type":"Bearer"}`, "", `unsupported token type "urn:x": the exchange asked for ` + saml2},
		"none":                 {saml2, `{"access_token":"sentinel","token_type":"N_A"}`, "", `unsupported token type ""`},
		"not a text":           {saml2, `{"access_token":"sentinel","issued_token_type":["` + saml2 + `"]}`, "", "unsupported token type"},
		"no token":             {saml2, `{"issued_token_type":"` + saml2 + `"}`, "", "no access_token"},
		"N_A, but not asked":   {"", `{"access_token":"sentinel","issued_token_type":"` + saml2 + `","token_type":"N_A"}`, "", `unsupported token type "N_A"`},
		"a blank, not asked":   {"", `{"access_token":"sen tinel"}`, "", "cannot be sent in a header"},
		"a quoted secret type": {saml2, `{"access_token":"x","issued_token_type":"the sentinel secret"}`, "", "(not shown: it quotes a secret)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, outgrant.ClientAuth{Method: outgrant.None}, answering(200, "application/json", c.body))
			answer, err := client.Ask(t.Context(), &tokenclient.Request{IssuedTokenType: c.wants, Secrets: []outgrant.Secret{"the sentinel secret"}})
			if c.wantErr == "" {
				require.NoError(t, err)
				require.Equal(t, c.wantType, answer.Token.Type)
				return
			}
			require.ErrorContains(t, err, c.wantErr)
			require.NotContains(t, err.Error(), "sentinel")
		})
	}
}

// FuzzAnswer seeds from the files in testdata/answers, which are answers of odd token services.
func FuzzAnswer(f *testing.F) {
	seeds, err := filepath.Glob("testdata/answers/*")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds in testdata/answers")
	}
	for _, file := range seeds {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(200, "application/json", string(body))
		f.Add(400, "text/plain", string(body))
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		status = 200 + max(status, -status)%400
		answer, err := ask(t, answering(status, contentType, body))
		if err == nil {
			if token := answer.Token; token.AccessToken == "" || strings.ContainsAny(token.AccessToken.Reveal(), "\r\n \x00") {
				t.Errorf("a token that cannot be sent: %q", token.AccessToken.Reveal())
			}
			return
		}
		if text := err.Error(); len(text) > 2000 || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("an error that cannot be shown: %q", text)
		}
		if fmt.Sprintf("%T", err) != "*outgrant.TokenError" {
			t.Errorf("a %T", err)
		}
	})
}
