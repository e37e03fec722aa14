package samlbearer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// Exchanged is an [AssertionSource] that exchanges a user's access token for an assertion, at a token service that makes them
// (RFC 8693). The assertion goes on as it came; to have it checked first, use it as [Forwarded].Received:
//
//	samlbearer.Forwarded{Received: exchanged.Assertion, ...}
//
// It prints its client id and token service, and nothing else.
type Exchanged struct {
	// SubjectToken returns the user's access token. It must be that user's, which nobody else can check. Required.
	SubjectToken func(ctx context.Context, user string) (outgrant.Secret, error)

	// SubjectTokenType is what SubjectToken returns. Default urn:ietf:params:oauth:token-type:access_token.
	SubjectTokenType string

	// TokenURL is the address of the token service that makes the assertions: absolute, https (http to this machine only).
	// Required.
	TokenURL string

	// ClientID and ClientSecret authenticate the client, by the method Auth. Default ClientSecretBasic.
	ClientID     string
	ClientSecret outgrant.Secret
	Auth         outgrant.AuthMethod

	// ClientAuth, if set, replaces Auth and ClientSecret, at each request. Default nil.
	ClientAuth func(context.Context) (outgrant.ClientAuth, error)

	// Audience and Resource say for whom the assertion shall be. Default "": what the token service decides.
	Audience, Resource string

	// Scopes are asked for, if there are any. Default nil.
	Scopes []string

	// HTTPClient sends the requests; it is never made to follow a redirect. Default: one on http.DefaultTransport.
	HTTPClient *http.Client

	// AllowInsecureHTTP lets secrets go over plain http to another machine. Default false.
	AllowInsecureHTTP bool
}

const (
	tokenExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	saml2TokenType  = "urn:ietf:params:oauth:token-type:saml2"
)

// Assertion exchanges the user's token. Its errors are [outgrant.TokenError]s, or begin with the name of the field that is
// wrong.
func (e Exchanged) Assertion(ctx context.Context, user string) ([]byte, error) {
	client, err := e.client(tokenclient.Config{})
	if err != nil {
		return nil, fmt.Errorf("samlbearer: Exchanged: %w", err)
	}
	return e.ask(ctx, client, user)
}

// bind makes the client once, for a copy of e.
func (e Exchanged) bind(c *Client) (assertions, error) {
	e.Scopes = slices.Clone(e.Scopes)
	client, err := e.client(tokenclient.Config{Name: c.Describe().Name, Timeout: c.cache.FetchTimeout, Hooks: c.cache.Hooks})
	if err != nil {
		return nil, fmt.Errorf("Exchanged: %w", err)
	}
	return func(ctx context.Context, user string) ([]byte, func(error), error) {
		xml, err := e.ask(ctx, client, user)
		return xml, nil, err
	}, nil
}

func (e *Exchanged) client(cfg tokenclient.Config) (*tokenclient.Client, error) {
	if e.SubjectToken == nil {
		return nil, errors.New("SubjectToken: missing")
	}
	if err := tokenclient.CheckScopes(e.Scopes); err != nil {
		return nil, err
	}
	fixed := outgrant.ClientAuth{Method: e.Auth, Secret: e.ClientSecret}
	cfg.Grant, cfg.TokenURL, cfg.ClientID = outgrant.SAMLBearer, e.TokenURL, e.ClientID
	cfg.HTTPClient, cfg.AllowInsecureHTTP, cfg.Auth = e.HTTPClient, e.AllowInsecureHTTP, e.ClientAuth
	if cfg.Auth == nil {
		cfg.Auth = func(context.Context) (outgrant.ClientAuth, error) { return fixed, nil }
	}
	client, err := tokenclient.New(cfg)
	if err != nil || e.ClientAuth != nil {
		return client, err
	}
	return client, client.Check(fixed)
}

func (e *Exchanged) ask(ctx context.Context, client *tokenclient.Client, user string) ([]byte, error) {
	if user == "" {
		return nil, outgrant.ErrUserRequired
	}
	subject, err := e.SubjectToken(ctx, user)
	switch {
	case err != nil:
		return nil, fmt.Errorf("Exchanged.SubjectToken: %w", err)
	case subject == "" || subject.IsRedacted():
		return nil, errors.New("Exchanged.SubjectToken: returned no token")
	}
	kind := e.SubjectTokenType
	if kind == "" {
		kind = accessTokenType
	}
	r := &tokenclient.Request{IssuedTokenType: saml2TokenType, Secrets: []outgrant.Secret{subject}, Form: url.Values{
		"grant_type":           {tokenExchange},
		"subject_token":        {subject.Reveal()},
		"subject_token_type":   {kind},
		"requested_token_type": {saml2TokenType},
	}}
	for name, value := range map[string]string{"audience": e.Audience, "resource": e.Resource, "scope": strings.Join(e.Scopes, " ")} {
		if value != "" {
			r.Form.Set(name, value)
		}
	}
	answer, err := client.Ask(ctx, r)
	if err != nil {
		return nil, err
	}
	xml, err := decode(answer.Token.AccessToken)
	if err != nil {
		return nil, client.Fail(err)
	}
	return xml, nil
}

// decode reads base64url (RFC 8693 3), also with the padding, the line breaks or the standard alphabet that some services
// send.
func decode(assertion outgrant.Secret) ([]byte, error) {
	// The decoder passes over line breaks by itself.
	text := strings.NewReplacer("=", "", "+", "-", "/", "_").Replace(assertion.Reveal())
	xml, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(xml), []byte("<")) {
		return nil, errors.New("the answer is no SAML assertion in base64url")
	}
	return xml, nil
}

func (e Exchanged) String() string {
	return fmt.Sprintf("samlbearer.Exchanged(client %q at %s)", e.ClientID, origin.Host(e.TokenURL))
}

// Format prints client id and host, for every verb and flag.
func (e Exchanged) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue logs client id and host.
func (e Exchanged) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalJSON encodes client id and host: an Exchanged is not meant to be stored.
func (e Exchanged) MarshalJSON() ([]byte, error) { return json.Marshal(e.String()) }
