package credstore_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

// pair returns a key pair of testdata.
func pair(t testing.TB, name string) *tls.Certificate {
	t.Helper()
	cert, err := (&credstore.KeyPair{Name: name, PEM: pemOf(t, name)}).Certificate()
	require.NoError(t, err)
	return cert
}

// fittingPair returns a key pair that the artifact can use, or nil if it needs none.
func fittingPair(t testing.TB, a credstore.Artifact) *tls.Certificate {
	alias, algorithm := "", ""
	switch a := a.(type) {
	case *credstore.ClientCredentials:
		alias, algorithm = a.KeyPairAlias, a.SignatureAlgorithm
	case *credstore.SAMLBearerAssertion:
		alias = a.KeyPairAlias
	case *credstore.AuthorizationCode:
		alias, algorithm = a.KeyPairAlias, a.SignatureAlgorithm
	}
	switch {
	case alias == "":
		return nil
	case strings.HasPrefix(algorithm, "RS"), strings.HasPrefix(algorithm, "PS"):
		return pair(t, "rsa")
	case algorithm != "" && algorithm != "ES256":
		t.Skip("there is no such key in testdata")
	}
	return pair(t, "signing")
}

func TestArtifactsAreValuesAndPointers(t *testing.T) {
	t.Parallel()
	parameters := []credstore.CustomParameter{{Key: "k", Value: "v"}}
	attributes := map[string]string{"a": "b"}
	client := orders(func(a *credstore.ClientCredentials) { a.CustomParameters = parameters })[0].(*credstore.ClientCredentials)
	saml := tasks(func(a *credstore.SAMLBearerAssertion) { a.Attributes = attributes })[0].(*credstore.SAMLBearerAssertion)
	code := mailbox(nil)[0].(*credstore.AuthorizationCode)
	parameter := &credstore.SecureParameter{Name: "p", Value: "x"}
	keys := signingPair(t)
	for _, test := range []struct {
		value, pointer credstore.Artifact
		typ            string
	}{
		{*client, client, "OAuth2 Client Credentials"},
		{*saml, saml, "OAuth2 SAML Bearer Assertion"},
		{*code, code, "OAuth2 Authorization Code"},
		{*parameter, parameter, "Secure Parameter"},
		{*keys, keys, "Key Pair"},
	} {
		for _, given := range []credstore.Artifact{test.value, test.pointer} {
			require.Equal(t, test.typ, given.Type())
			kept, err := credstore.Check(given)
			require.NoError(t, err)
			require.Equal(t, test.pointer, kept)
			require.NotSame(t, test.pointer, kept)
			require.Equal(t, given.ArtifactName(), kept.ArtifactName())
		}
	}

	// What the caller does afterwards changes nothing.
	kept, err := credstore.Check(client)
	require.NoError(t, err)
	parameters[0].Value = "changed"
	require.Equal(t, outgrant.Secret("v"), kept.(*credstore.ClientCredentials).CustomParameters[0].Value)
	kept, err = credstore.Check(saml)
	require.NoError(t, err)
	attributes["a"] = "changed"
	require.Equal(t, "b", kept.(*credstore.SAMLBearerAssertion).Attributes["a"])
	kept, err = credstore.Check(keys)
	require.NoError(t, err)
	keys.PKCS12[0] ^= 0xff
	require.NotEqual(t, keys.PKCS12, kept.(*credstore.KeyPair).PKCS12)
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		artifact credstore.Artifact
		want     string
	}{
		"nil":          {nil, "artifact: nil"},
		"nil pointer":  {(*credstore.SecureParameter)(nil), "artifact: nil"},
		"zero":         {credstore.SecureParameter{}, "name: missing\nsecureParameter: missing"},
		"one problem":  {credstore.SecureParameter{Name: "p"}, `"p": secureParameter: missing`},
		"from a grant": {orders(func(a *credstore.ClientCredentials) { a.TokenServiceURL = "/token" })[0], `"S4_ORDERS": tokenServiceUrl: must be absolute, such as https://acme.example/oauth/token`},
		"not UTF-8":    {credstore.SecureParameter{Name: "p", Value: "S3NTINEL\xff"}, `"p": secureParameter: not UTF-8`},
		"a reference":  {credstore.SecureParameter{Name: "p", Value: "${env:S3NTINEL}"}, `"p": secureParameter: a reference, such as ${env:NAME}, must be the whole value, and is replaced by LoadArtifacts alone, for files that you trust`},
		"redacted":     {credstore.SecureParameter{Name: "p", Value: "[redacted]"}, `"p": secureParameter: is the printed form of a secret, not the secret`},
		"a bad name":   {credstore.SecureParameter{Name: "a\x00b", Value: "x"}, "name: has a character that cannot be printed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := credstore.Check(test.artifact)
			require.EqualError(t, err, test.want)
		})
	}
}

// TestCheckRefusesPlainHTTP: to another machine, unless the store allows it. Who reads the file does not know.
func TestCheckRefusesPlainHTTP(t *testing.T) {
	t.Parallel()
	for at, a := range map[string]credstore.Artifact{
		`"S4_ORDERS": tokenServiceUrl: `: orders(func(a *credstore.ClientCredentials) { a.TokenServiceURL = "http://acme.example/t?k=" + sentinel })[0],
		`"SF_TASKS": tokenServiceUrl: `:  tasks(func(a *credstore.SAMLBearerAssertion) { a.TokenServiceURL = "http://acme.example/t?k=" + sentinel })[0],
		`"MAILBOX": tokenServiceUrl: `:   mailbox(func(a *credstore.AuthorizationCode) { a.TokenServiceURL = "http://acme.example/t?k=" + sentinel })[0],
		`"MAILBOX": authorizationUrl: `:  mailbox(func(a *credstore.AuthorizationCode) { a.AuthorizationURL = "http://acme.example/t?k=" + sentinel })[0],
		`"MAILBOX": redirectUrl: `:       mailbox(func(a *credstore.AuthorizationCode) { a.RedirectURL = "http://acme.example/t?k=" + sentinel })[0],
		`"MAILBOX": revocationUrl: `:     mailbox(func(a *credstore.AuthorizationCode) { a.RevocationURL = "http://acme.example/t?k=" + sentinel })[0],
	} {
		_, err := credstore.Check(a)
		require.ErrorIs(t, err, outgrant.ErrInsecureURL)
		require.True(t, strings.HasPrefix(err.Error(), at+"http://acme.example/t: "), "%v", err)
		require.NotContains(t, err.Error(), sentinel)
		require.NoError(t, credstore.CheckInsecure(a))

		encoded, err := credstore.Encode(a)
		require.NoError(t, err)
		parsed, err := credstore.ParseArtifacts(encoded)
		require.NoError(t, err)
		require.Equal(t, a, parsed[0])
	}
}

func TestCheckCountsCharacters(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("ä", n) }
	for _, test := range []struct {
		most     int
		artifact func(n int) credstore.Artifact
		want     string
	}{
		{4096, func(n int) credstore.Artifact {
			return credstore.SecureParameter{Name: "p", Value: outgrant.Secret(long(n))}
		},
			`"p": secureParameter: 4097 characters; at most 4096 are allowed`},
		{1024, func(n int) credstore.Artifact {
			return credstore.SecureParameter{Name: "p", Value: "x", Description: long(n)}
		}, `"p": description: 1025 characters; at most 1024 are allowed`},
		{255, func(n int) credstore.Artifact { return credstore.SecureParameter{Name: long(n), Value: "x"} },
			"name: 256 characters; at most 255 are allowed"},
		{16384, func(n int) credstore.Artifact {
			return orders(func(a *credstore.ClientCredentials) { a.ClientSecret = outgrant.Secret(long(n)) })[0]
		}, `"S4_ORDERS": clientSecret: 16385 characters; at most 16384 are allowed`},
		{16384, func(n int) credstore.Artifact {
			return orders(func(a *credstore.ClientCredentials) { a.Audience = long(n) })[0]
		}, `"S4_ORDERS": audience: 16385 characters; at most 16384 are allowed`},
		{1024, func(n int) credstore.Artifact {
			return tasks(func(a *credstore.SAMLBearerAssertion) { a.Attributes = map[string]string{"a": long(n)} })[0]
		}, `"SF_TASKS": attributes.a: 1025 characters; at most 1024 are allowed`},
		{1024, func(n int) credstore.Artifact {
			return orders(func(a *credstore.ClientCredentials) {
				a.CustomParameters = []credstore.CustomParameter{{Key: "k", Value: outgrant.Secret(long(n))}}
			})[0]
		}, `"S4_ORDERS": customParameters[0].value: 1025 characters; at most 1024 are allowed`},
	} {
		_, err := credstore.Check(test.artifact(test.most))
		require.NoError(t, err)
		_, err = credstore.Check(test.artifact(test.most + 1))
		require.EqualError(t, err, test.want)
	}
	attributes := map[string]string{}
	for i := range 101 {
		attributes[strconv.Itoa(i)] = "x"
	}
	_, err := credstore.Check(tasks(func(a *credstore.SAMLBearerAssertion) { a.Attributes = attributes })[0])
	require.EqualError(t, err, `"SF_TASKS": attributes: 101 of them; at most 100 are allowed`)
	_, err = credstore.Check(credstore.KeyPair{Name: "p", PKCS12: make([]byte, 64<<10+1)})
	require.EqualError(t, err, `"p": pkcs12: 65537 bytes; at most 65536 are allowed`)
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", strings.Repeat("日", 255), "S4 Orders", "a.b", "a..b", "..a", "é", "e\u0301", "a:b", "~", "😀"} {
		require.NoError(t, credstore.CheckName(name), "%q", name)
	}
	for _, name := range []string{"", " ", " a", "a ", "\ta", "a\u3000", strings.Repeat("x", 256), strings.Repeat("日", 256), "a/b", "/", `a\b`, ".", "..",
		"\x00", "a\x00", "a\nb", "a\u2028b", "a\u202eb", "a\u200db", "a\xff", "\ufffd", "a\x7f", "\ue000"} {
		require.Error(t, credstore.CheckName(name), "%q", name)
	}
}

func TestArtifactsPrintNoSecret(t *testing.T) {
	t.Parallel()
	var outputs []any
	for _, artifacts := range goodArtifacts(t) {
		for _, a := range artifacts {
			outputs = append(outputs, a)
			switch a := a.(type) {
			case *credstore.ClientCredentials:
				require.Equal(t, `credstore.ClientCredentials("S4_ORDERS")`, a.String())
				outputs = append(outputs, *a, a.CustomParameters)
			case *credstore.SAMLBearerAssertion:
				outputs = append(outputs, *a, struct{ A credstore.SAMLBearerAssertion }{*a})
			case *credstore.AuthorizationCode:
				require.Equal(t, `credstore.AuthorizationCode("MAILBOX")`, a.String())
				outputs = append(outputs, *a)
			case *credstore.SecureParameter:
				outputs = append(outputs, *a)
			case *credstore.KeyPair:
				outputs = append(outputs, *a, map[string]credstore.KeyPair{"k": *a})
			}
		}
		outputs = append(outputs, artifacts)
	}
	for want, v := range map[string]any{
		`credstore.ClientCredentials("n")`:   credstore.ClientCredentials{Name: "n", ClientSecret: sentinel},
		`credstore.CustomParameter("k")`:     credstore.CustomParameter{Key: "k", Value: sentinel},
		`credstore.SAMLBearerAssertion("n")`: credstore.SAMLBearerAssertion{Name: "n", TokenServicePassword: sentinel},
		`credstore.AuthorizationCode("n")`:   credstore.AuthorizationCode{Name: "n", ClientSecret: sentinel},
		`credstore.SecureParameter("n")`:     credstore.SecureParameter{Name: "n", Value: sentinel},
		`credstore.KeyPair("n")`:             credstore.KeyPair{Name: "n", PKCS12: []byte(sentinel), Password: sentinel, PEM: sentinel},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			require.Equal(t, want, fmt.Sprintf(verb, v), verb)
		}
		text, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, strconv.Quote(want), string(text))
		require.Equal(t, want, v.(slog.LogValuer).LogValue().String())
	}
	private := strings.Split(pemOf(t, "signing").Reveal(), "\n")
	oauthtest.AssertNoSecrets(t, []string{sentinel, private[len(private)-4], string(signingPair(t).PKCS12[:64])}, outputs...)
}

func TestFacts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		artifact credstore.Artifact
		want     [5]string // description, token service, client, user, key pair
		forUsers bool
	}{
		"client credentials": {orders(func(a *credstore.ClientCredentials) {
			a.Description, a.KeyPairAlias, a.TokenServiceURL = "Orders", "cert", "https://u:"+sentinel+"@acme.example/oauth/token?key="+sentinel
		})[0], [5]string{"Orders", "https://acme.example/oauth/token", "sb-1", "", "cert"}, false},
		"principal propagation": {tasks(nil)[0], [5]string{"", "https://api.example/oauth/token", "api-key-1", "", "sf-signing"}, true},
		"technical user": {tasks(func(a *credstore.SAMLBearerAssertion) { a.UserID = credstore.KeyPairCommonName })[0],
			[5]string{"", "https://api.example/oauth/token", "api-key-1", "", "sf-signing"}, false},
		"no client key": {cloudFoundry(func(a *credstore.SAMLBearerAssertion) { a.ClientKey = "" }),
			[5]string{"", "https://sub.authentication.eu10.example/oauth/token/alias/sub.aws-live-eu10", "sb-2", "", "cf-signing"}, true},
		"authorization code": {mailbox(func(a *credstore.AuthorizationCode) { a.UserName = "ops@acme.example" })[0],
			[5]string{"", "https://idp.example/token", "app-1", "ops@acme.example", ""}, false},
		"microsoft 365": {credstore.AuthorizationCode{Provider: credstore.Microsoft365}, [5]string{"", "https://login.microsoftonline.com/common/oauth2/v2.0/token", "", "", ""}, false},
		"unreadable":    {credstore.ClientCredentials{TokenServiceURL: "https://a/%zz"}, [5]string{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts := credstore.FactsOf(test.artifact)
			require.Equal(t, test.want, facts.Shown())
			require.Equal(t, test.forUsers, facts.ForUsers())
			require.True(t, facts.Expires().IsZero())
		})
	}
	require.Equal(t, 2999, credstore.FactsOf(signingPair(t)).Expires().Year())
}

func config[T any](t *testing.T, a credstore.Artifact, keys *tls.Certificate) T {
	t.Helper()
	cfg, err := credstore.ConfigOf(a, keys)
	require.NoError(t, err)
	return cfg.(T)
}

func TestClientCredentialsConfig(t *testing.T) {
	t.Parallel()
	cfg := config[*clientcredentials.Config](t, orders(nil)[0], nil)
	require.Equal(t, &clientcredentials.Config{Name: "S4_ORDERS", TokenURL: "https://acme.example/oauth/token", ClientID: "sb-1", ClientSecret: "S3NTINEL-client",
		Auth: outgrant.ClientSecretPost, Scopes: []string{}}, cfg)

	all := goodArtifacts(t)["artifacts client-credentials-all"][0]
	cfg = config[*clientcredentials.Config](t, all, nil)
	require.Equal(t, &clientcredentials.Config{Name: "S4_ORDERS", TokenURL: "https://acme.example/oauth/token", ClientID: "sb-1", ClientSecret: "S3NTINEL-client",
		Auth: outgrant.ClientSecretBasic, GrantTypeInURL: true, JSONBody: true, Scopes: []string{"read", "write"}, Resource: "urn:orders", Audience: "orders",
		Params: []clientcredentials.Param{{Key: "tenant", Value: "S3NTINEL-value"}, {Key: "X-Tenant", Value: "v", In: clientcredentials.InHeader}, {Key: "q", Value: "v", In: clientcredentials.InURL}}}, cfg)

	keys := pair(t, "signing")
	cfg = config[*clientcredentials.Config](t, goodArtifacts(t)["artifacts client-credentials-certificate"][0], keys)
	require.Equal(t, outgrant.TLSClientAuth, cfg.Auth)
	require.Same(t, keys, cfg.Certificate)
	require.Nil(t, cfg.Key)

	cfg = config[*clientcredentials.Config](t, goodArtifacts(t)["artifacts client-credentials-private-key-jwt"][0], keys)
	require.Equal(t, outgrant.PrivateKeyJWT, cfg.Auth)
	require.Equal(t, keys.PrivateKey, cfg.Key)
	require.Equal(t, []string{"k1", "ES256", "https://acme.example"}, []string{cfg.KeyID, cfg.Algorithm, cfg.AssertionAudience})
	require.Nil(t, cfg.Certificate)
}

func TestSAMLBearerAssertionConfig(t *testing.T) {
	t.Parallel()
	keys := pair(t, "signing")
	cfg := config[*samlbearer.Config](t, tasks(nil)[0], keys)
	require.Equal(t, samlbearer.SuccessFactors("ACME"), cfg.Target)
	require.Equal(t, []string{"SF_TASKS", "https://api.example/oauth/token", "api-key-1"}, []string{cfg.Name, cfg.TokenURL, cfg.ClientKey})
	require.Equal(t, samlbearer.Signer{Key: cfg.Assertions.(samlbearer.Signer).Key, Certificate: keys.Leaf, Audience: "www.successfactors.com"}, cfg.Assertions)

	all := goodArtifacts(t)
	cfg = config[*samlbearer.Config](t, all["artifacts saml-principal-propagation"][0], keys)
	signer := cfg.Assertions.(samlbearer.Signer)
	require.Equal(t, samlbearer.Base64URL, cfg.Target.Encoding)
	require.Equal(t, samlbearer.Signer{Key: signer.Key, Certificate: keys.Leaf, Audience: "www.successfactors.com", Issuer: "acme.example",
		Recipient: "https://api.example/oauth/token/other", NameIDFormat: samlbearer.NameIDEmailAddress, NameQualifier: "acme",
		AuthnContext: "urn:oasis:names:tc:SAML:2.0:ac:classes:X509", OmitCertificate: true, Attributes: map[string][]string{"use_username": {"true"}}}, signer)

	cfg = config[*samlbearer.Config](t, all["artifacts saml-btp-cf"][0], keys)
	require.Equal(t, samlbearer.BTPCloudFoundry("sb-2", "S3NTINEL-password"), cfg.Target)
	require.Equal(t, []string{"a.read", "a.write"}, cfg.Scopes)
	cfg = config[*samlbearer.Config](t, all["artifacts saml-btp-neo"][0], keys)
	require.Equal(t, samlbearer.BTPNeo("", "S3NTINEL-password"), cfg.Target)
	cfg = config[*samlbearer.Config](t, all["artifacts saml-generic"][0], keys)
	require.Equal(t, samlbearer.Target{Name: "Generic", User: "sb-2", Password: "S3NTINEL-password", ClientIDInBody: true}, cfg.Target)
	cfg = config[*samlbearer.Config](t, all["artifacts saml-generic"][1], keys)
	require.Equal(t, samlbearer.Target{Name: "Generic", Auth: outgrant.None, ClientIDInBody: true}, cfg.Target)
	cfg = config[*samlbearer.Config](t, tasks(func(a *credstore.SAMLBearerAssertion) { a.SAMLAssertionEncoding = credstore.Base64 })[0], keys)
	require.Equal(t, samlbearer.Base64, cfg.Target.Encoding)
}

func TestAuthorizationCodeConfig(t *testing.T) {
	t.Parallel()
	all := goodArtifacts(t)
	cfg := config[*authcode.Config](t, all["artifacts authorization-code-least"][0], nil)
	require.Equal(t, &authcode.Config{Name: "MAILBOX", AuthURL: "https://idp.example/authorize?access_type=offline", TokenURL: "https://idp.example/token",
		ClientID: "app-1", ClientSecret: "S3NTINEL-app", Auth: outgrant.ClientSecretPost}, cfg)

	cfg = config[*authcode.Config](t, all["artifacts authorization-code-all"][0], nil)
	require.Equal(t, &authcode.Config{Name: "MAILBOX", User: "ops@acme.example", AuthURL: "https://idp.example/authorize?access_type=offline", TokenURL: "https://idp.example/token",
		Issuer: "https://idp.example", RevocationURL: "https://idp.example/revoke", ClientID: "app-1", ClientSecret: "S3NTINEL-app", Auth: outgrant.ClientSecretBasic,
		RedirectURL: "https://app.example/callback", Scopes: []string{"mail.read", "mail.send"}, RefreshTokenExpiry: 72 * time.Hour,
		ScopeOnRefresh: true, ScopeInURL: true, DisablePKCE: true}, cfg)

	cfg = config[*authcode.Config](t, all["artifacts authorization-code-public"][0], nil)
	require.Equal(t, outgrant.None, cfg.Auth)

	keys := pair(t, "signing")
	cfg = config[*authcode.Config](t, all["artifacts authorization-code-certificate"][0], keys)
	auth, err := cfg.ClientAuth(t.Context())
	require.NoError(t, err)
	require.Equal(t, outgrant.ClientAuth{Method: outgrant.TLSClientAuth, Certificate: keys}, auth)
	cfg = config[*authcode.Config](t, all["artifacts authorization-code-private-key-jwt"][0], keys)
	auth, err = cfg.ClientAuth(t.Context())
	require.NoError(t, err)
	require.Equal(t, outgrant.PrivateKeyJWT, auth.Method)
	require.Equal(t, keys.PrivateKey, auth.Key)

	want := authcode.Microsoft365("")
	want.Name, want.ClientID, want.ClientSecret, want.Scopes = "MAILBOX", "app-1", "S3NTINEL-app", append(want.Scopes, "https://outlook.office.com/SMTP.Send")
	require.Equal(t, want, config[*authcode.Config](t, all["artifacts microsoft-365-least"][0], nil))
	cfg = config[*authcode.Config](t, all["artifacts microsoft-365-tenant"][0], nil)
	require.Equal(t, "https://login.microsoftonline.com/acme.onmicrosoft.com/oauth2/v2.0/authorize", cfg.AuthURL)
	require.Equal(t, 30*24*time.Hour, cfg.RefreshTokenExpiry)
	require.Contains(t, cfg.Scopes, "offline_access")
	cfg = config[*authcode.Config](t, all["artifacts microsoft-365-urls"][0], nil)
	require.Equal(t, []string{"https://login.example/t1/authorize", "https://login.example/t1/token"}, []string{cfg.AuthURL, cfg.TokenURL})
	require.True(t, cfg.ScopeOnRefresh)
}

// nobody is a key pair whose certificate has no common name.
func nobody(t *testing.T) *tls.Certificate {
	key := pair(t, "signing").PrivateKey.(*ecdsa.PrivateKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Acme"}}, NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestConfigRefusesKeyPairs(t *testing.T) {
	t.Parallel()
	certificate := goodArtifacts(t)["artifacts client-credentials-certificate"][0]
	jwt := goodArtifacts(t)["artifacts client-credentials-private-key-jwt"][0]
	code := goodArtifacts(t)["artifacts authorization-code-certificate"][0]
	technical := tasks(func(a *credstore.SAMLBearerAssertion) { a.UserID = credstore.KeyPairCommonName })[0]
	const ended = "keyPairAlias: the certificate CN=sb-ended ended on 2001-01-01 00:00 UTC: renew it"
	for name, test := range map[string]struct {
		artifact credstore.Artifact
		keys     *tls.Certificate
		want     string
	}{
		"none, certificate":        {certificate, nil, "keyPairAlias: the key pair is missing"},
		"none, signer":             {tasks(nil)[0], nil, "keyPairAlias: the key pair is missing"},
		"none, authorization code": {code, nil, "keyPairAlias: the key pair is missing"},
		"ended":                    {certificate, pair(t, "ended"), ended},
		"ended, signer":            {tasks(nil)[0], pair(t, "ended"), ended},
		"ended, code":              {code, pair(t, "ended"), ended},
		"another algorithm":        {jwt, pair(t, "rsa"), `signatureAlgorithm: "ES256" does not fit the key; use one of [RS256 RS384 RS512 PS256 PS384 PS512]`},
		"no key":                   {certificate, &tls.Certificate{}, "keyPairAlias: the key pair has no key that signs"},
		"no technical user":        {technical, nobody(t), "keyPairAlias: its subject has no common name, so there is no technical user"},
		"no certificate":           {technical, &tls.Certificate{}, "keyPairAlias: no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := credstore.ConfigOf(test.artifact, test.keys)
			require.EqualError(t, err, test.want)
		})
	}
}

// TestConfigRefusesWhatWasNotChecked: an artifact may have been stored under older rules.
func TestConfigRefusesWhatWasNotChecked(t *testing.T) {
	t.Parallel()
	for _, a := range []credstore.Artifact{
		orders(func(a *credstore.ClientCredentials) { a.TokenServiceURL = "/token" })[0],
		tasks(func(a *credstore.SAMLBearerAssertion) { a.TokenServiceURL = "/token" })[0],
		mailbox(func(a *credstore.AuthorizationCode) { a.TokenServiceURL = "/token" })[0],
	} {
		_, err := credstore.ConfigOf(a, pair(t, "signing"))
		require.EqualError(t, err, "tokenServiceUrl: must be absolute, such as https://acme.example/oauth/token")
	}
}

func TestPrincipal(t *testing.T) {
	t.Parallel()
	claims := map[string]any{"mail": "alice@acme.example", "user_name": "alice"}
	id, err := credstore.SAMLBearerAssertion{UserIDSource: "mail"}.Principal(claims)
	require.NoError(t, err)
	require.Equal(t, "alice@acme.example", id)
	id, err = credstore.SAMLBearerAssertion{}.Principal(claims)
	require.NoError(t, err)
	require.Equal(t, "alice", id)
	_, err = credstore.SAMLBearerAssertion{NameIDFormat: samlbearer.NameIDEmailAddress}.Principal(claims)
	require.ErrorIs(t, err, outgrant.ErrUserRequired)
	require.True(t, credstore.SAMLBearerAssertion{}.PropagatesPrincipal())
	require.False(t, credstore.SAMLBearerAssertion{UserID: credstore.KeyPairCommonName}.PropagatesPrincipal())
}

// TestKeyPairsThatTakeLong: whoever uploads a PKCS#12 file says in it how often its password is hashed.
func TestKeyPairsThatTakeLong(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"signing":  "",
		"legacy":   "",
		"slow-mac": `"p": pkcs12: the password of the PKCS#12 file is hashed too often; at most 2000000 rounds are allowed: export it again`,
		"slow-key": `"p": pkcs12: the password of the PKCS#12 file is hashed too often; at most 2000000 rounds are allowed: export it again`,
	} {
		_, err := credstore.Check(credstore.KeyPair{Name: "p", PKCS12: readFile(t, "testdata/keys/"+name+".p12"), Password: "S3NTINEL-password"})
		if want == "" {
			require.NoError(t, err, name)
		} else {
			require.EqualError(t, err, want)
		}
	}
}
