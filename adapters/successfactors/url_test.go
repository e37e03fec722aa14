package successfactors_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/adapters/successfactors"
)

func TestRelativeURLs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ base, url, odata, soap string }{
		"a path":                  {server, "User", server + "/odata/v2/User", server + "/sfapi/v1/soap/User"},
		"from the root":           {server, "/User", server + "/odata/v2/User", server + "/sfapi/v1/soap/User"},
		"nothing":                 {server, "", server + "/odata/v2", server + "/sfapi/v1/soap"},
		"a slash":                 {server + "/", "/", server + "/odata/v2", server + "/sfapi/v1/soap"},
		"a query alone":           {server, "?wsdl", server + "/odata/v2?wsdl", server + "/sfapi/v1/soap?wsdl"},
		"a query":                 {server, "User?$filter=a%20eq%20'b%2Fc'", server + "/odata/v2/User?$filter=a%20eq%20'b%2Fc'", ""},
		"an escaped slash":        {server, "User('a%2Fb')", server + "/odata/v2/User('a%2Fb')", ""},
		"dots in a key":           {server, "User('..')/manager", server + "/odata/v2/User('..')/manager", ""},
		"a port":                  {"https://api4.successfactors.test:8443", "User", "https://api4.successfactors.test:8443/odata/v2/User", ""},
		"a gateway's path":        {"https://gateway.test/sf/", "User", "https://gateway.test/sf/odata/v2/User", "https://gateway.test/sf/sfapi/v1/soap/User"},
		"with the API's path":     {server, "/odata/v2/User", server + "/odata/v2/User", server + "/sfapi/v1/soap/odata/v2/User"},
		"with it on both sides":   {server + "/odata/v2", "odata/v2/User('a%2Fb')", server + "/odata/v2/User('a%2Fb')", ""},
		"the API's path alone":    {server, "/sfapi/v1/soap?wsdl", "", server + "/sfapi/v1/soap?wsdl"},
		"almost the API's path":   {server, "/odata/v20", server + "/odata/v2/odata/v20", ""},
		"with the path of OData":  {server + "/odata/v2", "User", server + "/odata/v2/User", ""},
		"with the path and slash": {server + "/odata/v2/", "User", server + "/odata/v2/User", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for api, want := range map[string]string{"odata": c.odata, "soap": c.soap} {
				if want == "" {
					continue
				}
				r := &receiver{handler: fine}
				newClient := newOData
				if api == "soap" {
					newClient = newSOAP
				}
				req := request(t, "GET", c.url, "", "")
				before := req.URL.String()
				resp, err := newClient(t, anybody{}, r, successfactors.Options{BaseURL: c.base}).Do(req)
				require.NoError(t, err)
				require.Equal(t, want, r.arrived()[0].url)
				require.Equal(t, "token-of-alice", r.arrived()[0].bearer)
				require.Equal(t, strings.Split(want, "/")[2], r.arrived()[0].host)
				require.Equal(t, before, req.URL.String(), "the caller's request is left alone")
				require.Equal(t, want, resp.Request.URL.String())
				require.Empty(t, resp.Request.Header)
			}
		})
	}
	r := &receiver{handler: fine}
	fetch(t, newSOAP(t, anybody{}, r, successfactors.Options{BaseURL: server + "/sfapi/v1/soap/"}), request(t, "POST", "", "", "x"))
	require.Equal(t, server+"/sfapi/v1/soap", r.arrived()[0].url)
}

func TestBaseURLOfTheOtherAPI(t *testing.T) {
	t.Parallel()
	_, err := successfactors.NewOData(anybody{}, &successfactors.Options{User: alice, BaseURL: server + "/sfapi/v1/soap/"})
	require.ErrorContains(t, err, "the path of the SuccessFactors SOAP API: leave it away")
	_, err = successfactors.NewSOAP(anybody{}, &successfactors.Options{User: alice, BaseURL: server + "/gateway/odata/v2"})
	require.ErrorContains(t, err, "the path of the SuccessFactors OData V2 API")
}

func TestURLsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ base, url, want string }{
		"relative without BaseURL": {"", "User?$filter=sentinel", "set BaseURL"},
		"out of BaseURL":           {server, "../../oauth/token", `".."`},
		"out of it, escaped":       {server, "User/%2e%2e/%2E%2e/x", `".."`},
		"out of it, in one":        {server, "User%2F..%2Fx", `".."`},
		"without a scheme":         {server, "//evil.test/User", "relative, or have both"},
		"without a host":           {server, "https:///User", "relative, or have both"},
	} {
		r := &receiver{handler: fine}
		body := &closeSpy{Reader: strings.NewReader("x")}
		req := request(t, "POST", c.url, "", "")
		req.Body = body
		_, err := newOData(t, anybody{}, r, successfactors.Options{BaseURL: c.base}).Transport.RoundTrip(req)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "sentinel")
		require.Empty(t, r.arrived(), name)
		require.True(t, body.closed, name)
	}
	_, err := newOData(t, anybody{}, &receiver{}, successfactors.Options{}).Transport.RoundTrip(&http.Request{})
	require.ErrorContains(t, err, "no URL")
}

func TestAnotherOriginGetsNothing(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: answers(sessions, says(503, "away", "Set-Cookie", "theirs=1"), sessions)}
	asked := 0
	client := newOData(t, anybody{}, r, successfactors.Options{BaseURL: server, Repeat: true, Gzip: true, User: func(*http.Request) (string, error) {
		asked++
		return "alice", nil
	}})
	fetch(t, client, request(t, "GET", "User", "", ""))
	for range 2 {
		resp, err := client.Do(request(t, "GET", "https://evil.test/odata/v2/User", "", ""))
		require.NoError(t, err)
		require.Empty(t, resp.Header["Set-Cookie"])
		resp.Body.Close()
	}
	require.Equal(t, 1, asked)
	for _, s := range r.arrived()[1:] {
		require.Empty(t, s.bearer)
		require.Empty(t, s.cookie)
		require.Empty(t, s.header.Get("Accept-Encoding"), "it goes out as it is")
	}
	fetch(t, client, request(t, "GET", server+"/odata/v2/User", "", ""))
	require.Equal(t, "JSESSIONID=session-of-alice", r.arrived()[3].cookie, "absolute URLs of the server are its own")
}

// TestRedirects follows redirects from a relative and from an absolute URL.
func TestRedirects(t *testing.T) {
	t.Parallel()
	const home, away = server + "/odata/v2/Photo", "https://evil.test/Photo"
	for name, c := range map[string]struct {
		locations []string
		want      []string // where requests with the token and the session arrive; an exclamation mark for those without
	}{
		"home":                   {[]string{home}, []string{home}},
		"home, by a path":        {[]string{"/odata/v2/Photo?a=1"}, []string{home + "?a=1"}},
		"home, below":            {[]string{"Photo"}, []string{home}},
		"away":                   {[]string{away}, []string{"!" + away}},
		"away, without a scheme": {[]string{"//evil.test/Photo"}, []string{"!" + away}},
		"away and home":          {[]string{away, home}, []string{"!" + away, "!" + home}},
		"home and away":          {[]string{"/odata/v2/Photo", away}, []string{home, "!" + away}},
		"by another scheme":      {[]string{"http://api4.successfactors.test/Photo"}, []string{"!http://api4.successfactors.test/Photo"}},
	} {
		for _, start := range []string{"User", server + "/odata/v2/User"} {
			for _, base := range []string{server, ""} {
				if base == "" && start == "User" || base == "" && name == "by another scheme" {
					continue
				}
				t.Run(name+" from "+start+" with "+base, func(t *testing.T) {
					t.Parallel()
					steps := []http.HandlerFunc{sessions} // which gives the session
					for _, l := range c.locations {
						steps = append(steps, says(http.StatusTemporaryRedirect, "", "Location", l, "Set-Cookie", "JSESSIONID=session-of-alice"))
					}
					r := &receiver{handler: answers(append(steps, fine)...)}
					client := newOData(t, anybody{}, r, successfactors.Options{BaseURL: base})
					fetch(t, client, request(t, "GET", start, "", ""))
					resp, err := client.Do(request(t, "POST", start, "", "hello"))
					require.NoError(t, err)
					require.Equal(t, "fine", read(t, resp))
					require.Equal(t, server+"/odata/v2/User", r.arrived()[1].url)
					var got []string
					for _, s := range r.arrived()[2:] {
						require.Equal(t, "hello", s.body)
						switch {
						case s.bearer == "token-of-alice" && strings.Contains(s.cookie, "JSESSIONID=session-of-alice"):
							got = append(got, s.url)
						case s.bearer == "" && s.cookie == "":
							got = append(got, "!"+s.url)
						default:
							t.Errorf("half: %+v", s)
						}
					}
					require.Equal(t, c.want, got)
					for r := resp; r != nil; r = r.Request.Response {
						require.Empty(t, r.Request.Header.Get("Authorization"))
						require.Empty(t, r.Request.Header.Get("Cookie"))
						require.True(t, r.Request.URL.IsAbs())
					}
				})
			}
		}
	}
}

// TestOwnCredentialsStayBehind are the caller's, and redirects go where net/http would let them through: from a relative
// URL, it takes any host with a dot at its end for the same.
func TestOwnCredentialsStayBehind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		locations []string
		kept      bool // at the end, from an absolute URL: from a relative one net/http drops them at once
	}{
		"at home":           {[]string{server + "/odata/v2/Photo"}, true},
		"by a dot":          {[]string{"https://evil.test./Photo"}, false},
		"at a subdomain":    {[]string{"https://www.api4.successfactors.test/Photo"}, false},
		"by a dot and home": {[]string{"https://evil.test./Photo", server + "/odata/v2/Photo"}, false},
	} {
		for _, start := range []string{"User", server + "/odata/v2/User"} {
			var steps []http.HandlerFunc
			for _, l := range c.locations {
				steps = append(steps, says(http.StatusTemporaryRedirect, "", "Location", l))
			}
			r := &receiver{handler: answers(append(steps, fine)...)}
			req := request(t, "GET", start, "alice", "")
			req.Header.Set("Cookie", "own=1")
			req.Header.Set("Authorization", "Basic own")
			require.Equal(t, "200 fine", fetch(t, newOData(t, anybody{}, r, successfactors.Options{BaseURL: server}), req))
			last := r.arrived()[len(c.locations)]
			require.Equal(t, "alice", last.header.Get("X-User"))
			require.Equal(t, c.kept && start != "User", last.cookie == "own=1", "%s from %s", name, start)
			require.Equal(t, c.kept, last.bearer == "token-of-alice")
			require.True(t, c.kept || last.cookie+last.header.Get("Authorization") == "")
		}
	}
}
