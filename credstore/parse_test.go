package credstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
)

const (
	sentinel     = "S3NTINEL" // part of every secret in testdata
	refusedStart = "refused-"
)

// jsonFiles returns the vectors of a folder by name. Nothing may pass because they are not found.
func jsonFiles(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + folder + "/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths, "nothing in testdata/%s", folder)
	files := map[string][]byte{}
	for _, path := range paths {
		files[strings.TrimSuffix(filepath.Base(path), ".json")] = readFile(t, path)
	}
	return files
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// requireParsed reads all files of a folder that are good, and compares what they give.
func requireParsed(t *testing.T, folder string, wants map[string][]credstore.Artifact) {
	t.Helper()
	files := jsonFiles(t, folder)
	for name := range wants {
		require.Contains(t, files, name)
	}
	for name, data := range files {
		if strings.HasPrefix(name, refusedStart) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, wants, name, "say what this file should give")
			for _, parse := range []func([]byte) ([]credstore.Artifact, error){credstore.ParseArtifacts, credstore.LoadArtifacts} {
				got, err := parse(data)
				require.NoError(t, err)
				require.Equal(t, wants[name], got)
			}
		})
	}
}

// requireRefused reads all files of a folder that are bad: the whole text of each error is in the file beside it.
func requireRefused(t *testing.T, folder string) {
	t.Helper()
	var refused int
	for name, data := range jsonFiles(t, folder) {
		if !strings.HasPrefix(name, refusedStart) {
			continue
		}
		refused++
		want := string(readFile(t, "testdata/"+folder+"/"+name+".txt"))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := credstore.ParseArtifacts(data)
			require.Error(t, err)
			require.Equal(t, want, err.Error()+"\n")
			require.Nil(t, got)
			require.NotContains(t, err.Error(), sentinel)
		})
	}
	require.NotZero(t, refused)
}

func orders(change func(*credstore.ClientCredentials)) []credstore.Artifact {
	a := &credstore.ClientCredentials{Name: "S4_ORDERS", TokenServiceURL: "https://acme.example/oauth/token", ClientID: "sb-1", ClientSecret: "S3NTINEL-client"}
	if change != nil {
		change(a)
	}
	return []credstore.Artifact{a}
}

func tasks(change func(*credstore.SAMLBearerAssertion)) []credstore.Artifact {
	a := &credstore.SAMLBearerAssertion{Name: "SF_TASKS", Audience: "www.successfactors.com", ClientKey: "api-key-1", TokenServiceURL: "https://api.example/oauth/token",
		TargetSystemType: credstore.SuccessFactors, CompanyID: "ACME", KeyPairAlias: "sf-signing"}
	if change != nil {
		change(a)
	}
	return []credstore.Artifact{a}
}

func cloudFoundry(change func(*credstore.SAMLBearerAssertion)) *credstore.SAMLBearerAssertion {
	a := &credstore.SAMLBearerAssertion{Name: "CF_APP", Audience: "sub.aws-live-eu10", ClientKey: "sb-2",
		TokenServiceURL:  "https://sub.authentication.eu10.example/oauth/token/alias/sub.aws-live-eu10",
		TargetSystemType: credstore.BTPCloudFoundry, KeyPairAlias: "cf-signing",
		TokenServiceUser: "sb-2", TokenServicePassword: "S3NTINEL-password", Issuer: "idp.acme.example"}
	if change != nil {
		change(a)
	}
	return a
}

func mailbox(change func(*credstore.AuthorizationCode)) []credstore.Artifact {
	a := &credstore.AuthorizationCode{Name: "MAILBOX", AuthorizationURL: "https://idp.example/authorize?access_type=offline", TokenServiceURL: "https://idp.example/token",
		ClientID: "app-1", ClientSecret: "S3NTINEL-app"}
	if change != nil {
		change(a)
	}
	return []credstore.Artifact{a}
}

// signingPair is a P-256 key with a certificate of TECHNICAL_USER, which ends in 2999; signing.pem has the same.
func signingPair(t testing.TB) *credstore.KeyPair {
	return &credstore.KeyPair{Name: "sf-signing", PKCS12: readFile(t, "testdata/keys/signing.p12"), Password: "S3NTINEL-password"}
}

func pemOf(t testing.TB, name string) outgrant.Secret {
	return outgrant.Secret(readFile(t, "testdata/keys/"+name+".pem"))
}

func TestParseArtifacts(t *testing.T) {
	t.Parallel()
	names := []string{"a", "A", strings.Repeat("x", 255), "日本 語", "a.b", "...", "S4 Orders (test)", "é"}
	var named []credstore.Artifact
	for _, name := range names {
		named = append(named, &credstore.SecureParameter{Name: name, Value: "S3NTINEL-parameter"})
	}
	requireParsed(t, "artifacts", map[string][]credstore.Artifact{
		"empty-list":               {},
		"client-credentials-least": orders(nil),
		"one-object-alone":         orders(nil),
		"byte-order-mark":          orders(nil),
		"client-credentials-defaults-spelled-out": orders(func(a *credstore.ClientCredentials) {
			a.ClientAuthentication, a.GrantType, a.ContentType = credstore.InBody, credstore.InBody, credstore.FormContent
		}),
		"client-credentials-all": orders(func(a *credstore.ClientCredentials) {
			a.Description, a.ClientAuthentication, a.GrantType, a.Scope = "Orders", credstore.InHeader, credstore.InURL, "read write"
			a.ContentType, a.Resource, a.Audience = credstore.JSONContent, "urn:orders", "orders"
			a.CustomParameters = []credstore.CustomParameter{{Key: "tenant", Value: "S3NTINEL-value"},
				{Key: "X-Tenant", Value: "v", SendAs: credstore.InHeader}, {Key: "q", Value: "v", SendAs: credstore.InURL}}
		}),
		"client-credentials-certificate": orders(func(a *credstore.ClientCredentials) {
			a.ClientSecret, a.ClientAuthentication, a.KeyPairAlias = "", credstore.WithCertificate, "sb-cert"
		}),
		"client-credentials-private-key-jwt": orders(func(a *credstore.ClientCredentials) {
			a.ClientSecret, a.ClientAuthentication, a.KeyPairAlias = "", credstore.WithPrivateKeyJWT, "sb-key"
			a.KeyID, a.SignatureAlgorithm, a.AssertionAudience = "k1", "ES256", "https://acme.example"
		}),
		"saml-successfactors": tasks(nil),
		"saml-technical-user": tasks(func(a *credstore.SAMLBearerAssertion) { a.Audience, a.UserID = "", credstore.KeyPairCommonName }),
		"saml-principal-propagation": tasks(func(a *credstore.SAMLBearerAssertion) {
			a.Description, a.UserID, a.UserIDSource = "Tasks", credstore.PrincipalPropagation, "mail"
			a.Attributes, a.OmitSigningCertificate, a.SAMLAssertionEncoding = map[string]string{"use_username": "true"}, true, credstore.Base64URL
			a.NameIDFormat, a.NameQualifier = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "acme"
			a.AuthnContextClassRef, a.Issuer, a.Recipient = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509", "acme.example", "https://api.example/oauth/token/other"
		}),
		"saml-btp-cf": {cloudFoundry(func(a *credstore.SAMLBearerAssertion) { a.Scope = "a.read a.write" })},
		"saml-btp-neo": {cloudFoundry(func(a *credstore.SAMLBearerAssertion) {
			a.Name, a.TargetSystemType, a.Issuer, a.TokenServiceUser = "NEO_APP", credstore.BTPNeo, "", ""
			a.TokenServiceURL = "https://oauthasservices-acme.hana.example/oauth2/api/v1/token"
		})},
		"saml-generic": {cloudFoundry(func(a *credstore.SAMLBearerAssertion) {
			a.Name, a.TargetSystemType, a.Issuer, a.TokenServiceURL = "S4", credstore.Generic, "", "https://s4.example/sap/bc/sec/oauth2/token?sap-client=100"
		}), cloudFoundry(func(a *credstore.SAMLBearerAssertion) {
			a.Name, a.TargetSystemType, a.Issuer, a.Audience = "SALESFORCE", credstore.Generic, "", "https://login.salesforce.com"
			a.TokenServiceUser, a.TokenServicePassword = "", ""
		})},
		"authorization-code-least": mailbox(nil),
		"authorization-code-all": mailbox(func(a *credstore.AuthorizationCode) {
			a.Description, a.Provider, a.RefreshTokenExpiryDays, a.RedirectURL = "Mail", credstore.Generic, 3, "https://app.example/callback"
			a.SendAs, a.UserName, a.Scope, a.DisablePKCE = credstore.InHeader, "ops@acme.example", "mail.read mail.send", true
			a.ScopeOnRefresh, a.ScopeInURL, a.Issuer, a.RevocationURL = true, true, "https://idp.example", "https://idp.example/revoke"
		}),
		"authorization-code-public": mailbox(func(a *credstore.AuthorizationCode) { a.ClientSecret, a.SendAs = "", credstore.WithoutSecret }),
		"authorization-code-certificate": mailbox(func(a *credstore.AuthorizationCode) {
			a.ClientSecret, a.SendAs, a.KeyPairAlias = "", credstore.WithCertificate, "app-cert"
		}),
		"authorization-code-private-key-jwt": mailbox(func(a *credstore.AuthorizationCode) {
			a.ClientSecret, a.SendAs, a.KeyPairAlias = "", credstore.WithPrivateKeyJWT, "app-key"
		}),
		"microsoft-365-least": mailbox(func(a *credstore.AuthorizationCode) {
			a.Provider, a.AuthorizationURL, a.TokenServiceURL, a.Scope = credstore.Microsoft365, "", "", "https://outlook.office.com/SMTP.Send"
		}),
		"microsoft-365-tenant": mailbox(func(a *credstore.AuthorizationCode) {
			a.Provider, a.AuthorizationURL, a.TokenServiceURL, a.Tenant = credstore.Microsoft365, "", "", "acme.onmicrosoft.com"
			a.RefreshTokenExpiryDays, a.Scope = 30, "openid offline_access"
		}),
		"microsoft-365-urls": mailbox(func(a *credstore.AuthorizationCode) {
			a.Provider, a.AuthorizationURL, a.TokenServiceURL = credstore.Microsoft365, "https://login.example/t1/authorize", "https://login.example/t1/token"
		}),
		"secure-parameter": {&credstore.SecureParameter{Name: "tw-consumer-key", Value: "S3NTINEL-parameter"}},
		"key-pairs": {signingPair(t), &credstore.KeyPair{Name: "pem", PEM: pemOf(t, "signing")},
			&credstore.KeyPair{Name: "broken-lines", PEM: outgrant.Secret(strings.ReplaceAll(pemOf(t, "signing").Reveal(), "\n", `\n`))},
			&credstore.KeyPair{Name: "ended", PEM: pemOf(t, "ended")}},
		"names": named,
	})
}

func TestParseArtifactsRefuses(t *testing.T) {
	t.Parallel()
	requireRefused(t, "artifacts")
}

// TestParseArtifactsIsBrief whatever is uploaded.
func TestParseArtifactsIsBrief(t *testing.T) {
	t.Parallel()
	many := func(format string) string {
		var b strings.Builder
		for i := range 5_000 {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"elements":          "[" + many("%d,") + "0]",
		"artifacts":         "[" + many(`{"type":"Key Pair","name":"%d"},`) + "0]",
		"unknown members":   `{"type":"Key Pair",` + many(`"%d":1,`) + `"x":1}`,
		"known members":     `{"type":"Key Pair"` + many(`,"name":"%d"`) + `}`,
		"custom parameters": `{"type":"OAuth2 Client Credentials","customParameters":[` + many(`{"key":"%d"},`) + `0]}`,
		"attributes":        `{"type":"OAuth2 SAML Bearer Assertion","attributes":{` + many(`"%d":"x",`) + `"x":""}}`,
		"properties":        `{"Authentication":"OAuth2ClientCredentials"` + many(`,"tokenService.body.%d":"x"`) + `}`,
		"one property":      `{"Authentication":"OAuth2ClientCredentials"` + many(`,"clientId":"%d"`) + `}`,
		"refused ones":      `{"Authentication":"OAuth2SAMLBearerAssertion"` + many(`,"tokenService.body.%d":"x"`) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := credstore.ParseArtifacts([]byte(text))
			require.Error(t, err)
			require.LessOrEqual(t, strings.Count(err.Error(), "\n"), 20)
			require.Less(t, len(err.Error()), 10_000)
		})
	}
}

func TestParseArtifactsRefusesText(t *testing.T) {
	t.Parallel()
	good := string(jsonFiles(t, "artifacts")["client-credentials-least"])
	for name, test := range map[string]struct{ text, want string }{
		"nothing":   {"", "artifacts: empty"},
		"not UTF-8": {strings.Replace(good, sentinel, "\xff", 1), "artifacts: not UTF-8 text"},
		"too deep":  {strings.Repeat("[", 20_000), "artifacts: not JSON: wrong in line 1"},
		"too large": {good + strings.Repeat(" ", 16<<20), "artifacts: larger than 16 MiB"},
		"UTF-16":    {"\xff\xfe[\x00]\x00", "artifacts: not UTF-8 text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := credstore.ParseArtifacts([]byte(test.text))
			require.EqualError(t, err, test.want)
		})
	}
}

// TestParseArtifactsOfManyValues: a text of few bytes is not much in memory.
func TestParseArtifactsOfManyValues(t *testing.T) {
	_, err := credstore.ParseArtifacts([]byte("[" + strings.Repeat("{},", 600_000) + "{}]"))
	require.EqualError(t, err, "artifacts: more than 500000 values: cut it into several texts")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = credstore.ParseArtifacts([]byte("[" + strings.Repeat("{},", 400_000) + "{}]"))
	runtime.ReadMemStats(&after)
	require.ErrorContains(t, err, "and 399981 more")
	require.Less(t, len(err.Error()), 10_000)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(600<<20))
	t.Logf("%d MiB", (after.TotalAlloc-before.TotalAlloc)>>20)
}
