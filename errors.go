package outgrant

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors to compare with by errors.Is.
var (
	// ErrNotAuthorized: nobody has authorized the credential yet, or the authorization has ended.
	ErrNotAuthorized = errors.New("not authorized: a user has to authorize this credential")
	// ErrUserRequired: the credential acts for users and the call named none.
	ErrUserRequired = errors.New("user required: this credential acts for the user of each call, and the call named none")
	// ErrUnsupportedGrant: the grant cannot do what was asked, or the adapter does not take it.
	ErrUnsupportedGrant = errors.New("unsupported grant")
	// ErrInsecureURL: a secret or a token would go over plain http to another machine.
	ErrInsecureURL = errors.New("insecure URL: use https (http is allowed to this machine only), or set AllowInsecureHTTP")
	// ErrUnsupportedTokenType: the token service issued a token that cannot be sent as a bearer token, such as DPoP or mac.
	ErrUnsupportedTokenType = errors.New("unsupported token type")
)

// TokenError says why no token could be had. It is the one error type of all grants; find it by
// errors.As. It holds neither the answer's body, nor a query, nor a secret.
type TokenError struct {
	Grant       Grant
	Credential  string        // the artifact's name, if it has one
	TokenURL    string        // without query and userinfo
	StatusCode  int           // of the answer; 0: there was none
	Code        string        // the answer's error member (RFC 6749 5.2), or "" if it had none
	Description string        // the answer's error_description, length-capped
	RetryAfter  time.Duration // how long the token service wants to be left alone; 0: it did not say
	Err         error         // the cause, where it is not in the answer; nil otherwise
}

// Error names the credential and the token service's host, says what it answered and what to do next.
func (e *TokenError) Error() string {
	var b strings.Builder
	b.WriteString("outgrant: no token for " + Credential{Name: e.Credential, Grant: e.Grant, TokenURL: e.TokenURL}.text())
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, ": answer %d", e.StatusCode)
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Description != "" {
		fmt.Fprintf(&b, " (%s)", e.Description)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if todo := e.advice(); todo != "" {
		b.WriteString("; " + todo)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }

// codeAdvice says what to do about the error codes that a token service repeats until somebody acts.
var codeAdvice = map[string]string{
	"invalid_request":        "check the URL, the parameters and the client authentication method",
	"invalid_client":         "check client id, secret or certificate, and the client authentication method",
	"unauthorized":           "check client id, secret or certificate, and the client authentication method",
	"invalid_grant":          "the authorization, assertion or refresh token was refused: authorize again, or check its issuer, audience and times",
	"unauthorized_client":    "allow this grant for the client at the token service",
	"unsupported_grant_type": "the token service does not offer this grant: check the token URL",
	"invalid_scope":          "check the scope",
	"invalid_target":         "check the resource and the audience", // RFC 8707
	"access_denied":          "allow the client this access at the token service",
	"invalid_token":          "check the credential at the token service",
	"invalid_dpop_proof":     "the token service wants DPoP, which is not supported",
	"use_dpop_nonce":         "the token service wants DPoP, which is not supported",
	"interaction_required":   "a user has to authorize again",
	"login_required":         "a user has to authorize again",
	"consent_required":       "a user has to authorize again",
}

func (e *TokenError) advice() string {
	switch {
	case e.Temporary():
		return ""
	case codeAdvice[e.Code] != "":
		return codeAdvice[e.Code]
	case e.StatusCode >= 300 && e.StatusCode < 400:
		return "set the token URL to the final address: a token request is never redirected"
	}
	return ""
}

// Temporary reports whether the same request may succeed later without anybody's doing: a network
// error, an ended context, a 5xx, 408 or 429, server_error, temporarily_unavailable, or an answer
// that says nothing we know. A cause without an answer is taken for temporary, unless it has a method
// Permanent() bool that returns true.
func (e *TokenError) Temporary() bool {
	switch {
	case e.StatusCode >= 500, e.StatusCode == http.StatusRequestTimeout, e.StatusCode == http.StatusTooManyRequests:
		return true
	case isPermanent(e.Err), codeAdvice[e.Code] != "":
		return false
	case e.StatusCode >= 300 && e.StatusCode < 400:
		return false
	}
	return true
}

func isPermanent(err error) bool {
	p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err)
	if ok && p.Permanent() {
		return true
	}
	return slices.ContainsFunc([]error{ErrNotAuthorized, ErrUserRequired, ErrUnsupportedGrant, ErrInsecureURL, ErrUnsupportedTokenType},
		func(target error) bool { return errors.Is(err, target) })
}

// isTemporary is Temporary for any error of a source; errors that are not ours are taken as temporary.
func isTemporary(err error) bool {
	if te, ok := errors.AsType[*TokenError](err); ok {
		return te.Temporary()
	}
	return !isPermanent(err)
}

// Format prints the error's text, for every verb and flag.
func (e TokenError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// MarshalJSON encodes the error's text.
func (e TokenError) MarshalJSON() ([]byte, error) { return json.Marshal(e.Error()) }

// text names the credential for people: by its name, its grant and its token service's host.
func (c Credential) text() string {
	name := "an unnamed credential"
	if c.Name != "" {
		name = strconv.Quote(c.Name)
	}
	how := string(c.Grant)
	if u, err := url.Parse(c.TokenURL); err == nil && u.Host != "" {
		how = strings.TrimSpace(how + " at " + u.Host)
	}
	if how == "" {
		return name
	}
	return name + " (" + how + ")"
}
