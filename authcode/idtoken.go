package authcode

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/display"
)

// idToken are the claims of an ID token (OpenID Connect Core 2).
type idToken struct{ claims map[string]any }

const (
	largestIDToken = 64 << 10
	idTokenLeeway  = 5 * time.Minute // for clocks that differ
)

// parseIDToken reads an ID token. Its signature is not checked: it came from the token endpoint itself, over TLS, which
// vouches for it as well (OpenID Connect Core 3.1.3.7, item 6). One that is encrypted tells nothing.
func parseIDToken(token outgrant.Secret) (idToken, error) {
	parts := strings.Split(token.Reveal(), ".")
	unreadable := errors.New("the provider's ID token cannot be read: do without it by leaving out the scope openid")
	switch {
	case len(token) > largestIDToken:
		return idToken{}, errors.New("the provider's ID token is larger than 64 KiB")
	case len(parts) == 5: // JWE
		return idToken{}, nil
	case len(parts) != 3:
		return idToken{}, unreadable
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return idToken{}, unreadable
	}
	t := idToken{}
	if json.Unmarshal(payload, &t.claims) != nil || t.claims == nil { // its error quotes the token
		return idToken{}, unreadable
	}
	return t, nil
}

func (t idToken) text(claim string) string {
	s, _ := t.claims[claim].(string)
	return s
}

// check checks for whom the token is, until when, and by whom: issuer, if that is known.
func (t idToken) check(clientID, issuer string) error {
	if t.claims == nil {
		return nil
	}
	audience, _ := t.claims["aud"].([]any)
	if one := t.text("aud"); one != "" {
		audience = []any{one}
	}
	if !slices.Contains(audience, any(clientID)) {
		return errors.New("the provider's ID token is for another client: check ClientID and TokenURL")
	}
	ends, _ := t.claims["exp"].(float64)
	if now := time.Now().Add(-idTokenLeeway); ends <= float64(now.Unix()) {
		return errors.New("the provider's ID token has ended: compare this machine's clock")
	}
	if got := t.text("iss"); issuer != "" && got != issuer && "https://"+got != issuer { // Google's may lack the scheme
		return fmt.Errorf("%w: the iss of its ID token is %q, and not %q", ErrWrongIssuer, display.Line(got, 200), display.Line(issuer, 200))
	}
	return nil
}

// nameClaims are the claims by which people know a user, the best first. Entra ID has the last two.
var nameClaims = []string{"email", "preferred_username", "upn", "unique_name"}

// user returns whom the token names: want, if that is set and the user is not another one.
func (t idToken) user(want string) (string, error) {
	subject := t.name("sub")
	all := append(t.names(), subject)
	switch {
	case want == "":
		return all[0], nil
	case slices.ContainsFunc(all, func(name string) bool { return strings.EqualFold(name, want) }):
		return want, nil
	case len(all) == 1 && (subject == "" || strings.Contains(subject, "@") != strings.Contains(want, "@")):
		return want, nil // a number, perhaps: that it is another user cannot be told
	}
	return "", fmt.Errorf("%w: it is for %q, and %q consented: log in as that user at the provider, and start again", ErrWrongUser, display.Line(want, 200), all[0])
}

// names returns the names by which people know the user.
func (t idToken) names() (names []string) {
	for _, claim := range nameClaims {
		if verified, said := t.claims["email_verified"].(bool); claim == "email" && said && !verified {
			continue // anybody's
		}
		if name := t.name(claim); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// name returns a claim that can be a user's name, or "".
func (t idToken) name(claim string) string {
	name := t.text(claim)
	if len(name) > 320 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return name
}
