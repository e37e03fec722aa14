package credstore

import (
	"context"
	"errors"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore/driver"
)

// Try asks the token service for a token now, past what is in memory and what processes share, to see whether a credential
// works. user is whom the token is for, where the artifact acts for users: else "". What others have of the credential stays
// as it is, but that an authorization code is refreshed, as it would be some time later. The outcome is an [Event], and is
// shown by lists, with Options.History.
func (s *Store) Try(ctx context.Context, name, user string) (*outgrant.Token, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.running.Done()
	n := s.name(name)
	token, err := s.core.try(ctx, n, user)
	tried := Event{What: EventTried, Who: s.who}
	if user != "" {
		tried.Reason = "for the user " + user + ": "
	}
	more := failedBy(err, user != "")
	_, refused := errors.AsType[*outgrant.TokenError](err)
	switch {
	case err == nil:
		tried.Reason += "a token came"
		if !token.Expiry.IsZero() {
			tried.Reason += ", which ends at " + token.Expiry.UTC().Format("2006-01-02 15:04:05 MST")
		}
		s.note(n, tried, fetchedUntil(token.Expiry))
		return token, nil
	case ctx.Err() != nil, errors.Is(err, driver.ErrNotFound), errors.Is(err, errUnavailable): // it was not tried
		return nil, n.failure(err)
	case !refused, errors.Is(err, outgrant.ErrNotAuthorized), errors.Is(err, outgrant.ErrUserRequired): // that is no failure of the token service
		more = nil
	}
	tried.Failed = true
	tried.Reason += causeOf(err)
	s.note(n, tried, more)
	if !refused {
		return nil, n.failure(err)
	}
	return nil, err
}

func (c *core) try(ctx context.Context, n nameOf, user string) (*outgrant.Token, error) {
	b, err := c.buildFor(ctx, n, alone)
	switch {
	case err != nil:
		return nil, err
	case b.code != nil:
		client, err := c.client(ctx, n.id()) // one client has the refresh token
		if err != nil {
			return nil, err
		}
		return client.RefreshNow(ctx)
	case b.users != nil:
		return b.users.ForUser(user).Token(ctx)
	case b.refusal != nil:
		return nil, b.refusal
	}
	return b.source.Token(ctx)
}
