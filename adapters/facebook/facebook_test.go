package facebook_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/facebook"
	"github.com/outgrant/outgrant/oauthtest"
)

type described struct {
	outgrant.TokenSource
	grant outgrant.Grant
}

func (d described) Describe() outgrant.Credential { return outgrant.Credential{Grant: d.grant} }

const root = "https://graph.facebook.com/" + facebook.GraphVersion

func TestNew(t *testing.T) {
	t.Parallel()
	bearer := described{outgrant.StaticToken("t"), outgrant.ClientCredentials}
	for name, c := range map[string]struct {
		src  outgrant.TokenSource
		opts *facebook.Options
		want string
	}{
		"no source":     {nil, nil, "source is nil"},
		"another grant": {bearer, nil, "takes social, not client_credentials"},
		"relative":      {source(t), &facebook.Options{BaseURL: "graph.test"}, "BaseURL"},
		"a query":       {source(t), &facebook.Options{BaseURL: "https://graph.test?a=b"}, "BaseURL"},
		"plain http":    {source(t), &facebook.Options{BaseURL: "http://graph.test"}, "insecure URL"},
	} {
		_, err := facebook.New(c.src, c.opts)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := facebook.New(bearer, &facebook.Options{AnyGrant: true, BaseURL: "http://127.0.0.1:1/"})
	require.NoError(t, err)
	var empty facebook.Transport
	_, err = empty.Users(t.Context(), "me")
	require.ErrorContains(t, err, "make it by New")
	require.ErrorContains(t, lastOf(empty.Posts(t.Context(), "me", nil)), "make it by New")
	_, err = (&http.Client{Transport: &empty}).Get(root)
	require.ErrorContains(t, err, "make it by New")
	empty.CloseIdleConnections()
}

func lastOf[T any](seq iter.Seq2[T, error]) (last error) {
	for _, err := range seq {
		last = err
	}
	return last
}

// TestLists follows links, which carry the token and its proof, without either.
func TestLists(t *testing.T) {
	t.Parallel()
	const next = root + `/17/posts?access_token=short-lived-token&limit=2&after=a%2B1&appsecret_proof=0815&access%5Ftoken=x`
	r := newReceiver(inTurn(
		says(200, `{"data":[{"id":"1","message":"a","from":{"id":"17","name":"Acme"},"created_time":"2026-01-31T12:00:00+0000"},{"id":"2","story":"s"}],"paging":{"cursors":{"after":"a+1"},"next":"`+next+`"}}`),
		says(200, `{"data":[],"paging":{"next":"/v9.0/17/posts?after=b"}}`),
		says(200, `{"data":[{"id":"3","created_time":"2026-01-30T12:00:00Z"}]}`),
	))
	fb := newTransport(t, r)
	var posts []facebook.Post
	for post, err := range fb.Posts(t.Context(), "17", &facebook.ListOptions{PageSize: 2, Since: time.Unix(1000, 0)}) {
		require.NoError(t, err, r.graph.Refusals())
		posts = append(posts, post)
	}
	require.Len(t, posts, 3)
	require.Equal(t, facebook.Ref{ID: "17", Name: "Acme"}, posts[0].From)
	require.True(t, time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC).Equal(posts[0].CreatedTime.Time))
	require.Equal(t, "s", posts[1].Story)
	require.Equal(t, []string{
		root + "/17/posts?fields=id%2Cmessage%2Cstory%2Cfrom%2Cpermalink_url%2Ccreated_time%2Cupdated_time&limit=2&since=1000",
		root + "/17/posts?after=a%2B1&limit=2",
		"https://graph.facebook.com/v9.0/17/posts?after=b",
	}, r.arrived())

	r = newReceiver(says(200, `{"data":[{"id":"1","message":"m","from":{"name":"Bob"}}]}`))
	fb = newTransport(t, r)
	for comment, err := range fb.PostComments(t.Context(), "17_1", nil) {
		require.NoError(t, err)
		require.Equal(t, facebook.Comment{ID: "1", Message: "m", From: facebook.Ref{Name: "Bob"}}, comment)
	}
	require.NoError(t, lastOf(fb.Feed(t.Context(), "me", nil)))
	require.Equal(t, []string{
		root + "/17_1/comments?fields=id%2Cmessage%2Cfrom%2Ccreated_time",
		root + "/me/feed?fields=id%2Cmessage%2Cstory%2Cfrom%2Cpermalink_url%2Ccreated_time%2Cupdated_time",
	}, r.arrived())
	for range fb.Feed(t.Context(), "me", nil) {
		break
	}
	require.Len(t, r.arrived(), 3)
}

// TestBadLinks: none leads to another server, nor for ever.
func TestBadLinks(t *testing.T) {
	t.Parallel()
	link := func(next string) http.HandlerFunc {
		return says(200, `{"data":[{"id":"1"}],"paging":{"next":"`+next+`"}}`)
	}
	circle := 0
	for name, c := range map[string]struct {
		handler  http.HandlerFunc
		want     string
		requests int
	}{
		"another host":     {link("https://evil.test/v25.0/me/feed?access_token=short-lived-token"), "another server", 1},
		"another scheme":   {link("http://graph.facebook.com/v25.0/me/feed"), "another server", 1},
		"another port":     {link("https://graph.facebook.com:8443/v25.0/me/feed"), "another server", 1},
		"without a scheme": {link("//evil.test/x"), "another server", 1},
		"with a password":  {link("https://u:p@graph.facebook.com/x"), "another server", 1},
		"a script":         {link("javascript:alert(1)"), "another server", 1},
		"not a URL":        {link("https://graph.facebook.com/%zz"), "not a URL", 1},
		"malformed query":  {link("https://graph.facebook.com/x?a=%zz"), "not a URL", 1},
		"itself":           {link("https://graph.facebook.com/x?b=1&access_token=a"), "pages without end", 2},
		"itself, differing in the token alone": {func(w http.ResponseWriter, r *http.Request) {
			circle++
			link(fmt.Sprintf("https://graph.facebook.com/x?b=1&access_token=%d&appsecret_proof=%d#%d", circle, circle, circle))(w, r)
		}, "pages without end", 2},
		"always empty": {func(w http.ResponseWriter, r *http.Request) {
			circle++
			says(200, fmt.Sprintf(`{"data":[],"paging":{"next":"https://graph.facebook.com/x?after=%d"}}`, circle))(w, r)
		}, "pages without end", 100},
	} {
		r := newReceiver(c.handler)
		err := lastOf(newTransport(t, r).Feed(t.Context(), "me", nil))
		require.ErrorContains(t, err, c.want, name)
		require.Len(t, r.arrived(), c.requests, name)
		require.Empty(t, r.graph.Refusals(), name)
		oauthtest.AssertNoSecrets(t, []string{"short-lived-token"}, err)
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	r := newReceiver(says(200, `{}`))
	fb := newTransport(t, r)
	for _, id := range []string{"", "..", "../x", "a/b", "a?b", "a b", ".a", "ü", strings.Repeat("1", 101)} {
		require.ErrorContains(t, lastOf(fb.Posts(t.Context(), id, nil)), "the id must", id)
		_, err := fb.Users(t.Context(), "me", id)
		require.ErrorContains(t, err, "the id must", id)
	}
	require.ErrorContains(t, lastOf(fb.Posts(t.Context(), "me", &facebook.ListOptions{PageSize: 101})), "PageSize")
	require.ErrorContains(t, lastOf(fb.PostComments(t.Context(), "1", &facebook.ListOptions{PageSize: -1})), "PageSize")
	require.Empty(t, r.arrived())
}

func TestUsers(t *testing.T) {
	t.Parallel()
	r := newReceiver(func(w http.ResponseWriter, r *http.Request) {
		var found []string
		for id := range strings.SplitSeq(r.URL.Query().Get("ids"), ",") {
			found = append(found, fmt.Sprintf(`%q:{"id":%q,"name":"User %s"}`, id, id, id))
		}
		says(200, "{"+strings.Join(found, ",")+"}")(w, r)
	})
	fb := newTransport(t, r)
	var ids []string
	for i := range 120 {
		ids = append(ids, fmt.Sprint(1000-i))
	}
	users, err := fb.Users(t.Context(), ids...)
	require.NoError(t, err, r.graph.Refusals())
	require.Len(t, users, 120)
	for i, u := range users {
		require.Equal(t, facebook.User{ID: ids[i], Name: "User " + ids[i]}, u)
	}
	require.Len(t, r.arrived(), 3)
	require.True(t, strings.HasPrefix(r.arrived()[0], root+"/?fields=id%2Cname&ids=1000%2C999%2C"), r.arrived()[0])
	none, err := fb.Users(t.Context())
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = newTransport(t, newReceiver(says(200, `{"2":{"id":"2"}}`))).Users(t.Context(), "1")
	require.ErrorContains(t, err, "did not tell about the user 1")
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    facebook.Error
		text    string
	}{
		"expired":     {says(400, `{"error":{"message":"Session has expired","type":"OAuthException","code":190,"error_subcode":463,"fbtrace_id":"A1"}}`), facebook.Error{StatusCode: 400, Code: 190, Subcode: 463, Type: "OAuthException", Message: "Session has expired", TraceID: "A1"}, "400 (code 190, subcode 463): Session has expired; the access token has ended"},
		"permission":  {says(403, `{"error":{"message":"no","code":200}}`), facebook.Error{StatusCode: 403, Code: 200, Message: "no"}, "check the app's permissions"},
		"transient":   {says(500, `{"error":{"message":"An unknown error occurred","code":1,"is_transient":true}}`, "Retry-After", "3"), facebook.Error{StatusCode: 500, Code: 1, Message: "An unknown error occurred", Transient: true, RetryAfter: 3 * time.Second}, "500 (code 1): An unknown error occurred"},
		"in a 200":    {says(200, `{"error":{"message":"no","code":100}}`), facebook.Error{StatusCode: 200, Code: 100, Message: "no"}, "200 (code 100): no"},
		"HTML":        {says(502, `<html>short-lived-token</html>`), facebook.Error{StatusCode: 502}, "answered 502"},
		"lying types": {says(400, `{"error":{"message":["a"],"code":"190"}}`), facebook.Error{StatusCode: 400}, "answered 400"},
		"deep":        {says(400, strings.Repeat(`{"error":`, 20000)), facebook.Error{StatusCode: 400}, "answered 400"},
		"redirect":    {says(302, ``, "Location", "https://evil.test/"), facebook.Error{StatusCode: 302}, "set BaseURL"},
		"quotes":      {says(400, `{"error":{"message":"bad token short-lived-token"}}`), facebook.Error{StatusCode: 400, Message: "(not shown: it quotes a secret)"}, "not shown"},
	} {
		r := newReceiver(c.handler)
		_, err := newTransport(t, r).Users(t.Context(), "me")
		e, ok := errors.AsType[*facebook.Error](err)
		require.True(t, ok, "%s: %v", name, err)
		c.want.Host = "graph.facebook.com"
		require.Equal(t, c.want, *e, name)
		require.ErrorContains(t, err, c.text, name)
		require.Len(t, r.arrived(), 1, name)
		oauthtest.AssertNoSecrets(t, []string{"short-lived-token", "application-secret"}, err)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"no JSON": says(200, `<html>`), "another shape": says(200, `{"data":{}}`), "huge": says(200, `{"data":[`+strings.Repeat(" ", 9<<20)+`]}`),
		"no time": says(200, `{"data":[{"created_time":"yesterday"}]}`), "a number": says(200, `{"data":[{"created_time":5}]}`),
	} {
		err := lastOf(newTransport(t, newReceiver(handler)).Feed(t.Context(), "me", nil))
		require.Error(t, err, name)
		require.Less(t, len(err.Error()), 300, name)
	}
	require.NoError(t, lastOf(newTransport(t, newReceiver(says(200, `{"data":[{"id":"1"}],"error":null}`))).Feed(t.Context(), "me", nil)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newTransport(t, newReceiver(nil)).Users(ctx, "me")
	require.ErrorIs(t, err, context.Canceled)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		usage := func(value string) []string { return []string{"X-Business-Use-Case-Usage", value} }
		for name, c := range map[string]struct {
			status int
			body   string
			header []string
			wait   time.Duration
		}{
			"of the app":      {403, `{"error":{"message":"(#4) Application request limit reached","code":4}}`, nil, 0},
			"of the page":     {400, `{"error":{"code":32}}`, usage(`{"17":[{"type":"pages","call_count":100,"estimated_time_to_regain_access":19},{"estimated_time_to_regain_access":3}]}`), 19 * time.Minute},
			"of a use case":   {400, `{"error":{"code":80001}}`, append(usage(`not JSON`), usage(`{"1":[{"estimated_time_to_regain_access":2}]}`)...), 2 * time.Minute},
			"by status":       {429, ``, []string{"Retry-After", "60"}, time.Minute},
			"without measure": {429, ``, usage(`{"1":[{"estimated_time_to_regain_access":1e300}]}`), 7 * 24 * time.Hour},
			"huge":            {429, strings.Repeat(" ", 9<<20), []string{"Retry-After", "60"}, time.Minute},
			"negative":        {429, ``, usage(`{"1":[{"estimated_time_to_regain_access":-5}]}`), 0},
		} {
			_, err := newTransport(t, newReceiver(says(c.status, c.body, c.header...))).Users(t.Context(), "me")
			e, ok := errors.AsType[*facebook.RateLimitError](err)
			require.True(t, ok, "%s: %v", name, err)
			general, ok := errors.AsType[*facebook.Error](err)
			require.True(t, ok)
			require.Equal(t, c.status, general.StatusCode)
			if c.wait == 0 {
				require.Zero(t, e.Reset, name)
				require.ErrorContains(t, err, "wait an hour", name)
				continue
			}
			require.Equal(t, c.wait, time.Until(e.Reset), name)
			require.ErrorContains(t, err, "wait until", name)
		}
	})
}

// TestOtherServers get neither token nor proof, nor does a redirect lead there.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	var authorized []string
	base := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.URL.Query().Has("appsecret_proof") {
			authorized = append(authorized, r.Host)
		}
		if r.Host == "graph.facebook.com" {
			http.Redirect(w, r, "https://evil.test/", http.StatusFound)
		}
	}))
	client := &http.Client{Transport: newTransport(t, base)}
	for _, address := range []string{root + "/me", "https://evil.test/", "http://graph.facebook.com/"} {
		resp, err := client.Get(address)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.Equal(t, []string{"graph.facebook.com"}, authorized)
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	fb := newTransport(t, newReceiver(says(200, "")))
	var proof string
	leaky := newTransport(t, roundTripFunc(func(r *http.Request) (*http.Response, error) {
		proof = r.URL.Query().Get("appsecret_proof")
		return nil, fmt.Errorf("cannot send %s with proof %s", r.URL, proof)
	}))
	_, err := leaky.Users(t.Context(), "me")
	require.ErrorContains(t, err, "facebook: GET "+root+"/: (not shown")
	last := lastOf(leaky.Feed(t.Context(), "me", nil))
	require.Len(t, proof, 64)
	oauthtest.AssertNoSecrets(t, []string{"short-lived-token", "application-secret", proof}, fb, *fb, err, last, struct{ fb *facebook.Transport }{fb}, &struct{ fb facebook.Transport }{*fb})
	require.Equal(t, "facebook.Transport(graph.facebook.com)", fmt.Sprintf("%+v", fb))
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
