package clientcredentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// New returns the token source of a credential. It checks and copies cfg and asks nobody; an error names the field that is
// wrong. The source keeps its token, as [outgrant.CachedSource] says, so use one source for all that share the credential.
func New(cfg *Config) (*outgrant.CachedSource, error) {
	if cfg == nil {
		return nil, errors.New("clientcredentials: Config: nil")
	}
	src, err := newSource(cfg)
	if err != nil {
		return nil, fmt.Errorf("clientcredentials: %w", err)
	}
	return outgrant.Cached(src, cfg.Cache), nil
}

// source asks for a new token each time.
type source struct {
	client  *tokenclient.Client
	request tokenclient.Request
	scopes  []string
}

func newSource(cfg *Config) (*source, error) {
	client, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	if err := cfg.checkParams(); err != nil {
		return nil, err
	}
	if err := tokenclient.CheckScopes(cfg.Scopes); err != nil {
		return nil, err
	}
	return &source{client: client, request: cfg.request(), scopes: slices.Clone(cfg.Scopes)}, nil
}

func newClient(cfg *Config) (*tokenclient.Client, error) {
	fixed := outgrant.ClientAuth{Method: cfg.Auth, Secret: cfg.ClientSecret, Certificate: cfg.Certificate,
		Key: cfg.Key, KeyID: cfg.KeyID, Algorithm: cfg.Algorithm, Audience: cfg.AssertionAudience}
	auth := cfg.ClientAuth
	if auth == nil {
		auth = func(context.Context) (outgrant.ClientAuth, error) { return fixed, nil }
	}
	cache := cmp.Or(cfg.Cache, &outgrant.CacheOptions{})
	client, err := tokenclient.New(tokenclient.Config{
		Name: cfg.Name, Grant: outgrant.ClientCredentials, TokenURL: cfg.TokenURL, ClientID: cfg.ClientID, Auth: auth,
		HTTPClient: cfg.HTTPClient, AllowInsecureHTTP: cfg.AllowInsecureHTTP, Timeout: cache.FetchTimeout, Hooks: cache.Hooks,
	})
	if err != nil || cfg.ClientAuth != nil {
		return client, err
	}
	return client, client.Check(fixed)
}

// request is the token request that cfg describes, without the client authentication.
func (c *Config) request() tokenclient.Request {
	r := tokenclient.Request{Form: url.Values{}, Query: url.Values{}, Header: http.Header{}, JSON: c.JSONBody}
	grantType := r.Form
	if c.GrantTypeInURL {
		grantType = r.Query
	}
	grantType.Set("grant_type", string(outgrant.ClientCredentials))
	set := func(key, value string) {
		if value != "" {
			r.Form.Set(key, value)
		}
	}
	set("scope", strings.Join(c.Scopes, " "))
	set("resource", c.Resource)
	set("audience", c.Audience)
	for _, p := range c.Params {
		switch p.In {
		case InHeader:
			r.Header.Add(p.Key, p.Value)
		case InURL:
			r.Query.Add(p.Key, p.Value)
		default:
			r.Form.Add(p.Key, p.Value)
		}
		r.Secrets = append(r.Secrets, outgrant.Secret(p.Value))
	}
	return r
}

// Token asks for a new token.
func (s *source) Token(ctx context.Context) (*outgrant.Token, error) {
	answer, err := s.client.Ask(ctx, &s.request)
	if err != nil {
		return nil, err
	}
	if answer.Token.Scopes == nil { // an answer without scope grants what was asked for (RFC 6749 5.1)
		answer.Token.Scopes = slices.Clone(s.scopes)
	}
	return answer.Token, nil
}

// Describe tells the cache whose tokens these are.
func (s *source) Describe() outgrant.Credential { return s.client.Describe() }
