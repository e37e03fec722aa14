package oauthtest

import (
	"errors"
	"net/http"
)

// serveRevoke is the revocation endpoint (RFC 7009).
func (s *Server) serveRevoke(w http.ResponseWriter, r *http.Request) {
	if err := s.revoke(r); err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = &Error{Status: http.StatusInternalServerError, Code: "server_error", Description: err.Error()}
		}
		refusal(e).write(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// revoke ends a token: a refresh token with its whole family, an access token alone. A token that is not known is none to
// worry about (RFC 7009 2.2).
func (s *Server) revoke(r *http.Request) error {
	params, err := s.params(r)
	if err != nil {
		return err
	}
	client, err := s.authenticate(r, params)
	if err != nil {
		return err
	}
	if !params.Has("token") {
		return invalidRequest("token is missing")
	}
	token := params.Get("token")
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refresh[token]; t != nil {
		if t.client != client.ID {
			return invalidGrant("the token is another client's")
		}
		s.ended[t.family] = true
	}
	if t := s.tokens[token]; t != nil {
		if t.client != client.ID {
			return invalidGrant("the token is another client's")
		}
		delete(s.tokens, token)
	}
	return nil
}
