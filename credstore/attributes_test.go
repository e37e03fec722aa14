package credstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
)

func TestAttributes(t *testing.T) {
	t.Parallel()
	require.Nil(t, credstore.Attributes("OAuth2 Magic"))
	byName := map[string]credstore.Attribute{}
	for _, typ := range credstore.Types() {
		require.Equal(t, "name", credstore.Attributes(typ)[0].Name)
		for _, a := range credstore.Attributes(typ) {
			byName[a.Name] = a
		}
	}
	require.Equal(t, credstore.Attribute{Name: "tokenServiceUrl"}, byName["tokenServiceUrl"])
	require.Equal(t, credstore.Attribute{Name: "pkce", Kind: credstore.Flag, Unset: true}, byName["pkce"])
	require.Equal(t, credstore.Attribute{Name: "pkcs12", Kind: credstore.File, Secret: true}, byName["pkcs12"])
	require.Equal(t, credstore.Attribute{Name: "customParameters", Kind: credstore.Objects, Parts: []credstore.Attribute{
		{Name: "key"}, {Name: "value", Secret: true}, {Name: "sendAs", Kind: credstore.OneWord, Words: []string{"body", "header", "url"}},
	}}, byName["customParameters"])
	for _, name := range []string{"clientSecret", "tokenServicePassword", "secureParameter", "password", "pem"} {
		require.True(t, byName[name].Secret, name)
	}
}

// TestAttributesCanBeSet sets each attribute to what its kind says, and has it read.
func TestAttributesCanBeSet(t *testing.T) {
	t.Parallel()
	for _, typ := range credstore.Types() {
		for _, a := range credstore.Attributes(typ) {
			values := map[credstore.AttributeKind]any{
				credstore.Text: "text", credstore.Flag: true, credstore.Number: 7, credstore.File: "AAAA", credstore.Texts: map[string]string{"a": "b"},
				credstore.Objects: []any{map[string]any{a.Name: 0}},
			}
			value := values[a.Kind]
			switch a.Kind {
			case credstore.OneWord:
				value = a.Words[0]
			case credstore.Objects:
				element := map[string]any{}
				for _, part := range a.Parts {
					element[part.Name] = "url"
				}
				value = []any{element}
			}
			text, err := json.Marshal(map[string]any{"type": typ, a.Name: value})
			require.NoError(t, err)
			_, err = credstore.ParseArtifacts(text)
			for _, p := range credstore.Problems(err) {
				require.NotContains(t, p.What, "not a ", "%s.%s at %s", typ, a.Name, p.At)
				require.NotContains(t, p.What, "unknown", "%s.%s", typ, a.Name)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	_, err := credstore.ParseArtifacts([]byte(`[{"type": "OAuth2 Client Credentials", "name": "A", "clientId": "x", "clientSecret": "S3NTINEL", "grantType": "boddy", "keyId": "k"}]`))
	want := []credstore.Problem{
		{In: `artifacts[0] "A"`, At: "grantType", What: `"boddy": use body or url`},
		{In: `artifacts[0] "A"`, At: "tokenServiceUrl", What: "missing"},
		{In: `artifacts[0] "A"`, At: "keyId", What: "must not be set with clientAuthentication body"},
	}
	require.ElementsMatch(t, want, credstore.Problems(err))
	require.ElementsMatch(t, want, credstore.Problems(fmt.Errorf("somewhere: %w", err)))

	s := credstore.OpenMemory()
	defer s.Close()
	err = s.Deploy(t.Context(), credstore.ClientCredentials{Name: "A", ClientID: "x", ClientSecret: "S3NTINEL", TokenServiceURL: "http://acme.example/token"})
	require.Len(t, credstore.Problems(err), 1)
	require.Equal(t, "tokenServiceUrl", credstore.Problems(err)[0].At)

	_, err = credstore.ParseArtifacts([]byte(`{`))
	require.Empty(t, credstore.Problems(err), "it is about the text")
	require.Nil(t, credstore.Problems(nil))
	require.Nil(t, credstore.Problems(errors.New("any")))
}

func TestParseServiceKeyAsArtifacts(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		data, err := os.ReadFile("../clientcredentials/testdata/servicekeys/" + name)
		require.NoError(t, err)
		return data
	}
	all, err := credstore.ParseServiceKey("ORDERS", read("oauth-secret.json"), "")
	require.NoError(t, err)
	require.Len(t, all, 1)
	client := all[0].(*credstore.ClientCredentials)
	require.Equal(t, credstore.InHeader, client.ClientAuthentication)
	require.NotEmpty(t, client.ClientSecret)
	s := credstore.OpenMemory()
	defer s.Close()
	require.NoError(t, s.Deploy(t.Context(), client))

	for name, problem := range map[string]struct {
		name, alias string
		at          string
	}{
		"a name that cannot be": {"a/b", "", "name"},
		"an alias":              {"ORDERS", "pair", "keyPairAlias"},
	} {
		_, err := credstore.ParseServiceKey(problem.name, read("oauth-secret.json"), problem.alias)
		require.Len(t, credstore.Problems(err), 1, name)
		require.Equal(t, problem.at, credstore.Problems(err)[0].At, name)
	}
	_, err = credstore.ParseServiceKey("ORDERS", read("refused-clientid-missing.json"), "")
	require.ErrorContains(t, err, "clientid")
	_, err = credstore.ParseServiceKey("ORDERS", make([]byte, 2<<20), "")
	require.ErrorContains(t, err, "larger")
}

// TestParseServiceKeyWithACertificate has SAP's own, and one whose key the user has.
func TestParseServiceKeyWithACertificate(t *testing.T) {
	t.Parallel()
	both := pemOf(t, "signing").Reveal()
	at := strings.Index(both, "-----BEGIN PRIVATE KEY-----")
	certificate, key := both[:at], both[at:]
	own, err := json.Marshal(map[string]string{"clientid": "sb-1", "certificate": certificate, "key": key, "tokenurl": "https://acme.example/oauth/token"})
	require.NoError(t, err)
	all, err := credstore.ParseServiceKey("ORDERS", own, "")
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "ORDERS-certificate", all[0].ArtifactName())
	require.Equal(t, "ORDERS-certificate", all[1].(*credstore.ClientCredentials).KeyPairAlias)
	s := credstore.OpenMemory()
	defer s.Close()
	for _, a := range all {
		require.NoError(t, s.Deploy(t.Context(), a))
	}
	_, err = s.TokenSource(t.Context(), "ORDERS")
	require.NoError(t, err)
	_, err = credstore.ParseServiceKey("ORDERS", own, "another")
	require.ErrorContains(t, err, "its own")

	external, err := json.Marshal(map[string]string{"clientid": "sb-1", "certificate": certificate, "tokenurl": "https://acme.example/oauth/token"})
	require.NoError(t, err)
	_, err = credstore.ParseServiceKey("ORDERS", external, "")
	require.ErrorContains(t, err, "keyPairAlias")
	all, err = credstore.ParseServiceKey("ORDERS", external, "my-pair")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, "my-pair", all[0].(*credstore.ClientCredentials).KeyPairAlias)
}
