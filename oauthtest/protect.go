package oauthtest

import (
	"net/http"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
)

// Protect returns a receiver that serves h to requests with a live token of this server, and answers 401 to others
// (RFC 6750 3).
func (s *Server) Protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if problem := s.checkBearer(r.Header.Values("Authorization")); problem != "" {
			w.Header().Set("WWW-Authenticate", problem)
			http.Error(w, "401 Unauthorized", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// checkBearer returns the challenge for a request that is not authorized, or "".
func (s *Server) checkBearer(headers []string) string {
	if len(headers) == 0 {
		return `Bearer realm="oauthtest"`
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return `Bearer realm="oauthtest", error="invalid_request"`
	}
	if !s.Live(outgrant.Secret(token)) {
		return `Bearer realm="oauthtest", error="invalid_token"`
	}
	return ""
}

// Live reports whether an access token is one of the server's, has not ended and was not revoked.
func (s *Server) Live(accessToken outgrant.Secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[accessToken.Reveal()]
	return t != nil && time.Now().Before(t.ends)
}

// Revoke ends all access tokens that the server has issued: receivers refuse them from now on.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}
