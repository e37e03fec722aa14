package credstore

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/samlbearer"
)

// company is who else there is.
type company bool

const (
	inCompany company = false // other callers, and maybe other processes
	alone     company = true  // nobody: what is made is for one call, and nobody is told of it
)

// buildFor makes what an artifact is good for, of what is stored now.
func (c *core) buildFor(ctx context.Context, n nameOf, who company) (*built, error) {
	a, r, err := c.artifact(ctx, n)
	if err != nil {
		return nil, err
	}
	b := &built{artifact: a, from: []stored{{r.Key, markOf(r)}}}
	pair, err := c.keyPairFor(ctx, n, b)
	if err != nil {
		return nil, err
	}
	switch a := a.(type) {
	case *ClientCredentials:
		err = c.buildClientCredentials(b, a, pair, c.cache(n, b, who))
	case *SAMLBearerAssertion:
		err = c.buildSAMLBearer(n, b, a, pair, c.cache(n, b, who))
	case *AuthorizationCode:
		err = c.buildAuthorizationCode(ctx, n, b, a, pair)
	case *SecureParameter:
		b.refuse(outgrant.Credential{Name: n.name}, n.failure(notOffered(a, "which has no token: use SecureParameter")))
	default:
		b.refuse(outgrant.Credential{Name: n.name}, n.failure(notOffered(a, "which has no token: other artifacts use it by its name")))
	}
	return b, err
}

// artifact reads an artifact.
func (c *core) artifact(ctx context.Context, n nameOf) (artifact, driver.Record, error) {
	r, plain, err := c.get(ctx, n.key(artifactKind))
	if err != nil {
		return nil, r, err
	}
	a, err := decode(plain)
	if err != nil {
		return nil, r, fmt.Errorf("%w: %w; a newer version of outgrant may have written it", ErrUnreadable, err)
	}
	own, err := copyOf(a)
	return own, r, err
}

// keyPairFor reads the key pair that an artifact names, if it does.
func (c *core) keyPairFor(ctx context.Context, n nameOf, b *built) (*tls.Certificate, error) {
	alias := b.artifact.facts().keyPairAlias
	if alias == "" {
		return nil, nil
	}
	of := nameOf{n.tenant, alias}
	a, r, err := c.artifact(ctx, of)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, fmt.Errorf("keyPairAlias: the key pair %s is not deployed", of)
	}
	if err != nil {
		return nil, fmt.Errorf("keyPairAlias: the key pair %s: %w", of, err)
	}
	pair, ok := a.(*KeyPair)
	if !ok {
		return nil, fmt.Errorf("keyPairAlias: %s is of the type %q, not a key pair", of, a.Type())
	}
	b.from = append(b.from, stored{r.Key, markOf(r)})
	return pair.certificate()
}

// cache returns how the tokens of a credential are kept.
func (c *core) cache(n nameOf, b *built, who company) *outgrant.CacheOptions {
	if who == alone {
		return &outgrant.CacheOptions{FetchTimeout: c.opts.FetchTimeout}
	}
	return &outgrant.CacheOptions{Hooks: c.hooks(n, b.artifact.facts().principalPropagation), FetchTimeout: c.opts.FetchTimeout, Wrap: c.share(n, b)}
}

func (c *core) buildClientCredentials(b *built, a *ClientCredentials, pair *tls.Certificate, cache *outgrant.CacheOptions) error {
	cfg, err := a.config(pair)
	if err != nil {
		return err
	}
	cfg.HTTPClient, cfg.AllowInsecureHTTP, cfg.Cache = c.opts.HTTPClient, c.opts.AllowInsecureHTTP, cache
	b.source, err = clientcredentials.New(cfg)
	return err
}

func (c *core) buildSAMLBearer(n nameOf, b *built, a *SAMLBearerAssertion, pair *tls.Certificate, cache *outgrant.CacheOptions) error {
	cfg, err := a.config(pair)
	if err != nil {
		return err
	}
	cfg.HTTPClient, cfg.AllowInsecureHTTP, cfg.Cache = c.opts.HTTPClient, c.opts.AllowInsecureHTTP, cache
	client, err := samlbearer.New(cfg)
	if err != nil {
		return err
	}
	if a.facts().principalPropagation {
		b.users = client
		b.refuse(client.Describe(), n.failure(fmt.Errorf("%w: use UserSource", outgrant.ErrUserRequired)))
		return nil
	}
	b.source = sourceOf(client.ForTechnicalUser(), client.Describe())
	return nil
}

func (c *core) buildAuthorizationCode(ctx context.Context, n nameOf, b *built, a *AuthorizationCode, pair *tls.Certificate) error {
	grant := n.key(grantKind)
	consent, err := c.mark(ctx, grant)
	if err != nil {
		return err
	}
	b.from = append(b.from, stored{grant, consent})
	if b.code, err = c.authorizationCode(n, a, pair, &vault{&Store{core: c, tenant: n.tenant}}); err == nil {
		b.source = b.code
	}
	return err
}

// authorizationCode makes the client of an artifact.
func (c *core) authorizationCode(n nameOf, a *AuthorizationCode, pair *tls.Certificate, v authcode.Vault) (*authcode.Client, error) {
	cfg, err := a.config(pair)
	if err != nil {
		return nil, err
	}
	cfg.HTTPClient, cfg.AllowInsecureHTTP = c.opts.HTTPClient, c.opts.AllowInsecureHTTP
	cfg.Cache = &outgrant.CacheOptions{Hooks: c.hooks(n, false), FetchTimeout: c.opts.FetchTimeout}
	cfg.RedirectURL = cmp.Or(cfg.RedirectURL, c.opts.RedirectURL)
	cfg.Vault = v
	if may := c.opts.MayAuthorize; may != nil {
		cfg.MayAuthorize = func(r *http.Request) error { return may(r, n.tenant, n.name) }
	}
	return authcode.New(cfg)
}
