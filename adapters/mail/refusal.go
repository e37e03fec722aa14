package mail

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/withheld"
)

// RefusedError says that a mail server refused the token. Status, Schemes and Scope are what the server tells by the mechanism,
// each as one line of bounded length; "" if it does not.
type RefusedError struct {
	Host       string // "" if it is not known
	Mechanism  string // XOAUTH2 or OAUTHBEARER
	Credential string // the artifact's name, if any
	User       string // whose mailbox
	Status     string // such as 401 or invalid_token
	Schemes    string // the authorization schemes that would do, such as bearer
	Scope      string // that the token should have
	TokenSize  int    // bytes
	TooLong    bool   // the server may have refused because the token is too long for it
	Err        error  // what the mail library said; nil: nothing
}

// Error names the server, the user and the credential, says why the token was refused and what to do next.
func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mail: %s refused the token", named(e.Host))
	if e.Credential != "" {
		fmt.Fprintf(&b, " of %q", e.Credential)
	}
	fmt.Fprintf(&b, " for %s (%s", e.User, e.Mechanism)
	for _, member := range []struct{ name, value string }{{"status", e.Status}, {"schemes", e.Schemes}, {"scope", e.Scope}} {
		if member.value != "" {
			fmt.Fprintf(&b, ", %s %s", member.name, member.value)
		}
	}
	b.WriteString(")")
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	switch {
	case e.TooLong:
		fmt.Fprintf(&b, "; the token has %d bytes, and is too long for this server: have the token service issue shorter ones", e.TokenSize)
	case e.Scope != "":
		fmt.Fprintf(&b, "; authorize the credential again with the scope that the server names, as %s", e.User)
	default:
		fmt.Fprintf(&b, "; check that the credential was authorized by %s, with the scopes for this protocol, and that the mailbox allows it", e.User)
	}
	return b.String()
}

// Unwrap returns what the mail library said.
func (e *RefusedError) Unwrap() error { return e.Err }

const (
	longestMember = 200 // characters
	// longToken is from how many bytes on a token may be what a server does not take.
	longToken = 1000
)

// newRefusedError reads what a server says of a refusal: JSON, base64 of which the mail library has undone.
func newRefusedError(l *login, challenge []byte) *RefusedError {
	e := &RefusedError{Host: l.host, Mechanism: l.mechanism, User: l.mailbox, TokenSize: len(l.token.AccessToken.Reveal())}
	if d, ok := l.src.(outgrant.Describer); ok {
		e.Credential = d.Describe().Name
	}
	var told map[string]any
	if len(challenge) > longestChallenge || json.Unmarshal(challenge, &told) != nil {
		return e
	}
	secrets := withheld.Secrets{l.token.AccessToken.Reveal()}
	text := func(name string) string {
		switch v := told[name].(type) {
		case string:
			return secrets.Line(v, longestMember)
		case float64:
			return fmt.Sprint(v)
		}
		return ""
	}
	e.Status, e.Schemes, e.Scope = text("status"), text("schemes"), text("scope")
	return e
}

// refusal is how servers say that a login failed, where no type of the mail library is known here: SMTP's code, IMAP's and
// POP3's response codes.
var refusal = regexp.MustCompile(`(?i)\b535\b|\[AUTHENTICATIONFAILED\]|\[AUTH\]|authentication (credentials )?(invalid|failed|unsuccessful)`)

func saysRefused(err error) bool {
	if smtp, ok := errors.AsType[*textproto.Error](err); ok {
		return smtp.Code == 535
	}
	return refusal.MatchString(err.Error())
}

// tooLongFor is how servers say that a line is too long, or else that they have read only a part of it.
var tooLongFor = regexp.MustCompile(`(?i)too long|line length|\b500\b|\b501\b|invalid base64|(?-i:\bBAD\b)|EOF|reset by peer|broken pipe`)

// tooLong reports whether the length of the token is what a server may have failed at. l.mu is held.
func (l *login) tooLong(err error) bool {
	return l.token != nil && len(l.token.AccessToken.Reveal()) >= longToken && l.refusedForNoReason() && tooLongFor.MatchString(err.Error())
}

func (l *login) refusedForNoReason() bool { return l.refused == nil || l.refused.Status == "" }
