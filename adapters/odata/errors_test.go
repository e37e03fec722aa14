package odata_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/oauthtest"
)

// response is one to a request with a secret in its query.
func response(t testing.TB, status int, body io.Reader, header ...string) *http.Response {
	t.Helper()
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body), Request: request(t, "GET", service+"/Books?$filter=sentinel", "", "")}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Add(header[i], header[i+1])
	}
	return resp
}

var (
	sapError = odata.Error{
		Host: host, Code: "/IWBEP/CM_TEA/004", Message: "Team ID 'T1' is not in the defined range.",
		Details: []odata.Detail{
			{Code: "/IWBEP/CM_TEA/002", Message: "'T1' is not a valid ID.", Target: "Team/Team_Identifier", Severity: "error"},
			{Code: "/IWBEP/CX_MGW_BUSI_EXCEPTION", Message: "An exception was raised", Target: "/Teams('T1')/Name", Severity: "warning"},
		},
		Inner: &odata.InnerError{TransactionID: "4FDF3748112322F4E10000000A420C41"},
	}
	v4Error = odata.Error{
		Host: host, Code: "ASSERT_RANGE", Message: "The book is wrong.", Target: "stock",
		Details: []odata.Detail{
			{Code: "ASSERT_RANGE", Message: "Stock is negative.", Target: "stock"},
			{Code: "ASSERT_FORMAT", Message: "The title is too long.", Target: "in/title"},
		},
		Inner: &odata.InnerError{Code: "Outer", Message: "outer", Type: "System.Exception", Inner: &odata.InnerError{Code: "Inner", Message: "inner"}},
	}
)

func TestErrorOf(t *testing.T) {
	t.Parallel()
	manyDetails := `{"error":{"code":"C","details":[` + strings.Repeat(`{"code":"D"},`, 1000) + `{}]}}`
	nested := strings.Repeat(`{"innererror":{"code":"I"},"x":`, 1) + strings.Repeat(`[`, 3000) + strings.Repeat(`]`, 3000) + `}`
	for name, c := range map[string]struct {
		body        string
		contentType string
		want        odata.Error
	}{
		"V2 in JSON":             {sample(t, "errors/v2.json"), "application/json", sapError},
		"V2 in XML":              {sample(t, "errors/v2.xml"), "application/xml", sapError},
		"V4 in JSON":             {sample(t, "errors/v4.json"), "application/json", v4Error},
		"V4 in XML":              {sample(t, "errors/v4.xml"), "application/xml", v4Error},
		"JSON that lies":         {sample(t, "errors/v4.json"), "application/xml", v4Error},
		"XML that lies":          {sample(t, "errors/v2.xml"), "application/json", sapError},
		"JSON that is a picture": {sample(t, "errors/v4.json"), "image/png", v4Error},
		"with a byte order mark": {"\ufeff" + sample(t, "errors/v4.json"), "", v4Error},
		"of Microsoft": {sample(t, "errors/v2-microsoft.xml"), "", odata.Error{Host: host, Message: "An error occurred.", Inner: &odata.InnerError{
			Message: "outer", Type: "System.InvalidOperationException", Inner: &odata.InnerError{Message: "inner", Type: "System.Exception"}}}},
		"V3":                {sample(t, "errors/v3.json"), "", odata.Error{Host: host, Code: "005056A509B11EE1B9A8FEC11C21578E", Message: "Resource not found."}},
		"a gateway's":       {sample(t, "errors/approuter.json"), "", odata.Error{Host: host, Code: "unauthorized", Message: "Full authentication is required to access this resource"}},
		"a flat one":        {`{"code":"C","message":"M"}`, "", odata.Error{Host: host, Code: "C", Message: "M"}},
		"nothing":           {"", "application/json", odata.Error{Host: host}},
		"a page":            {sample(t, "errors/page.html"), "application/json", odata.Error{Host: host}},
		"with entities":     {sample(t, "errors/entities.xml"), "", odata.Error{Host: host}},
		"with a DOCTYPE":    {`<!DOCTYPE error><error><code>C</code></error>`, "", odata.Error{Host: host}},
		"cut off":           {sample(t, "errors/truncated.json"), "application/json", odata.Error{Host: host, Code: "C1", Message: "M1"}},
		"of other types":    {`{"error":{"code":7,"message":{"value":["x"]},"details":"none","innererror":[1]}}`, "", odata.Error{Host: host, Code: "7"}},
		"huge":              {`{"error":{"code":"C","message":"` + strings.Repeat("x", 10<<20) + `"}}`, "", odata.Error{Host: host, Code: "C"}},
		"with huge details": {`{"error":{"code":"C","message":"M","innererror":{"stack":"` + strings.Repeat("x", 10<<20) + `"}}}`, "", odata.Error{Host: host, Code: "C", Message: "M"}},
		"with no name":      {`{"error":{"code":"C",1:2,"message":"M"}}`, "", odata.Error{Host: host, Code: "C"}},
		"a long message":    {`{"error":{"code":"C","message":"` + strings.Repeat("x", 20<<10) + `"}}`, "", odata.Error{Host: host, Code: "C", Message: "(not shown: it is too long)"}},
		"of many lines":     {`{"error":{"code":"C","message":"a\r\nb\u001b[2Jc"}}`, "", odata.Error{Host: host, Code: "C", Message: "a  b [2Jc"}},
		"an odd code":       {`{"error":{"code":"a\nb","message":"M"}}`, "", odata.Error{Host: host, Message: "M"}},
		"deep JSON":         {`{"error":{"code":"C","x":` + nested + `}}`, "", odata.Error{Host: host, Code: "C"}},
		"deeper JSON":       {strings.Repeat(`{"error":`, 7000), "", odata.Error{Host: host}},
		"deep XML":          {strings.Repeat(`<error>`, 9000), "", odata.Error{Host: host}},
		"deep inner errors": {`{"error":{"code":"C",` + strings.Repeat(`"innererror":{"code":"I",`, 30) + `"x":1` + strings.Repeat("}", 32), "", odata.Error{Host: host, Code: "C",
			Inner: &odata.InnerError{Code: "I", Inner: &odata.InnerError{Code: "I", Inner: &odata.InnerError{Code: "I", Inner: &odata.InnerError{Code: "I", Inner: &odata.InnerError{Code: "I"}}}}}}},
		"many details": {manyDetails, "", odata.Error{Host: host, Code: "C", Details: slicesOf(odata.Detail{Code: "D"}, 32)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := response(t, 400, strings.NewReader(c.body), "Content-Type", c.contentType)
			for range 2 { // it can be asked again
				err := odata.ErrorOf(resp)
				want := c.want
				want.StatusCode = 400
				require.Equal(t, &want, err)
				require.NotContains(t, err.Error(), "sentinel")
				require.Less(t, len(err.Error()), 2000)
			}
			text := read(t, resp)
			require.Equal(t, len(c.body), len(text))
			require.True(t, c.body == text, "the raw answer is still there")
		})
	}
}

func slicesOf(d odata.Detail, n int) (all []odata.Detail) {
	for range n {
		all = append(all, d)
	}
	return all
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		header []string
		want   string
	}{
		{400, nil, "odata: gateway.test answered 400 ASSERT_RANGE: The book is wrong. (stock)"},
		{401, nil, "(stock); the token was refused"}, {403, nil, "check the roles"}, {412, nil, "read it again for its ETag"}, {428, nil, "as If-Match"},
		{503, nil, "; try again later"}, {503, []string{"Retry-After", "7"}, "; wait 7s, or set MaxRetryAfter"},
	} {
		require.ErrorContains(t, odata.ErrorOf(response(t, c.status, strings.NewReader(sample(t, "errors/v4.json")), c.header...)), c.want)
	}
	require.NoError(t, odata.ErrorOf(nil))
	require.NoError(t, odata.ErrorOf(response(t, 399, strings.NewReader("x"))))
	require.EqualError(t, odata.ErrorOf(&http.Response{StatusCode: 500}), "odata: the server answered 500")
}

// TestErrorsQuoteNoSecrets has a service that says in its errors all that it was sent.
func TestErrorsQuoteNoSecrets(t *testing.T) {
	t.Parallel()
	g := &gateway{next: func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"error":{"code":%q,"message":%q,"target":%q,"details":[{"message":%q}],"innererror":{"message":%q,"type":"T"}}}`,
			r.Header.Get("X-Csrf-Token"), "token: "+r.Header.Get("Authorization"), "at "+r.Header.Get("Cookie"),
			"csrf "+r.Header.Get("X-Csrf-Token"), fmt.Sprintf("%x", r.Header.Get("Authorization")))
	}}
	client := newV4(t, roundTripFunc(oauthtest.HandlerTransport(g).RoundTrip), odata.Options{})
	resp, err := client.Do(request(t, "POST", service+"/Books", "", "{}"))
	require.NoError(t, err)
	defer resp.Body.Close()
	err = odata.ErrorOf(resp)
	const hidden = "(not shown: it quotes a secret)"
	require.Equal(t, &odata.Error{Host: host, StatusCode: 400, Message: hidden, Target: hidden,
		Details: []odata.Detail{{Message: hidden}}, Inner: &odata.InnerError{Message: hidden, Type: "T"}}, err)
	oauthtest.AssertNoSecrets(t, []string{"bearer-of-nobody", "csrf-token-1", "session-id-1"}, err, fmt.Sprintf("%+v", resp.Request), fmt.Sprintf("%#v", resp.Request.Context()))
	require.Contains(t, read(t, resp), "csrf-token-1", "the raw answer is the caller's")
}

// TestErrorsOfFailedRenewals quote the token that was sent before.
func TestErrorsOfEarlierSecrets(t *testing.T) {
	t.Parallel()
	required := says(403, "", "X-Csrf-Token", "Required")
	r := &receiver{handler: answers(says(200, "", "X-Csrf-Token", "first-csrf-token"), required, says(200, "", "X-Csrf-Token", "second-csrf-token", "Set-Cookie", "a=set-at-the-fetch"),
		says(400, `{"error":{"message":"first-csrf-token is not second-csrf-token","code":"first-csrf-token"}}`))}
	resp, err := newV4(t, r, odata.Options{}).Do(request(t, "POST", service+"/Books", "", "{}"))
	require.NoError(t, err)
	require.NotContains(t, odata.ErrorOf(resp).Error(), "csrf-token")
	foreign := response(t, 400, strings.NewReader(`{"error":{"code":"C","message":"a: sentinel-cookie, b: sentinel-bearer"}}`))
	foreign.Request.Header.Set("Authorization", "Bearer sentinel-bearer")
	foreign.Request.Header.Set("Cookie", "a=sentinel-cookie")
	require.NotContains(t, odata.ErrorOf(foreign).Error(), "sentinel")
}

func TestErrorsOfSlowAndBrokenAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() { _, _ = io.WriteString(w, `{"error":`) }()
		resp := response(t, 500, nil)
		resp.Body = r
		start := time.Now()
		require.Equal(t, &odata.Error{Host: host, StatusCode: 500}, odata.ErrorOf(resp))
		require.Equal(t, 5*time.Second, time.Since(start))
		text, err := io.ReadAll(resp.Body)
		require.Equal(t, `{"error":`, string(text))
		require.ErrorContains(t, err, "did not come in time")
	})
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = io.WriteString(zip, sample(t, "errors/v4.json"))
	_ = zip.Close()
	want := v4Error
	want.StatusCode = 500
	resp := response(t, 500, bytes.NewReader(b.Bytes()), "Content-Encoding", "gzip")
	require.Equal(t, &want, odata.ErrorOf(resp))
	require.Equal(t, b.String(), read(t, resp))
	bomb := response(t, 500, io.MultiReader(bytes.NewReader(gzipped(4<<20))), "Content-Encoding", "gzip")
	require.Equal(t, &odata.Error{Host: host, StatusCode: 500}, odata.ErrorOf(bomb))
}

func gzipped(zeros int64) []byte {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = io.CopyN(zip, zeroes{}, zeros)
	_ = zip.Close()
	return b.Bytes()
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRefusedTokens come back as they are, with the token's refusal as an error.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: says(401, "Unauthorized", "WWW-Authenticate", "Bearer")}
	resp, err := newV4(t, r, odata.Options{}).Do(request(t, "POST", service+"/Books", "", "{}"))
	require.NoError(t, err)
	require.ErrorContains(t, odata.ErrorOf(resp), "answered 401; the token was refused")
	require.Equal(t, "Unauthorized", read(t, resp))
	_, err = newV4(t, r, odata.Options{Users: failing{}, User: byHeader}).Do(request(t, "POST", service+"/Books", "alice", "{}"))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

type failing struct{}

func (failing) ForUser(string) outgrant.TokenSource {
	return &oauthtest.Source{Script: []oauthtest.Step{{Err: io.ErrUnexpectedEOF}}}
}

// seeds adds the files of a folder below testdata.
func seeds(f *testing.F, folder string) {
	f.Helper()
	files, err := filepath.Glob("testdata/" + folder + "/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
}

func FuzzErrorOf(f *testing.F) {
	seeds(f, "errors")
	f.Fuzz(func(t *testing.T, body string) {
		resp := response(t, 400, strings.NewReader(body))
		resp.Request.Header.Set("Authorization", "Bearer sentinel-of-the-bearer")
		err := odata.ErrorOf(resp)
		e, ok := err.(*odata.Error)
		if !ok || e.StatusCode != 400 {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%+v %+v", *e, e.Inner); strings.Contains(text, "sentinel-of-the-bearer") || strings.ContainsAny(text, "\r\n\x1b") || len(e.Details) > 32 {
			t.Fatalf("%q", text)
		}
		if read(t, resp) != body {
			t.Fatal("the answer is another")
		}
	})
}
