package successfactors_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/oauthtest"
)

const soapQuery = `<?xml version="1.0"?><!-- by hand --><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header><query/></e:Header>` +
	`<e:Body><u:OPERATION xmlns:u="urn:sfobject.sfapi.successfactors.com"><query>SELECT id FROM User</query></u:OPERATION></e:Body></e:Envelope>`

func soap(operation string) string { return strings.ReplaceAll(soapQuery, "OPERATION", operation) }

const (
	jsonLocked = `{"d":[{"key":"User/userId=a","status":"OK","httpCode":200,"inlineResults":null},{"key":"User/userId=b","status":"ERROR","httpCode":412,"message":"locked"}]}`
	jsonInline = `{"d":[{"key":"User/userId=a","status":"OK","httpCode":200,"inlineResults":[{"status":"ERROR","httpCode":429}]}]}`
	jsonBad    = `{"d":[{"key":"User/userId=a","status":"ERROR","httpCode":400,"message":"\"httpCode\":412"}],"index":412}`
	atomLocked = `<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:m="m" xmlns:d="d"><entry><content type="application/xml"><m:properties>` +
		`<d:key>User/userId=a</d:key><d:status>ERROR</d:status><d:message>locked</d:message><d:httpCode m:type="Edm.Int32">412</d:httpCode></m:properties></content></entry></feed>`
)

// TestRepeats tells when each request arrives, in seconds after the first.
func TestRepeats(t *testing.T) {
	t.Parallel()
	query5 := []int{0, 180, 360, 540, 720, 900}
	once, never := []int{0, 60}, []int{0}
	for name, c := range map[string]struct {
		api    string
		method string
		url    string
		body   string
		answer http.HandlerFunc
		want   []int
	}{
		"query 503":                     {"odata", "GET", "User", "", says(503, ""), query5},
		"query 502":                     {"odata", "GET", "User", "", says(502, ""), query5},
		"query 504":                     {"odata", "HEAD", "User", "", says(504, ""), query5},
		"query 429":                     {"odata", "GET", "User", "", says(429, ""), query5},
		"query 500":                     {"odata", "GET", "User", "", says(500, ""), never},
		"query 412":                     {"odata", "GET", "User", "", says(412, ""), never},
		"query served at last":          {"odata", "GET", "User", "", answers(says(503, ""), says(503, ""), fine), []int{0, 180, 360}},
		"longer Retry-After":            {"odata", "GET", "User", "", answers(says(429, "", "Retry-After", "200"), says(429, "", "Retry-After", "20"), fine), []int{0, 200, 380}},
		"Retry-After of a day":          {"odata", "GET", "User", "", says(429, "", "Retry-After", "86400"), never},
		"create 412":                    {"odata", "POST", "User", "x", says(412, ""), once},
		"update 429":                    {"odata", "PUT", "User('a')", "x", says(429, ""), once},
		"update 503":                    {"odata", "MERGE", "User('a')", "x", says(503, ""), never},
		"delete 412":                    {"odata", "DELETE", "User('a')", "", says(412, ""), once},
		"upsert 429":                    {"odata", "POST", "upsert", "x", says(429, ""), once},
		"upsert with 412 inside":        {"odata", "POST", "upsert?$format=json", "x", says(200, jsonLocked), once},
		"upsert with 429 deep inside":   {"odata", "POST", "upsert", "x", says(200, jsonInline), once},
		"upsert with 412 in Atom":       {"odata", "POST", "upsert", "x", says(200, atomLocked), once},
		"upsert 429, then 412 inside":   {"odata", "POST", "upsert", "x", answers(says(429, ""), says(200, jsonLocked)), once},
		"upsert with another error":     {"odata", "POST", "upsert", "x", says(200, jsonBad), never},
		"upsert that is fine":           {"odata", "POST", "upsert", "x", says(200, strings.ReplaceAll(jsonLocked, "412", "200")), never},
		"upsert with a page":            {"odata", "POST", "upsert", "x", says(200, sample(t, "page.html")), never},
		"upsert cut off":                {"odata", "POST", "upsert", "x", says(200, jsonLocked[:len(jsonLocked)-2]), never},
		"such an answer to a create":    {"odata", "POST", "User", "x", says(200, jsonLocked), never},
		"such an answer to an update":   {"odata", "PUT", "upsert", "x", says(200, jsonLocked), never},
		"upsert with a text inside":     {"odata", "POST", "upsert", "x", says(200, `{"d":[{"httpCode":200},{"httpCode":"412"}]}`), once},
		"upsert with 412.0 inside":      {"odata", "POST", "upsert", "x", says(200, `{"d":{"results":[{"httpCode":412.0}]}}`), once},
		"upsert after a mark":           {"odata", "POST", "upsert", "x", says(200, "\ufeff"+`[{"httpCode":429}]`), once},
		"upsert with odd results":       {"odata", "POST", "upsert", "x", says(200, `{"d":[{"httpCode":200,"inlineResults":{"results":[{"fieldResult":[{"httpCode":429}]}]}}]}`), once},
		"upsert in other XML":           {"odata", "POST", "upsert", "x", says(200, "<upsert><element><httpCode> 412 </httpCode></element></upsert>"), once},
		"upsert answered 207":           {"odata", "POST", "upsert", "x", says(207, jsonLocked), once},
		"upsert answered 302":           {"odata", "POST", "upsert", "x", says(302, jsonLocked), never},
		"such an answer to a query":     {"odata", "GET", "upsert", "", says(200, jsonLocked), never},
		"batch 429":                     {"odata", "POST", "$batch", "x", says(429, ""), once},
		"batch 503":                     {"odata", "POST", "$batch", "x", says(503, ""), never},
		"SOAP query":                    {"soap", "POST", "", soap("query"), says(503, ""), query5},
		"SOAP queryMore":                {"soap", "POST", "", soap("queryMore"), says(429, ""), query5},
		"SOAP describeSFObjects":        {"soap", "POST", "", soap("describeSFObjects"), says(502, ""), query5},
		"SOAP listSFObjects":            {"soap", "POST", "", soap("listSFObjects"), says(504, ""), query5},
		"SOAP isValidSession":           {"soap", "POST", "", soap("isValidSession"), says(504, ""), query5},
		"SOAP wsdl":                     {"soap", "GET", "?wsdl", "", says(503, ""), query5},
		"SOAP insert 503":               {"soap", "POST", "", soap("insert"), says(503, ""), never},
		"SOAP upsert 429":               {"soap", "POST", "", soap("upsert"), says(429, ""), once},
		"SOAP upsert 200":               {"soap", "POST", "", soap("upsert"), says(200, jsonLocked), never},
		"SOAP that is none":             {"soap", "POST", "", "query", says(503, ""), never},
		"SOAP whose header is endless":  {"soap", "POST", "", strings.Replace(soap("query"), "<query/>", strings.Repeat(" ", 70<<10), 1), says(503, ""), never},
		"SOAP with a DOCTYPE":           {"soap", "POST", "", "<!DOCTYPE e>" + soap("query")[len(`<?xml version="1.0"?>`):], says(503, ""), never},
		"SOAP query in an OData client": {"odata", "POST", "User", soap("query"), says(503, ""), never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var got []int
				r := &receiver{handler: func(w http.ResponseWriter, req *http.Request) {
					got = append(got, int(time.Since(start)/time.Second))
					c.answer(w, req)
				}}
				newClient := newOData
				if c.api == "soap" {
					newClient = newSOAP
				}
				src, asked := &oauthtest.Source{}, 0
				user := func(*http.Request) (string, error) { asked++; return "alice", nil }
				resp, err := newClient(t, users{"alice": src}, r, successfactors.Options{BaseURL: server, Repeat: true, User: user}).Do(request(t, c.method, c.url, "", c.body))
				require.NoError(t, err)
				read(t, resp)
				require.Equal(t, c.want, got)
				require.Equal(t, 1, asked, "and nothing asks for the user again")
				require.Equal(t, len(c.want), src.Calls(), "each repeat asks for the token")
				for _, s := range r.arrived() {
					require.Equal(t, c.body, s.body)
				}
				require.Nil(t, resp.Request.Response)
				require.True(t, strings.HasPrefix(resp.Request.URL.String(), server))
			})
		})
	}
}

func TestNoRepeatsUnasked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{handler: says(503, "away")}
		require.Equal(t, "503 away", fetch(t, newOData(t, anybody{}, r, successfactors.Options{}), request(t, "GET", server, "", "")))
		require.Len(t, r.arrived(), 1)
	})
}

func TestNoRepeatWithoutTheBody(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: says(429, "busy")}
	for _, newClient := range []func(testing.TB, outgrant.UserSource, http.RoundTripper, successfactors.Options) *http.Client{newOData, newSOAP} {
		req := request(t, "POST", server, "", "")
		req.Body = io.NopCloser(strings.NewReader("x"))
		require.Equal(t, "429 busy", fetch(t, newClient(t, anybody{}, r, successfactors.Options{Repeat: true}), req))
	}
	require.Len(t, r.arrived(), 2)
}

// TestBodyIsOpenedAfterThePause counts what is open: a pause is long.
func TestBodyIsOpenedAfterThePause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var opened []time.Duration
		var gone error
		r := &receiver{handler: says(429, "busy")}
		client := newOData(t, anybody{}, r, successfactors.Options{Repeat: true})
		req := request(t, "POST", server+"/odata/v2/User?$filter=sentinel", "", "x")
		req.GetBody = func() (io.ReadCloser, error) {
			opened = append(opened, time.Since(start))
			return io.NopCloser(strings.NewReader("x")), gone
		}
		require.Equal(t, "429 busy", fetch(t, client, req))
		require.Len(t, r.arrived(), 2)
		require.Equal(t, []time.Duration{time.Minute}, opened)

		gone = io.ErrUnexpectedEOF
		_, err := client.Transport.RoundTrip(req)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.ErrorContains(t, err, "answered 429, and the request's body cannot be read again")
		require.NotContains(t, err.Error(), "sentinel")
		require.Len(t, r.arrived(), 3)
	})
}

func TestRepeatsEndWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{handler: says(503, "away")}
		client := newOData(t, anybody{}, r, successfactors.Options{Repeat: true})
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Second, cancel)
		_, err := client.Transport.RoundTrip(request(t, "GET", server+"/odata/v2/User?$filter=sentinel", "", "x").WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "answered 503, and the call ended while waiting to repeat it")
		require.NotContains(t, err.Error(), "sentinel")
		require.Equal(t, 200*time.Second, time.Since(start))
		require.Len(t, r.arrived(), 2)

		start = time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		require.Equal(t, "503 away", fetch(t, client, request(t, "GET", server, "", "").WithContext(ctx)), "a pause that cannot end is not made")
		require.Equal(t, 3*time.Minute, time.Since(start))
	})
}

func TestRepeatMeetsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Script: []oauthtest.Step{{}, {Err: io.ErrNoProgress}}}
		client := newOData(t, users{"alice": src}, &receiver{handler: says(503, "")}, successfactors.Options{Repeat: true})
		_, err := client.Do(request(t, "GET", server, "", ""))
		require.ErrorIs(t, err, io.ErrNoProgress)
	})
}

// body is an answer's body that can be watched.
type body struct {
	io.Reader
	read   int
	closed atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += n
	return n, err
}

func (b *body) Close() error { b.closed.Store(true); return nil }

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func response(req *http.Request, status int, body io.ReadCloser, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{Status: fmt.Sprint(status), StatusCode: status, Header: h, Body: body, ContentLength: -1, Request: req}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, strings.Repeat("<x>", len(p)/3+1)), nil }

// TestRefusedAnswersAreDrained has a body that never ends: it is closed before the pause, and not read for ever.
func TestRefusedAnswersAreDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := &body{Reader: endless{}}
		n := 0
		client := newOData(t, anybody{}, roundTripFunc(func(req *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				time.AfterFunc(time.Minute, func() {
					if !refused.closed.Load() {
						t.Error("it is still open during the pause")
					}
				})
				return response(req, 503, refused), nil
			}
			return response(req, 200, http.NoBody), nil
		}), successfactors.Options{Repeat: true})
		require.Equal(t, "200 ", fetch(t, client, request(t, "GET", server, "", "")))
		require.Less(t, refused.read, 300<<10)
	})
}

// TestSuccessIsNotTouched looks at what is read of an answer before the caller does.
func TestSuccessIsNotTouched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, url string
		opts        successfactors.Options
		length      int64
		want        int // is read at most
	}{
		"query":                     {"GET", "User", successfactors.Options{Gzip: true}, -1, 0},
		"query with repeats":        {"GET", "User", successfactors.Options{Repeat: true}, -1, 0},
		"upsert":                    {"POST", "upsert", successfactors.Options{}, -1, 0},
		"upsert that tells its end": {"POST", "upsert", successfactors.Options{Repeat: true}, 2 << 20, 0},
		"upsert that is too long":   {"POST", "upsert", successfactors.Options{Repeat: true}, -1, 1<<20 + 1},
	} {
		long := jsonLocked + strings.Repeat(" ", 1<<20)
		answer := &body{Reader: strings.NewReader(long)}
		c.opts.BaseURL = server
		client := newOData(t, anybody{}, roundTripFunc(func(req *http.Request) (*http.Response, error) {
			resp := response(req, 200, answer)
			resp.ContentLength = c.length
			return resp, nil
		}), c.opts)
		resp, err := client.Do(request(t, c.method, c.url, "", ""))
		require.NoError(t, err)
		require.Equal(t, c.want, answer.read, name)
		require.Equal(t, long, read(t, resp), "it is whole")
	}
}
