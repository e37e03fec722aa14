package authcode

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// refreshing is one use of a refresh token, which may be its only one. So the vault's lock is held, a mark is stored
// before the token is sent, and what comes is stored before anybody may use it. A mark without an answer says that the outcome
// is unknown: the token is tried again then, and if it is refused the mark tells why.
type refreshing struct {
	client *Client
	lock   VaultLock
	before Authorization
	done   chan outcome // takes one
}

// outcome is what whoever waits for a refresh gets.
type outcome struct {
	authorization Authorization
	err           error
}

// saveTimeout bounds one attempt to store something.
const saveTimeout = 10 * time.Second

// run is the refresh. It has no caller's context: once the token is sent, the answer is waited for and stored.
func (r *refreshing) run() {
	c := r.client
	defer c.running.Done()
	defer func() { _ = r.lock.Unlock() }() // nothing would be better if it were told
	marked := r.before
	marked.Mark = r.mark()
	winner, err := r.save(marked)
	switch {
	case err != nil:
		r.fail(c.vaultError("cannot be written, so the refresh token was not used", err))
		return
	case winner.RefreshToken != r.before.RefreshToken:
		r.fail(errAgain)
		return
	case r.lost(), time.Now().Add(c.cache.FetchTimeout).After(marked.Mark.Until):
		// Somebody else may be about to use it. The mark remains, which is safe.
		r.fail(c.token.Fail(errors.New("its store lost the lock, or was too slow, so the refresh token was not used")))
		return
	}
	answer, err := c.token.Ask(context.Background(), c.refreshRequest(r.before))
	if answer == nil {
		r.failed(err, *marked.Mark)
		return
	}
	next := c.refreshed(r.before, answer, time.Now())
	if err != nil { // there is a refresh token, but no access token that could be used
		if te, _ := errors.AsType[*outgrant.TokenError](err); !te.Temporary() {
			next.Failure = &Refusal{Code: te.Code, Reason: what(te), At: next.Refreshed}
		}
		r.fail(err)
	}
	r.keep(next)
}

// mark is the mark of this refresh. It remembers since when the outcome has been unknown.
func (r *refreshing) mark() *Mark {
	now := time.Now().Round(0)
	m := &Mark{Holder: r.client.holder, Started: now, Until: now.Add(saveTimeout + 2*r.client.cache.FetchTimeout)}
	if last := r.before.Mark; last != nil {
		m.Since = last.since()
	}
	return m
}

func (r *refreshing) lost() bool {
	select {
	case <-r.lock.Lost(): // nil: never
		return true
	default:
		return false
	}
}

// save stores next in place of what was there before the refresh, and returns what is stored then.
func (r *refreshing) save(next Authorization) (Authorization, error) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	return r.client.cfg.Vault.Save(ctx, r.client.cfg.Name, r.before.RefreshToken, next)
}

func (r *refreshing) fail(err error) { r.deliver(outcome{err: err}) }

// deliver tells whoever waits, unless that was done.
func (r *refreshing) deliver(o outcome) {
	select {
	case r.done <- o:
	default:
	}
}

// keep stores what a refresh brought, however long that takes: nobody else has it. If it cannot be stored at once, it is
// served from memory meanwhile.
func (r *refreshing) keep(next Authorization) {
	c := r.client
	const first = 50 * time.Millisecond
	for pause := first; ; pause = min(2*pause, time.Second) { // a store that comes and goes may be there for a moment only
		winner, err := r.saveLocked(next)
		if err == nil {
			c.pending.CompareAndSwap(&next, nil)
			r.stored(winner, next)
			return
		}
		if pause == first {
			c.pending.Store(&next)
			r.deliver(outcome{authorization: next})
			c.tell(outgrant.NotStored, c.vaultError("cannot be written", err))
		}
		retry := time.NewTimer(pause)
		select {
		case <-retry.C:
		case <-c.closing:
			retry.Stop()
			return
		}
	}
}

// saveLocked is save under the lock. If that was lost it is taken again: whoever has it shall not be disturbed.
func (r *refreshing) saveLocked(next Authorization) (Authorization, error) {
	if r.lost() {
		ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
		defer cancel()
		_ = r.lock.Unlock() // what is left of it must not be in the way
		again, err := r.client.cfg.Vault.Lock(ctx, r.client.cfg.Name)
		if err != nil {
			return Authorization{}, err
		}
		r.lock = again
		if next.Mark, err = r.doubt(ctx); err != nil {
			return Authorization{}, err
		}
	}
	return r.save(next)
}

// doubt returns a mark that says that what came may be of no use, if another process has sent the refresh token, too: a token service
// that takes it once may have ended what it had given before. Nil: nobody has.
func (r *refreshing) doubt(ctx context.Context) (*Mark, error) {
	stored, err := r.client.cfg.Vault.Load(ctx, r.client.cfg.Name)
	m := stored.Mark
	if err != nil || m == nil || m.Holder == r.client.holder || stored.RefreshToken != r.before.RefreshToken {
		return nil, err
	}
	now := time.Now().Round(0)
	return &Mark{Holder: r.client.holder, Started: now, Since: m.since(), Until: now, Unknown: "its answer was stored so late that another process had tried again"}, nil
}

// stored is the end of a refresh that brought something, and found winner in the vault.
func (r *refreshing) stored(winner, next Authorization) {
	c := r.client
	if winner.RefreshToken == next.RefreshToken {
		r.deliver(outcome{authorization: next})
		c.tell(outgrant.Refreshed, nil)
		return
	}
	r.fail(errAgain)
	c.tell(outgrant.Superseded, nil)
	// What won may be of the same user's consent to the same client, and revoking one refresh token of that can end them all.
	if winner.Authorized.IsZero() && next.RefreshToken != r.before.RefreshToken {
		_ = r.lock.Unlock() // others need not wait for that
		c.revokeUnused(next.RefreshToken)
	}
}

// failed is the end of a refresh that brought nothing.
func (r *refreshing) failed(err error, mark Mark) {
	c := r.client
	te, _ := errors.AsType[*outgrant.TokenError](err) // Ask returns no other
	next := r.before
	var change outgrant.AuthorizationChange
	switch now := time.Now().Round(0); {
	case isUnknown(te):
		mark.Unknown = what(te)
		next.Mark, change = &mark, outgrant.OutcomeUnknown
	case slices.Contains(refusals, te.Code):
		next.Refused, change = refusal(te, r.before.Mark, now), outgrant.Unauthorized
		next.Mark, next.Failure, next.Due = nil, nil, time.Time{}
		if te.Err = outgrant.ErrNotAuthorized; r.before.Mark != nil {
			te.Err = fmt.Errorf("%w (%s)", te.Err, r.before.Mark.lost())
		}
	case !te.Temporary():
		next.Failure = &Refusal{Code: te.Code, Reason: what(te), At: now}
	}
	next.postpone(time.Now())
	if !r.lost() { // else somebody else may be about to use the token; the mark remains then, also if this fails, which is safe
		if winner, saveErr := r.save(next); saveErr == nil && winner.RefreshToken != next.RefreshToken {
			r.fail(errAgain) // what became of the token that was replaced meanwhile does not count
			return
		}
	}
	r.fail(te)
	if change != "" {
		c.tell(change, te)
	}
}

// refusals are the codes that say that the refresh token is of no use any more (RFC 6749 5.2, and OpenID Connect's, which
// Entra ID answers with).
var refusals = []string{"invalid_grant", "interaction_required", "login_required", "consent_required"}

// refusal is the end of a refresh token, and says so if its successor may have been lost.
func refusal(te *outgrant.TokenError, earlier *Mark, now time.Time) *Refusal {
	reason := "the token service refused the refresh token: " + what(te)
	if earlier != nil {
		reason += "; " + earlier.lost()
	}
	return &Refusal{Code: te.Code, Reason: reason, At: now}
}

// lost says why a refresh token may be refused that is the last one here.
func (m *Mark) lost() string {
	why := m.Unknown
	if why == "" {
		why = "the process that made it ended, or lost its store"
	}
	return fmt.Sprintf("the outcome of the refresh of %s is unknown (%s), so its answer may have been lost", date(m.since()), why)
}

// isUnknown reports whether the refresh token may have been spent although no full answer came.
func isUnknown(te *outgrant.TokenError) bool {
	switch {
	case te.StatusCode == 0:
		return tokenclient.WasSent(te)
	case te.StatusCode >= 500, te.StatusCode == 408:
		return true
	case te.StatusCode == 429, te.StatusCode >= 300 && te.StatusCode < 400:
		return false
	}
	return te.Code == ""
}

// what says what the token service answered, without naming the credential again.
func what(te *outgrant.TokenError) string {
	var words []string
	if te.StatusCode != 0 {
		words = append(words, fmt.Sprintf("answer %d", te.StatusCode))
	}
	if te.Code != "" {
		words = append(words, te.Code)
	}
	if te.Description != "" {
		words = append(words, "("+te.Description+")")
	}
	if te.Err != nil {
		words = append(words, display.Line(te.Err.Error(), display.LongestDescription))
	}
	return strings.Join(words, " ")
}

func (c *Client) refreshRequest(a Authorization) *tokenclient.Request {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {a.RefreshToken.Reveal()}}
	if c.cfg.ScopeOnRefresh && len(c.cfg.Scopes) > 0 {
		form.Set("scope", strings.Join(c.cfg.Scopes, " "))
	}
	return &tokenclient.Request{Form: form, Secrets: []outgrant.Secret{a.RefreshToken}}
}

func (c *Client) tell(change outgrant.AuthorizationChange, err error) {
	if hook := c.cache.Hooks.AuthorizationChanged; hook != nil {
		hook(outgrant.AuthorizationEvent{Credential: c.Describe(), Change: change, Err: err})
	}
}

// revokeUnused revokes a refresh token that nobody will use, as far as the provider lets it.
func (c *Client) revokeUnused(token outgrant.Secret) {
	if c.cfg.RevocationURL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cache.FetchTimeout)
	defer cancel()
	c.tell(outgrant.Revoked, c.revoke(ctx, token))
}
