package odata_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/samlbearer"
)

// TestTwoUsers has two users change and read at once through one transport. The receiver says for each request whose bearer,
// cookie and CSRF token arrived, and CAP writes into each book whom SAP's validator took the bearer's user for.
func TestTwoUsers(t *testing.T) {
	t.Parallel()
	idp, client := peer.NewIdP(t, "users", peer.RSAKey()), peer.SAMLClient("sb-users", "a secret")
	s := peer.StartAuthServer(t, peer.AuthServerOptions{
		Clients: []peer.Client{client}, Resources: []string{resource}, XSUAA: map[string]string{resource: appName},
		IdPs: []peer.IdP{idp}, SAMLResource: resource,
	})
	receiver := peer.StartODataReceiver(t, s, appName)
	users, err := samlbearer.New(&samlbearer.Config{
		Name: "BOOKSHOP_USERS", Target: samlbearer.BTPCloudFoundry(client.ID, outgrant.Secret(client.Secret)), TokenURL: s.TokenURL, ClientKey: client.ID,
		Assertions: samlbearer.Signer{Key: idp.Key, Certificate: idp.Certificate, Issuer: idp.Issuer, Audience: s.Issuer},
		HTTPClient: &http.Client{Transport: s.Transport(t)},
	})
	require.NoError(t, err)
	for n, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			shop := v.open(t, nil, receiver, "catalog", odata.Options{
				Users: users, User: func(r *http.Request) (string, error) { return r.Header.Get("X-User"), nil },
				AnyGrant: true, // V4 has SAML bearer not in its row
			})
			const writers = 25
			var wg sync.WaitGroup
			for i := range 2 * writers {
				user, id := []string{"alice", "bob"}[i%2], 10_000*(n+1)+i
				wg.Go(func() {
					shop.create(t, user, id)
					shop.read(t, user, id)
					shop.create(t, user, id+1000)
				})
			}
			wg.Wait()
			require.Equal(t, 2, shop.sent.fetches, "one for each user")
		})
	}
}

// create makes a book as the user.
func (s shop) create(t testing.TB, user string, id int) {
	resp, text := s.do(t, "POST", "Books", fmt.Sprintf(`{"ID":%d,"title":"x"}`, id), "X-User", user)
	if resp.StatusCode != http.StatusCreated || !own(resp, user) || resp.Header.Get("Peers-Csrf") != user || createdBy(text) != user {
		t.Errorf("a book of %s: %s, created by %q, %s", user, resp.Status, createdBy(text), owners(resp))
	}
}

// read reads a book, which the user has made.
func (s shop) read(t testing.TB, user string, id int) {
	resp, text := s.do(t, "GET", fmt.Sprintf("Books(%d)", id), "", "X-User", user)
	if resp.StatusCode != http.StatusOK || !own(resp, user) || createdBy(text) != user {
		t.Errorf("a book for %s: %s, created by %q, %s", user, resp.Status, createdBy(text), owners(resp))
	}
}

// own reports whether bearer and cookie of a request were the user's.
func own(resp *http.Response, user string) bool {
	return resp.Header.Get("Peers-Bearer") == user && resp.Header.Get("Peers-Cookie") == user
}

func owners(resp *http.Response) string {
	return fmt.Sprintf("bearer of %q, cookie of %q, CSRF token of %q", resp.Header.Get("Peers-Bearer"), resp.Header.Get("Peers-Cookie"), resp.Header.Get("Peers-Csrf"))
}

func createdBy(text string) string {
	var book struct {
		CreatedBy string
		D         struct{ CreatedBy string }
	}
	_ = json.Unmarshal([]byte(text), &book) // what is no book was created by nobody
	return book.CreatedBy + book.D.CreatedBy
}
