package oauthtest_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// signedBy is a request to GET https://x.test/a?b=c whose base string is written out by hand.
func signedBy(t testing.TB, nonce string, at time.Time, secrets string, change func(base, header string) (string, string)) *http.Request {
	t.Helper()
	params := fmt.Sprintf("oauth_consumer_key=consumer-key&oauth_nonce=%s&oauth_signature_method=HMAC-SHA1&oauth_timestamp=%d&oauth_token=access-token&oauth_version=1.0", nonce, at.Unix())
	base := "GET&https%3A%2F%2Fx.test%2Fa&b%3Dc%26" + strings.NewReplacer("=", "%3D", "&", "%26").Replace(params)
	header := `OAuth realm="a b", ` + strings.NewReplacer("=", `="`, "&", `", `).Replace(params) + `"`
	if change != nil {
		base, header = change(base, header)
	}
	mac := hmac.New(sha1.New, []byte(secrets))
	mac.Write([]byte(base))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://x.test/a?b=c", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", header+`, oauth_signature="`+strings.ReplaceAll(url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))), "+", "%20")+`"`)
	return req
}

const secrets = "consumer-secret&access-token-secret"

var welcome = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })

func statusOf(t testing.TB, o *oauthtest.OAuth1, req *http.Request) int {
	t.Helper()
	resp, err := oauthtest.HandlerTransport(o.Protect(welcome)).RoundTrip(req)
	require.NoError(t, err)
	return resp.StatusCode
}

func TestOAuth1IsStrict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		replace := func(from, to string) func(string, string) (string, string) {
			return func(base, header string) (string, string) { return base, strings.ReplaceAll(header, from, to) }
		}
		both := func(from, to string) func(string, string) (string, string) {
			return func(base, header string) (string, string) {
				return strings.ReplaceAll(base, strings.ReplaceAll(from, `="`, "%3D"), strings.ReplaceAll(to, `="`, "%3D")), strings.ReplaceAll(header, from, to)
			}
		}
		now := time.Now()
		for name, c := range map[string]struct {
			req  *http.Request
			want string // "": it is taken
		}{
			"right":               {signedBy(t, "n1", now, secrets, nil), ""},
			"nonce again":         {nil, "oauth_nonce was used before"},
			"wrong secret":        {signedBy(t, "n2", now, "consumer-secret&", nil), "oauth_signature is wrong"},
			"another URL":         {signedBy(t, "n3", now, secrets, func(b, h string) (string, string) { return strings.Replace(b, "b%3Dc", "b%3Dd", 1), h }), "oauth_signature is wrong"},
			"old":                 {signedBy(t, "n4", now.Add(-301*time.Second), secrets, nil), "oauth_timestamp is too far from now"},
			"just not old":        {signedBy(t, "n5", now.Add(-300*time.Second), secrets, nil), ""},
			"of the future":       {signedBy(t, "n6", now.Add(301*time.Second), secrets, nil), "oauth_timestamp is too far from now"},
			"no number":           {signedBy(t, "n7", now, secrets, both(strconv.FormatInt(now.Unix(), 10), "1e9")), "oauth_timestamp is not a positive number"},
			"leading zero":        {signedBy(t, "n8", now, secrets, both(strconv.FormatInt(now.Unix(), 10), "0"+strconv.FormatInt(now.Unix(), 10))), "oauth_timestamp is not a positive number"},
			"another version":     {signedBy(t, "n9", now, secrets, both("1.0", "2.0")), "oauth_version is not 1.0"},
			"another consumer":    {signedBy(t, "n10", now, secrets, both("consumer-key", "other")), "no such consumer"},
			"another token":       {signedBy(t, "n11", now, secrets, both("access-token", "other")), "no such access token"},
			"no nonce":            {signedBy(t, "", now, secrets, nil), "oauth_nonce is missing"},
			"plain text":          {signedBy(t, "n12", now, secrets, both("HMAC-SHA1", "PLAINTEXT")), "neither HMAC-SHA1"},
			"repeated":            {signedBy(t, "n13", now, secrets, replace(`oauth_version="1.0"`, `oauth_version="1.0", oauth_version="1.0"`)), "oauth_version is repeated"},
			"encoded too much":    {signedBy(t, "n14", now, secrets, replace("access-token", "access%2Dtoken")), "not encoded as RFC 5849"},
			"without quotes":      {signedBy(t, "n15", now, secrets, replace(`"1.0"`, `1.0`)), "malformed"},
			"a bearer":            {signedBy(t, "n16", now, secrets, replace("OAuth ", "Bearer ")), "not OAuth's"},
			"two headers":         {signedBy(t, "n17", now, secrets, nil), "2 Authorization headers"},
			"none":                {signedBy(t, "n18", now, secrets, nil), "0 Authorization headers"},
			"twice, in the query": {signedBy(t, "n19", now, secrets, nil), "oauth_nonce is repeated"},
			"malformed query":     {signedBy(t, "n20", now, secrets, nil), "malformed"},
		} {
			o := oauthtest.NewOAuth1(nil)
			switch name {
			case "nonce again":
				require.Equal(t, 200, statusOf(t, o, signedBy(t, "n1", now, secrets, nil)))
				c.req = signedBy(t, "n1", now, secrets, nil)
			case "two headers":
				c.req.Header.Add("Authorization", "OAuth")
			case "none":
				c.req.Header.Del("Authorization")
			case "twice, in the query":
				c.req.URL.RawQuery += "&oauth_nonce=n19"
			case "malformed query":
				c.req.URL.RawQuery += "&%zz"
			}
			status := statusOf(t, o, c.req)
			if c.want == "" {
				require.Equal(t, 200, status, "%s: %v", name, o.Refusals())
				continue
			}
			require.Equal(t, 401, status, name)
			require.Len(t, o.Refusals(), 1, name)
			require.Contains(t, o.Refusals()[0], c.want, name)
		}
	})
}

// TestOAuth1ForgetsOldNonces, which their timestamp refuses by then.
func TestOAuth1ForgetsOldNonces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := oauthtest.NewOAuth1(nil)
		began := time.Now()
		ahead := began.Add(5 * time.Minute) // the furthest that is taken
		require.Equal(t, 200, statusOf(t, o, signedBy(t, "n", ahead, secrets, nil)))
		for range 12 {
			time.Sleep(time.Minute)
			require.Equal(t, 401, statusOf(t, o, signedBy(t, "n", ahead, secrets, nil)), time.Since(began))
		}
		require.Equal(t, 200, statusOf(t, o, signedBy(t, "n", time.Now(), secrets, nil)), "of another moment")
		o.Revoke()
		require.Equal(t, 401, statusOf(t, o, signedBy(t, "m", time.Now(), secrets, nil)))
	})
}

// FuzzOAuth1: what was not signed is refused, whatever it is.
func FuzzOAuth1(f *testing.F) {
	req := signedBy(f, "n1", time.Unix(1700000000, 0), "another&secret", nil)
	f.Add(req.Header.Get("Authorization"), "b=c", "")
	f.Add(`OAuth oauth_nonce="%zz", x`, "&&=%", "a=b&%")
	f.Add(`oauth realm="a,b",oauth_signature="`, "oauth_nonce=1", "oauth_token=2")
	f.Fuzz(func(t *testing.T, header, query, body string) {
		o := oauthtest.NewOAuth1(&oauthtest.OAuth1Options{ClockSkew: 200 * 365 * 24 * time.Hour}) // so that it gets to the signature
		req, err := http.NewRequest(http.MethodPost, "https://x.test/a", strings.NewReader(body))
		require.NoError(t, err)
		req.URL.RawQuery = query
		req.Header["Authorization"] = []string{header}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, 401, statusOf(t, o, req))
		require.Len(t, o.Refusals(), 1)
		require.Zero(t, o.Accepted())
	})
}

func TestOAuth1Legs(t *testing.T) {
	t.Parallel()
	o := oauthtest.NewOAuth1(nil)
	through := oauthtest.HandlerTransport(o)
	for path, want := range map[string]int{
		oauthtest.RequestTokenPath: 401, oauthtest.AccessTokenPath: 401, oauthtest.AuthorizePath: 400, oauthtest.AuthorizePath + "?oauth_token=x": 400, "/": 404,
	} {
		req, err := http.NewRequest(http.MethodPost, "https://x.test"+path, nil)
		require.NoError(t, err)
		resp, err := through.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode, path)
	}
}

// proofs are openssl's: openssl dgst -sha256 -hmac application-secret.
const proofOfShort = "61ca86cc0a123a2c8b3f0d0b1b2f93e7da8827dd05a771c9bd94137ed231c6cb"

func TestGraphIsStrict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := oauthtest.NewGraph(nil)
		get := func(query string, authorization ...string) (int, string) {
			req, err := http.NewRequest(http.MethodGet, "https://graph.test/v1.0/me?"+query, nil)
			require.NoError(t, err)
			req.Header["Authorization"] = authorization
			resp, err := oauthtest.HandlerTransport(g.Protect(welcome)).RoundTrip(req)
			require.NoError(t, err)
			var answer struct{ Error struct{ Message string } }
			_ = json.NewDecoder(resp.Body).Decode(&answer)
			return resp.StatusCode, answer.Error.Message
		}
		const bearer = "Bearer short-lived-token"
		for _, c := range []struct {
			query, authorization string
			want                 string
		}{
			{"appsecret_proof=" + proofOfShort, bearer, ""},
			{"", bearer, "require an appsecret_proof"},
			{"appsecret_proof=" + strings.ToUpper(proofOfShort), bearer, "Invalid appsecret_proof"},
			{"appsecret_proof=" + proofOfShort + "&appsecret_proof=" + proofOfShort, bearer, "Invalid appsecret_proof"},
			{"appsecret_proof=" + proofOfShort + "&access_token=short-lived-token", bearer, "in the URL"},
			{"appsecret_proof=" + proofOfShort, "Bearer other", "Invalid OAuth access token"},
			{"appsecret_proof=" + proofOfShort, "Basic short-lived-token", "Invalid OAuth access token"},
			{"%zz", bearer, "malformed"},
		} {
			status, message := get(c.query, c.authorization)
			require.Contains(t, message, c.want, c)
			require.Equal(t, c.want == "", status == 200, c)
		}
		_, message := get("appsecret_proof=" + proofOfShort)
		require.Contains(t, message, "An access token is required")
		require.Equal(t, 1, g.Accepted())
		require.Len(t, g.Refusals(), 8)
		time.Sleep(time.Hour)
		status, message := get("appsecret_proof="+proofOfShort, bearer)
		require.Equal(t, 401, status)
		require.Contains(t, message, "has expired")
		g.Revoke()
		status, _ = get("appsecret_proof="+proofOfShort, bearer)
		require.Equal(t, 400, status)
	})
}

func TestGraphExchange(t *testing.T) {
	t.Parallel()
	g := oauthtest.NewGraph(nil)
	right := url.Values{"grant_type": {"fb_exchange_token"}, "client_id": {"application-id"}, "client_secret": {"application-secret"}, "fb_exchange_token": {"short-lived-token"}}
	ask := func(method, path, body string) reply {
		req, err := http.NewRequest(method, "https://graph.test"+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", formType)
		resp, err := oauthtest.HandlerTransport(g).RoundTrip(req)
		require.NoError(t, err)
		if resp.StatusCode == 404 {
			return reply{status: 404}
		}
		return decode(t, resp)
	}
	const path = "/v25.0/oauth/access_token"
	granted := ask("POST", path, right.Encode())
	require.Equal(t, 200, granted.status)
	require.EqualValues(t, 60*24*60*60, granted.members["expires_in"])
	require.Equal(t, 404, ask("POST", "/oauth/access_token", right.Encode()).status)
	require.Equal(t, 400, ask("GET", path+"?"+right.Encode(), "").status, "secrets in the URL")
	require.Equal(t, 400, ask("POST", path, right.Encode()+"&client_secret=application-secret").status, "repeated")
	require.Equal(t, 400, ask("POST", path, "%zz").status)
	for name := range right {
		wrong := url.Values{}
		for k, v := range right {
			wrong[k] = v
		}
		wrong.Set(name, "wrong")
		require.Equal(t, 400, ask("POST", path, wrong.Encode()).status, name)
	}
}

func TestSocialProvidersPrintNothing(t *testing.T) {
	t.Parallel()
	const secret = "sentinel"
	consumer := oauthtest.Consumer{Key: secret, Secret: secret}
	token := oauthtest.OAuth1Token{Token: secret, Secret: secret, User: "bob"}
	opts := &oauthtest.OAuth1Options{Consumers: []oauthtest.Consumer{consumer}, Tokens: []oauthtest.OAuth1Token{token}}
	graphOpts := oauthtest.GraphOptions{ApplicationID: secret, ApplicationSecret: secret, AccessToken: secret}
	o, g := oauthtest.NewOAuth1(opts), oauthtest.NewGraph(&graphOpts)
	oauthtest.AssertNoSecrets(t, []string{secret}, o, g, consumer, &consumer, token, &token, opts, *opts, graphOpts, &graphOpts,
		struct{ o *oauthtest.OAuth1 }{o}, struct{ g *oauthtest.Graph }{g}, http.Handler(o), o.Protect(welcome), []any{outgrant.Secret(secret)})
	require.Equal(t, "oauthtest.OAuth1 oauthtest.Graph", fmt.Sprintf("%+v %v", o, g))
}
