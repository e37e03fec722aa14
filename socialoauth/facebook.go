package socialoauth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/graphapi"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// GraphVersion is the version of the Graph API that tokens are exchanged at. Requests name theirs in their URL.
const GraphVersion = graphapi.Version

// FacebookKeys are what requests to Facebook are authorized with. They print redacted.
type FacebookKeys struct {
	ApplicationID     outgrant.Secret
	ApplicationSecret outgrant.Secret
	AccessToken       outgrant.Secret // of a user or a page

	// Name names the credential in errors. Default none.
	Name string

	Graph
}

// FacebookAliases name the secure parameters that hold a [FacebookKeys].
type FacebookAliases struct {
	ApplicationID     string
	ApplicationSecret string
	AccessToken       string

	// Name names the credential in errors. Default none.
	Name string

	Graph
}

// Graph says how tokens are exchanged. The zero value is Facebook's own.
type Graph struct {
	// GraphURL is where the Graph API is, without the version. Default https://graph.facebook.com.
	GraphURL string

	// HTTPClient sends the request. It follows no redirect. Default one on http.DefaultTransport.
	HTTPClient *http.Client

	// AllowInsecureHTTP lets the exchange go over plain http to another machine. Default false.
	AllowInsecureHTTP bool
}

// FacebookSource puts an access token and its appsecret_proof on requests: it is an [outgrant.Authorizer]. It is made by
// [Facebook] or [FacebookFrom], and is safe for concurrent use.
type FacebookSource struct {
	name string
	core func() *facebookCore // a function, where fmt does not look
}

type facebookCore struct {
	name     string
	tokenURL string
	graph    Graph
	keys     func(context.Context) (facebookKeys, error)
	latest   atomic.Pointer[exchanged]
}

type facebookKeys struct{ id, secret, token outgrant.Secret }

// Facebook returns a source that uses the keys.
func Facebook(keys FacebookKeys) (*FacebookSource, error) {
	var k facebookKeys
	err := fill(
		key{field: "ApplicationID", value: keys.ApplicationID, to: &k.id},
		key{field: "ApplicationSecret", value: keys.ApplicationSecret, to: &k.secret},
		key{field: "AccessToken", value: keys.AccessToken, to: &k.token},
	)
	if err != nil {
		return nil, fmt.Errorf("socialoauth: Facebook: %w", err)
	}
	return newFacebook(keys.Name, keys.Graph, func(context.Context) (facebookKeys, error) { return k, nil })
}

// FacebookFrom returns a source that uses the secure parameters that p has under the aliases. They are read now, and again
// for each request. Its error names each alias that does not exist or holds no key, and matches p's errors.
//
// When an access token ends is nothing that a secure parameter says: it is used until Facebook refuses it, and its Expiry is
// zero, also where it came from [FacebookSource.LongLived] before a restart. Call that at the start to know: it takes a
// long-lived token, too. Graph's debug_token would tell as well, but it wants the token in a URL, where none belongs.
func FacebookFrom(ctx context.Context, p Parameters, a FacebookAliases) (*FacebookSource, error) {
	keys := func(ctx context.Context) (facebookKeys, error) {
		var k facebookKeys
		err := read(ctx, p,
			key{field: "ApplicationID", alias: a.ApplicationID, to: &k.id},
			key{field: "ApplicationSecret", alias: a.ApplicationSecret, to: &k.secret},
			key{field: "AccessToken", alias: a.AccessToken, to: &k.token},
		)
		return k, err
	}
	if _, err := keys(ctx); err != nil {
		return nil, fmt.Errorf("socialoauth: Facebook: %w", err)
	}
	return newFacebook(a.Name, a.Graph, keys)
}

func newFacebook(name string, graph Graph, keys func(context.Context) (facebookKeys, error)) (*FacebookSource, error) {
	graphURL := strings.TrimRight(cmp.Or(graph.GraphURL, graphapi.URL), "/")
	u, err := tokenclient.CheckURL("GraphURL", graphURL, graph.AllowInsecureHTTP)
	if err == nil && u.RawQuery != "" {
		err = errors.New("GraphURL: must not have a query")
	}
	if err != nil {
		return nil, fmt.Errorf("socialoauth: Facebook: %w", err)
	}
	core := &facebookCore{name: name, graph: graph, keys: keys, tokenURL: graphURL + "/" + GraphVersion + "/oauth/access_token"}
	return &FacebookSource{name, func() *facebookCore { return core }}, nil
}

// Authorize puts the access token into req's Authorization header, and appsecret_proof, which is the token's HMAC-SHA256
// under the application secret, into its query: Graph takes it nowhere else that suits every request. What the query has of
// either is replaced. [outgrant.Transport] gives it a copy, so that neither gets into the caller's URL nor into errors that
// tell it.
//
// A long-lived token that has ended ([FacebookSource.LongLived]) is an error that matches [outgrant.ErrNotAuthorized].
// Errors are [outgrant.TokenError].
func (s *FacebookSource) Authorize(ctx context.Context, req *http.Request) error {
	if req.URL == nil {
		return s.failed(errors.New("the request has no URL"))
	}
	k, token, err := s.current(ctx)
	if err != nil {
		return err
	}
	setAuthorization(req, "Bearer "+token.AccessToken.Reveal())
	query := withoutParameters(req.URL.RawQuery, graphapi.AccessToken, graphapi.Proof)
	if query != "" {
		query += "&"
	}
	req.URL.RawQuery = query + graphapi.Proof + "=" + proof(k.secret, token.AccessToken)
	return nil
}

// Token returns the access token, with its expiry if [FacebookSource.LongLived] has told it. An app that requires
// appsecret_proof needs Authorize.
func (s *FacebookSource) Token(ctx context.Context) (*outgrant.Token, error) {
	_, token, err := s.current(ctx)
	return token, err
}

// Describe returns the credential's name and its grant.
func (s *FacebookSource) Describe() outgrant.Credential {
	c := outgrant.Credential{Name: s.name, Grant: outgrant.Social}
	if s.core != nil {
		c.TokenURL = s.core().tokenURL
	}
	return c
}

// current returns the keys and the token to use.
func (s *FacebookSource) current(ctx context.Context) (facebookKeys, *outgrant.Token, error) {
	if err := ctx.Err(); err != nil {
		return facebookKeys{}, nil, err
	}
	if s.core == nil {
		return facebookKeys{}, nil, s.failed(errors.New("the FacebookSource is empty: make it by Facebook or FacebookFrom"))
	}
	k, err := s.core().keys(ctx)
	if err != nil {
		return k, nil, s.failed(err)
	}
	token := &outgrant.Token{AccessToken: k.token}
	if e := s.core().latest.Load(); e != nil && e.from == k.token {
		token = e.token
	}
	if !token.ValidAt(time.Now()) {
		return k, nil, s.failed(fmt.Errorf("%w: the long-lived token ended on %s", outgrant.ErrNotAuthorized, token.Expiry.UTC().Format(time.DateOnly)))
	}
	return k, token, nil
}

func (s *FacebookSource) failed(err error) error {
	return &outgrant.TokenError{Grant: outgrant.Social, Credential: s.name, Err: err}
}

func proof(secret, token outgrant.Secret) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(token.Reveal()))
	return hex.EncodeToString(mac.Sum(nil))
}

// withoutParameters takes parameters out of a query and leaves the rest as it is.
func withoutParameters(query string, names ...string) string {
	kept := make([]string, 0, 8)
pieces:
	for piece := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(piece, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		for _, n := range names {
			if name == n {
				continue pieces
			}
		}
		if piece != "" {
			kept = append(kept, piece)
		}
	}
	return strings.Join(kept, "&")
}
