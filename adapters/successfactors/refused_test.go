package successfactors_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/oauthtest"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/errors/" + name)
	require.NoError(t, err)
	return string(b)
}

// TestRefusedToken answers a request with an error, and the next as it should be.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	expired := func(code string) string {
		return strings.ReplaceAll(sample(t, "expired.json"), "LGN0022", code)
	}
	fault11 := func(fault string) string {
		return `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault>` + fault + `</S:Fault></S:Body></S:Envelope>`
	}
	fault12 := func(code, reason string) string {
		return strings.NewReplacer("x:Deep", code, "The query is wrong.", reason).Replace(sample(t, "soap12.xml"))
	}
	for name, c := range map[string]struct {
		status   int
		body     string
		header   string
		repeated bool
	}{
		"401":                           {401, "", "", true},
		"401 with a code":               {401, expired("LGN0022"), "", true},
		"403 in JSON":                   {403, expired("LGN0022"), "", true},
		"400 in JSON":                   {400, expired("LGN0022"), "", true},
		"LGN0006":                       {403, expired("LGN0006"), "", true},
		"LGN0007":                       {403, expired("LGN0007"), "", true},
		"no permission":                 {403, expired("LGN0002"), "", false},
		"a longer code":                 {403, expired("LGN00221"), "", false},
		"a code with more before it":    {403, expired("XLGN0022"), "", false},
		"in a success":                  {200, expired("LGN0022"), "LGN0022", false},
		"as the code":                   {403, sample(t, "expired-code.json"), "", true},
		"in the code":                   {403, `{"error":{"code":"TOKEN_EXPIRED/LGN0022","message":["x"]}}`, "", true},
		"in the message":                {403, `{"error":{"code":"X","message":{"value":"Login failed: [LGN0022] expired"}}}`, "", true},
		"before the message":            {403, `{"error":{"code":"X","message":" LGN0022: expired"}}`, "", true},
		"in the inner error":            {403, `{"error":{"code":"X","innererror":{"errordetails":[{"code":"Y"},{"code":"LGN0022"}]}}}`, "", true},
		"in the details":                {403, `{"error":{"code":"X","message":"y","details":[{"message":"[LGN0022]"}]}}`, "", true},
		"as a flat errorCode":           {403, `{"errorCode":"LGN0022","errorMessage":"x"}`, "", true},
		"in a flat errorMessage":        {403, `{"status":1e999,"errorMessage":"[LGN0022]"}`, "", true},
		"as a flat code":                {403, ` [{"code":"LGN0022"}]`, "", true},
		"as the error":                  {403, `{"error":"LGN0022","error_description":"x"}`, "", true},
		"in XML":                        {403, sample(t, "expired.xml"), "", true},
		"in XML with a byte order mark": {403, "\ufeff" + sample(t, "expired.xml"), "", true},
		"in XML's inner error":          {403, "<m:error><m:code>X</m:code><m:innererror><m:errordetail><m:code> LGN0022 </m:code></m:errordetail></m:innererror></m:error>", "", true},
		"in flat XML":                   {403, "<response><errorCode>LGN0022</errorCode></response>", "", true},
		"a SOAP fault":                  {500, sample(t, "expired-soap11.xml"), "", true},
		"a SOAP fault's code":           {500, fault11("<faultcode>S:LGN0022</faultcode>"), "", true},
		"in a SOAP fault's code":        {500, fault11("<faultcode>S:Server.LGN0022</faultcode><faultstring>x</faultstring>"), "", true},
		"before a SOAP fault's text":    {500, fault11("<faultcode>S:Server</faultcode><faultstring>LGN0022: expired</faultstring>"), "", true},
		"a SOAP fault's detail":         {500, sample(t, "expired-soap-detail.xml"), "", true},
		"a SOAP fault's detail's text":  {500, fault11("<detail>LGN0022</detail>"), "", true},
		"a SOAP 1.2 fault's subcode":    {500, fault12("LGN0022", "x"), "", true},
		"a SOAP 1.2 fault's reason":     {500, fault12("x", "[LGN0022]expired"), "", true},
		"a plain text":                  {403, "The token expired: [LGN0022]", "", true},
		"a plain text without brackets": {403, "LGN0022", "", false},
		"a header":                      {403, "", "LGN0022", true},
		"a header that says more":       {403, "", "see LGN0022", false},
		"the user's data":               {400, sample(t, "quoted-data.json"), "", false},
		"elsewhere in the error":        {400, sample(t, "property.json"), "", false},
		"in a page":                     {503, sample(t, "page.html"), "", false},
		"in a document with a DOCTYPE":  {403, sample(t, "entities.xml"), "", false},
		"cut off":                       {403, sample(t, "truncated.json"), "", false},
		"in a SOAP answer":              {500, "<Envelope><Body><getResponse><comment>LGN0022</comment></getResponse></Body></Envelope>", "", false},
		"beyond what is read":           {403, `{"x":"` + strings.Repeat("x", 64<<10) + `",` + sample(t, "expired.json")[1:], "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for api, newClient := range map[string]func(testing.TB, outgrant.UserSource, http.RoundTripper, successfactors.Options) *http.Client{"odata": newOData, "soap": newSOAP} {
				refusal := says(c.status, c.body, "Content-Type", "text/plain", "X-Which", "refusal", "X-Error", c.header)
				src := &oauthtest.Source{}
				r := &receiver{handler: answers(refusal, fine)}
				resp, err := newClient(t, users{"alice": src}, r, successfactors.Options{}).Do(request(t, "POST", server, "", "hello"))
				require.NoError(t, err, api)
				if !c.repeated {
					require.Equal(t, []string{"access-1"}, r.bearers())
					require.Empty(t, src.Rejected())
					require.Equal(t, c.status, resp.StatusCode)
					require.Equal(t, c.body, read(t, resp))
					continue
				}
				require.Equal(t, "fine", read(t, resp))
				require.Equal(t, 200, resp.StatusCode)
				require.Equal(t, "200 OK", resp.Status)
				require.Equal(t, []string{"access-1", "access-2"}, r.bearers())
				require.Len(t, src.Rejected(), 1)
				require.Equal(t, "access-1", src.Rejected()[0].AccessToken.Reveal())
				require.Equal(t, "hello", r.arrived()[1].body)

				// Refused again: once is enough, and the caller gets what came.
				src = &oauthtest.Source{}
				r = &receiver{handler: refusal}
				resp, err = newClient(t, users{"alice": src}, r, successfactors.Options{}).Do(request(t, "POST", server, "", "hello"))
				require.NoError(t, err)
				require.Equal(t, []string{"access-1", "access-2"}, r.bearers())
				require.Equal(t, c.status, resp.StatusCode)
				require.Equal(t, fmt.Sprint(c.status, " ", http.StatusText(c.status)), resp.Status)
				require.Equal(t, "refusal", resp.Header.Get("X-Which"))
				require.Equal(t, c.body, read(t, resp))
			}
		})
	}
}

func TestRefusedTokenWithoutAnother(t *testing.T) {
	t.Parallel()
	refusal := says(403, sample(t, "expired.json"))
	t.Run("the same token again", func(t *testing.T) {
		t.Parallel()
		r := &receiver{handler: refusal}
		client := newOData(t, anybody{}, r, successfactors.Options{})
		require.Equal(t, "403 "+sample(t, "expired.json"), fetch(t, client, request(t, "GET", server, "", "")))
		require.Len(t, r.arrived(), 1)
	})
	t.Run("a body that cannot be read again", func(t *testing.T) {
		t.Parallel()
		src := &oauthtest.Source{}
		r := &receiver{handler: answers(refusal, fine)}
		client := newOData(t, users{"alice": src}, r, successfactors.Options{})
		req := request(t, "POST", server, "", "")
		req.Body = io.NopCloser(strings.NewReader("hello"))
		require.Equal(t, "403 "+sample(t, "expired.json"), fetch(t, client, req))
		require.Len(t, r.arrived(), 1)
		require.Len(t, src.Rejected(), 1, "the token is dropped all the same")
	})
	t.Run("no token any more", func(t *testing.T) {
		t.Parallel()
		src := &oauthtest.Source{Script: []oauthtest.Step{{}, {Err: io.ErrUnexpectedEOF}}}
		r := &receiver{handler: refusal}
		client := newOData(t, users{"alice": src}, r, successfactors.Options{})
		require.Equal(t, "403 "+sample(t, "expired.json"), fetch(t, client, request(t, "GET", server, "", "")))
	})
}

// TestCachedTokenIsDropped has a cache between, as samlbearer does.
func TestCachedTokenIsDropped(t *testing.T) {
	t.Parallel()
	src := &oauthtest.Source{}
	r := &receiver{handler: answers(fine, says(403, sample(t, "expired.json")), fine)}
	client := newOData(t, users{"alice": outgrant.Cached(src, nil)}, r, successfactors.Options{})
	for range 3 {
		require.Equal(t, "200 fine", fetch(t, client, request(t, "GET", server, "", "")))
	}
	require.Equal(t, []string{"access-1", "access-1", "access-2", "access-2"}, r.bearers())
	require.Equal(t, 2, src.Calls())
}
