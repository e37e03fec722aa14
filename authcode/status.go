package authcode

import (
	"fmt"
	"time"
)

// The states of a [Status].
const (
	Unauthorized = "Unauthorized" // a user has to authorize the credential
	Deployed     = "Deployed"     // tokens come by themselves
	Error        = "Error"        // tokens do not come, and somebody has to act: not a user, whose authorization may be good
)

// Status is how an authorization is doing. Temporary failures do not change it.
type Status struct {
	State  string // Unauthorized, Deployed or Error
	Reason string // why, and what to do, for people; "" if there is nothing to say
	User   string // who authorized; "" if it is not known

	Authorized time.Time // when the user consented; zero: never
	Refreshed  time.Time // when the refresh token was last used; zero: never
	Expires    time.Time // when the authorization ends by itself, with its refresh token; zero: never, as far as is known
	Due        time.Time // when the scheduled job renews the refresh token; zero: never
}

// Status tells how the authorization is doing at a time. It does not know what the credential is by now, as
// [Client.Status] does.
func (a Authorization) Status(now time.Time) Status {
	s := Status{State: Deployed, User: a.User, Authorized: a.Authorized, Refreshed: a.Refreshed, Expires: a.RefreshExpires, Due: a.Due}
	if a.RefreshToken == "" && a.Token != nil {
		s.Expires = a.Token.Expiry
	}
	switch {
	case a.Authorized.IsZero():
		s.State, s.Reason = Unauthorized, "nobody has authorized this credential yet"
	case a.Refused != nil:
		s.State, s.Reason = Unauthorized, fmt.Sprintf("%s (%s): authorize again", a.Refused.Reason, date(a.Refused.At))
	case a.Failure != nil:
		s.State, s.Reason = Error, fmt.Sprintf("the token service refuses to refresh: %s (%s); correct the credential, or what the provider knows of it: what the user authorized is kept", a.Failure.Reason, date(a.Failure.At))
	case a.RefreshToken == "" && !s.Expires.IsZero():
		s.State, s.Reason = Error, fmt.Sprintf("the provider gave no refresh token, so it works until %s alone: ask for offline access (a scope, or a parameter of the authorization URL), and authorize again", date(s.Expires))
	case a.RefreshToken == "":
		s.Reason = "the provider gave no refresh token, nor an end of the access token: authorize again when receivers refuse it"
	case a.Mark != nil && a.Mark.Unknown != "":
		s.Reason = fmt.Sprintf("the outcome of the refresh of %s is unknown (%s): the refresh token will be tried again", date(a.Mark.since()), a.Mark.Unknown)
	case a.Fixed && !a.RefreshExpires.IsZero():
		s.Reason = fmt.Sprintf("re-authorize by %s: the token service does not renew the refresh token", date(a.RefreshExpires))
	}
	return s.At(now)
}

// At tells how the authorization is doing at a later time, if nothing else happens.
func (s Status) At(now time.Time) Status {
	if s.State != Unauthorized && !s.Expires.IsZero() && !now.Before(s.Expires) {
		s.State, s.Reason = Unauthorized, fmt.Sprintf("the authorization ended on %s: authorize again", date(s.Expires))
		s.Due = time.Time{}
	}
	return s
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
