package authcode

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/engine"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// Client supplies the access tokens of one credential. It is an [outgrant.TokenSource], an [outgrant.Invalidator], an
// [outgrant.Watcher] and an [outgrant.Describer], safe for concurrent use. It runs no goroutine while nothing is refreshed
// and nothing is left to be stored; [Client.Close] waits for that.
type Client struct {
	cfg     *Config
	cache   *outgrant.CacheOptions // never nil, nor are its hooks
	token   *tokenclient.Client
	authURL *url.URL // nil: Config.AuthURL is not set
	binding string
	holder  string // of marks
	tokens  engine.Engine
	running sync.WaitGroup                // refreshes that were begun
	pending atomic.Pointer[Authorization] // came, and is not stored yet; nil: all is

	mu      sync.Mutex
	closed  bool
	closing chan struct{} // closed when nothing waits to be stored any longer
}

const shortestRefreshTokenExpiry = 72 * time.Hour

// New returns the client of a credential. It checks and copies cfg and asks nobody; an error names the field that is wrong.
func New(cfg *Config) (*Client, error) {
	if cfg == nil {
		return nil, errors.New("authcode: Config: nil")
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("authcode: %w", err)
	}
	return c, nil
}

func newClient(given *Config) (*Client, error) {
	cfg := *given
	cfg.Scopes = cfg.scopes()
	c := &Client{cfg: &cfg, cache: &outgrant.CacheOptions{}, holder: rand.Text(), closing: make(chan struct{})}
	if cfg.Cache != nil {
		*c.cache = *cfg.Cache
	}
	if c.cache.Hooks == nil {
		c.cache.Hooks = &outgrant.Hooks{}
	}
	if c.cache.FetchTimeout <= 0 {
		c.cache.FetchTimeout = 30 * time.Second
	}
	c.cache.FetchTimeout = min(c.cache.FetchTimeout, day) // against overflow
	switch {
	case strings.TrimSpace(cfg.Name) == "":
		return nil, errors.New("Name: missing; the vault keeps the authorization under it")
	case cfg.Vault == nil:
		return nil, errors.New("Vault: missing; NewMemoryVault has one for tests, package credstore one that lasts")
	case cfg.RefreshTokenExpiry < 0 || cfg.RefreshTokenExpiry > 0 && cfg.RefreshTokenExpiry < shortestRefreshTokenExpiry:
		return nil, fmt.Errorf("RefreshTokenExpiry: %s is too short: 72 hours at least, or 0 if the refresh token never ends", cfg.RefreshTokenExpiry)
	}
	if err := tokenclient.CheckScopes(cfg.Scopes); err != nil {
		return nil, err
	}
	if err := c.setURLs(); err != nil {
		return nil, err
	}
	if err := c.setTokenClient(); err != nil {
		return nil, err
	}
	c.binding = cfg.Binding()
	c.reset()
	return c, nil
}

func (c *Client) setURLs() (err error) {
	if c.cfg.AuthURL != "" {
		if c.authURL, err = tokenclient.CheckURL("AuthURL", c.cfg.AuthURL, c.cfg.AllowInsecureHTTP); err != nil {
			return err
		}
	}
	if c.cfg.RevocationURL != "" {
		if _, err = tokenclient.CheckURL("RevocationURL", c.cfg.RevocationURL, c.cfg.AllowInsecureHTTP); err != nil {
			return err
		}
	}
	if c.cfg.RedirectURL != "" {
		_, err = tokenclient.CheckURL("RedirectURL", c.cfg.RedirectURL, c.cfg.AllowInsecureHTTP)
	}
	return err
}

func (c *Client) setTokenClient() (err error) {
	cfg, auth := c.cfg, c.cfg.ClientAuth
	fixed := outgrant.ClientAuth{Method: cfg.Auth, Secret: cfg.ClientSecret}
	if auth == nil {
		auth = func(context.Context) (outgrant.ClientAuth, error) { return fixed, nil }
	}
	c.token, err = tokenclient.New(tokenclient.Config{
		Name: cfg.Name, Grant: outgrant.AuthorizationCode, TokenURL: cfg.TokenURL, ClientID: cfg.ClientID, Auth: auth,
		HTTPClient: cfg.HTTPClient, AllowInsecureHTTP: cfg.AllowInsecureHTTP, Timeout: c.cache.FetchTimeout, Hooks: c.cache.Hooks,
	})
	if err != nil || cfg.ClientAuth != nil {
		return err
	}
	return c.token.Check(fixed)
}

// Binding is a digest of what a consent is given for: client id, URLs, user and scopes. An authorization that was given for
// something else is not used.
func (c *Config) Binding() string {
	scopes := slices.Compact(slices.Sorted(slices.Values(c.scopes())))
	text, _ := json.Marshal([]any{c.ClientID, c.AuthURL, c.TokenURL, c.RevocationURL, c.User, scopes}) // nothing in it can fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Describe returns the credential.
func (c *Client) Describe() outgrant.Credential { return c.token.Describe() }

func (c *Client) String() string {
	d := c.Describe()
	return fmt.Sprintf("authcode.Client(%q at %s)", d.Name, d.TokenURL)
}

// Format prints the credential's name and token service, for every verb and flag.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the credential's name and token service.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the credential's name and token service.
func (c *Client) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
