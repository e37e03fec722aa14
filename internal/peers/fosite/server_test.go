// Package fosite_test tests client credentials and authorization codes against ory/fosite, a token service in Go, in this
// process.
package fosite_test

import (
	"context"
	"crypto"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const (
	clientID     = "sb-peers!t1|outgrant"
	clientSecret = "s3cr:et/+ %&=ü"
	audience     = "https://odata.peers.example/v2"
)

// server is a token service with a client that has a secret, one for each signing key, and an introspecting one. Clients
// that users authorize are added by addUserClient.
type server struct {
	*httptest.Server
	store    *storage.MemoryStore
	config   *fosite.Config
	provider fosite.OAuth2Provider

	mu        sync.Mutex // a rotation is not one step in fosite's own memory
	used      map[string]bool
	refreshes map[string]*peer.Refreshes // by client
}

// startServer starts a server; keys are the public keys of clients by the algorithm that they sign with, which is
// their client id too.
func startServer(t testing.TB, keys map[string]crypto.PublicKey) *server {
	s := &server{store: storage.NewMemoryStore(), used: map[string]bool{}, refreshes: map[string]*peer.Refreshes{}}
	for id, secret := range map[string]string{clientID: clientSecret, "receiver": "the receiver's own secret"} {
		s.store.Clients[id] = newClient(t, id, secret)
	}
	for algorithm, key := range keys {
		s.store.Clients[algorithm] = &fosite.DefaultOpenIDConnectClient{
			DefaultClient:           newClient(t, algorithm, "unused"),
			TokenEndpointAuthMethod: "private_key_jwt", TokenEndpointAuthSigningAlgorithm: algorithm,
			JSONWebKeys: &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "k1", Use: "sig", Algorithm: algorithm}}},
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/token", s.token)
	mux.HandleFunc("/introspect", s.introspect)
	mux.HandleFunc("/authorize", s.authorize)
	mux.HandleFunc("/revoke", s.revoke)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	s.config = &fosite.Config{
		AccessTokenLifespan: time.Minute, RefreshTokenLifespan: time.Hour, GlobalSecret: []byte("the server's secret of 32 octets"),
		TokenURL: s.tokenURL(), IDTokenIssuer: s.URL, EnforcePKCE: true,
		// These have defaults, but they are set by the first requests, which race for it.
		ClientSecretsHasher: hasher, ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
	}
	idTokenKey := func(context.Context) (any, error) { return peer.RSAKey(), nil }
	strategy := &compose.CommonStrategy{CoreStrategy: compose.NewOAuth2HMACStrategy(s.config),
		OpenIDConnectTokenStrategy: compose.NewOpenIDConnectStrategy(idTokenKey, s.config)}
	s.provider = compose.Compose(s.config, s.store, strategy,
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2TokenIntrospectionFactory,
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2PKCEFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OpenIDConnectExplicitFactory, compose.OpenIDConnectRefreshFactory, compose.OAuth2TokenRevocationFactory)
	return s
}

var hasher = &fosite.BCrypt{Config: &fosite.Config{HashCost: 4}} // the least

func newClient(t testing.TB, id, secret string) *fosite.DefaultClient {
	hash, err := hasher.Hash(t.Context(), []byte(secret))
	require.NoError(t, err)
	return &fosite.DefaultClient{ID: id, Secret: hash, GrantTypes: []string{"client_credentials"},
		Scopes: []string{"odata.read", "odata.write"}, Audience: []string{audience}}
}

func (s *server) tokenURL() string { return s.URL + "/token" }

func (s *server) introspection() peer.Introspection {
	return peer.Introspection{URL: s.URL + "/introspect", ClientID: "receiver", Secret: "the receiver's own secret", HTTPClient: s.Client()}
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, response, err := s.grant(r)
	s.count(r, err == nil)
	if err != nil {
		s.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	s.provider.WriteAccessResponse(r.Context(), w, request, response)
}

func (s *server) grant(r *http.Request) (fosite.AccessRequester, fosite.AccessResponder, error) {
	request, err := s.provider.NewAccessRequest(r.Context(), r, newSession(""))
	if err != nil {
		return request, nil, err
	}
	if request.GetGrantTypes().ExactOne("client_credentials") { // a user grants at authorize
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		for _, aud := range request.GetRequestedAudience() {
			request.GrantAudience(aud)
		}
	}
	response, err := s.provider.NewAccessResponse(r.Context(), request)
	return request, response, err
}

func (s *server) introspect(w http.ResponseWriter, r *http.Request) {
	answer, err := s.provider.NewIntrospectionRequest(r.Context(), r, newSession(""))
	if err != nil {
		s.provider.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	s.provider.WriteIntrospectionResponse(r.Context(), w, answer)
}
