package oauthtest

import (
	"crypto/rand"
	"slices"
	"time"
)

// refreshToken is used once, unless ServerOptions.KeepRefreshToken. A second use means that it was stolen or lost, and ends all that came of the same
// authorization (RFC 9700 4.14.2).
type refreshToken struct {
	client, user, family string
	scopes               []string
	ends                 time.Time
	spent                bool
}

// newRefreshToken makes one for what was granted. s.mu is held.
func (s *Server) newRefreshToken(client Client, g *Granted) string {
	scopes := g.Scopes
	if g.authorized != nil {
		scopes = g.authorized
	}
	token := "refresh-" + rand.Text()
	s.refresh[token] = &refreshToken{client: client.ID, user: g.User, family: g.family, scopes: scopes,
		ends: time.Now().Add(s.opts.RefreshTokenLifetime)}
	return token
}

func invalidGrant(description string) *Error {
	return &Error{Code: "invalid_grant", Description: description}
}

// refreshGrant is RFC 6749 6.
func (s *Server) refreshGrant(r *GrantRequest) (*Granted, error) {
	if !r.Params.Has("refresh_token") {
		return nil, invalidRequest("refresh_token is missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refresh[r.Params.Get("refresh_token")]
	switch {
	case t == nil || t.client != r.Client.ID:
		return nil, invalidGrant("there is no such refresh token for this client")
	case t.spent || s.ended[t.family]:
		if t.spent {
			s.reuses++
		}
		s.ended[t.family] = true
		return nil, invalidGrant("the refresh token was used before: its whole family is revoked")
	case !time.Now().Before(t.ends):
		return nil, invalidGrant("the refresh token has ended")
	}
	scopes := t.scopes
	if r.Params.Has("scope") {
		scopes = r.Scopes
		if slices.ContainsFunc(scopes, func(one string) bool { return !slices.Contains(t.scopes, one) }) {
			return nil, &Error{Code: "invalid_scope", Description: "the scope exceeds what was authorized"}
		}
	}
	rotates := !s.opts.KeepRefreshToken
	t.spent = rotates
	return &Granted{User: t.user, Scopes: scopes, RefreshToken: rotates, family: t.family, authorized: t.scopes}, nil
}

// Reuses returns how often a refresh token came that had been used before: in production each may be the end of what a
// user authorized.
func (s *Server) Reuses() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reuses
}
