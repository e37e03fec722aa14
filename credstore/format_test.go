package credstore_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
)

// goodArtifacts are those of all vectors.
func goodArtifacts(t testing.TB) map[string][]credstore.Artifact {
	t.Helper()
	all := map[string][]credstore.Artifact{}
	for _, folder := range []string{"artifacts", "destinations"} {
		for name, data := range jsonFiles(t, folder) {
			if !strings.HasPrefix(name, refusedStart) {
				artifacts, err := credstore.ParseArtifacts(data)
				require.NoError(t, err, name)
				all[folder+" "+name] = artifacts
			}
		}
	}
	return all
}

// withSecrets puts the secrets of artifacts into what FormatArtifacts wrote of them.
func withSecrets(t testing.TB, formatted []byte, artifacts []credstore.Artifact) []byte {
	t.Helper()
	var all []map[string]any
	require.NoError(t, json.Unmarshal(formatted, &all))
	require.Len(t, all, len(artifacts))
	for i, a := range artifacts {
		set := func(member, secret string) {
			require.NotContains(t, all[i], member)
			if secret != "" {
				all[i][member] = secret
			}
		}
		switch a := a.(type) {
		case *credstore.ClientCredentials:
			set("clientSecret", a.ClientSecret.Reveal())
			for j, c := range a.CustomParameters {
				all[i]["customParameters"].([]any)[j].(map[string]any)["value"] = c.Value.Reveal()
			}
		case *credstore.SAMLBearerAssertion:
			set("tokenServicePassword", a.TokenServicePassword.Reveal())
		case *credstore.AuthorizationCode:
			set("clientSecret", a.ClientSecret.Reveal())
		case *credstore.SecureParameter:
			set("secureParameter", a.Value.Reveal())
		case *credstore.KeyPair:
			set("pkcs12", base64.StdEncoding.EncodeToString(a.PKCS12))
			set("password", a.Password.Reveal())
			set("pem", a.PEM.Reveal())
		default:
			t.Fatalf("a %T", a)
		}
	}
	data, err := json.Marshal(all)
	require.NoError(t, err)
	return data
}

func TestFormatArtifactsRoundTrip(t *testing.T) {
	t.Parallel()
	for name, artifacts := range goodArtifacts(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			formatted, err := credstore.FormatArtifacts(artifacts)
			require.NoError(t, err)
			require.NotContains(t, string(formatted), sentinel)
			got, err := credstore.ParseArtifacts(withSecrets(t, formatted, artifacts))
			require.NoError(t, err)
			require.Equal(t, artifacts, got)
		})
	}
}

func TestFormatArtifacts(t *testing.T) {
	t.Parallel()
	artifacts := append(orders(func(a *credstore.ClientCredentials) {
		a.TokenServiceURL, a.Scope = "https://acme.example/oauth/token?a=1&b=<2>", "lesen schreiben für"
		a.ClientAuthentication, a.CustomParameters = credstore.InHeader, []credstore.CustomParameter{{Key: "tenant", Value: sentinel, SendAs: credstore.InHeader}}
	}), tasks(func(a *credstore.SAMLBearerAssertion) {
		a.Attributes, a.OmitSigningCertificate = map[string]string{"b": "2", "a": "1"}, true
	})[0], credstore.AuthorizationCode{Name: "MAILBOX", RefreshTokenExpiryDays: 90, DisablePKCE: true, ScopeInURL: true, ClientSecret: sentinel},
		credstore.SecureParameter{Name: "p", Value: sentinel}, signingPair(t))
	got, err := credstore.FormatArtifacts(artifacts)
	require.NoError(t, err)
	require.Equal(t, `[
  {
    "type": "OAuth2 Client Credentials",
    "name": "S4_ORDERS",
    "tokenServiceUrl": "https://acme.example/oauth/token?a=1&b=<2>",
    "clientId": "sb-1",
    "clientAuthentication": "header",
    "scope": "lesen schreiben für",
    "customParameters": [
      {
        "key": "tenant",
        "sendAs": "header"
      }
    ]
  },
  {
    "type": "OAuth2 SAML Bearer Assertion",
    "name": "SF_TASKS",
    "audience": "www.successfactors.com",
    "clientKey": "api-key-1",
    "tokenServiceUrl": "https://api.example/oauth/token",
    "targetSystemType": "SuccessFactors",
    "companyId": "ACME",
    "keyPairAlias": "sf-signing",
    "attributes": {
      "a": "1",
      "b": "2"
    },
    "includeSigningCertificate": false
  },
  {
    "type": "OAuth2 Authorization Code",
    "name": "MAILBOX",
    "refreshTokenExpiryDays": 90,
    "pkce": false,
    "scopeInUrl": true
  },
  {
    "type": "Secure Parameter",
    "name": "p"
  },
  {
    "type": "Key Pair",
    "name": "sf-signing"
  }
]
`, string(got))
	require.Equal(t, sentinel, artifacts[3].(credstore.SecureParameter).Value.Reveal(), "the caller's stay as they are")
	require.NotEmpty(t, artifacts[4].(*credstore.KeyPair).PKCS12)
	require.NotEmpty(t, artifacts[0].(*credstore.ClientCredentials).CustomParameters[0].Value)
}

// TestFormatArtifactsLeavesOutSecretsAlone reads what was written: what is missing is the secrets, and nothing else.
func TestFormatArtifactsLeavesOutSecretsAlone(t *testing.T) {
	t.Parallel()
	artifacts := []credstore.Artifact{
		orders(func(a *credstore.ClientCredentials) {
			a.CustomParameters = []credstore.CustomParameter{{Key: "k", Value: sentinel}, {Key: "l", Value: sentinel, SendAs: credstore.InURL}}
		})[0], tasks(nil)[0], cloudFoundry(nil), mailbox(nil)[0], &credstore.SecureParameter{Name: "p", Value: sentinel}, signingPair(t)}
	artifacts[5].(*credstore.KeyPair).Name = "pair"
	formatted, err := credstore.FormatArtifacts(artifacts)
	require.NoError(t, err)
	_, err = credstore.LoadArtifacts(formatted)
	require.EqualError(t, err, `artifacts[0] "S4_ORDERS": clientSecret: missing
artifacts[0] "S4_ORDERS": customParameters[0].value: missing
artifacts[0] "S4_ORDERS": customParameters[1].value: missing
artifacts[2] "CF_APP": tokenServicePassword: missing
artifacts[3] "MAILBOX": clientSecret: missing
artifacts[4] "p": secureParameter: missing
artifacts[5] "pair": pkcs12: missing, and so is pem: a key pair has one of them`)
}

func TestFormatArtifactsOfNone(t *testing.T) {
	t.Parallel()
	got, err := credstore.FormatArtifacts(nil)
	require.NoError(t, err)
	require.Equal(t, "[]\n", string(got))
	for _, a := range []credstore.Artifact{nil, (*credstore.KeyPair)(nil), (*credstore.ClientCredentials)(nil)} {
		_, err = credstore.FormatArtifacts([]credstore.Artifact{&credstore.SecureParameter{}, a})
		require.EqualError(t, err, "artifacts[1]: artifact: nil")
	}
}

func TestEncodedArtifactsKeepAll(t *testing.T) {
	t.Parallel()
	for name, artifacts := range goodArtifacts(t) {
		for _, a := range artifacts {
			data, err := credstore.Encode(a)
			require.NoError(t, err, name)
			got, err := credstore.Decode(data)
			require.NoError(t, err, name)
			require.Equal(t, a, got, name)

			bare, err := credstore.WithoutSecrets(a)
			require.NoError(t, err)
			data, err = credstore.Encode(bare)
			require.NoError(t, err)
			require.NotContains(t, string(data), sentinel, name)
		}
	}
}

// TestDecodeDoesNotCheck: what was deployed under older rules is still there.
func TestDecodeDoesNotCheck(t *testing.T) {
	t.Parallel()
	old := &credstore.ClientCredentials{Name: "a/b", TokenServiceURL: "http://acme.example", GrantType: "other", ClientSecret: "${env:X}"}
	data, err := credstore.Encode(old)
	require.NoError(t, err)
	got, err := credstore.Decode(data)
	require.NoError(t, err)
	require.Equal(t, old, got)
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "stored artifact: empty",
		"S3NTINEL":                           "stored artifact: not JSON: wrong in line 1",
		"[]":                                 "stored artifact: not a JSON object",
		`{"type": "OAuth3"}`:                 `stored artifact: type: "OAuth3": use OAuth2 Client Credentials, OAuth2 SAML Bearer Assertion, OAuth2 Authorization Code, Secure Parameter or Key Pair`,
		`{"type":"Key Pair","x":"S3NTINEL"}`: `stored artifact: unknown member "x": Key Pair has none of that name`,
	} {
		_, err := credstore.Decode([]byte(text))
		require.EqualError(t, err, want)
	}
}
