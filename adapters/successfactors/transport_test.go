package successfactors_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestConstructorsRefuse(t *testing.T) {
	t.Parallel()
	social := described{outgrant.StaticToken("access"), outgrant.Social}
	mixed := describedUsers{users{}, described{grant: outgrant.ClientCredentials}}
	for name, c := range map[string]struct {
		users outgrant.UserSource
		opts  *successfactors.Options
		want  string
	}{
		"no users":                    {nil, &successfactors.Options{User: alice}, "user source is nil"},
		"no options":                  {users{}, nil, "set TechnicalUser"},
		"no user":                     {users{}, &successfactors.Options{}, "set TechnicalUser"},
		"both":                        {technical{}, &successfactors.Options{User: alice, TechnicalUser: true}, "set one of them"},
		"no technical user":           {users{}, &successfactors.Options{TechnicalUser: true}, "ForTechnicalUser"},
		"technical user is nil":       {technical{}, &successfactors.Options{TechnicalUser: true}, "no token source"},
		"grant of the technical user": {technical{src: social}, &successfactors.Options{TechnicalUser: true}, "saml2-bearer"},
		"grant of the users":          {mixed, &successfactors.Options{User: alice}, "saml2-bearer"},
		"negative MaxSessions":        {users{}, &successfactors.Options{User: alice, MaxSessions: -1}, "must not be negative"},
		"negative SessionIdleTime":    {users{}, &successfactors.Options{User: alice, SessionIdleTime: -1}, "must not be negative"},
		"BaseURL without scheme":      {users{}, &successfactors.Options{User: alice, BaseURL: "api4.successfactors.test"}, "BaseURL must be"},
		"BaseURL with a query":        {users{}, &successfactors.Options{User: alice, BaseURL: server + "?company=sentinel"}, "BaseURL must be"},
		"BaseURL with a fragment":     {users{}, &successfactors.Options{User: alice, BaseURL: server + "#x"}, "BaseURL must be"},
		"BaseURL with a user":         {users{}, &successfactors.Options{User: alice, BaseURL: "https://u:sentinel@api4.successfactors.test"}, "BaseURL must be"},
		"BaseURL is no URL":           {users{}, &successfactors.Options{User: alice, BaseURL: "https://sentinel\x7f"}, "BaseURL must be"},
		"BaseURL by ftp":              {users{}, &successfactors.Options{User: alice, BaseURL: "ftp://api4.successfactors.test"}, "BaseURL must be"},
		"BaseURL by http":             {users{}, &successfactors.Options{User: alice, BaseURL: "http://api4.successfactors.test"}, "insecure URL"},
	} {
		_, err := successfactors.NewOData(c.users, c.opts)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "sentinel", name)
		_, err = successfactors.NewSOAP(c.users, c.opts)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := successfactors.NewOData(technical{src: social}, &successfactors.Options{TechnicalUser: true, AnyGrant: true})
	require.NoError(t, err)
	_, err = successfactors.NewOData(mixed, &successfactors.Options{User: alice, AnyGrant: true})
	require.NoError(t, err)
	_, err = successfactors.NewOData(users{}, &successfactors.Options{User: alice, BaseURL: "http://intranet.test", AllowInsecureHTTP: true})
	require.NoError(t, err)
}

// describedUsers is a user source that says its grant.
type describedUsers struct {
	outgrant.UserSource
	outgrant.Describer
}

func TestZeroTransport(t *testing.T) {
	t.Parallel()
	var zero successfactors.Transport
	req := request(t, "POST", server, "", "")
	body := &closeSpy{Reader: strings.NewReader("x")}
	req.Body = body
	_, err := zero.RoundTrip(req)
	require.ErrorContains(t, err, "NewOData or NewSOAP")
	require.True(t, body.closed)
	zero.CloseIdleConnections()
}

func TestLongUserIsRefused(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: fine}
	user := strings.Repeat("x", 1024)
	client := newOData(t, anybody{}, r, successfactors.Options{User: func(*http.Request) (string, error) { return user, nil }})
	require.Equal(t, "200 fine", fetch(t, client, request(t, "GET", server, "", "")))
	user += "x"
	_, err := client.Do(request(t, "GET", server, "", ""))
	require.ErrorContains(t, err, "1025 bytes")
	require.NotContains(t, err.Error(), "xxx")
	require.Len(t, r.arrived(), 1)
}

// TestRequestInTheAnswer is the caller's own where that says all.
func TestRequestInTheAnswer(t *testing.T) {
	t.Parallel()
	for url, statuses := range map[string]map[int]bool{server: {200: true, 302: true, 401: false, 404: false}, "User": {200: false, 404: false}} {
		for status, own := range statuses {
			client := newOData(t, anybody{}, &receiver{handler: says(status, "")}, successfactors.Options{BaseURL: server})
			req := request(t, "GET", url, "alice", "")
			resp, err := client.Transport.RoundTrip(req)
			require.NoError(t, err)
			require.Equal(t, own, resp.Request == req, "%s %d", url, status)
			require.Equal(t, http.Header{"X-User": {"alice"}}, resp.Request.Header)
			require.True(t, resp.Request.URL.IsAbs())
		}
	}
}

func TestEachRequestActsForItsUser(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: fine}
	source := &oauthtest.Source{}
	client := newOData(t, users{
		"alice": outgrant.StaticToken("of-alice"),
		"bob":   source,
		"eve":   described{outgrant.StaticToken("of-eve"), outgrant.ClientCredentials},
		"saml":  described{outgrant.StaticToken("of-saml"), outgrant.SAMLBearer},
	}, r, successfactors.Options{User: byHeader})
	url := server + "/odata/v2/User"
	for _, user := range []string{"alice", "bob", "saml"} {
		require.Equal(t, "200 fine", fetch(t, client, request(t, "GET", url, user, "")))
	}
	require.Equal(t, []string{"of-alice", "access-1", "of-saml"}, r.bearers())

	for user, want := range map[string]string{"broken": "no login", "": "user required", "eve": "saml2-bearer", "nobody": "no token source"} {
		body := &closeSpy{Reader: strings.NewReader("x")}
		req := request(t, "POST", url, user, "")
		req.Body = body
		_, err := client.Do(req)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "successfactors: ")
		require.True(t, body.closed, "bodies are closed on every path")
	}
	_, err := client.Do(request(t, "GET", url, "", ""))
	require.ErrorIs(t, err, outgrant.ErrUserRequired)
	_, err = client.Do(request(t, "GET", url, "eve", ""))
	require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
	require.Len(t, r.arrived(), 3, "nothing was sent")

	client = newOData(t, users{"eve": described{outgrant.StaticToken("of-eve"), outgrant.ClientCredentials}}, r,
		successfactors.Options{User: byHeader, AnyGrant: true})
	require.Equal(t, "200 fine", fetch(t, client, request(t, "GET", url, "eve", "")))
}

func TestUserIsAskedForOnce(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: answers(says(401, ""), fine)}
	calls := 0
	var got *http.Request
	client := newOData(t, users{"alice": &oauthtest.Source{}}, r, successfactors.Options{BaseURL: server, User: func(req *http.Request) (string, error) {
		calls++
		got = req
		return "alice", nil
	}})
	req := request(t, "GET", "User", "", "")
	require.Equal(t, "200 fine", fetch(t, client, req))
	require.Equal(t, 1, calls)
	require.Equal(t, "User", got.URL.String(), "it sees the caller's own request")
	require.Equal(t, []string{"access-1", "access-2"}, r.bearers())
}

func TestTechnicalUser(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: fine}
	client := newOData(t, technical{src: outgrant.StaticToken("of-technical")}, r, successfactors.Options{TechnicalUser: true})
	require.Equal(t, "200 fine", fetch(t, client, request(t, "GET", server, "alice", "")))
	require.Equal(t, []string{"of-technical"}, r.bearers())

	client = newOData(t, technical{users{}, outgrant.StaticToken("of-technical")}, r, successfactors.Options{User: byHeader})
	_, err := client.Do(request(t, "GET", server, "", ""))
	require.ErrorIs(t, err, outgrant.ErrUserRequired, "the technical user is no fallback")
	_, err = client.Do(request(t, "GET", server, "nobody", ""))
	require.Error(t, err)
	require.Len(t, r.arrived(), 1)
}

func TestErrorsOfBaseArePassedOn(t *testing.T) {
	t.Parallel()
	client := newOData(t, anybody{}, roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }), successfactors.Options{Repeat: true})
	_, err := client.Do(request(t, "GET", server, "", ""))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestOptionsAreCopied(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: fine}
	opts := &successfactors.Options{Base: r, User: alice}
	rt, err := successfactors.NewOData(anybody{}, opts)
	require.NoError(t, err)
	*opts = successfactors.Options{}
	require.Equal(t, "200 fine", fetch(t, &http.Client{Transport: rt}, request(t, "GET", server, "", "")))
}

func TestPlainHTTPIsRefused(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: fine}
	client := newOData(t, anybody{}, r, successfactors.Options{})
	_, err := client.Do(request(t, "GET", "http://api4.successfactors.test/odata/v2/User", "", ""))
	require.ErrorIs(t, err, outgrant.ErrInsecureURL)
	require.Empty(t, r.arrived())
	client = newOData(t, anybody{}, r, successfactors.Options{AllowInsecureHTTP: true})
	require.Equal(t, "200 fine", fetch(t, client, request(t, "GET", "http://api4.successfactors.test/odata/v2/User", "", "")))
}

// TestNothingPrintsASecret prints what a user can hold in his hands, also from inside of something else.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	const token, cookie = "sentinel-token-4711", "sentinel-session-0815"
	quote := `{"error":{"code":"TOKEN_INVALID","message":{"value":"[LGN0007]Invalid OAuth token: ` + token + ` of ` + cookie + `"}}}`
	r := &receiver{handler: answers(says(200, "", "Set-Cookie", "JSESSIONID="+cookie+"; Path=/"), says(403, quote))}
	client := newOData(t, users{"alice": outgrant.StaticToken(token)}, r, successfactors.Options{BaseURL: server})
	first, err := client.Do(request(t, "GET", "User", "", ""))
	require.NoError(t, err)
	second, err := client.Do(request(t, "GET", "User", "", ""))
	require.NoError(t, err)
	require.Equal(t, token, r.arrived()[1].bearer)
	require.Equal(t, "JSESSIONID="+cookie, r.arrived()[1].cookie)
	problem := successfactors.ErrorOf(second)
	rt := client.Transport.(*successfactors.Transport)
	oauthtest.AssertNoSecrets(t, []string{token, cookie}, rt, *rt, struct{ inside any }{rt}, struct{ inside successfactors.Transport }{*rt},
		problem, first.Request, first.Header, second.Request, second.Header, struct{ inside any }{second.Request})
	require.Equal(t, "successfactors.Transport(SuccessFactors OData V2 at api4.successfactors.test)", fmt.Sprint(rt))
	require.Equal(t, quote, read(t, second), "the raw answer is the caller's")

	soap, err := successfactors.NewSOAP(users{}, &successfactors.Options{User: alice})
	require.NoError(t, err)
	require.Equal(t, "successfactors.Transport(SuccessFactors SOAP)", fmt.Sprintf("%+v", soap))
}

type idleCloser struct {
	http.RoundTripper
	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestCloseIdleConnectionsIsPassedOn(t *testing.T) {
	t.Parallel()
	base := &idleCloser{}
	newOData(t, anybody{}, base, successfactors.Options{}).CloseIdleConnections()
	require.Equal(t, 1, base.closed)
	newOData(t, anybody{}, &receiver{}, successfactors.Options{}).CloseIdleConnections()
}
