package samlbearer

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/outgrant/outgrant"
)

// bind completes a copy of f with what the client knows, and adds what only a client can: to refuse replays.
func (f Forwarded) bind(c *Client) (assertions, error) {
	f.Certificates = slices.Clone(f.Certificates)
	f.Audience = cmp.Or(f.Audience, c.target.Audience)
	f.Recipient = cmp.Or(f.Recipient, c.tokenURL)
	if err := f.check(); err != nil {
		return nil, err
	}
	seen := &replays{}
	return func(ctx context.Context, user string) ([]byte, func(error), error) {
		passed, err := f.checked(ctx, user)
		if err != nil {
			return nil, nil, err
		}
		if err := seen.reserve(passed.id, passed.until); err != nil {
			return nil, nil, err
		}
		return passed.xml, func(err error) { seen.settle(passed.id, err == nil || refusedAssertion(err)) }, nil
	}, nil
}

// refusedAssertion reports whether a token service has seen the assertion and will not take it, now or later.
func refusedAssertion(err error) bool {
	te, ok := errors.AsType[*outgrant.TokenError](err)
	return ok && te.Code == "invalid_grant"
}
