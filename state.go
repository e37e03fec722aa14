package outgrant

import (
	"errors"
	"math/rand/v2"
	"time"
)

// state is what callers see. It is never modified: each change makes a new one.
type state struct {
	token     *Token        // nil: none yet, or rejected
	attention instant       // until then the token is served without a further thought
	ends      instant       // from then on it is not served
	expires   instant       // when it really ends, or the rejected one does
	rejected  *Token        // what a receiver refused, until another answer came
	reserve   instant       // until then the rejected token is better than none
	failure   *failure      // of the last fetch; nil: it succeeded
	fetched   time.Time     // when the token came
	replaced  chan struct{} // closed when another state takes over; made by replace
}

// failure is a failed fetch.
type failure struct {
	err   error
	count int     // failures in a row
	retry instant // no fetch before it
}

const (
	// leeway is the most by which a token counts as ended before it does.
	leeway = 10 * time.Second
	// shortestLife is how long any new token is served at least, however soon it is said to end.
	shortestLife = 250 * time.Millisecond
	// sameTokenPause is the least time between two requests that bring the same token.
	sameTokenPause = time.Second
	// longerLife is by how much the end of the same token must have moved for it to count as a new one: services that
	// tell the remaining time in whole seconds move it a little each time.
	longerLife = 1500 * time.Millisecond
	// longestLife: what lives longer is kept until it is rejected.
	longestLife = 100 * 365 * 24 * time.Hour
	// longestRetryAfter bounds what a token service may ask for.
	longestRetryAfter = 5 * time.Minute
)

func (st *state) usable(now instant) bool  { return st.token != nil && now < st.ends }
func (st *state) failing(now instant) bool { return st.failure != nil && now < st.failure.retry }

// same reports whether token is the one that callers had, or that a receiver rejected.
func (st *state) same(token *Token) bool {
	return st.token != nil && st.token.AccessToken == token.AccessToken ||
		st.rejected != nil && st.rejected.AccessToken == token.AccessToken
}

// busy is the state while a fetch is under way: a valid token is served until it ends.
func (st *state) busy() *state {
	next := *st
	next.attention = st.ends
	return &next
}

// accept is the state after a fetch brought a token with the given life.
func (st *state) accept(token *Token, life, refreshBefore time.Duration, now instant) *state {
	next := &state{token: token.prepared(), fetched: time.Now().Round(0)}
	same := st.same(token)
	if same && life == never && st.expires != never {
		life = st.expires - now // it no longer says when, but did
	}
	switch {
	case life == never:
		next.expires, next.ends, next.attention = never, never, never
	case same && st.expires != never && now+life < st.expires+longerLife:
		// The token service has no other yet. It can be expected to have one shortly before this one ends.
		life = max(life, sameTokenPause)
		next.expires = now + life
		next.ends = next.expires
		next.attention = max(next.ends-min(leeway, life/10), now+sameTokenPause)
	default:
		life = max(life, shortestLife)
		window := min(refreshBefore, life/2)
		next.expires = now + life
		next.ends = next.expires - min(leeway, life/10, window/2)
		next.attention = next.expires - window
	}
	return next
}

// fallBack is the state in which the rejected token is served while a fetch is under way.
func (st *state) fallBack() *state {
	next := *st
	next.token, next.ends, next.attention = st.rejected, st.reserve, st.reserve
	return &next
}

// fail is the state after a fetch failed, which was timely if a token was served while it was under way.
func (st *state) fail(err error, timely bool, now instant) *state {
	next := *st
	if next.rejected != nil && now < next.reserve && isTemporary(err) {
		next.token, next.ends = next.rejected, next.reserve // better than none
	}
	f := &failure{err: err, count: 1}
	if st.failure != nil {
		f.count = st.failure.count + 1
	}
	f.retry = now + backOff(err, f.count)
	if next.usable(now) || timely && next.token != nil {
		f.retry = min(f.retry, next.ends) // when the token ends the token service may be back
	}
	next.failure = f
	return next.resume(now)
}

// resume is the state after a failure when another fetch can be begun.
func (st *state) resume(now instant) *state {
	next := *st
	next.attention = 0
	if next.usable(now) {
		next.attention = min(next.failure.retry, next.ends)
	}
	return &next
}

// reject is the state after a receiver rejected the token. keep: nothing better is to be had for now.
func (st *state) reject(keep bool) *state {
	next := *st
	next.rejected, next.reserve = st.token, st.ends
	if !keep {
		next.token, next.attention, next.ends = nil, 0, 0
	}
	return &next
}

// backOff is how long a credential's token service is left alone after count failures in a row.
func backOff(err error, count int) time.Duration {
	first, most := 500*time.Millisecond, 30*time.Second
	if !isTemporary(err) {
		first, most = time.Second, time.Minute
	}
	d := min(first<<min(count-1, 10), most)
	d -= rand.N(d / 4) // so that the processes of a fleet do not come back together
	return max(d, retryAfter(err))
}

func retryAfter(err error) time.Duration {
	if te, ok := errors.AsType[*TokenError](err); ok {
		return min(te.RetryAfter, longestRetryAfter)
	}
	return 0
}
