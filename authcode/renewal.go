package authcode

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// refreshed is the authorization after a refresh. An answer without another refresh token leaves the old one as it was.
func (c *Client) refreshed(a Authorization, answer *tokenclient.Answer, now time.Time) Authorization {
	now = now.Round(0)
	next := a
	next.Mark, next.Refused, next.Failure = nil, nil, nil
	next.Refreshed = now
	if answer.Token != nil {
		next.Token, next.TokenIssued = c.tokenOf(answer, a.User), now
	}
	if came := answer.RefreshToken; came != "" && came != a.RefreshToken {
		c.setRefreshToken(&next, answer, now)
	} else if next.Fixed = true; !a.Due.IsZero() && !now.Before(a.Due) {
		next.Due = time.Time{} // it would not be renewed the next time either
	}
	return next
}

// setRefreshToken sets the refresh token of an answer, with its dates.
func (c *Client) setRefreshToken(a *Authorization, answer *tokenclient.Answer, now time.Time) {
	a.RefreshToken, a.RefreshIssued, a.RefreshExpires, a.Fixed = answer.RefreshToken, now, time.Time{}, false
	if life := c.refreshLife(answer); life > 0 && a.RefreshToken != "" {
		a.RefreshExpires = now.Add(life)
	}
	a.Due = due(a.RefreshIssued, a.RefreshExpires)
}

// refreshLife is how long the refresh token of an answer lives; 0: it never ends, as far as is known.
func (c *Client) refreshLife(answer *tokenclient.Answer) time.Duration {
	for _, member := range []string{"refresh_token_expires_in", "refresh_expires_in"} {
		if life := tokenclient.Lifetime(answer.Token.Extra(member)); life > 0 {
			return life
		}
	}
	return c.cfg.RefreshTokenExpiry
}

// tokenOf is the access token of an answer, with what the answer left unsaid.
func (c *Client) tokenOf(answer *tokenclient.Answer, user string) *outgrant.Token {
	token := *answer.Token // nobody else has it
	token.User = user
	if token.Scopes == nil { // an answer without scope grants what was asked for (RFC 6749 5.1)
		token.Scopes = slices.Clone(c.cfg.Scopes)
	}
	return &token
}

const day = 24 * time.Hour

// due is when the scheduled job renews a refresh token: two days before it ends at the latest and, if it lives for ten days
// or more, not before its last fifth; else not before the first fifth of its life is over. Tokens that were issued together
// are spread over a quarter of the time between.
func due(issued, expires time.Time) time.Time {
	if expires.IsZero() {
		return time.Time{}
	}
	life := expires.Sub(issued)
	latest := expires.Add(-min(2*day, life/2))
	earliest := expires.Add(-life / 5)
	if earliest.After(latest) {
		earliest = issued.Add(life / 5)
	}
	return earliest.Add(rand.N(latest.Sub(earliest)/4 + 1))
}

// postpone moves the time of a renewal that was due and did not succeed: not far, and not past the refresh token's end.
func (a *Authorization) postpone(now time.Time) {
	if a.Due.IsZero() || now.Before(a.Due) {
		return
	}
	left := max(a.RefreshExpires.Sub(now), 0)
	pause := max(min(time.Hour, left/10), min(time.Minute, left/2))
	a.Due = now.Round(0).Add(pause + rand.N(pause/4+1))
}
