package tokenclient

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/retryafter"
)

// Answer is what a token service granted.
type Answer struct {
	Token        *outgrant.Token // never nil but beside an error
	RefreshToken outgrant.Secret
	IDToken      outgrant.Secret
}

// longestLifetime bounds expires_in, against overflow.
const longestLifetime = 10 * 365 * 24 * time.Hour

// read turns an HTTP answer into a token or an error. began is when the request was sent: the token's life is
// counted from there, so that a slow answer does not make a token look younger than it is.
func (c *Client) read(resp *http.Response, o *outgoing, began time.Time) (*Answer, error) {
	failed := c.Fail(nil)
	failed.StatusCode = resp.StatusCode
	failed.RetryAfter = retryafter.Parse(resp.Header.Get("Retry-After"), time.Now())
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, failed
	}
	members, err := readMembers(resp, o)
	if err == nil {
		if code := members["error"]; code != nil && code != "" {
			failed.Code = o.code(text(code))
			failed.Description = o.show(text(members["error_description"]), display.LongestDescription)
			if object, ok := code.(map[string]any); ok {
				failed.Code, failed.Description = c.cfg.objectCode(object), o.show(text(object["message"]), display.LongestDescription)
			}
			if failed.Code != "" {
				return nil, failed
			}
			err = errors.New("the answer has an error member that is not a text")
		}
	}
	if resp.StatusCode >= 400 {
		failed.Code = c.cfg.ErrorCodes[resp.StatusCode]
		if c.cfg.ErrorMember != "" && failed.Description == "" {
			failed.Description = o.show(text(members[c.cfg.ErrorMember]), display.LongestDescription)
		}
		return nil, failed // without either it is an answer that says nothing we know
	}
	if err != nil {
		failed.Err = err
		return nil, failed
	}
	answer := &Answer{
		RefreshToken: outgrant.Secret(text(members["refresh_token"])),
		IDToken:      outgrant.Secret(text(members["id_token"])),
	}
	if answer.Token, err = o.granted(members, began); err == nil {
		return answer, nil
	}
	failed.Err = err
	if answer.RefreshToken == "" {
		return nil, failed
	}
	return &Answer{RefreshToken: answer.RefreshToken}, failed
}

// objectCode returns the error code of an error that is an object, as Facebook's are; "" if it is not known.
func (c *Config) objectCode(object map[string]any) string {
	if transient, _ := object["is_transient"].(bool); transient {
		return "temporarily_unavailable"
	}
	number, _ := object["code"].(float64)
	return c.ObjectCodes[int(number)]
}

// granted reads the access token of a success (RFC 6749 5.1).
func (o *outgoing) granted(members map[string]any, began time.Time) (*outgrant.Token, error) {
	token := &outgrant.Token{AccessToken: outgrant.Secret(text(members["access_token"]))}
	if token.AccessToken == "" {
		return nil, errors.New("the answer has no access_token")
	}
	var err error
	if token.Type, err = o.tokenType(members, token.AccessToken); err != nil {
		return nil, err
	}
	if life := Lifetime(members["expires_in"]); life > 0 {
		token.Expiry = began.Round(0).Add(life)
	}
	token.Scopes = scopes(members["scope"])
	for _, known := range []string{"access_token", "token_type", "expires_in", "scope"} {
		delete(members, known)
	}
	return token.WithExtra(members), nil // leaves out refresh_token, id_token and their like
}

// tokenType returns the type of an access token that can be sent as one, or checks that the answer is what an exchange
// asked for.
func (o *outgoing) tokenType(members map[string]any, token outgrant.Secret) (string, error) {
	kind := text(members["token_type"])
	if o.issued != "" {
		if issued := text(members["issued_token_type"]); issued != o.issued {
			return "", fmt.Errorf("%w %q: the exchange asked for %s", outgrant.ErrUnsupportedTokenType, o.show(issued, 80), o.issued)
		}
		return kind, nil
	}
	for _, r := range token.Reveal() {
		if r <= 0x20 || r >= 0x7f {
			return "", errors.New("the answer's access_token has characters that cannot be sent in a header")
		}
	}
	switch strings.ToLower(kind) {
	case "", "bearer", "bearertoken": // Apigee says BearerToken
		return "Bearer", nil
	}
	return "", fmt.Errorf("%w %q: only Bearer tokens can be sent", outgrant.ErrUnsupportedTokenType, o.show(kind, 20))
}

func text(member any) string {
	s, _ := member.(string)
	return s
}

// Lifetime reads expires_in and its like, which services send as a number, a text or a fraction. Zero, negative and
// unreadable mean that the token service does not know, and give 0: such a token is kept until it is rejected.
func Lifetime(member any) time.Duration {
	var seconds float64
	switch v := member.(type) {
	case float64:
		seconds = v
	case string: // also a number that is too large for a float64
		var err error
		if seconds, err = strconv.ParseFloat(strings.TrimSpace(v), 64); err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0
		}
	}
	switch {
	case math.IsNaN(seconds), seconds <= 0:
		return 0
	case seconds >= longestLifetime.Seconds():
		return longestLifetime
	}
	return time.Duration(seconds * float64(time.Second))
}

// scopes reads scope: a text with blanks (RFC 6749 3.3), or the list that some services send.
func scopes(member any) []string {
	switch v := member.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var all []string
		for _, s := range v {
			all = append(all, strings.Fields(text(s))...)
		}
		return all
	}
	return nil
}
