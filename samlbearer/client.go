package samlbearer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/bounded"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// Client supplies the tokens of users. It is an [outgrant.UserSource] and an [outgrant.Describer], safe for concurrent
// use, and keeps the tokens of as many users as Config.MaxUsers says. What it keeps is its own: two clients never share a
// token, whatever their tenants' users are called. It runs no goroutine while no token is fetched, so there is no Close.
type Client struct {
	token      *tokenclient.Client
	target     *Target
	tokenURL   string
	clientKey  string
	scopes     []string
	cache      *outgrant.CacheOptions
	assertions assertions
	users      *bounded.Map[string, user]
	pause      pause

	technicalUser    string
	technicalUserErr error
}

// assertions supplies an assertion to a client. settle may be nil; else it must be told what the exchange came to.
type assertions func(ctx context.Context, user string) (xml []byte, settle func(error), err error)

const (
	defaultMaxUsers = 10_000
	defaultIdleTime = time.Hour
)

// New returns the client of a credential. It checks and copies cfg and asks nobody; an error names the field that is wrong.
func New(cfg *Config) (*Client, error) {
	if cfg == nil {
		return nil, errors.New("samlbearer: Config: nil")
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("samlbearer: %w", err)
	}
	return c, nil
}

func newClient(cfg *Config) (*Client, error) {
	target := cfg.Target.clone()
	if err := target.check(cfg.ClientAuth != nil); err != nil {
		return nil, err
	}
	if cfg.MaxUsers < 0 || cfg.UserIdleTime < 0 {
		return nil, errors.New("MaxUsers, UserIdleTime: must not be negative")
	}
	if err := tokenclient.CheckScopes(cfg.Scopes); err != nil {
		return nil, err
	}
	c := &Client{
		target: target, tokenURL: cfg.TokenURL, clientKey: cmp.Or(cfg.ClientKey, target.User), scopes: slices.Clone(cfg.Scopes),
		cache: &outgrant.CacheOptions{},
		users: bounded.New[string](cmp.Or(cfg.MaxUsers, defaultMaxUsers), cmp.Or(cfg.UserIdleTime, defaultIdleTime), (*user).busy),
	}
	if c.clientKey == "" {
		return nil, errors.New("ClientKey: missing; it is the API key or client id")
	}
	if cfg.Cache != nil {
		*c.cache = *cfg.Cache
	}
	var err error
	if c.token, err = c.newTokenClient(cfg); err != nil {
		return nil, err
	}
	if err := c.setAssertions(cfg.Assertions); err != nil {
		return nil, fmt.Errorf("Assertions: %w", err)
	}
	return c, nil
}

func (c *Client) newTokenClient(cfg *Config) (*tokenclient.Client, error) {
	auth := cfg.ClientAuth
	if auth == nil {
		fixed := outgrant.ClientAuth{Method: c.target.Auth, Secret: c.target.Password}
		auth = func(context.Context) (outgrant.ClientAuth, error) { return fixed, nil }
	}
	return tokenclient.New(tokenclient.Config{
		Name: cfg.Name, Grant: outgrant.SAMLBearer, TokenURL: cfg.TokenURL, ClientID: cmp.Or(c.target.User, c.clientKey), Auth: auth,
		HTTPClient: cfg.HTTPClient, AllowInsecureHTTP: cfg.AllowInsecureHTTP, Timeout: c.cache.FetchTimeout, Hooks: c.cache.Hooks,
		ErrorMember: c.target.ErrorMember, ErrorCodes: c.target.ErrorCodes,
	})
}

// isNil reports whether there is no source, which a nil pointer or a nil function is not either.
func isNil(src AssertionSource) bool {
	switch v := reflect.ValueOf(src); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return v.IsNil()
	}
	return src == nil
}

// setAssertions binds a source of ours to the client, or takes another's as it is.
func (c *Client) setAssertions(src AssertionSource) (err error) {
	if isNil(src) {
		return errors.New("missing; set a Signer, Forwarded or Exchanged, or a source of your own")
	}
	c.technicalUserErr = errors.New("there is no technical user: only a Signer with a Certificate has one")
	if t, ok := src.(interface{ TechnicalUser() (string, error) }); ok {
		c.technicalUser, c.technicalUserErr = t.TechnicalUser()
	}
	switch src.(type) {
	case Signer, *Signer, Forwarded, *Forwarded, Exchanged, *Exchanged: // not what embeds one: it has an Assertion of its own
		c.assertions, err = src.(interface {
			bind(*Client) (assertions, error)
		}).bind(c)
	default:
		c.assertions = func(ctx context.Context, user string) ([]byte, func(error), error) {
			xml, err := src.Assertion(ctx, user)
			return xml, nil, err
		}
	}
	return err
}

// ForUser returns the source of a user's tokens. It is the same one for all calls while it is kept, so all share the
// token. It asks nobody and never fails: the tokens of "", or of blanks, are [outgrant.ErrUserRequired].
func (c *Client) ForUser(name string) outgrant.TokenSource {
	switch {
	case strings.TrimSpace(name) == "":
		return &refused{c, outgrant.ErrUserRequired}
	case len(name) > longestUser:
		return &refused{c, fmt.Errorf("the user: longer than %d bytes", longestUser)}
	}
	return c.user(name)
}

// ForTechnicalUser returns the source of the technical user's tokens: of the one common name in the certificate of the
// [Signer]. Where that cannot be told its tokens are an error.
func (c *Client) ForTechnicalUser() outgrant.TokenSource {
	if c.technicalUserErr != nil {
		return &refused{c, fmt.Errorf("technical user: %w", c.technicalUserErr)}
	}
	return c.ForUser(c.technicalUser)
}

// failure is the error of a call that did not reach the token service. One that another token service gave stays as it is.
func (c *Client) failure(err error) error {
	if te, ok := errors.AsType[*outgrant.TokenError](err); ok {
		return te
	}
	return c.token.Fail(err)
}

// Describe returns the credential, without any user.
func (c *Client) Describe() outgrant.Credential { return c.token.Describe() }

func (c *Client) String() string {
	d := c.Describe()
	return fmt.Sprintf("samlbearer.Client(%q at %s)", d.Name, d.TokenURL)
}

// Format prints the credential's name and token service, for every verb and flag.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the credential's name and token service.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the credential's name and token service.
func (c *Client) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
