package twitter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/twitter"
	"github.com/outgrant/outgrant/oauthtest"
)

type described struct {
	outgrant.TokenSource
	grant outgrant.Grant
}

func (d described) Describe() outgrant.Credential { return outgrant.Credential{Grant: d.grant} }

func TestNew(t *testing.T) {
	t.Parallel()
	bearer := described{outgrant.StaticToken("t"), outgrant.ClientCredentials}
	for name, c := range map[string]struct {
		src  outgrant.TokenSource
		opts *twitter.Options
		want string
	}{
		"no source":     {nil, nil, "source is nil"},
		"another grant": {bearer, nil, "takes social, not client_credentials"},
		"relative":      {source(), &twitter.Options{BaseURL: "api.x.test"}, "BaseURL"},
		"a query":       {source(), &twitter.Options{BaseURL: "https://api.x.test?a=b"}, "BaseURL"},
		"a password":    {source(), &twitter.Options{BaseURL: "https://u:p@api.x.test"}, "BaseURL"},
		"plain http":    {source(), &twitter.Options{BaseURL: "http://api.x.test"}, "insecure URL"},
		"not a URL":     {source(), &twitter.Options{BaseURL: "https://a b"}, "BaseURL"},
	} {
		_, err := twitter.New(c.src, c.opts)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := twitter.New(bearer, nil)
	require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
	_, err = twitter.New(bearer, &twitter.Options{AnyGrant: true, BaseURL: "http://127.0.0.1:1/"})
	require.NoError(t, err)
	var empty twitter.Transport
	_, err = empty.SendTweet(t.Context(), "x")
	require.ErrorContains(t, err, "make it by New")
	_, err = (&http.Client{Transport: &empty}).Get("https://api.x.com/")
	require.ErrorContains(t, err, "make it by New")
	empty.CloseIdleConnections()
}

func TestSend(t *testing.T) {
	t.Parallel()
	r := newReceiver(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/messages") {
			says(201, `{"data":{"dm_conversation_id":"1-2","dm_event_id":"3"}}`)(w, r)
			return
		}
		says(201, `{"data":{"id":"17","text":"Grüße & +1 ✓"}}`)(w, r)
	})
	x := newTransport(t, r)
	tweet, err := x.SendTweet(t.Context(), "Grüße & +1 ✓")
	require.NoError(t, err, r.provider.Refusals())
	require.Equal(t, twitter.Tweet{ID: "17", Text: "Grüße & +1 ✓"}, tweet)
	message, err := x.SendDirectMessage(t.Context(), "2244994945", "hello")
	require.NoError(t, err)
	require.Equal(t, twitter.DirectMessage{ConversationID: "1-2", EventID: "3"}, message)
	require.Equal(t, []string{
		`POST https://api.x.com/2/tweets ` + marshal(t, map[string]string{"text": "Grüße & +1 ✓"}),
		`POST https://api.x.com/2/dm_conversations/with/2244994945/messages {"text":"hello"}`,
	}, r.arrived())

	for _, err := range []error{
		errOf(x.SendTweet(t.Context(), " \n")), errOf(x.SendDirectMessage(t.Context(), "../x", "hello")),
		errOf(x.SendDirectMessage(t.Context(), "", "hello")), errOf(x.SendDirectMessage(t.Context(), "1", "")),
	} {
		require.Error(t, err)
	}
	require.Len(t, r.arrived(), 2, "nothing was sent")
}

func errOf[T any](_ T, err error) error { return err }

func TestSearch(t *testing.T) {
	t.Parallel()
	page := 0
	r := newReceiver(func(w http.ResponseWriter, r *http.Request) {
		page++
		switch page {
		case 1:
			says(200, `{"data":[{"id":"3","text":"c","author_id":"9","created_at":"2026-01-31T12:00:00.000Z"},{"id":"2","text":"b"}],"meta":{"next_token":"t/1+"}}`)(w, r)
		case 2:
			says(200, `{"meta":{"result_count":0,"next_token":"t2"}}`)(w, r)
		default:
			says(200, `{"data":[{"id":"1","text":"a"}],"meta":{}}`)(w, r)
		}
	})
	x := newTransport(t, r)
	opts := &twitter.SearchOptions{PageSize: 10, SinceID: "0", EndTime: time.Date(2026, 2, 1, 1, 0, 0, 0, time.FixedZone("CET", 3600))}
	var ids []string
	for tweet, err := range x.Search(t.Context(), "from:SAP (a OR b)", opts) {
		require.NoError(t, err)
		ids = append(ids, tweet.ID)
		if tweet.ID == "3" {
			require.Equal(t, time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), tweet.CreatedAt)
			require.Equal(t, "9", tweet.AuthorID)
		}
	}
	require.Equal(t, []string{"3", "2", "1"}, ids)
	const first = "GET https://api.x.com/2/tweets/search/recent?end_time=2026-02-01T00%3A00%3A00Z&max_results=10&"
	const last = "query=from%3ASAP+%28a+OR+b%29&since_id=0&tweet.fields=author_id%2Ccreated_at"
	require.Equal(t, []string{first + last, first + "next_token=t%2F1%2B&" + last, first + "next_token=t2&" + last}, r.arrived())

	page = 0
	for range x.Search(t.Context(), "q", nil) {
		break
	}
	require.Len(t, r.arrived(), 4, "no more than was looked at")
	for name, seq := range map[string]func(func(twitter.Tweet, error) bool){
		"no query": x.Search(t.Context(), "", nil), "page size": x.Search(t.Context(), "q", &twitter.SearchOptions{PageSize: 5}),
	} {
		n := 0
		for _, err := range seq {
			require.Error(t, err, name)
			n++
		}
		require.Equal(t, 1, n, name)
	}
}

// TestPagesWithoutEnd are bounded.
func TestPagesWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler  http.HandlerFunc
		requests int
	}{
		"itself":       {says(200, `{"data":[{"id":"1"}],"meta":{"next_token":"same"}}`), 2},
		"always empty": {counting(`{"meta":{"next_token":"%d"}}`), 100},
		"in a circle":  {circle(`{"data":[{"id":"1"}],"meta":{"next_token":"%d"}}`, 3), 4},
	} {
		r := newReceiver(c.handler)
		var last error
		for _, err := range newTransport(t, r).Search(t.Context(), "q", nil) {
			last = err
		}
		require.ErrorContains(t, last, "pages without end", name)
		require.Len(t, r.arrived(), c.requests, name)
	}
}

func counting(body string) http.HandlerFunc { return circle(body, 1<<30) }

func circle(body string, length int) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		n++
		says(200, fmt.Sprintf(body, n%length))(w, r)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    twitter.Error
		text    string
	}{
		"problem":        {says(403, `{"title":"Forbidden","detail":"You are not permitted.","type":"about:blank","status":403}`), twitter.Error{StatusCode: 403, Title: "Forbidden", Detail: "You are not permitted.", Type: "about:blank"}, "403 Forbidden: You are not permitted.; check the app's permissions"},
		"of a parameter": {says(400, `{"errors":[{"parameters":{"query":["("]},"message":"missing ')'"}],"title":"Invalid Request","detail":"One or more.","type":"https://api.x.com/2/problems/invalid-request"}`), twitter.Error{StatusCode: 400, Title: "Invalid Request", Detail: "missing ')'", Type: "https://api.x.com/2/problems/invalid-request"}, "Invalid Request: missing ')'"},
		"older form":     {says(403, `{"errors":[{"code":187,"message":"Status is a duplicate."}]}`), twitter.Error{StatusCode: 403, Code: 187, Detail: "Status is a duplicate."}, "403 (code 187): Status is a duplicate."},
		"in a 200":       {says(200, `{"errors":[{"title":"Not Found","detail":"no such user","type":"t"}]}`), twitter.Error{StatusCode: 200, Title: "Not Found", Detail: "no such user", Type: "t"}, "200 Not Found: no such user"},
		"HTML":           {says(502, `<html>consumer-key</html>`), twitter.Error{StatusCode: 502}, "answered 502"},
		"nothing":        {says(500, ``), twitter.Error{StatusCode: 500}, "answered 500"},
		"lying types":    {says(400, `{"title":{"a":1},"errors":"x","detail":"d"}`), twitter.Error{StatusCode: 400, Detail: "d"}, "answered 400: d"},
		"deep":           {says(400, strings.Repeat(`{"errors":[`, 20000)), twitter.Error{StatusCode: 400}, "answered 400"},
		"long":           {says(400, `{"title":"`+strings.Repeat("x\\n", 5000)+`"}`), twitter.Error{StatusCode: 400, Title: strings.TrimSpace(strings.Repeat("x ", 50)) + " ..."}, "..."},
		"null":           {says(200, `{"data":null,"errors":[{"title":"Not Found"}]}`), twitter.Error{StatusCode: 200, Title: "Not Found"}, "200 Not Found"},
		"huge":           {says(500, strings.Repeat(" ", 9<<20)), twitter.Error{StatusCode: 500}, "answered 500"},
		"blanks":         {says(400, `{"title":"`+strings.Repeat(" ", 8*100-6)+`consumer-key"}`), twitter.Error{StatusCode: 400, Title: "(not shown: it quotes a secret)"}, "not shown"},
		"redirect":       {says(307, ``, "Location", "https://evil.test/"), twitter.Error{StatusCode: 307}, "set BaseURL"},
		"wait":           {says(503, ``, "Retry-After", "5"), twitter.Error{StatusCode: 503, RetryAfter: 5 * time.Second}, "answered 503"},
		"quotes the key": {says(400, `{"title":"consumer-key","detail":"the token access-token"}`), twitter.Error{StatusCode: 400, Title: "(not shown: it quotes a secret)", Detail: "(not shown: it quotes a secret)"}, "not shown"},
	} {
		r := newReceiver(c.handler)
		_, err := newTransport(t, r).SendTweet(t.Context(), "x")
		e, ok := errors.AsType[*twitter.Error](err)
		require.True(t, ok, "%s: %v", name, err)
		c.want.Host = "api.x.com"
		require.Equal(t, c.want, *e, name)
		require.ErrorContains(t, err, c.text, name)
		require.Len(t, r.arrived(), 1, name)
		oauthtest.AssertNoSecrets(t, []string{"consumer-key", "consumer-secret", "access-token"}, err)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"no JSON": says(200, `<html>`), "another shape": says(200, `{"data":[]}`), "no id": says(200, `{"data":{}}`),
		"huge": says(200, `{"data":{"id":"`+strings.Repeat("x", 9<<20)+`"}}`),
	} {
		_, err := newTransport(t, newReceiver(handler)).SendTweet(t.Context(), "x")
		require.Error(t, err, name)
		require.Less(t, len(err.Error()), 300, name)
	}
	_, err := newTransport(t, newReceiver(nil)).SendTweet(canceled(t), "x")
	require.ErrorIs(t, err, context.Canceled)
}

func canceled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(7 * time.Minute).Truncate(time.Second)
		limited := func(handler http.HandlerFunc) *twitter.RateLimitError {
			var last error
			for _, err := range newTransport(t, newReceiver(handler)).Search(t.Context(), "q", nil) {
				last = err
			}
			e, ok := errors.AsType[*twitter.RateLimitError](last)
			require.True(t, ok, last)
			general, ok := errors.AsType[*twitter.Error](last)
			require.True(t, ok)
			require.Equal(t, 429, general.StatusCode)
			return e
		}
		e := limited(says(429, `{"title":"Too Many Requests","detail":"Too Many Requests","type":"about:blank","status":429}`,
			"x-rate-limit-limit", "450", "x-rate-limit-remaining", "0", "x-rate-limit-reset", fmt.Sprint(reset.Unix())))
		require.Equal(t, 450, e.Limit)
		require.True(t, reset.Equal(e.Reset))
		require.EqualError(t, e, "twitter: api.x.com answered 429 Too Many Requests; wait until "+reset.UTC().Format(time.RFC3339))
		e = limited(says(429, ``, "Retry-After", "90"))
		require.Equal(t, 90*time.Second, time.Until(e.Reset))
		for _, odd := range []string{"", "-1", "x", "1e9", "999999999999999999999"} {
			e = limited(says(429, ``, "x-rate-limit-reset", odd))
			require.Zero(t, e.Reset, odd)
			require.ErrorContains(t, e, "wait a quarter of an hour")
		}
	})
}

// TestOtherServers get no signature, nor does a redirect lead there.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	var authorized []string
	base := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			authorized = append(authorized, r.Host)
		}
		if r.Host == "api.x.com" {
			http.Redirect(w, r, "https://evil.test/", http.StatusFound)
		}
	}))
	client := &http.Client{Transport: newTransport(t, base)}
	for _, address := range []string{"https://api.x.com/2/users/me", "https://evil.test/", "http://api.x.com/"} {
		resp, err := client.Get(address)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.Equal(t, []string{"api.x.com"}, authorized)
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	x := newTransport(t, newReceiver(says(200, "")))
	leaky := newTransport(t, roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("cannot send %s", r.Header.Get("Authorization"))
	}))
	_, err := leaky.SendTweet(t.Context(), "the text")
	require.ErrorContains(t, err, "twitter: POST https://api.x.com/2/tweets: (not shown")
	var last error
	for _, err := range leaky.Search(t.Context(), "the-query", nil) {
		last = err
	}
	oauthtest.AssertNoSecrets(t, []string{"consumer-key", "consumer-secret", "access-token", "the-query"}, x, *x, err, last, struct{ x *twitter.Transport }{x}, &struct{ x twitter.Transport }{*x})
	require.Equal(t, "twitter.Transport(api.x.com)", fmt.Sprintf("%+v", x))
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
