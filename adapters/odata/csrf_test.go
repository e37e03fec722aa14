package odata_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestChangeCarriesCSRFToken(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: (&gateway{next: fine}).ServeHTTP}
	client := newV2(t, r, odata.Options{})
	for _, method := range []string{"POST", "PUT", "PATCH", "MERGE", "DELETE"} {
		require.Equal(t, "200 fine", fetch(t, client, request(t, method, service+"/Books(1)", "", "{}")), method)
	}
	fetch(t, client, request(t, "GET", service+"/Books", "", ""))
	require.Equal(t, "200 fine", fetch(t, client, request(t, "POST", service+"/$batch", "", "--b--")))
	require.Equal(t, []string{"GET Fetch", "POST csrf-token-1", "PUT csrf-token-1", "PATCH csrf-token-1", "MERGE csrf-token-1",
		"DELETE csrf-token-1", "GET", "POST csrf-token-1"}, r.log())
	for i, s := range r.arrived() {
		require.Equal(t, "bearer-of-nobody", s.bearer)
		if i > 0 {
			require.Equal(t, "SAP_SESSIONID_GWD_100=session-id-1; sap-usercontext=sap-client=100", s.cookie, "all cookies")
		}
	}
}

// TestReadsFetchNothing has users who only read: they cost no fetch.
func TestReadsFetchNothing(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: (&gateway{next: fine}).ServeHTTP}
	client := newV4(t, r, odata.Options{})
	for _, method := range []string{"GET", "HEAD", "OPTIONS", ""} {
		req := request(t, "GET", service+"/Books", "", "")
		req.Method = method
		if method == "OPTIONS" { // which this gateway takes for a change
			r.handler = fine
		}
		fetch(t, client, req)
	}
	require.Zero(t, r.fetches())
}

func TestWhereCSRFTokensAreFetched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts      odata.Options
		url, want string
	}{
		"an entity":              {odata.Options{}, service + "/Books(1)", "GET /sap/opu/odata/sap/BOOKS/"},
		"below an entity":        {odata.Options{}, service + "/Books(ID=1,x='a')/author/name", "GET /sap/opu/odata/sap/BOOKS/"},
		"a batch":                {odata.Options{}, service + "/$batch", "GET /sap/opu/odata/sap/BOOKS/"},
		"an escaped one":         {odata.Options{}, service + "/%24batch", "GET /sap/opu/odata/sap/BOOKS/"},
		"a collection":           {odata.Options{}, service + "/Books?$expand=x", "GET /sap/opu/odata/sap/BOOKS/"},
		"escaped slashes":        {odata.Options{}, server + "/a%2Fb/Books('x%2Fy')", "GET /a%2Fb/"},
		"the server":             {odata.Options{}, server, "GET /"},
		"a first segment":        {odata.Options{}, server + "/Books", "GET /"},
		"a key as a segment":     {odata.Options{}, server + "/catalog/Books/1", "GET /catalog/Books/"},
		"that with a ServiceURL": {odata.Options{ServiceURL: server + "/catalog"}, server + "/catalog/Books/1", "GET /catalog/"},
		"by HEAD":                {odata.Options{CSRFMethod: "HEAD"}, service + "/Books", "HEAD /sap/opu/odata/sap/BOOKS/"},
		"a relative path":        {odata.Options{CSRFPath: "$metadata?x=1"}, service + "/Books", "GET /sap/opu/odata/sap/BOOKS/$metadata?x=1"},
		"an absolute path":       {odata.Options{CSRFPath: "/csrf", ServiceURL: service}, service + "/Books", "GET /csrf"},
		"with a client":          {odata.Options{}, service + "/Books?a=b&sap-client=200", "GET /sap/opu/odata/sap/BOOKS/?sap-client=200"},
		"with both":              {odata.Options{CSRFPath: "?sap-client=100"}, service + "/Books?sap-client=200", "GET /sap/opu/odata/sap/BOOKS/?sap-client=100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{handler: (&gateway{next: fine}).ServeHTTP}
			require.Equal(t, "200 fine", fetch(t, newV2(t, r, c.opts), request(t, "POST", c.url, "", "{}")))
			first := r.arrived()[0]
			require.Equal(t, c.want, first.method+" "+first.url)
			require.Equal(t, host, first.host)
		})
	}
}

// TestOneFetchForManyChanges has 1,000 of them at once, on a fresh session and when it has ended.
func TestOneFetchForManyChanges(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	var fetches, required atomic.Int32
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("X-Csrf-Token") == "Fetch" {
			fetches.Add(1)
			time.Sleep(50 * time.Millisecond)
		}
		resp, err := oauthtest.HandlerTransport(g).RoundTrip(req)
		if err == nil && resp.StatusCode == 403 {
			required.Add(1)
		}
		return resp, err
	})
	synctest.Test(t, func(t *testing.T) {
		client := newV4(t, base, odata.Options{})
		all := func() {
			var wg sync.WaitGroup
			for range 1000 {
				req := request(t, "POST", service+"/Books", "", "{}")
				wg.Go(func() {
					resp, err := client.Do(req)
					if err != nil || resp.StatusCode != 200 {
						t.Error(resp, err)
					}
				})
			}
			wg.Wait()
		}
		all()
		require.EqualValues(t, 1, fetches.Load())
		require.Zero(t, required.Load())
		all()
		require.EqualValues(t, 1, fetches.Load())
		g.forget()
		all()
		require.EqualValues(t, 2, fetches.Load(), "one for all that were refused")
		require.LessOrEqual(t, required.Load(), int32(1000))
	})
}

// TestWaitersLeave has a fetch that takes long: each leaves with its own context, and the fetch goes on for the rest.
func TestWaitersLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		g := &gateway{}
		fetchEnded := false
		base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("X-Csrf-Token") == "Fetch" {
				require.Nil(t, req.Context().Value(key{}), "no caller's values")
				select {
				case <-time.After(10 * time.Second):
				case <-req.Context().Done():
					fetchEnded = true
					return nil, req.Context().Err()
				}
			}
			return oauthtest.HandlerTransport(g).RoundTrip(req)
		})
		client := newV4(t, base, odata.Options{})
		patient := make(chan error, 1)
		start := time.Now()
		body := &closeSpy{Reader: strings.NewReader("{}")}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "x"), time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "POST", service+"/Books", body)
		go func() {
			synctest.Wait()
			_, err := client.Do(request(t, "POST", service+"/Books", "", "{}"))
			patient <- err
		}()
		_, err := client.Do(req) // the first, whose fetch it is
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		require.True(t, body.closed)
		require.NoError(t, <-patient)
		require.Equal(t, 10*time.Second, time.Since(start))
		require.False(t, fetchEnded)
	})
}

// TestFetchEnds has a service that does not answer at all.
func TestFetchEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		start := time.Now()
		_, err := newV4(t, base, odata.Options{}).Do(request(t, "POST", service+"/Books", "", "{}"))
		require.ErrorContains(t, err, "the CSRF token of "+host+" could not be fetched")
		require.Equal(t, 30*time.Second, time.Since(start))
	})
}

func TestRequiredIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	g := &gateway{next: fine}
	r := &receiver{handler: g.ServeHTTP}
	client := newV4(t, r, odata.Options{})
	post := func(body io.Reader) string {
		req, err := http.NewRequestWithContext(t.Context(), "POST", service+"/Books", body)
		require.NoError(t, err)
		req.Header.Set("Cookie", "own=1")
		return fetch(t, client, req)
	}
	require.Equal(t, "200 fine", post(strings.NewReader("first")))
	g.forget()
	require.Equal(t, "200 fine", post(strings.NewReader("second")))
	require.Equal(t, []string{"GET Fetch", "POST csrf-token-1", "POST csrf-token-1", "GET Fetch", "POST csrf-token-2"}, r.log())
	require.Equal(t, "second", r.arrived()[4].body)
	require.Equal(t, "own=1; SAP_SESSIONID_GWD_100=session-id-2; sap-usercontext=sap-client=100", r.arrived()[4].cookie, "of the new session, and the caller's once")

	g.forget()
	require.Equal(t, "403 CSRF token validation failed", post(io.MultiReader(strings.NewReader("third"))), "a body that cannot be read again")
	require.Len(t, r.log(), 6)
	require.Equal(t, "200 fine", post(io.MultiReader(strings.NewReader("fourth"))), "the next such body has another CSRF token")
	g.forget()
	require.Equal(t, "200 fine", post(http.NoBody), "which is none")
}

// TestTokensOfServices has services on one server that take no CSRF token but their own. They do not take turns.
func TestTokensOfServices(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: func(w http.ResponseWriter, r *http.Request) {
		own := "csrf-token" + strings.ReplaceAll(r.URL.Path[:strings.LastIndex(r.URL.Path, "/")], "/", "-")
		switch csrf := r.Header.Get("X-Csrf-Token"); {
		case csrf == "Fetch":
			w.Header().Set("X-Csrf-Token", own)
		case csrf != own:
			says(403, "no", "X-Csrf-Token", "Required")(w, r)
		}
	}}
	client := newV4(t, r, odata.Options{})
	change := func(service string, body io.Reader) string {
		req, err := http.NewRequestWithContext(t.Context(), "POST", server+"/"+service+"/Books", body)
		require.NoError(t, err)
		return fetch(t, client, req)
	}
	for range 3 {
		for n := range 3 {
			require.Equal(t, "200 ", change(fmt.Sprint(n), http.NoBody))
		}
	}
	require.Equal(t, 3, r.fetches())
	require.Len(t, r.log(), 9+3+2, "the second and the third were refused once")
	for n := range 100 {
		require.Equal(t, "200 ", change(fmt.Sprint("of-many-", n), http.NoBody), "more than are kept")
	}

	require.Equal(t, "403 no", change("a-stream", io.MultiReader(strings.NewReader("x"))))
	require.Equal(t, "200 ", change("a-stream", io.MultiReader(strings.NewReader("x"))))
	before := len(r.log())
	require.Equal(t, "200 ", change("0", http.NoBody))
	require.Len(t, r.log(), before+1, "the first service's token is still there")
}

// TestStreamAfterRequired: a CSRF token that was refused is not sent again with a body that can be read only once.
func TestStreamAfterRequired(t *testing.T) {
	t.Parallel()
	required, token := says(403, "no", "X-Csrf-Token", "Required"), func(n string) http.HandlerFunc { return says(200, "", "X-Csrf-Token", n) }
	r := &receiver{handler: answers(token("token-1"), required, token("token-2"), required, token("token-3"), fine)}
	client := newV4(t, r, odata.Options{})
	require.Equal(t, "403 no", fetch(t, client, request(t, "POST", service+"/Books", "", "{}")))
	req, err := http.NewRequestWithContext(t.Context(), "POST", service+"/Books", io.MultiReader(strings.NewReader("x")))
	require.NoError(t, err)
	require.Equal(t, "200 fine", fetch(t, client, req))
	require.Equal(t, []string{"GET Fetch", "POST token-1", "GET Fetch", "POST token-2", "GET Fetch", "POST token-3"}, r.log())
}

func TestRequiredForEver(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"for changes": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				w.Header().Set("X-Csrf-Token", "a-token-that-is-not-taken")
				return
			}
			says(403, "no", "X-Csrf-Token", "required")(w, r)
		},
		"for all": says(403, "no", "X-Csrf-Token", "Required"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{handler: handler}
			client := newV4(t, r, odata.Options{})
			for n := range 5 {
				require.Equal(t, "403 no", fetch(t, client, request(t, "PUT", service+"/Books(1)", "", "{}")))
				require.LessOrEqual(t, len(r.log()), 4*(n+1))
			}
			if name == "for changes" {
				require.Equal(t, []string{"GET Fetch", "PUT a-token-that-is-not-taken", "GET Fetch", "PUT a-token-that-is-not-taken"}, r.log()[:4])
			}
		})
	}
}

func TestServicesWithoutCSRF(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"no token":     fine,
		"no root":      answers(says(404, "not here"), fine),
		"no GET there": answers(says(405, ""), fine),
		"forbidden":    answers(says(403, "no"), fine),
		"an echo":      answers(says(200, "", "X-Csrf-Token", "Fetch"), fine),
		"a redirect":   answers(says(307, "", "Location", "https://elsewhere.test/"), fine),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{handler: handler}
			client := newV4(t, r, odata.Options{})
			for range 3 {
				require.Equal(t, "200 fine", fetch(t, client, request(t, "POST", service+"/Books", "", "{}")))
			}
			require.Equal(t, []string{"GET Fetch", "POST", "POST", "POST"}, r.log(), "it is asked once")
		})
	}
}

func TestFetchFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fetch http.HandlerFunc
		want  []string
	}{
		"not available":       {says(503, `{"error":{"code":"DOWN","message":"Patching."}}`, "Retry-After", "7"), []string{"the change was not sent", "answered 503 DOWN: Patching.", "wait 7s"}},
		"too many":            {says(429, ""), []string{"answered 429"}},
		"cut off":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"could not be fetched"}},
		"a token of 1 MiB":    {says(200, "", "X-Csrf-Token", strings.Repeat("x", 1<<20)), []string{"gave a CSRF token of 1048576 bytes"}},
		"a token with spaces": {says(200, "", "X-Csrf-Token", "a b"), []string{"a CSRF token that is none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{handler: answers(c.fetch, (&gateway{next: fine}).ServeHTTP)}
			client := newV4(t, r, odata.Options{})
			_, err := client.Do(request(t, "POST", service+"/Books", "", "{}"))
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.Less(t, len(err.Error()), 1000)
			require.Equal(t, []string{"GET Fetch"}, r.log(), "the change is not sent")
			require.Equal(t, "200 fine", fetch(t, client, request(t, "POST", service+"/Books", "", "{}")), "it is not remembered")
		})
	}
	r := &receiver{handler: says(503, `{"error":{"code":"DOWN"}}`)}
	_, err := newV4(t, r, odata.Options{}).Do(request(t, "POST", service+"/Books", "", "{}"))
	e, ok := errors.AsType[*odata.Error](err)
	require.True(t, ok)
	require.Equal(t, "DOWN", e.Code)
}

// TestRequiredOnceMore after a repeat for another reason: a call renews the CSRF token once.
func TestRequiredOnceMore(t *testing.T) {
	t.Parallel()
	required, token := says(403, "no", "X-Csrf-Token", "Required"), says(200, "", "X-Csrf-Token", "a-csrf-token")
	r := &receiver{handler: answers(token, required, token, says(401, ""), required)}
	rt, err := odata.NewV4(outgrant.Cached(&oauthtest.Source{}, nil), &odata.Options{Base: r})
	require.NoError(t, err)
	require.Equal(t, "403 no", fetch(t, &http.Client{Transport: rt}, request(t, "POST", service+"/Books", "", "{}")))
	require.Equal(t, []string{"GET Fetch", "POST a-csrf-token", "GET Fetch", "POST a-csrf-token", "POST a-csrf-token"}, r.log())
}

// TestFetchRefused with the token, which may be accepted the next time: it is asked again then.
func TestFetchRefused(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: answers(says(401, ""), says(401, "no"), (&gateway{next: fine}).ServeHTTP)}
	client := newV4(t, r, odata.Options{})
	require.Equal(t, "401 no", fetch(t, client, request(t, "POST", service+"/Books", "", "{}")))
	require.Equal(t, "200 fine", fetch(t, client, request(t, "POST", service+"/Books", "", "{}")))
	require.Equal(t, []string{"GET Fetch", "POST", "GET Fetch", "POST csrf-token-1"}, r.log())
}

// TestRenewalFails while a 403 is at hand, which is then the answer.
func TestRenewalFails(t *testing.T) {
	t.Parallel()
	required := says(403, "no", "X-Csrf-Token", "Required")
	r := &receiver{handler: answers(says(200, "", "X-Csrf-Token", "a-first-token"), required, says(503, ""))}
	require.Equal(t, "403 no", fetch(t, newV4(t, r, odata.Options{}), request(t, "POST", service+"/Books", "", "{}")))
	require.Equal(t, []string{"GET Fetch", "POST a-first-token", "GET Fetch"}, r.log())
}

func TestCSRFSwitchedOff(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: says(403, "no", "X-Csrf-Token", "Required")}
	require.Equal(t, "403 no", fetch(t, newV4(t, r, odata.Options{DisableCSRF: true}), request(t, "POST", service+"/Books", "", "{}")))
	require.Equal(t, []string{"POST"}, r.log())
}

func TestCallersOwnCSRFToken(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: says(403, "no", "X-Csrf-Token", "Required")}
	client := newV4(t, r, odata.Options{})
	for _, name := range []string{"X-Csrf-Token", "x-csrf-token"} {
		req := request(t, "POST", service+"/Books", "", "{}")
		req.Header[name] = []string{"own"}
		require.Equal(t, "403 no", fetch(t, client, req))
	}
	require.Equal(t, []string{"POST own", "POST"}, r.log(), "the other spelling goes out as it is")
}

// TestTokenRejectedWhileFetching has a bearer that the service refuses, at the fetch and at the change.
func TestTokenRejectedWhileFetching(t *testing.T) {
	t.Parallel()
	g := &gateway{next: fine}
	r := &receiver{}
	src := outgrant.Cached(&oauthtest.Source{}, nil)
	rt, err := odata.NewV4(src, &odata.Options{Base: r})
	require.NoError(t, err)
	first, err := src.Token(t.Context())
	require.NoError(t, err)
	r.handler = func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.Header.Get("Authorization"), " "+first.AccessToken.Reveal()) {
			says(401, "")(w, req)
			return
		}
		g.ServeHTTP(w, req)
	}
	require.Equal(t, "200 fine", fetch(t, &http.Client{Transport: rt}, request(t, "POST", service+"/Books", "", "{}")))
	require.Equal(t, []string{"GET Fetch", "GET Fetch", "POST csrf-token-1", "POST csrf-token-1"}, r.log())
}

// TestFetchWaits also for the CSRF token, if the transport may wait at all.
func TestFetchWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, busy := &gateway{next: fine}, 2
		r := &receiver{handler: func(w http.ResponseWriter, req *http.Request) {
			if busy--; busy >= 0 {
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			g.ServeHTTP(w, req)
		}}
		start := time.Now()
		resp, err := newV4(t, r, odata.Options{MaxRetryAfter: 5 * time.Second}).Do(request(t, "PUT", service, "", "x"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 6*time.Second, time.Since(start))
	})
}
