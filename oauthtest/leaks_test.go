package oauthtest_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// recorder is a TB that keeps what is reported.
type recorder struct {
	reports []string
	helper  bool
}

func (r *recorder) Helper() { r.helper = true }
func (r *recorder) Errorf(format string, args ...any) {
	r.reports = append(r.reports, fmt.Sprintf(format, args...))
}

var _ oauthtest.TB = testing.TB(nil)

// leaks returns the reports about one secret.
func leaks(secret string, outputs ...any) []string {
	r := &recorder{}
	oauthtest.AssertNoSecrets(r, []string{secret}, outputs...)
	return r.reports
}

// oddSecret looks different in each encoding.
const oddSecret = "s3cr:et/+ %&=?\"\\<ü>\n~~"

func TestAssertNoSecretsFindsEncodings(t *testing.T) {
	t.Parallel()
	quoted, err := json.Marshal("a " + oddSecret + " b")
	require.NoError(t, err)
	spaced := fmt.Sprintf("% x", oddSecret)
	basic := func(id string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(oddSecret)))
	}
	for name, text := range map[string]string{
		"as it is": oddSecret, "query-escaped": url.QueryEscape(oddSecret), "path-escaped": url.PathEscape(oddSecret),
		"JSON": string(quoted), "Go": strconv.Quote("a " + oddSecret + " b"), "Go in ASCII": strconv.QuoteToASCII("a " + oddSecret + " b"),
		"base64": base64.StdEncoding.EncodeToString([]byte(oddSecret)), "base64 without padding": base64.RawStdEncoding.EncodeToString([]byte(oddSecret)),
		"base64url": base64.URLEncoding.EncodeToString([]byte(oddSecret)), "base64url without padding": base64.RawURLEncoding.EncodeToString([]byte(oddSecret)),
		"hex": hex.EncodeToString([]byte(oddSecret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(oddSecret))), "spaced hex": spaced,
		"bytes": fmt.Sprint([]byte(oddSecret)), "Go bytes": fmt.Sprintf("%#v", []byte(oddSecret)),
		"Basic, 0": basic("ab"), "Basic, 1": basic("abc"), "Basic, 2": basic("abcd"),
	} {
		t.Run(name, func(t *testing.T) {
			require.Len(t, leaks(oddSecret, "before"+text+"after"), 1)
			require.Len(t, leaks(oddSecret, []byte(text)), 1)
			require.Empty(t, leaks("another"+oddSecret, text))
			require.Empty(t, leaks(oddSecret, text[:len(text)/2], text[len(text)/2:]))
		})
	}
}

// TestAssertNoSecretsFindsBase64Inside: a secret is found wherever it stands in what was encoded.
func TestAssertNoSecretsFindsBase64Inside(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"s3cr", "s3cre", "s3cret", "s3cret-"} {
		for before := range 7 {
			for after := range 4 {
				text := strings.Repeat("b", before) + secret + strings.Repeat("a", after)
				require.NotEmpty(t, leaks(secret, base64.StdEncoding.EncodeToString([]byte(text))), text)
				require.NotEmpty(t, leaks(secret, base64.RawURLEncoding.EncodeToString([]byte(text))), text)
			}
		}
		require.Empty(t, leaks(secret, base64.StdEncoding.EncodeToString([]byte("nothing of the kind is in this text"))))
	}
}

type hidden struct{ inside string }

type leakyError struct{ cause error }

func (leakyError) Error() string   { return "clean" }
func (e leakyError) Unwrap() error { return e.cause }

// several are causes that print nothing of themselves.
type several []error

func (several) Error() string     { return "clean" }
func (s several) Unwrap() []error { return s }

type logged struct{}

func (logged) String() string       { return "clean" }
func (logged) LogValue() slog.Value { return slog.StringValue("sentinel") }

type encoded struct{}

func (encoded) String() string               { return "clean" }
func (encoded) MarshalJSON() ([]byte, error) { return []byte(`"sentinel"`), nil }

type encodedUnlikeLogged struct{ encoded }

func (encodedUnlikeLogged) LogValue() slog.Value { return slog.StringValue("clean") }

type unencodable struct{}

func (unencodable) String() string               { return "clean" }
func (unencodable) MarshalJSON() ([]byte, error) { return nil, errors.New("cannot encode sentinel") }

type stringer struct{ f func() string }

func (s stringer) String() string { return s.f() }

func TestAssertNoSecretsFindsInValues(t *testing.T) {
	t.Parallel()
	const secret = "sentinel"
	leaky := errors.New("it was sentinel")
	withHeader, err := http.NewRequest("GET", "https://a.test/", nil)
	require.NoError(t, err)
	withHeader.Header.Set("Authorization", "Bearer sentinel")
	for name, output := range map[string]any{
		"string":                    "a sentinel",
		"[]byte":                    []byte("a sentinel"),
		"a string type":             json.Number("sentinel"),
		"a byte slice type":         json.RawMessage(`"sentinel"`),
		"array of bytes":            [8]byte([]byte("sentinel")),
		"struct":                    struct{ A string }{"sentinel"},
		"unexported field":          hidden{"sentinel"},
		"pointer to struct":         &hidden{"sentinel"},
		"nested":                    struct{ A []hidden }{[]hidden{{"a"}, {"sentinel"}}},
		"bytes in a struct":         struct{ B []byte }{[]byte("a sentinel")},
		"pointer in a struct":       struct{ P *struct{ A string } }{&struct{ A string }{"sentinel"}},
		"map value":                 map[string]any{"k": "sentinel"},
		"map key":                   map[string]int{"sentinel": 1},
		"slice":                     []string{"a", "sentinel"},
		"error":                     leaky,
		"wrapped error":             fmt.Errorf("outer: %w", leaky),
		"cause":                     leakyError{leaky},
		"cause of a cause":          &leakyError{&leakyError{&leakyError{leaky}}},
		"joined":                    errors.Join(errors.New("clean"), leaky),
		"joined cause":              &leakyError{several{&leakyError{&leakyError{errors.New("clean")}}, &leakyError{&leakyError{leaky}}}},
		"slog":                      logged{},
		"slog in a struct":          slog.GroupValue(slog.Any("k", logged{})),
		"JSON":                      encoded{},
		"JSON that is not logged":   encodedUnlikeLogged{},
		"JSON that fails":           unencodable{},
		"Stringer":                  stringer{func() string { return "sentinel" }},
		"URL":                       &url.URL{Scheme: "https", Host: "a.test", RawQuery: "secret=sentinel"},
		"request":                   withHeader,
		"http.Header":               withHeader.Header,
		"a secret used as map key":  map[outgrant.Secret]int{"sentinel": 1},
		"query with escaped secret": url.Values{"k": {"sentinel"}}.Encode(),
	} {
		t.Run(name, func(t *testing.T) {
			reports := leaks(secret, output)
			require.Len(t, reports, 1, "one report for each output")
			require.NotContains(t, reports[0], secret, "the report does not print it")
			require.Contains(t, reports[0], fmt.Sprintf("output 0, a %T", output))
			require.Empty(t, leaks("another-secret", output))
		})
	}
}

func TestAssertNoSecretsLetsCleanValuesPass(t *testing.T) {
	t.Parallel()
	const secret = "sentinel"
	for name, output := range map[string]any{
		"nil": nil, "empty": "", "text": "nothing to see", "number": 42, "true": true, "func": func() {}, "channel": make(chan int),
		"Secret": outgrant.Secret(secret), "Token": &outgrant.Token{AccessToken: secret}, "ClientAuth": outgrant.ClientAuth{Secret: secret},
		"error": &outgrant.TokenError{Err: errors.New("clean")}, "nil error": error(nil), "unwraps nothing": leakyError{},
		"joined": errors.Join(errors.New("a"), errors.New("b")), "a part of it": "sentine", "in other case": "SENTINEL",
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, leaks(secret, output)) })
	}
}

func TestAssertNoSecretsReports(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	oauthtest.AssertNoSecrets(r, []string{"secret-a", "secret-b"}, "clean", "has secret-b", errors.New("has secret-a and secret-b"))
	require.Equal(t, []string{
		"oauthtest: secret 0 leaks, as it is, from output 2, a *errors.errorString, by fmt %v",
		"oauthtest: secret 1 leaks, as it is, from output 1, a string, by itself",
		"oauthtest: secret 1 leaks, as it is, from output 2, a *errors.errorString, by fmt %v",
	}, r.reports)
	require.True(t, r.helper)

	require.Equal(t, []string{"oauthtest: secret 0 has fewer than four characters"}, leaks("abc", "abc"))
	require.Equal(t, []string{"oauthtest: secret 0 has fewer than four characters"}, leaks("", "abc"))
	require.Empty(t, leaks("abcd", "abc"))
	require.Empty(t, leaks("abcd"))
	r = &recorder{}
	oauthtest.AssertNoSecrets(r, nil, "abc")
	require.Equal(t, []string{"oauthtest: there are no secrets to look for"}, r.reports)
}
