package oauthtest

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
)

// GrantHandler answers the token requests of a grant type. The client is authenticated and the parameters are checked
// to be well-formed. An error that is an [*Error] becomes the answer; any other becomes server_error.
type GrantHandler func(r *GrantRequest) (*Granted, error)

// GrantRequest is a token request that is to be decided.
type GrantRequest struct {
	Client Client
	Params url.Values
	Scopes []string // asked for, each of them known and allowed to the client
}

// Granted is what a token request is given.
type Granted struct {
	User         string
	Scopes       []string       // default: what was asked for
	Lifetime     time.Duration  // default: the server's
	RefreshToken bool           // give one
	SameToken    bool           // hand out the client's and user's latest token while it lives, with the remaining time
	Extra        map[string]any // more members of the answer

	family string // of the refresh token that this one replaces
}

// Error is an error answer of a token endpoint (RFC 6749 5.2).
type Error struct {
	Status            int // default 400
	Code, Description string
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

func invalidRequest(description string) *Error {
	return &Error{Code: "invalid_request", Description: description}
}

// Handle adds a grant type, or replaces the server's own handling of it.
func (s *Server) Handle(grantType string, h GrantHandler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[grantType] = h
}

// answer is what is about to be sent.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	fault := s.nextFault()
	s.mu.Unlock()
	if fault.delay > 0 {
		s.wait(r.Context(), fault.delay)
	}
	if fault.instead != nil {
		fault.instead(w, r)
		return
	}
	seen := Request{Time: time.Now(), URL: r.URL, Header: r.Header.Clone()}
	a := s.answerTo(r, &seen, fault.sameToken)
	seen.Status = a.status
	s.record(seen)
	for _, edit := range fault.edits {
		edit(a)
	}
	if fault.after != nil {
		fault.after(w, a)
		return
	}
	a.write(w)
}

func (a *answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.bytes())
}

func (a *answer) bytes() []byte {
	b, err := json.Marshal(a.body)
	if err != nil {
		panic("oauthtest: an answer's Extra cannot be encoded: " + err.Error())
	}
	return b
}

func (s *Server) answerTo(r *http.Request, seen *Request, sameToken bool) *answer {
	a := &answer{status: http.StatusOK, header: http.Header{
		"Content-Type": {"application/json;charset=UTF-8"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}, // RFC 6749 5.1
	}}
	members, err := s.decide(r, seen, sameToken)
	if err == nil {
		a.body = members
		return a
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Status: http.StatusInternalServerError, Code: "server_error", Description: err.Error()}
	}
	a.status = max(e.Status, http.StatusBadRequest)
	if a.status == http.StatusUnauthorized {
		a.header.Set("WWW-Authenticate", `Basic realm="oauthtest"`)
	}
	a.body = map[string]any{"error": e.Code, "error_description": e.Description}
	return a
}

func (s *Server) decide(r *http.Request, seen *Request, sameToken bool) (map[string]any, error) {
	params, err := s.params(r)
	if err != nil {
		return nil, err
	}
	seen.Params, seen.GrantType = params, params.Get("grant_type")
	client, err := s.authenticate(r, params)
	seen.ClientID = client.ID
	if err != nil {
		return nil, err
	}
	if seen.GrantType == "" {
		return nil, invalidRequest("grant_type is missing")
	}
	s.mu.Lock()
	handle := s.handlers[seen.GrantType]
	s.mu.Unlock()
	switch {
	case handle == nil:
		return nil, &Error{Code: "unsupported_grant_type", Description: seen.GrantType + " is not offered"}
	case client.Grants != nil && !slices.Contains(client.Grants, seen.GrantType):
		return nil, &Error{Code: "unauthorized_client", Description: seen.GrantType + " is not allowed to this client"}
	}
	scopes, refused := s.scopes(client, params.Get("scope"))
	if refused != nil {
		return nil, refused
	}
	if err := checkResource(params["resource"]); err != nil {
		return nil, err
	}
	granted, err := handle(&GrantRequest{Client: client, Params: params, Scopes: scopes})
	if err != nil {
		return nil, err
	}
	if granted.Scopes == nil {
		granted.Scopes = scopes
	}
	granted.SameToken = granted.SameToken || sameToken
	return s.issue(client, granted), nil
}

// urlParams must be in the body (RFC 6749 2.3.1, 3.2): a URL is logged on its way.
var bodyParams = []string{"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "assertion",
	"code", "code_verifier", "redirect_uri", "refresh_token", "scope", "username", "password"}

// params reads the parameters and refuses what RFC 6749 3.2 forbids.
func (s *Server) params(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, &Error{Status: http.StatusMethodNotAllowed, Code: "invalid_request", Description: "the token endpoint takes POST"}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidRequest("the URL's query is malformed")
	}
	for _, p := range bodyParams {
		if query.Has(p) && !(s.opts.SAPDialect && p == "grant_type") {
			return nil, invalidRequest(p + " must be in the body")
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, invalidRequest("the body cannot be read")
	}
	var params url.Values
	switch mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case mediaType == "application/x-www-form-urlencoded":
		params, err = url.ParseQuery(string(body))
	case mediaType == "application/json" && s.opts.SAPDialect:
		params, err = jsonParams(body)
	default:
		return nil, invalidRequest("the content type must be application/x-www-form-urlencoded")
	}
	if err != nil {
		return nil, invalidRequest("the body is malformed")
	}
	if g := query.Get("grant_type"); g != "" {
		params.Add("grant_type", g)
	}
	for name, values := range params {
		if len(values) > 1 && name != "resource" && name != "audience" { // RFC 8707 2, RFC 8693 2.1
			return nil, invalidRequest(name + " is repeated")
		}
		if values[0] == "" { // as if omitted
			delete(params, name)
		}
	}
	return params, nil
}

func jsonParams(body []byte) (url.Values, error) {
	var members map[string]string
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	params := url.Values{}
	for k, v := range members {
		params.Set(k, v)
	}
	return params, nil
}

func (s *Server) scopes(client Client, scope string) ([]string, *Error) {
	if scope == "" {
		return client.Scopes, nil
	}
	asked := strings.Split(scope, " ")
	for _, one := range asked {
		if one == "" || strings.ContainsFunc(one, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return nil, &Error{Code: "invalid_scope", Description: "the scope is malformed"}
		}
		if s.opts.Scopes != nil && !slices.Contains(s.opts.Scopes, one) || client.Scopes != nil && !slices.Contains(client.Scopes, one) {
			return nil, &Error{Code: "invalid_scope", Description: "there is no such scope for this client: " + one}
		}
	}
	return asked, nil
}

// checkResource checks RFC 8707 2.
func checkResource(resources []string) error {
	for _, res := range resources {
		if u, err := url.Parse(res); err != nil || !u.IsAbs() || u.Fragment != "" {
			return &Error{Code: "invalid_target", Description: "resource must be an absolute URI without fragment"}
		}
	}
	return nil
}

func (s *Server) clientCredentials(r *GrantRequest) (*Granted, error) {
	if r.Client.Auth == outgrant.None {
		return nil, &Error{Code: "unauthorized_client", Description: "client_credentials is for confidential clients (RFC 6749 4.4)"}
	}
	return &Granted{}, nil
}

// issued is an access token that was given out.
type issued struct {
	token, client, user, family string
	scopes                      []string
	ends                        time.Time
}

// issue makes the tokens and the members of a success (RFC 6749 5.1).
func (s *Server) issue(client Client, g *Granted) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, key := time.Now(), client.ID+"\x00"+g.User
	t := s.latest[key]
	if !g.SameToken || t == nil || !now.Before(t.ends) || s.tokens[t.token] == nil {
		lifetime := g.Lifetime
		if lifetime <= 0 {
			lifetime = s.opts.TokenLifetime
		}
		s.serial++
		t = &issued{token: "access-" + strconv.Itoa(s.serial) + "-" + randomText(), client: client.ID, user: g.User, family: g.family,
			scopes: g.Scopes, ends: now.Add(lifetime)}
		s.tokens[t.token], s.latest[key] = t, t
	}
	members := map[string]any{}
	maps.Copy(members, g.Extra)
	members["access_token"], members["token_type"] = t.token, "Bearer"
	members["expires_in"] = int(t.ends.Sub(now) / time.Second)
	if len(t.scopes) > 0 {
		members["scope"] = strings.Join(t.scopes, " ")
	}
	if g.RefreshToken {
		members["refresh_token"] = s.newRefreshToken(t)
	}
	return members
}
