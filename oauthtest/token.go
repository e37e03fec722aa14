package oauthtest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// GrantRequest is a token request that is to be decided. It prints grant type and client.
type GrantRequest struct {
	URL    string // of the token endpoint that was asked, without query: TokenURL, or an alias of it
	Client Client
	Params url.Values
	Scopes []string // asked for, each of them known and allowed to the client
}

// Granted is what a token request is given. It prints without Extra.
type Granted struct {
	User         string
	Scopes       []string       // default: what was asked for
	Lifetime     time.Duration  // of the access token; default: the server's
	RefreshToken bool           // give one
	SameToken    bool           // hand out the client's and user's latest token while it lives, with the remaining time
	Extra        map[string]any // more members of the answer

	family     string   // of the refresh token that a new one replaces
	authorized []string // the refresh token's scopes, where the access token's are fewer (RFC 6749 6)
}

// Error is an error answer of a token endpoint (RFC 6749 5.2).
type Error struct {
	Status            int // default 401 for invalid_client, else 400
	Code, Description string
	Members           map[string]any // of the answer, where the service has its own error shape; default error and error_description
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

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	params, malformed := s.params(r) // before any delay: only a server that has read the body notices that the client leaves
	fault, w := s.arrive(w, r, params)
	if fault.delay > 0 {
		s.wait(r.Context(), fault.delay)
	}
	if fault.instead != nil {
		fault.instead(w, r)
		return
	}
	a := s.answerTo(r, params, malformed, fault.sameToken)
	for _, edit := range fault.edits {
		edit(a)
	}
	if fault.after != nil {
		fault.after(w, a)
		return
	}
	a.write(w)
}

func (s *Server) answerTo(r *http.Request, params url.Values, malformed error, sameToken bool) *answer {
	err := malformed
	if err == nil {
		var members map[string]any
		if members, err = s.decide(r, params, sameToken); err == nil {
			return newAnswer(http.StatusOK, members)
		}
	}
	e, ok := errors.AsType[*Error](err)
	if ok {
		if _, unfit := json.Marshal(e.Members); unfit != nil {
			ok, err = false, fmt.Errorf("the error's Members cannot be encoded: %w", unfit)
		}
	}
	if !ok {
		e = &Error{Status: http.StatusInternalServerError, Code: "server_error", Description: err.Error()}
	}
	return refusal(e)
}

func (s *Server) decide(r *http.Request, params url.Values, sameToken bool) (map[string]any, error) {
	client, err := s.authenticate(r, params)
	if err != nil {
		return nil, err
	}
	grantType := params.Get("grant_type")
	s.mu.Lock()
	handle := s.handlers[grantType]
	s.mu.Unlock()
	switch {
	case grantType == "":
		return nil, invalidRequest("grant_type is missing")
	case handle == nil:
		return nil, &Error{Code: "unsupported_grant_type", Description: grantType + " is not offered"}
	case client.Grants != nil && !slices.Contains(client.Grants, grantType):
		return nil, &Error{Code: "unauthorized_client", Description: grantType + " is not allowed to this client"}
	}
	scopes, refused := s.scopes(client, params.Get("scope"))
	if refused == nil {
		refused = checkResource(params["resource"])
	}
	if refused != nil {
		return nil, refused
	}
	granted, err := handle(&GrantRequest{URL: s.base + r.URL.EscapedPath(), Client: client, Params: params, Scopes: scopes})
	if err != nil {
		return nil, err
	}
	if granted == nil {
		return nil, errors.New("the grant's handler gave neither a grant nor an error")
	}
	if _, err := json.Marshal(granted.Extra); err != nil {
		return nil, fmt.Errorf("the grant's Extra cannot be encoded: %w", err)
	}
	g := *granted // the handler may keep its own
	if g.Scopes == nil {
		g.Scopes = scopes
	}
	if g.RefreshToken && g.family == "" {
		g.family = rand.Text()
	}
	g.SameToken = g.SameToken || sameToken
	return s.issue(client, &g), nil
}

func (s *Server) clientCredentials(r *GrantRequest) (*Granted, error) {
	if r.Client.Auth == outgrant.None {
		return nil, &Error{Code: "unauthorized_client", Description: "client_credentials is for confidential clients (RFC 6749 4.4)"}
	}
	return &Granted{}, nil
}

// issued is an access token that was given out.
type issued struct {
	token, family, client string
	scopes                []string
	ends                  time.Time
}

// issue makes the tokens and the members of a success (RFC 6749 5.1).
func (s *Server) issue(client Client, g *Granted) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, key := time.Now(), client.ID+"\x00"+g.User
	t := s.latest[key]
	if !g.SameToken || t == nil || !s.live(t.token) {
		lifetime := g.Lifetime
		if lifetime <= 0 {
			lifetime = s.opts.TokenLifetime
		}
		s.serial++
		t = &issued{token: "access-" + strconv.Itoa(s.serial) + "-" + rand.Text(), family: g.family, client: client.ID, scopes: g.Scopes, ends: now.Add(lifetime)}
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
		members["refresh_token"] = s.newRefreshToken(client, g)
	}
	return members
}
