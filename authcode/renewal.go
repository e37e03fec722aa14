package authcode

import (
	"cmp"
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
	life := toldLife(answer)
	switch came := answer.RefreshToken; {
	case came != "" && came != a.RefreshToken:
		c.setRefreshToken(&next, came, life, now)
	case life > 0 && (a.RefreshExpires.IsZero() || now.Add(life).After(a.RefreshExpires.Add(longerLife))): // the same one lives on
		c.setRefreshToken(&next, a.RefreshToken, life, now)
	default:
		next.Fixed = true
		if !a.Due.IsZero() && !now.Before(a.Due) {
			next.Due = time.Time{} // it would not be renewed the next time either
		}
	}
	return next
}

// longerLife is by how much a refresh token must live longer for that to be news: what is told in whole seconds moves.
const longerLife = time.Minute

// setRefreshToken sets a refresh token that came, or lives on, with its dates. told is how long it lives, as the answer
// says; 0: it does not say.
func (c *Client) setRefreshToken(a *Authorization, token outgrant.Secret, told time.Duration, now time.Time) {
	if token == "" {
		now = time.Time{} // none came
	}
	a.RefreshToken, a.RefreshIssued, a.Fixed, a.ExpiryTold = token, now, false, told > 0
	a.setLife(cmp.Or(told, c.cfg.RefreshTokenExpiry))
}

// setLife sets how long the refresh token lives; 0: it never ends, as far as is known.
func (a *Authorization) setLife(life time.Duration) {
	a.RefreshExpires = time.Time{}
	if life > 0 && a.RefreshToken != "" {
		a.RefreshExpires = a.RefreshIssued.Add(life)
	}
	a.Due = due(a.RefreshIssued, a.RefreshExpires)
}

// withExpiry returns the authorization with another Config.RefreshTokenExpiry, and whether it differs. What the token
// service told stays.
func (a Authorization) withExpiry(life time.Duration) (Authorization, bool) {
	was := a.RefreshExpires
	if a.RefreshToken == "" || a.ExpiryTold || life == 0 && was.IsZero() || life > 0 && a.RefreshIssued.Add(life).Equal(was) {
		return a, false
	}
	a.setLife(life)
	return a, true
}

// toldLife is how long the refresh token lives, as an answer says; 0: it does not.
func toldLife(answer *tokenclient.Answer) time.Duration {
	for _, member := range []string{"refresh_token_expires_in", "refresh_expires_in"} {
		if life := tokenclient.Lifetime(answer.Token.Extra(member)); life > 0 {
			return life
		}
	}
	return 0
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
