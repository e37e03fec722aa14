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
