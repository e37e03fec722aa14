package authcode

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/outgrant/outgrant"
)

// Authorization is what a user's consent gave, as a [Vault] keeps it. The zero value is none. It prints its user and
// nothing else.
type Authorization struct {
	// Binding is a digest of what the consent was given for: client id, URLs, user and scopes of the credential. The refresh
	// token is never used by a credential that is another by now.
	Binding string

	User         string          // who consented: Config.User, or the one whom the ID token named; "" if it is not known
	RefreshToken outgrant.Secret // "": the provider gave none
	Token        *outgrant.Token // the access token that came last, or nil
	TokenIssued  time.Time       // when it came

	Authorized     time.Time // when the user consented
	Refreshed      time.Time // when the refresh token was last used; zero: never
	RefreshIssued  time.Time // when the refresh token came; zero: there is none
	RefreshExpires time.Time // when it ends; zero: never, as far as is known
	ExpiryTold     bool      // the token service told that; else it is Config.RefreshTokenExpiry
	Fixed          bool      // the last refresh brought no new refresh token
	Due            time.Time // when the scheduled job renews it; zero: never

	Mark    *Mark    // a refresh under way, or one whose outcome is not known; nil: neither
	Refused *Refusal // why the refresh token is not used any more; nil: it is
	Failure *Refusal // why the last refresh failed, where somebody has to act but the refresh token may be good; nil: it did not
}

// Mark says that the refresh token was sent, or is about to be, and that no answer is known.
type Mark struct {
	Holder  string    `json:"holder"`            // who sends it
	Started time.Time `json:"started"`           // when
	Since   time.Time `json:"since,omitzero"`    // since when the outcome has been unknown, if it was when this began; else zero
	Until   time.Time `json:"until"`             // no answer can come after that
	Unknown string    `json:"unknown,omitempty"` // why the outcome is not known; "" while the request is under way
}

// since is when the answer was lost, if it was.
func (m *Mark) since() time.Time {
	if m.Since.IsZero() {
		return m.Started
	}
	return m.Since
}

// Refusal is an answer of the token service that somebody has to act on.
type Refusal struct {
	Code   string    `json:"code,omitempty"` // RFC 6749 5.2
	Reason string    `json:"reason"`         // in words, fit to be shown
	At     time.Time `json:"at"`
}

// sealed is an Authorization with its secrets, as it is sealed. Members are added, never renamed.
type sealed struct {
	Binding        string         `json:"binding,omitempty"`
	User           string         `json:"user,omitempty"`
	RefreshToken   string         `json:"refresh_token,omitempty"`
	AccessToken    string         `json:"access_token,omitempty"`
	TokenType      string         `json:"token_type,omitempty"`
	Expiry         time.Time      `json:"expiry,omitzero"`
	Scopes         []string       `json:"scopes,omitempty"`
	TokenUser      string         `json:"token_user,omitempty"`
	Extra          map[string]any `json:"extra,omitempty"`
	TokenIssued    time.Time      `json:"token_issued,omitzero"`
	Authorized     time.Time      `json:"authorized,omitzero"`
	Refreshed      time.Time      `json:"refreshed,omitzero"`
	RefreshIssued  time.Time      `json:"refresh_issued,omitzero"`
	RefreshExpires time.Time      `json:"refresh_expires,omitzero"`
	ExpiryTold     bool           `json:"expiry_told,omitempty"`
	Fixed          bool           `json:"fixed,omitempty"`
	Due            time.Time      `json:"due,omitzero"`
	Mark           *Mark          `json:"mark,omitempty"`
	Refused        *Refusal       `json:"refused,omitempty"`
	Failure        *Refusal       `json:"failure,omitempty"`
}

// Reveal returns the authorization with its secrets, for a [Vault] to seal, and for nothing else.
func (a Authorization) Reveal() ([]byte, error) {
	s := sealed{
		Binding: a.Binding, User: a.User, RefreshToken: a.RefreshToken.Reveal(), TokenIssued: a.TokenIssued,
		Authorized: a.Authorized, Refreshed: a.Refreshed, RefreshIssued: a.RefreshIssued, RefreshExpires: a.RefreshExpires,
		ExpiryTold: a.ExpiryTold, Fixed: a.Fixed, Due: a.Due, Mark: a.Mark, Refused: a.Refused, Failure: a.Failure,
	}
	if t := a.Token; t != nil {
		s.AccessToken, s.TokenType, s.Expiry, s.Scopes, s.TokenUser, s.Extra = t.AccessToken.Reveal(), t.Type, t.Expiry, t.Scopes, t.User, t.Extras()
	}
	return json.Marshal(s)
}

// ParseAuthorization reads what Reveal wrote.
func ParseAuthorization(data []byte) (Authorization, error) {
	var s sealed
	if err := json.Unmarshal(data, &s); err != nil {
		return Authorization{}, errors.New("authcode: not an authorization") // err may quote it
	}
	a := Authorization{
		Binding: s.Binding, User: s.User, RefreshToken: outgrant.Secret(s.RefreshToken), TokenIssued: s.TokenIssued,
		Authorized: s.Authorized, Refreshed: s.Refreshed, RefreshIssued: s.RefreshIssued, RefreshExpires: s.RefreshExpires,
		ExpiryTold: s.ExpiryTold, Fixed: s.Fixed, Due: s.Due, Mark: s.Mark, Refused: s.Refused, Failure: s.Failure,
	}
	if s.AccessToken != "" {
		t := &outgrant.Token{AccessToken: outgrant.Secret(s.AccessToken), Type: s.TokenType, Expiry: s.Expiry, Scopes: s.Scopes, User: s.TokenUser}
		a.Token = t.WithExtra(s.Extra)
	}
	return a, nil
}

func (a Authorization) String() string {
	if a.Authorized.IsZero() {
		return "authcode.Authorization(none)"
	}
	return fmt.Sprintf("authcode.Authorization(of %q)", a.User)
}

// Format prints the user, for every verb and flag.
func (a Authorization) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the user.
func (a Authorization) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the user: see [Authorization.Reveal].
func (a Authorization) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }
