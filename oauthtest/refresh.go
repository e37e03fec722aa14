package oauthtest

import (
	"slices"
	"strconv"
	"time"
)

// refreshToken is used once. A second use means that it was stolen or lost, and ends all that came of the same
// authorization (RFC 9700 4.14.2).
type refreshToken struct {
	client, user, family string
	scopes               []string
	ends                 time.Time
	spent                bool
}

// newRefreshToken makes one for the family of an access token. s.mu is held.
func (s *Server) newRefreshToken(t *issued) string {
	if t.family == "" {
		s.serial++
		t.family = strconv.Itoa(s.serial)
	}
	token := "refresh-" + randomText()
	s.refresh[token] = &refreshToken{client: t.client, user: t.user, family: t.family, scopes: t.scopes,
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
	case t.spent:
		s.revokeFamily(t.family)
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
	t.spent = true
	return &Granted{User: t.user, Scopes: scopes, RefreshToken: true, family: t.family}, nil
}

// revokeFamily ends the tokens of one authorization. s.mu is held.
func (s *Server) revokeFamily(family string) {
	for _, t := range s.refresh {
		if t.family == family {
			t.spent = true
		}
	}
	for key, t := range s.tokens {
		if t.family == family {
			delete(s.tokens, key)
		}
	}
}
