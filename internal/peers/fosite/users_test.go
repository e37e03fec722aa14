package fosite_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"

	"github.com/outgrant/outgrant/internal/peers/peer"
)

// addUserClient adds a client that users authorize; without a secret it is a program on a user's machine.
func (s *server) addUserClient(t testing.TB, id, secret, redirectURI string) {
	client := newClient(t, id, secret)
	client.Public = secret == ""
	client.GrantTypes, client.ResponseTypes = []string{"authorization_code", "refresh_token"}, []string{"code"}
	client.Scopes = append(client.Scopes, "openid", "offline_access")
	client.RedirectURIs = []string{redirectURI}
	s.store.Clients[id] = client
}

func newSession(user string) *openid.DefaultSession {
	now := time.Now()
	return &openid.DefaultSession{Subject: user, Claims: &jwt.IDTokenClaims{Subject: user, RequestedAt: now, AuthTime: now}, Headers: &jwt.Headers{}}
}

// page lets a user sign in and consent in one, or refuse.
const page = `<form method="post"><input type="text" name="login"><button>Sign in and allow</button></form><a href="%s">Cancel</a>`

func (s *server) authorize(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	request, err := s.provider.NewAuthorizeRequest(ctx, r)
	switch {
	case err != nil:
	case r.URL.Query().Has("cancel"):
		err = fosite.ErrAccessDenied
	case r.Method != http.MethodPost:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, page, html.EscapeString("?cancel&"+r.URL.RawQuery))
		return
	}
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	response, err := s.provider.NewAuthorizeResponse(ctx, request, newSession(r.PostFormValue("login")))
	if err != nil {
		s.provider.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	s.provider.WriteAuthorizeResponse(ctx, w, request, response)
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.provider.WriteRevocationResponse(r.Context(), w, s.provider.NewRevocationRequest(r.Context(), r))
}

// count counts a token request, if it is a refresh.
func (s *server) count(r *http.Request, granted bool) {
	if r.PostFormValue("grant_type") != "refresh_token" {
		return
	}
	id := r.PostFormValue("client_id")
	if inHeader, _, ok := r.BasicAuth(); ok {
		id, _ = url.QueryUnescape(inHeader) // RFC 6749 2.3.1
	}
	of := s.refreshes[id]
	if of == nil {
		of = &peer.Refreshes{}
		s.refreshes[id] = of
	}
	token := r.PostFormValue("refresh_token")
	of.Requests++
	switch {
	case s.used[token]:
		of.Reused++
	case granted:
		s.used[token] = true
	default:
		of.Refused++
	}
	if granted {
		of.Granted++
	}
}

// refreshesOf returns what came of the client's refresh tokens so far.
func (s *server) refreshesOf(clientID string) peer.Refreshes {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of := s.refreshes[clientID]; of != nil {
		return *of
	}
	return peer.Refreshes{}
}
