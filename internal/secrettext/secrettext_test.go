package secrettext_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/secrettext"
)

// odd looks different in each form.
const odd = "s3cr:et/+ %&=?\"\\<ü>~~"

func TestIn(t *testing.T) {
	t.Parallel()
	quoted, err := json.Marshal("a " + odd + " b")
	require.NoError(t, err)
	var plain strings.Builder
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(odd))
	query := url.QueryEscape(odd)
	for name, text := range map[string]string{
		"as it is": odd, "query": query, "lower-case query": strings.ToLower(query), "path": url.PathEscape(odd),
		"as a browser escapes": strings.ReplaceAll(query, "+", "%20"), "escaped three times": url.QueryEscape(url.PathEscape(query)),
		"JSON": string(quoted), "JSON without HTML escapes": plain.String(), "JSON of PHP": strings.ReplaceAll(string(quoted), "/", `\/`), "Go": strconv.Quote(odd), "HTML": html.EscapeString(odd),
		"hex": hex.EncodeToString([]byte(odd)), "HEX": fmt.Sprintf("%X", odd), "bytes": fmt.Sprint([]byte(odd)),
		"base64": base64.StdEncoding.EncodeToString([]byte(odd)), "base64 of JSON": base64.StdEncoding.EncodeToString(quoted),
		"Basic": base64.StdEncoding.EncodeToString([]byte("id:" + query)), "base64 of a form": base64.URLEncoding.EncodeToString([]byte("a=1&s=" + query + "&b=2")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := secrettext.Of(odd).In("before" + text + "after")
			require.True(t, found, text)
			_, found = secrettext.Of("another" + odd).In(text)
			require.False(t, found)
		})
	}
	require.Empty(t, secrettext.Of("abc"), "too short")
	_, found := secrettext.Of("abc").In("abc")
	require.False(t, found)
}

func TestPartOf(t *testing.T) {
	t.Parallel()
	long := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xfb\xff\xfe~~?<assertion>", 20) + "the end"))
	url := strings.NewReplacer("+", "-", "/", "_").Replace(long)
	for name, test := range map[string]struct {
		secret, text string
		want         bool
	}{
		"all of it":                    {long, long, true},
		"the beginning":                {long, "cannot read " + long[:40] + "...", true},
		"the middle":                   {long, "cannot read ..." + long[101:133] + "...", true},
		"the end":                      {long, long[len(long)-32:], true},
		"in the other alphabet":        {long, "x" + url[50:90] + "x", true},
		"of base64url, in the other":   {url, "x" + long[50:90] + "x", true},
		"one character too few":        {long, "cannot read ..." + long[101:132] + "...", false},
		"pieces that do not adjoin":    {long, long[:31] + "." + long[31:62], false},
		"something else":               {long, strings.Repeat("x", 500), false},
		"nothing":                      {long, "", false},
		"of a secret that is not long": {long[:63], long[:63], false},
		"of one that is just long":     {long[:64], long[32:64], true},
		"of no secret":                 {"", long, false},
	} {
		require.Equal(t, test.want, secrettext.PartOf(test.secret, test.text), name)
	}
}
