package httpadapter_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/httpadapter"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

type users map[string]outgrant.TokenSource

func (u users) ForUser(user string) outgrant.TokenSource { return u[user] }

type described struct {
	outgrant.TokenSource
	grant outgrant.Grant
}

func (d described) Describe() outgrant.Credential { return outgrant.Credential{Grant: d.grant} }

func byHeader(r *http.Request) (string, error) {
	if r.Header.Get("X-User") == "broken" {
		return "", errors.New("no session")
	}
	return r.Header.Get("X-User"), nil
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	src := outgrant.StaticToken("access")
	social := struct {
		users
		described
	}{described: described{src, outgrant.Social}}
	for name, c := range map[string]struct {
		src  outgrant.TokenSource
		opts *httpadapter.Options
		want string
	}{
		"nothing":            {nil, nil, "source is nil"},
		"users without user": {nil, &httpadapter.Options{Users: users{}}, "go together"},
		"user without users": {src, &httpadapter.Options{User: byHeader}, "go together"},
		"source and users":   {src, &httpadapter.Options{Users: users{}, User: byHeader}, "leave the source nil"},
		"another grant":      {described{src, outgrant.AuthorizationCode}, nil, "client_credentials and urn:"},
		"users of another":   {nil, &httpadapter.Options{Users: social, User: byHeader}, "client_credentials and urn:"},
	} {
		_, err := httpadapter.New(c.src, c.opts)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := httpadapter.New(nil, &httpadapter.Options{Users: social, User: byHeader, AnyGrant: true})
	require.NoError(t, err)
	_, err = httpadapter.New(described{src, outgrant.AuthorizationCode}, &httpadapter.Options{AnyGrant: true})
	require.NoError(t, err)
}

func TestEachRequestActsForItsUser(t *testing.T) {
	t.Parallel()
	echo := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}))
	rt, err := httpadapter.New(nil, &httpadapter.Options{Base: echo, User: byHeader, Users: users{
		"alice": outgrant.StaticToken("of-alice"),
		"bob":   outgrant.StaticToken("of-bob"),
		"eve":   described{outgrant.StaticToken("of-eve"), outgrant.AuthorizationCode},
	}})
	require.NoError(t, err)
	for user, want := range map[string]string{"alice": "Bearer of-alice", "bob": "Bearer of-bob"} {
		resp, err := call(rt, user)
		require.NoError(t, err)
		body, _ := io.ReadAll(resp.Body)
		require.Equal(t, want, string(body))
	}
	_, err = call(rt, "")
	require.ErrorIs(t, err, outgrant.ErrUserRequired)
	_, err = call(rt, "broken")
	require.ErrorContains(t, err, "no session")
	_, err = call(rt, "eve")
	require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
	_, err = call(rt, "nobody")
	require.ErrorContains(t, err, "no token source")
}

func call(rt http.RoundTripper, user string) (*http.Response, error) {
	req, _ := http.NewRequest(http.MethodGet, "https://receiver.test/", nil)
	req.Header.Set("X-User", user)
	return rt.RoundTrip(req)
}

func Example() {
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	receiver := oauthtest.HandlerTransport(server.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "welcome")
	})))

	source, err := clientcredentials.New(&clientcredentials.Config{
		TokenURL: server.TokenURL(), ClientID: "id", ClientSecret: "secret", HTTPClient: server.Client(),
	})
	if err != nil {
		panic(err)
	}
	transport, err := httpadapter.New(source, &httpadapter.Options{Base: receiver})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: transport}
	resp, err := client.Get("https://receiver.example/orders")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
	// Output: 200 OK welcome
}
