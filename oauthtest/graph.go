package oauthtest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
)

// GraphOptions describe a receiver like Facebook's Graph API. The zero value suits most tests.
type GraphOptions struct {
	// ApplicationID and ApplicationSecret are the app's. Default "application-id" and "application-secret".
	ApplicationID, ApplicationSecret outgrant.Secret

	// AccessToken is a token that lives for TokenLifetime. Default "short-lived-token".
	AccessToken outgrant.Secret

	// TokenLifetime is how long AccessToken lives. Default 1 hour.
	TokenLifetime time.Duration

	// LongLifetime is how long the tokens of an exchange live. Default 60 days.
	LongLifetime time.Duration
}

// Graph is like Facebook's Graph API: an [http.Handler] that exchanges tokens at /VERSION/oauth/access_token, and a receiver
// by [Graph.Protect]. Serve it by a server of yours, or without a network by [HandlerTransport].
//
// It is strict: a token comes in the Authorization header and nowhere else, and each request has one appsecret_proof that
// fits. An exchange is a POST with the secrets in its body. It keeps everything in memory, and is safe for concurrent use.
// It prints its type.
type Graph struct {
	opts *GraphOptions

	mu sync.Mutex
	*graphRecords
}

// graphRecords are behind a pointer, where fmt does not look.
type graphRecords struct {
	tokens   map[string]time.Time // when they end
	refusals []string
	accepted int
}

// NewGraph returns a receiver. opts may be nil; it is copied.
func NewGraph(opts *GraphOptions) *Graph {
	g := &Graph{opts: &GraphOptions{}, graphRecords: &graphRecords{tokens: map[string]time.Time{}}}
	if opts != nil {
		*g.opts = *opts
	}
	for s, text := range map[*outgrant.Secret]outgrant.Secret{
		&g.opts.ApplicationID: "application-id", &g.opts.ApplicationSecret: "application-secret", &g.opts.AccessToken: "short-lived-token",
	} {
		if *s == "" {
			*s = text
		}
	}
	if g.opts.TokenLifetime <= 0 {
		g.opts.TokenLifetime = time.Hour
	}
	if g.opts.LongLifetime <= 0 {
		g.opts.LongLifetime = 60 * 24 * time.Hour
	}
	g.tokens[g.opts.AccessToken.Reveal()] = time.Now().Add(g.opts.TokenLifetime)
	return g
}

// Protect returns a receiver that serves h to requests with a live token and its proof, and refuses others in Graph's form.
// [Graph.Refusals] tells why.
func (g *Graph) Protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := g.check(r); e != nil {
			g.refuse(w, e)
			return
		}
		g.mu.Lock()
		g.accepted++
		g.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// Accepted returns how many requests came through [Graph.Protect].
func (g *Graph) Accepted() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.accepted
}

// Refusals returns why requests were refused, in order: the latest thousand.
func (g *Graph) Refusals() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.refusals)
}

// Revoke ends all tokens.
func (g *Graph) Revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.tokens)
}

// graphError is an error of the Graph API.
type graphError struct {
	status  int
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    int    `json:"code"`
	Subcode int    `json:"error_subcode,omitempty"`
	Trace   string `json:"fbtrace_id"`
}

func oauthException(status, code, subcode int, message string) *graphError {
	return &graphError{status, message, "OAuthException", code, subcode, "trace-1"}
}

func (g *Graph) check(r *http.Request) *graphError {
	query, err := url.ParseQuery(r.URL.RawQuery)
	headers := r.Header.Values("Authorization")
	switch {
	case err != nil:
		return oauthException(http.StatusBadRequest, 100, 0, "The query is malformed")
	case query.Has("access_token"):
		return oauthException(http.StatusBadRequest, 104, 0, "The access token is in the URL, where it does not belong")
	case len(headers) != 1:
		return oauthException(http.StatusBadRequest, 104, 0, "An access token is required to request this resource.")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	g.mu.Lock()
	ends, known := g.tokens[token]
	g.mu.Unlock()
	switch {
	case !strings.EqualFold(scheme, "Bearer") || !known:
		return oauthException(http.StatusBadRequest, 190, 0, "Invalid OAuth access token - Cannot parse access token")
	case !time.Now().Before(ends):
		return oauthException(http.StatusUnauthorized, 190, 463, "Error validating access token: Session has expired")
	}
	mac := hmac.New(sha256.New, []byte(g.opts.ApplicationSecret.Reveal()))
	mac.Write([]byte(token))
	if proofs := query["appsecret_proof"]; len(proofs) != 1 || !hmac.Equal([]byte(proofs[0]), []byte(hex.EncodeToString(mac.Sum(nil)))) {
		if len(proofs) == 0 {
			return oauthException(http.StatusBadRequest, 100, 0, "API calls from the server require an appsecret_proof argument")
		}
		return oauthException(http.StatusBadRequest, 100, 0, "Invalid appsecret_proof provided in the API argument")
	}
	return nil
}

var exchangePath = regexp.MustCompile(`^/v[0-9]+\.[0-9]+/oauth/access_token$`)

// ServeHTTP serves the exchange for a long-lived token.
func (g *Graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !exchangePath.MatchString(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	token, e := g.exchange(r)
	if e != nil {
		g.refuse(w, e)
		return
	}
	newAnswer(http.StatusOK, map[string]any{"access_token": token, "token_type": "bearer", "expires_in": int64(g.opts.LongLifetime / time.Second)}).write(w)
}

func (g *Graph) exchange(r *http.Request) (string, *graphError) {
	if r.Method != http.MethodPost || r.URL.RawQuery != "" {
		return "", oauthException(http.StatusBadRequest, 100, 0, "The secrets are not in the body of a POST, where they belong")
	}
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return "", oauthException(http.StatusBadRequest, 100, 0, "The form is malformed")
	}
	one := func(name string) string {
		if len(r.PostForm[name]) != 1 {
			return ""
		}
		return r.PostForm.Get(name)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	ends, known := g.tokens[one("fb_exchange_token")]
	switch {
	case one("grant_type") != "fb_exchange_token":
		return "", oauthException(http.StatusBadRequest, 1, 0, "Unsupported grant_type")
	case one("client_id") != g.opts.ApplicationID.Reveal():
		return "", oauthException(http.StatusBadRequest, 101, 0, "Error validating application. Cannot get application info due to a system error.")
	case one("client_secret") != g.opts.ApplicationSecret.Reveal():
		return "", oauthException(http.StatusBadRequest, 1, 0, "Error validating client secret.")
	case !known || !time.Now().Before(ends):
		return "", oauthException(http.StatusBadRequest, 190, 463, "Error validating access token: Session has expired")
	}
	token := "long-lived-" + rand.Text()
	g.tokens[token] = time.Now().Add(g.opts.LongLifetime)
	return token, nil
}

func (g *Graph) refuse(w http.ResponseWriter, e *graphError) {
	g.mu.Lock()
	if len(g.refusals) == keptRequests {
		g.refusals = g.refusals[1:]
	}
	g.refusals = append(g.refusals, e.Message)
	g.mu.Unlock()
	a := newAnswer(e.status, map[string]any{"error": e})
	a.header.Set("WWW-Authenticate", `OAuth "Facebook Platform" "invalid_token"`)
	a.write(w)
}
