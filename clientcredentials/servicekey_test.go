package clientcredentials_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
)

const (
	sentinel     = "S3NTINEL" // part of every secret in testdata/servicekeys
	standardURL  = "https://auth.acme.example/oauth/token"
	uaaURL       = "https://sub.auth.acme.example/oauth/token"
	serviceURL   = "https://acme.example"
	brokerURL    = "wss://mesh.acme.example/protocols/amqp10ws"
	refusedStart = "refused-"
)

// serviceKeyFiles returns the vectors by name. Nothing may pass because they are not found.
func serviceKeyFiles(t testing.TB) map[string][]byte {
	paths, err := filepath.Glob("testdata/servicekeys/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths, "no service keys in testdata")
	files := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		files[strings.TrimSuffix(filepath.Base(path), ".json")] = data
	}
	return files
}

func TestParseServiceKeyWithSecret(t *testing.T) {
	t.Parallel()
	wants := map[string]struct{ tokenURL, url string }{
		"oauth-secret":                  {standardURL, serviceURL},
		"bare-secret":                   {standardURL, serviceURL},
		"credentials-spelled-client_id": {standardURL, serviceURL},
		"spelled-clientId":              {standardURL, serviceURL},
		"spelled-CLIENT-ID":             {standardURL, serviceURL},
		"same-member-twice":             {standardURL, serviceURL},
		"tokenurl-without-path":         {standardURL, serviceURL},
		"tokenurl-other-path":           {"https://auth.acme.example/oauth2/api/v1/token?sap-client=100", serviceURL},
		"uaa-sibling-url":               {uaaURL, serviceURL},
		"credentials-uaa":               {uaaURL, serviceURL},
		"uaa-with-tokenurl":             {uaaURL, serviceURL},
		"uaa-without-own-address":       {uaaURL, ""},
		"xsuaa-binding":                 {uaaURL, ""},
		"xsuaa-binding-with-uri":        {"https://sub.auth.acme.example/uaa/oauth/token", serviceURL},
		"event-mesh":                    {uaaURL, brokerURL},
	}
	files := serviceKeyFiles(t)
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
			want := wants[name]
			key, err := clientcredentials.ParseServiceKey(data)
			require.NoError(t, err)
			require.Equal(t, "sb-1", key.ClientID)
			require.True(t, strings.HasPrefix(key.ClientSecret.Reveal(), sentinel+"-secret"))
			require.Equal(t, want.tokenURL, key.TokenURL)
			require.Equal(t, want.url, key.URL)
			require.Nil(t, key.Certificate)

			cfg, err := key.Config()
			require.NoError(t, err)
			require.Equal(t, outgrant.ClientSecretBasic, cfg.Auth)
			require.Equal(t, key.ClientSecret, cfg.ClientSecret)
			require.Equal(t, key.TokenURL, cfg.TokenURL)
			require.Equal(t, key.ClientID, cfg.ClientID)
			cfg.Name = "FROM_KEY"
			_, err = clientcredentials.New(cfg)
			require.NoError(t, err)
		})
	}
}

func TestParseServiceKeyListsMessagingEndpoints(t *testing.T) {
	t.Parallel()
	key, err := clientcredentials.ParseServiceKey(serviceKeyFiles(t)["event-mesh"])
	require.NoError(t, err)
	require.Equal(t, []clientcredentials.MessagingEndpoint{
		{Protocols: []string{"httprest"}, URI: "https://rest.acme.example"},
		{Protocols: []string{"amqp10ws"}, URI: brokerURL},
		{Protocols: []string{"mqtt311ws"}, URI: "wss://mesh.acme.example/protocols/mqtt311ws"},
	}, key.Messaging)
}

func TestParseServiceKeyRefuses(t *testing.T) {
	t.Parallel()
	wants := map[string]string{
		"clientid-missing":              "oauth.clientid: missing",
		"clientid-not-a-string":         "oauth.clientid: not a string",
		"nothing-known":                 "clientid: missing, and so are credentials, oauth and uaa",
		"clientsecret-missing":          "oauth.clientsecret: missing, and so is certificate",
		"clientsecret-not-a-string":     "oauth.clientsecret: not a string",
		"clientsecret-redacted":         "oauth.clientsecret: is the printed form [redacted] of a secret",
		"clientsecret-twice":            "oauth.clientsecret: comes twice with different values",
		"secret-and-certificate":        "oauth.clientsecret and certificate: both are there",
		"certificate-not-pem":           "oauth.certificate: neither a certificate nor a private key",
		"tokenurl-missing":              "oauth.tokenurl: missing",
		"tokenurl-missing-bare":         "tokenurl: missing",
		"tokenurl-twice":                "oauth.tokenurl: comes twice with different values",
		"tokenurl-relative":             "oauth.tokenurl: not an absolute https URL",
		"tokenurl-unreadable":           "oauth.tokenurl: not an absolute https URL",
		"tokenurl-scheme":               "oauth.tokenurl: not an absolute https URL",
		"tokenurl-userinfo":             "oauth.tokenurl: must not hold a user name or password",
		"uaa-url-missing":               "uaa.url: missing",
		"url-userinfo":                  "url: must be a URL without user name and password",
		"wrapper-not-an-object":         "oauth: not a JSON object",
		"two-wrappers":                  "oauth and uaa: leave the one to use",
		"wrapped-too-deep":              "credentials.credentials.credentials.credentials.credentials: more than 4 objects",
		"array":                         "the text: not a JSON object",
		"messaging-not-a-list":          "messaging: not a list of JSON objects",
		"messaging-protocol":            "messaging[0].protocol: not a string",
		"messaging-without-amqp":        "messaging: no entry for the protocol amqp10ws",
		"messaging-without-uri":         "messaging[0].uri: missing",
		"messaging-without-oa2":         "messaging[0].oa2: missing",
		"wrapper-twice":                 "oauth: comes twice with different values",
		"messaging-clientid-missing":    "messaging[0].oa2.clientid: missing",
		"messaging-entry-not-an-object": "messaging[0]: not a JSON object",
		"messaging-uri-not-a-string":    "messaging[0].uri: not a string",
		"messaging-secret-missing":      "messaging[1].oa2.clientsecret: missing",
	}
	files := serviceKeyFiles(t)
	for name := range wants {
		require.Contains(t, files, refusedStart+name)
	}
	for file, data := range files {
		name, refused := strings.CutPrefix(file, refusedStart)
		if !refused {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, wants, name, "say what this file should give")
			requireRefused(t, data, "service key: "+wants[name])
		})
	}
}

func TestParseServiceKeyRefusesText(t *testing.T) {
	t.Parallel()
	good := string(serviceKeyFiles(t)["oauth-secret"])
	for name, test := range map[string]struct{ text, want string }{
		"empty":           {"", "service key: empty"},
		"blank":           {"\ufeff \n", "service key: empty"},
		"not JSON":        {"clientid: sb-1\nclientsecret: " + sentinel, "service key: not JSON: wrong at byte 1"},
		"cut off":         {good[:strings.Index(good, sentinel)+12], "service key: not JSON: cut off"},
		"cut in a member": {`{"clientsecret": S3NTINEL`, "service key: not JSON: wrong at byte 18"},
		"two keys":        {good + good, "service key: more text after the JSON object"},
		"garbage after":   {good + "}", "service key: more text after the JSON object"},
		"string":          {`"` + sentinel + `"`, "service key: the text: not a JSON object"},
		"null":            {"null", "service key: the text: not a JSON object"},
		"not UTF-8":       {strings.Replace(good, sentinel, "\xff", 1), "service key: not UTF-8 text"},
		"too deep":        {strings.Repeat(`{"oauth":`, 20000), "service key: not JSON"},
		"too large":       {good + strings.Repeat(" ", 1<<20), "service key: larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, []byte(test.text), test.want)
		})
	}
}

func requireRefused(t *testing.T, data []byte, want string) {
	t.Helper()
	key, err := clientcredentials.ParseServiceKey(data)
	require.Error(t, err)
	require.True(t, strings.HasPrefix(err.Error(), want), "%q does not start with %q", err, want)
	require.NotContains(t, err.Error(), sentinel)
	require.Nil(t, key)
}

func TestParseServiceKeyAcceptsByteOrderMark(t *testing.T) {
	t.Parallel()
	_, err := clientcredentials.ParseServiceKey(append([]byte("\ufeff"), serviceKeyFiles(t)["oauth-secret"]...))
	require.NoError(t, err)
}

func TestServiceKeyPrintsNoSecret(t *testing.T) {
	t.Parallel()
	key := clientcredentials.ServiceKey{ClientID: "sb-1", ClientSecret: sentinel, TokenURL: "https://" + sentinel + ":" + sentinel + "@auth.acme.example/oauth/token"}
	const want = `clientcredentials.ServiceKey(client "sb-1" at auth.acme.example)`

	for _, v := range []any{key, &key, []any{key}, struct{ Key clientcredentials.ServiceKey }{key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			require.Contains(t, text, want, verb)
			require.NotContains(t, text, sentinel, verb)
		}
		text, err := json.Marshal(v)
		require.NoError(t, err)
		require.NotContains(t, string(text), sentinel)

		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("parsed", "key", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("parsed", "key", v)
		require.NotContains(t, log.String(), sentinel)
	}
	require.Equal(t, want, key.String())
}

func FuzzParseServiceKey(f *testing.F) {
	for _, data := range serviceKeyFiles(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := clientcredentials.ParseServiceKey(data)
		if err != nil {
			require.Nil(t, key)
			require.NotContains(t, err.Error(), sentinel)
			return
		}
		require.NotEmpty(t, key.ClientID)
		require.NotEqual(t, key.ClientSecret == "", key.Certificate == nil, "a secret or a certificate")
		if _, err := key.Config(); err != nil {
			require.NotContains(t, err.Error(), sentinel)
		}
	})
}
