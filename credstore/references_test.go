package credstore_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
)

func secureParameter(t testing.TB, value string) []byte {
	t.Helper()
	data, err := json.Marshal([]map[string]string{{"type": "Secure Parameter", "name": "X", "secureParameter": value}})
	require.NoError(t, err)
	return data
}

func written(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// TestLoadArtifacts loads what the documentation shows.
func TestLoadArtifacts(t *testing.T) {
	t.Setenv("S4_SECRET", "S3NTINEL-client")
	t.Setenv("SF_P12", "S3NTINEL-password")
	t.Setenv("MAIL_SECRET", "S3NTINEL-app")
	got, err := credstore.LoadArtifacts([]byte(`[
		{"type": "OAuth2 Client Credentials", "name": "S4_ORDERS", "description": "", "tokenServiceUrl": "https://acme.example/oauth/token",
		 "clientId": "sb-1", "clientSecret": "${env:S4_SECRET}", "clientAuthentication": "body", "grantType": "url", "scope": "read write",
		 "contentType": "application/x-www-form-urlencoded", "resource": "", "audience": "", "customParameters": [{"key": "k", "value": "v", "sendAs": "header"}]},
		{"type": "OAuth2 SAML Bearer Assertion", "name": "SF_TASKS", "audience": "www.successfactors.com", "clientKey": "api-key-1", "tokenServiceUrl": "https://api.example/oauth/token",
		 "targetSystemType": "SuccessFactors", "companyId": "ACME", "userId": "Principal Propagation", "userIdSource": "email", "keyPairAlias": "sf-signing"},
		{"type": "OAuth2 Authorization Code", "name": "MAILBOX", "provider": "Microsoft 365", "authorizationUrl": "https://idp.example/authorize?access_type=offline",
		 "tokenServiceUrl": "https://idp.example/token", "refreshTokenExpiryDays": 90, "clientId": "app-1", "clientSecret": "${env:MAIL_SECRET}", "sendAs": "body",
		 "userName": "ops@acme.example", "scope": "https://outlook.office.com/SMTP.Send", "redirectUrl": "https://app.example/callback"},
		{"type": "Secure Parameter", "name": "tw-consumer-key", "secureParameter": "S3NTINEL-parameter"},
		{"type": "Key Pair", "name": "sf-signing", "pkcs12": "${file:testdata/keys/signing.p12}", "password": "${env:SF_P12}"},
		{"type": "Key Pair", "name": "pem", "pem": "${file:testdata/keys/signing.pem}"} ]`))
	require.NoError(t, err)
	require.Equal(t, orders(func(a *credstore.ClientCredentials) {
		a.ClientAuthentication, a.GrantType, a.Scope, a.ContentType = credstore.InBody, credstore.InURL, "read write", credstore.FormContent
		a.CustomParameters = []credstore.CustomParameter{{Key: "k", Value: "v", SendAs: credstore.InHeader}}
	})[0], got[0])
	require.Equal(t, tasks(func(a *credstore.SAMLBearerAssertion) {
		a.UserID, a.UserIDSource = credstore.PrincipalPropagation, "email"
	})[0], got[1])
	require.Equal(t, mailbox(func(a *credstore.AuthorizationCode) {
		a.Provider, a.RefreshTokenExpiryDays, a.SendAs, a.UserName = credstore.Microsoft365, 90, credstore.InBody, "ops@acme.example"
		a.Scope, a.RedirectURL = "https://outlook.office.com/SMTP.Send", "https://app.example/callback"
	})[0], got[2])
	require.Equal(t, &credstore.SecureParameter{Name: "tw-consumer-key", Value: "S3NTINEL-parameter"}, got[3])
	require.Equal(t, signingPair(t), got[4])
	require.Equal(t, outgrant.Secret(strings.TrimSuffix(pemOf(t, "signing").Reveal(), "\n")), got[5].(*credstore.KeyPair).PEM)
}

func TestLoadArtifactsReadsFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ content, want string }{
		"no line end":        {"S3NTINEL", "S3NTINEL"},
		"a line end":         {"S3NTINEL\n", "S3NTINEL"},
		"as Windows has it":  {"S3NTINEL\r\n", "S3NTINEL"},
		"two line ends":      {"S3NTINEL\n\n", "S3NTINEL\n"},
		"lines":              {"S3N\nTINEL\n", "S3N\nTINEL"},
		"blanks":             {" S3NTINEL \n", " S3NTINEL "},
		"a carriage return":  {"S3NTINEL\r", "S3NTINEL\r"},
		"a byte order mark":  {"\ufeffS3NTINEL\n", "S3NTINEL"},
		"looks like a quote": {`"S3NTINEL"`, `"S3NTINEL"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := credstore.LoadArtifacts(secureParameter(t, "${file:"+written(t, test.content)+"}"))
			require.NoError(t, err)
			require.Equal(t, outgrant.Secret(test.want), got[0].(*credstore.SecureParameter).Value)
		})
	}
}

func TestLoadArtifactsRefusesFiles(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	missing := filepath.Join(folder, "missing")
	_, err := credstore.LoadArtifacts(secureParameter(t, "${file:"+missing+"}"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, `artifacts[0] "X": secureParameter: file `+missing+": ")
	require.Equal(t, 1, strings.Count(err.Error(), missing), "the path once: %v", err)

	for name, test := range map[string]struct{ path, want string }{
		"a folder":  {folder, "not a regular file"},
		"empty":     {written(t, ""), "empty"},
		"too large": {written(t, strings.Repeat("x", 1<<20+1)), "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := credstore.LoadArtifacts(secureParameter(t, "${file:"+test.path+"}"))
			require.EqualError(t, err, `artifacts[0] "X": secureParameter: file `+test.path+": "+test.want)
		})
	}
	for name, test := range map[string]struct{ content, want string }{
		"not UTF-8":    {"S3NTINEL\xff", "not UTF-8"},
		"a line end":   {"\n", "missing"},
		"too long":     {"S3NTINEL" + strings.Repeat("x", 4096), "4104 characters; at most 4096 are allowed"},
		"a reference":  {"${env:HOME}", "a reference, such as ${env:NAME}, must be the whole value, and is replaced by LoadArtifacts alone, for files that you trust"},
		"a print form": {"[redacted]\n", "is the printed form of a secret, not the secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := credstore.LoadArtifacts(secureParameter(t, "${file:"+written(t, test.content)+"}"))
			require.EqualError(t, err, `artifacts[0] "X": secureParameter: `+test.want)
		})
	}
}

func TestLoadArtifactsRefusesReferences(t *testing.T) {
	t.Setenv("OUTGRANT_TEST_EMPTY", "")
	t.Setenv("OUTGRANT_TEST_SECRET", "S3NTINEL-secret")
	const whole = "a reference, such as ${env:NAME}, must be the whole value, and is replaced by LoadArtifacts alone, for files that you trust"
	for value, want := range map[string]string{
		"${env:OUTGRANT_TEST_UNSET}":         "environment variable OUTGRANT_TEST_UNSET is not set",
		"${env:OUTGRANT_TEST_EMPTY}":         "environment variable OUTGRANT_TEST_EMPTY is empty",
		"${env: OUTGRANT_TEST_SECRET}":       "environment variable  OUTGRANT_TEST_SECRET is not set",
		"${vault:OUTGRANT_TEST_SECRET}":      `a reference of an unknown kind, "vault": use ${env:NAME} or ${file:PATH}`,
		"${ENV:OUTGRANT_TEST_SECRET}":        `a reference of an unknown kind, "ENV": use ${env:NAME} or ${file:PATH}`,
		"Bearer ${env:OUTGRANT_TEST_SECRET}": whole,
		"${env:OUTGRANT_TEST_SECRET} ":       whole,
	} {
		_, err := credstore.LoadArtifacts(secureParameter(t, value))
		require.EqualError(t, err, `artifacts[0] "X": secureParameter: `+want, value)
	}
	// What has no meaning here is a text, as passwords may be.
	for _, value := range []string{"$OUTGRANT_TEST_SECRET", "${OUTGRANT_TEST_SECRET}", "a${b:c}d", "{env:X}", "$${x"} {
		got, err := credstore.LoadArtifacts(secureParameter(t, value))
		require.NoError(t, err, value)
		require.Equal(t, outgrant.Secret(value), got[0].(*credstore.SecureParameter).Value)
	}
}

func TestLoadArtifactsReplacesAllStrings(t *testing.T) {
	t.Setenv("OUTGRANT_TEST_NAME", "MAILBOX")
	t.Setenv("OUTGRANT_TEST_VALUE", "S3NTINEL-value")
	t.Setenv("OUTGRANT_TEST_WORD", "header")
	t.Setenv("OUTGRANT_TEST_P12", "bm90IGEgZmlsZQ==")
	got, err := credstore.LoadArtifacts([]byte(`[{"type": "OAuth2 Client Credentials", "name": "${env:OUTGRANT_TEST_NAME}", "clientAuthentication": "${env:OUTGRANT_TEST_WORD}",
		"tokenServiceUrl": "https://acme.example/t", "clientId": "${env:OUTGRANT_TEST_NAME}", "clientSecret": "${env:OUTGRANT_TEST_VALUE}",
		"customParameters": [{"key": "k", "value": "${env:OUTGRANT_TEST_VALUE}"}]}]`))
	require.NoError(t, err)
	require.Equal(t, &credstore.ClientCredentials{Name: "MAILBOX", ClientAuthentication: credstore.InHeader, TokenServiceURL: "https://acme.example/t", ClientID: "MAILBOX",
		ClientSecret: "S3NTINEL-value", CustomParameters: []credstore.CustomParameter{{Key: "k", Value: "S3NTINEL-value"}}}, got[0])

	_, err = credstore.LoadArtifacts([]byte(`[{"type": "Key Pair", "name": "p12", "pkcs12": "${env:OUTGRANT_TEST_P12}"},
		{"type": "Key Pair", "name": "b", "pkcs12": "${env:OUTGRANT_TEST_VALUE}"}, {"type": "Key Pair", "name": "c", "pkcs12": "${vault:x}"},
		{"type": "Key Pair", "name": "d", "pkcs12": "${env:OUTGRANT_TEST_UNSET}"}, {"type": "Key Pair", "name": "e", "pkcs12": 5}]`))
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 5)
	require.True(t, strings.HasPrefix(lines[0], `artifacts[0] "p12": pkcs12: cannot read the PKCS#12 file: `), lines[0])
	require.Equal(t, []string{
		`artifacts[1] "b": pkcs12: not base64: give the file's bytes in base64, or ${file:PATH} to LoadArtifacts`,
		`artifacts[2] "c": pkcs12: a reference of an unknown kind, "vault": use ${env:NAME} or ${file:PATH}`,
		`artifacts[3] "d": pkcs12: environment variable OUTGRANT_TEST_UNSET is not set`,
		`artifacts[4] "e": pkcs12: not a string`}, lines[1:])
}
