package socialoauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/outgrant/outgrant"
)

// TwitterKeys are what a Twitter account's requests are signed with. They print redacted.
type TwitterKeys struct {
	ConsumerKey       outgrant.Secret // of the app; X also calls it the API key
	ConsumerSecret    outgrant.Secret
	AccessToken       outgrant.Secret // of the account, for the app; see [NewThreeLegged]
	AccessTokenSecret outgrant.Secret

	// Method signs. Default HMACSHA1.
	Method SignatureMethod

	// Name names the credential in errors. Default none.
	Name string
}

// TwitterAliases name the secure parameters that hold a [TwitterKeys].
type TwitterAliases struct {
	ConsumerKey       string
	ConsumerSecret    string
	AccessToken       string
	AccessTokenSecret string

	// Method signs. Default HMACSHA1.
	Method SignatureMethod

	// Name names the credential in errors. Default none.
	Name string
}

// TwitterSource signs requests by OAuth 1.0a (RFC 5849): it is an [outgrant.Authorizer]. It is made by [Twitter] or
// [TwitterFrom], and is safe for concurrent use.
type TwitterSource struct {
	name string
	keys func(context.Context) (twitterKeys, error) // a function, where fmt does not look
}

// twitterKeys are keys that were checked. token and tokenSecret are the account's, a request token's, or none.
type twitterKeys struct {
	consumerKey, consumerSecret, token, tokenSecret outgrant.Secret

	method SignatureMethod
}

// Twitter returns a source that signs with the keys. If they cannot be used, each of its calls says why.
func Twitter(keys TwitterKeys) *TwitterSource {
	k := twitterKeys{method: keys.Method}
	err := errors.Join(keys.Method.check(), fill(
		key{field: "ConsumerKey", value: keys.ConsumerKey, to: &k.consumerKey},
		key{field: "ConsumerSecret", value: keys.ConsumerSecret, to: &k.consumerSecret},
		key{field: "AccessToken", value: keys.AccessToken, to: &k.token},
		key{field: "AccessTokenSecret", value: keys.AccessTokenSecret, to: &k.tokenSecret},
	))
	return &TwitterSource{keys.Name, func(context.Context) (twitterKeys, error) { return k, err }}
}

// TwitterFrom returns a source that signs with the secure parameters that p has under the aliases. They are read now, and
// again for each request. Its error names each alias that does not exist or holds no key, and matches p's errors.
func TwitterFrom(ctx context.Context, p Parameters, a TwitterAliases) (*TwitterSource, error) {
	s := &TwitterSource{a.Name, func(ctx context.Context) (twitterKeys, error) {
		k := twitterKeys{method: a.Method}
		err := read(ctx, p,
			key{field: "ConsumerKey", alias: a.ConsumerKey, to: &k.consumerKey},
			key{field: "ConsumerSecret", alias: a.ConsumerSecret, to: &k.consumerSecret},
			key{field: "AccessToken", alias: a.AccessToken, to: &k.token},
			key{field: "AccessTokenSecret", alias: a.AccessTokenSecret, to: &k.tokenSecret},
		)
		return k, err
	}}
	_, err := s.keys(ctx)
	if err = errors.Join(a.Method.check(), err); err != nil {
		return nil, fmt.Errorf("socialoauth: Twitter: %w", err)
	}
	return s, nil
}

// Authorize signs req, with a nonce and a timestamp of its own: its URL, its query and, if that is a form
// (application/x-www-form-urlencoded), its body. A form is read, at most 10 MiB of it, and put back, so that it can be read
// again (GetBody). Other bodies are not part of a signature, and stay unread.
//
// What is signed must not be changed afterwards. A request must not carry the signature's parameters itself, such as
// oauth_nonce. Errors are [outgrant.TokenError].
func (s *TwitterSource) Authorize(ctx context.Context, req *http.Request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.keys == nil {
		return errors.New("socialoauth: the TwitterSource is empty: make it by Twitter or TwitterFrom")
	}
	k, err := s.keys(ctx)
	if err == nil {
		err = k.sign(ctx, req)
	}
	if err != nil {
		return &outgrant.TokenError{Grant: outgrant.Social, Credential: s.name, Err: err}
	}
	return nil
}

// Token returns an error that matches [outgrant.ErrUnsupportedGrant]: each request has a signature of its own.
func (s *TwitterSource) Token(context.Context) (*outgrant.Token, error) {
	return nil, &outgrant.TokenError{Grant: outgrant.Social, Credential: s.name, Err: fmt.Errorf(
		"%w: requests to Twitter are signed, which no bearer token can do: use outgrant.Transport or adapters/twitter", outgrant.ErrUnsupportedGrant)}
}

// Describe returns the credential's name and its grant.
func (s *TwitterSource) Describe() outgrant.Credential {
	return outgrant.Credential{Name: s.name, Grant: outgrant.Social}
}
