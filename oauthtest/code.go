package oauthtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// code is an authorization code: used once, soon, by the client that asked for it (RFC 6749 4.1.2).
type code struct {
	client, redirectURL, challenge, family string
	nonce                                  string // for the ID token; "": none
	scopes                                 []string
	ends                                   time.Time
	spent                                  bool
}

const codeLife = time.Minute

// serveAuthorize is the authorization endpoint, where the user consents at once. PKCE with S256 is required outside of the
// SAP dialect. What is wrong with the client or its redirect URL is told here and not there: the URL could be anybody's.
func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "the authorization endpoint takes GET", http.StatusMethodNotAllowed)
		return
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q["client_id"]) > 1 || len(q["redirect_uri"]) > 1 {
		http.Error(w, "the query is malformed", http.StatusBadRequest)
		return
	}
	client, known := s.registered(q.Get("client_id"))
	if !known {
		http.Error(w, "the client is not registered", http.StatusBadRequest)
		return
	}
	redirect, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || !redirect.IsAbs() || strings.Contains(q.Get("redirect_uri"), "#") || !client.redirects(q.Get("redirect_uri"), *redirect) {
		http.Error(w, "redirect_uri is not one of the client's", http.StatusBadRequest)
		return
	}
	fault := s.nextAnswer()
	back, issuer := redirect.Query(), s.Issuer()
	if fault.issuer != nil {
		issuer = fault.issuer()
	}
	if issuer != "" {
		back.Set("iss", issuer) // RFC 9207
	}
	if q.Get("state") != "" {
		back.Set("state", q.Get("state"))
	}
	if answer, e := s.authorize(client, q, fault.denied); e != nil {
		back.Set("error", e.Code)
		back.Set("error_description", e.Description)
	} else {
		back.Set("code", answer)
	}
	redirect.RawQuery = back.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusFound)
}

// redirects reports whether the client may be called back at a URL: it must be the same text as one that is registered, but
// for the port of a program on the user's machine (RFC 8252 7.3).
func (c Client) redirects(text string, u url.URL) bool {
	if c.RedirectURLs == nil || slices.Contains(c.RedirectURLs, text) {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err != nil || !ip.IsLoopback() || u.Scheme != "http" {
		return false
	}
	return slices.ContainsFunc(c.RedirectURLs, func(registered string) bool {
		r, err := url.Parse(registered)
		if err != nil || r.Hostname() != u.Hostname() {
			return false
		}
		r.Host = u.Host
		return r.String() == text
	})
}

var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

func (s *Server) authorize(client Client, q url.Values, denied func() *Error) (string, *Error) {
	for name, values := range q {
		if len(values) > 1 && name != "resource" {
			return "", invalidRequest(name + " is repeated")
		}
	}
	switch {
	case q.Get("response_type") == "":
		return "", invalidRequest("response_type is missing")
	case q.Get("response_type") != "code":
		return "", &Error{Code: "unsupported_response_type", Description: "response_type must be code"}
	case client.Grants != nil && !slices.Contains(client.Grants, "authorization_code"):
		return "", &Error{Code: "unauthorized_client", Description: "authorization_code is not allowed to this client"}
	case q.Get("state") == "":
		return "", invalidRequest("state is missing")
	case s.opts.SAPDialect && !q.Has("code_challenge") && !q.Has("code_challenge_method"):
	case q.Get("code_challenge_method") != "S256" || !challengeForm.MatchString(q.Get("code_challenge")):
		return "", invalidRequest("a code_challenge with S256 is required (RFC 7636)")
	}
	scopes, err := s.scopes(client, q.Get("scope"))
	if err != nil {
		return "", err
	}
	if err := checkResource(q["resource"]); err != nil {
		return "", err
	}
	if denied != nil {
		return "", denied()
	}
	text := "code-" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[text] = &code{client: client.ID, redirectURL: q.Get("redirect_uri"), challenge: q.Get("code_challenge"),
		nonce: q.Get("nonce"), family: rand.Text(), scopes: scopes, ends: time.Now().Add(codeLife)}
	return text, nil
}

var verifierForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// authorizationCode is RFC 6749 4.1.3 with RFC 7636 4.6.
func (s *Server) authorizationCode(r *GrantRequest) (*Granted, error) {
	if !r.Params.Has("code") {
		return nil, invalidRequest("code is missing")
	}
	verifier := r.Params.Get("code_verifier")
	sum := sha256.Sum256([]byte(verifier))
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.codes[r.Params.Get("code")]
	switch {
	case c == nil || c.client != r.Client.ID:
		return nil, invalidGrant("there is no such code for this client")
	case c.spent:
		s.ended[c.family] = true
		return nil, invalidGrant("the code was used before: what it gave is revoked")
	case !time.Now().Before(c.ends):
		return nil, invalidGrant("the code has ended")
	case r.Params.Get("redirect_uri") != c.redirectURL:
		return nil, invalidGrant("redirect_uri differs from the one at the authorization endpoint")
	case c.challenge == "" && verifier == "": // SAP's dialect
	case !verifierForm.MatchString(verifier) || base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge:
		return nil, invalidGrant("code_verifier does not fit the challenge")
	}
	c.spent = true
	granted := &Granted{User: s.opts.User, Scopes: c.scopes, RefreshToken: true, family: c.family}
	if slices.Contains(c.scopes, "openid") {
		idToken, err := s.idToken(c)
		if err != nil {
			return nil, err
		}
		granted.Extra = map[string]any{"id_token": idToken}
	}
	return granted, nil
}
