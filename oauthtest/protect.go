package oauthtest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
)

// Protect returns a receiver that serves h to requests with a live token of this server, and refuses others as RFC 6750
// 3 says: with 401, or 400 if there is more than one Authorization header.
func (s *Server) Protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, problem := s.checkBearer(r.Header.Values("Authorization")); status != 0 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="oauthtest"`+problem)
			http.Error(w, fmt.Sprintf("%d %s", status, http.StatusText(status)), status)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// checkBearer returns the status and the challenge's error for a request that is not authorized, or 0.
func (s *Server) checkBearer(headers []string) (status int, problem string) {
	if len(headers) > 1 {
		return http.StatusBadRequest, `, error="invalid_request"`
	}
	scheme, token, _ := strings.Cut(strings.Join(headers, ""), " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return http.StatusUnauthorized, "" // no error code where no token was sent
	case !s.Live(outgrant.Secret(token)):
		return http.StatusUnauthorized, `, error="invalid_token"`
	}
	return 0, ""
}

// Live reports whether an access token is one of the server's, has not ended and was not revoked.
func (s *Server) Live(accessToken outgrant.Secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live(accessToken.Reveal())
}

// live is Live. s.mu is held.
func (s *Server) live(accessToken string) bool {
	t := s.tokens[accessToken]
	return t != nil && time.Now().Before(t.ends) && !s.ended[t.family]
}

// Revoke ends all access tokens that the server has issued: receivers refuse them from now on. Refresh tokens live on.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}
