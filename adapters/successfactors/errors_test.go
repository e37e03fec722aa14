package successfactors_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/oauthtest"
)

const host = "api4.successfactors.test"

func answered(t testing.TB, status int, text string, header ...string) *http.Response {
	return response(request(t, "GET", server+"/odata/v2/User?$filter=sentinel", "", ""), status, io.NopCloser(strings.NewReader(text)), header...)
}

func TestErrorOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		header []string
		want   error
		text   string
	}{
		"OData in JSON": {400, sample(t, "property.json"), nil,
			&successfactors.ODataError{Host: host, StatusCode: 400, Code: "COE_PROPERTY_NOT_FOUND", CustomCode: "COE0021", Message: "[COE0021]Invalid property names: User/nme."},
			"successfactors: " + host + " answered 400 COE_PROPERTY_NOT_FOUND: [COE0021]Invalid property names: User/nme."},
		"OData in XML": {403, sample(t, "expired.xml"), []string{"Content-Type", "application/json"},
			&successfactors.ODataError{Host: host, StatusCode: 403, Code: "TOKEN_EXPIRED", CustomCode: "LGN0022", Message: "[LGN0022]The access token is no longer good."},
			"the token was refused, and so was a new one"},
		"a message that is a text": {403, sample(t, "expired-code.json"), nil,
			&successfactors.ODataError{Host: host, StatusCode: 403, Code: "LGN0022", CustomCode: "LGN0022", Message: "The access token is no longer good."}, "refused"},
		"a fault with SuccessFactors' detail": {500, sample(t, "session-soap11.xml"), nil,
			&successfactors.Fault{Host: host, StatusCode: 500, Code: "INVALID_SESSION", Message: "The session has ended.", FaultCode: "S:Client"},
			"answered 500 INVALID_SESSION: The session has ended."},
		"a fault without": {500, sample(t, "expired-soap11.xml"), nil,
			&successfactors.Fault{Host: host, StatusCode: 500, Code: "S:Server", CustomCode: "LGN0022", Message: "[LGN0022]The access token is no longer good.", FaultCode: "S:Server"}, "refused"},
		"a fault of SOAP 1.2": {500, sample(t, "soap12.xml"), nil,
			&successfactors.Fault{Host: host, StatusCode: 500, Code: "env:Sender", Message: "The query is wrong.", FaultCode: "env:Sender"}, "The query is wrong."},
		"nothing":        {401, "", nil, &successfactors.ODataError{Host: host, StatusCode: 401}, "check that the user exists"},
		"a page":         {503, sample(t, "page.html"), nil, &successfactors.ODataError{Host: host, StatusCode: 503}, "try again later"},
		"with entities":  {500, sample(t, "entities.xml"), nil, &successfactors.ODataError{Host: host, StatusCode: 500}, "answered 500"},
		"cut off":        {500, sample(t, "truncated.json"), nil, &successfactors.ODataError{Host: host, StatusCode: 500}, "answered 500"},
		"of other types": {500, `{"error":{"code":7,"message":{"value":["x",true,null]}}}`, nil, &successfactors.ODataError{Host: host, StatusCode: 500, Code: "7", Message: "x"}, "500 7: x"},
		"flat":           {400, `{"errorCode":"C1","errorMessage":"M"}`, nil, &successfactors.ODataError{Host: host, StatusCode: 400, Code: "C1", Message: "M"}, "C1: M"},
		"a refusal inside": {403, `{"error":{"code":"C1","message":"[COE0021]M","details":[{"code":"LGN0022"}]}}`, nil,
			&successfactors.ODataError{Host: host, StatusCode: 403, Code: "C1", CustomCode: "LGN0022", Message: "[COE0021]M"}, "the token was refused"},
		"a refusal in a header": {403, "", []string{"X-Error", "LGN0022"}, &successfactors.ODataError{Host: host, StatusCode: 403, CustomCode: "LGN0022"}, "the token was refused"},
		"deep JSON":             {500, strings.Repeat(`{"error":`, 7000), nil, &successfactors.ODataError{Host: host, StatusCode: 500}, "answered 500"},
		"deep XML":              {500, strings.Repeat(`<error>`, 9000), nil, &successfactors.ODataError{Host: host, StatusCode: 500}, "answered 500"},
		"forbidden":             {403, `{}`, nil, &successfactors.ODataError{Host: host, StatusCode: 403}, "check the permissions"},
		"precondition":          {412, `{}`, nil, &successfactors.ODataError{Host: host, StatusCode: 412}, "read it and try again"},
		"too many":              {429, `{}`, nil, &successfactors.ODataError{Host: host, StatusCode: 429}, "set Repeat"},
		"with a time":           {429, `{}`, []string{"Retry-After", "90"}, &successfactors.ODataError{Host: host, StatusCode: 429, RetryAfter: 90 * time.Second}, "wait 1m30s"},
		"a code that lies": {400, `{"error":{"code":"a\n\u001b[31m","message":{"value":"one\ntwo\u001b[0m` + strings.Repeat("x", 500) + `"}}}`, nil,
			&successfactors.ODataError{Host: host, StatusCode: 400, Message: "one two [0m" + strings.Repeat("x", 289) + "..."}, "one two"},
		"a message that is too long": {400, `{"error":{"code":"C1","message":"` + strings.Repeat("x", 9000) + `"}}`, nil,
			&successfactors.ODataError{Host: host, StatusCode: 400, Code: "C1", Message: "(not shown: it is too long)"}, "C1"},
		"Latin-1": {400, "<?xml version='1.0' encoding='ISO-8859-1'?><error><code>C1</code><message>M</message></error>", nil,
			&successfactors.ODataError{Host: host, StatusCode: 400, Code: "C1", Message: "M"}, "C1: M"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := answered(t, c.status, c.body, c.header...)
			for range 2 {
				err := successfactors.ErrorOf(resp)
				require.Equal(t, c.want, err)
				require.ErrorContains(t, err, c.text)
				require.NotContains(t, err.Error(), "sentinel")
				require.NotContains(t, err.Error(), "\n")
			}
			require.Equal(t, c.body, read(t, resp), "the raw answer stays readable")
		})
	}
	require.NoError(t, successfactors.ErrorOf(nil))
	require.NoError(t, successfactors.ErrorOf(answered(t, 200, sample(t, "expired.json"))))
	require.NoError(t, successfactors.ErrorOf(answered(t, 302, "")))
	require.Error(t, successfactors.ErrorOf(&http.Response{StatusCode: 500}), "made by hand")
}

func TestErrorOfASOAPClientIsAFault(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: says(503, "<html>")}
	resp, err := newSOAP(t, anybody{}, r, successfactors.Options{}).Do(request(t, "POST", server, "", "x"))
	require.NoError(t, err)
	fault, ok := errors.AsType[*successfactors.Fault](successfactors.ErrorOf(resp))
	require.True(t, ok)
	require.Equal(t, &successfactors.Fault{Host: host, StatusCode: 503}, fault)
	require.Equal(t, "<html>", read(t, resp))
}

// TestErrorsDoNotQuoteTheToken has messages with the token in them, and clients that hide the answer's body.
func TestErrorsDoNotQuoteTheToken(t *testing.T) {
	t.Parallel()
	const first, second = "sentinel/first+4711==", "sentinel/second+4711=="
	for name, text := range map[string]string{
		"in the message":    `{"error":{"code":"TOKEN_INVALID","message":{"value":"[LGN0007]Invalid OAuth token:` + second + `."}}}`,
		"the one before":    `{"error":{"code":"TOKEN_INVALID","message":{"value":"[LGN0007]Invalid OAuth token:` + first + `."}}}`,
		"in the code":       `{"error":{"code":"` + second + `","message":{"value":"[LGN0007]Invalid"}}}`,
		"escaped":           `{"error":{"code":"LGN0007","message":{"value":"Invalid: sentinel%2Fsecond%2B4711%3D%3D"}}}`,
		"in a fault":        strings.NewReplacer("no longer good", second, "refused", first).Replace(sample(t, "expired-soap-detail.xml")),
		"in a fault's code": strings.Replace(sample(t, "expired-soap11.xml"), "S:Server", second, 1),
	} {
		src := &oauthtest.Source{Script: []oauthtest.Step{{Token: &outgrant.Token{AccessToken: first}}, {Token: &outgrant.Token{AccessToken: second}}}}
		r := &receiver{handler: says(403, text)}
		client := newOData(t, users{"alice": src}, r, successfactors.Options{})
		client.Timeout = time.Minute // wraps the body
		resp, err := client.Do(request(t, "GET", server, "", ""))
		require.NoError(t, err)
		resp.Body = struct{ io.ReadCloser }{resp.Body}
		problem := successfactors.ErrorOf(resp)
		oauthtest.AssertNoSecrets(t, []string{first, second}, problem, resp.Request)
		require.ErrorContains(t, problem, "the token was refused", name)
		require.Equal(t, text, read(t, resp))
	}
	r := &receiver{handler: says(400, `{"error":{"message":"must be true"}}`, "Set-Cookie", "beta=true")}
	resp, err := newOData(t, anybody{}, r, successfactors.Options{}).Do(request(t, "GET", server, "", ""))
	require.NoError(t, err)
	require.ErrorContains(t, successfactors.ErrorOf(resp), "must be true", "not every cookie is a secret")
	resp = answered(t, 403, `{"error":{"code":"LGN0007","message":"Invalid: `+first+`"}}`)
	resp.Request.Header.Set("Authorization", "Bearer "+first)
	oauthtest.AssertNoSecrets(t, []string{first}, successfactors.ErrorOf(resp))
}

// TestErrorsDoNotQuoteTheBeginning of a token or a cookie that is too long to be quoted as a whole.
func TestErrorsDoNotQuoteTheBeginning(t *testing.T) {
	t.Parallel()
	token := "sentinel-token-" + strings.Repeat("x", 82)
	for name, c := range map[string]struct {
		token, quoted string
		shown         bool
	}{
		"a part":                  {token, token[:48], false},
		"less":                    {token, token[:47], true},
		"a part of a token of 96": {token[:96], token[:95], true},
		"all of a token of 96":    {token[:96], token[:96], false},
	} {
		r := &receiver{handler: says(400, `{"error":{"message":"cannot read `+c.quoted+`..."}}`)}
		resp, err := newOData(t, users{"alice": outgrant.StaticToken(outgrant.Secret(c.token))}, r, successfactors.Options{}).Do(request(t, "GET", server, "", ""))
		require.NoError(t, err)
		require.Equal(t, c.shown, strings.Contains(successfactors.ErrorOf(resp).Error(), "sentinel"), name)
	}
}

// TestManySecrets has an answer that makes the search for secrets as costly as it can be.
func TestManySecrets(t *testing.T) {
	t.Parallel()
	const fresh = "sentinel-fresh-session"
	r := &receiver{handler: func(w http.ResponseWriter, _ *http.Request) {
		for n := range 50 {
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("c", n), Value: fmt.Sprint(n, strings.Repeat("x", 4000))})
		}
		http.SetCookie(w, &http.Cookie{Name: "c0", Value: fresh})
		w.WriteHeader(500)
		_, _ = io.WriteString(w, `{"error":{"code":"`+strings.Repeat("%25", 10<<10)+`","message":"`+strings.Repeat("x%25", 2000)+fresh+`"}}`)
	}}
	client := newOData(t, anybody{}, r, successfactors.Options{})
	for range 2 {
		resp, err := client.Do(request(t, "GET", server, "", ""))
		require.NoError(t, err)
		problem := successfactors.ErrorOf(resp)
		require.ErrorContains(t, problem, "(not shown: it quotes a secret)")
		oauthtest.AssertNoSecrets(t, []string{fresh}, problem)
	}
}

// TestHostileErrors come without end: they are looked at in part, and passed on whole.
func TestHostileErrors(t *testing.T) {
	t.Parallel()
	answer := &body{Reader: io.MultiReader(strings.NewReader(`{"error":`), endless{})}
	client := newOData(t, anybody{}, roundTripFunc(func(req *http.Request) (*http.Response, error) {
		return response(req, 500, answer), nil
	}), successfactors.Options{})
	resp, err := client.Do(request(t, "GET", server, "", ""))
	require.NoError(t, err)
	require.Equal(t, "successfactors: "+host+" answered 500", successfactors.ErrorOf(resp).Error())
	require.LessOrEqual(t, answer.read, 64<<10+1)
	head := make([]byte, 200<<10)
	_, err = io.ReadFull(resp.Body, head)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(head), `{"error":<x><x>`))
	require.Equal(t, len(head)-len(`{"error":`), len(strings.TrimPrefix(string(head), `{"error":`)))
	require.NoError(t, resp.Body.Close())
	require.True(t, answer.closed.Load())
}

func FuzzErrorOf(f *testing.F) {
	files, err := os.ReadDir("testdata/errors")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		f.Add(500, []byte(sample(f, file.Name())))
	}
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		resp := answered(t, status, string(text))
		err := successfactors.ErrorOf(resp)
		if (err != nil) != (status >= 400) {
			t.Fatal(err)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\n\r\x1b") || len(err.Error()) > 3000) {
			t.Fatalf("not fit to be shown: %q", err)
		}
		if read(t, resp) != string(text) {
			t.Fatal("the answer is damaged")
		}
	})
}
