package authcode_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

const (
	bedName     = "MAILBOX"
	bedClientID = "client-1"
	bedSecret   = "the secret of client 1"
	bedRedirect = "http://127.0.0.1:8080/callback"
)

// bed is where rotations are tested: a token service, a vault that processes share, and what was told. A process is a
// client of its own on the vault.
type bed struct {
	*oauthtest.Server
	vault *testVault

	mu      sync.Mutex
	secrets []string                      // all tokens that went over the wire
	told    []outgrant.AuthorizationEvent // by the hooks, in order
	shown   []any                         // what could be printed or logged, to be searched for secrets
}

// inBubble runs a test with a virtual clock. In the end nothing that was shown may have a secret in it.
func inBubble(t *testing.T, opts oauthtest.ServerOptions, test func(t *testing.T, b *bed)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(10 * time.Minute) // what a test leaves behind when it fails
		b := newBed(t, opts)
		test(t, b)
		b.assertNoSecrets(t)
	})
}

func newBed(t testing.TB, opts oauthtest.ServerOptions) *bed {
	t.Helper()
	opts.InMemory = true
	b := &bed{Server: oauthtest.NewServer(&opts), vault: newTestVault(), secrets: []string{bedSecret}}
	t.Cleanup(b.Close)
	return b
}

// config is what processes of the bed have.
func (b *bed) config() *authcode.Config {
	return &authcode.Config{
		Name: bedName, AuthURL: b.AuthURL(), TokenURL: b.TokenURL(), RevocationURL: b.RevokeURL(), RedirectURL: bedRedirect,
		ClientID: bedClientID, ClientSecret: bedSecret, Scopes: []string{"mail"}, Vault: b.vault,
		HTTPClient: &http.Client{Transport: wire{b}}, Cache: &outgrant.CacheOptions{Hooks: b.hooks()},
	}
}

// process starts another process. It is closed in the end.
func (b *bed) process(t testing.TB, change ...func(*authcode.Config)) *authcode.Client {
	t.Helper()
	c := b.shortProcess(t, change...)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// shortProcess starts a process that the test ends itself.
func (b *bed) shortProcess(t testing.TB, change ...func(*authcode.Config)) *authcode.Client {
	t.Helper()
	cfg := b.config()
	for _, change := range change {
		change(cfg)
	}
	c, err := authcode.New(cfg)
	require.NoError(t, err)
	b.show(c, cfg)
	return c
}

// authorized starts a process and has a user authorize the credential there.
func (b *bed) authorized(t testing.TB, change ...func(*authcode.Config)) *authcode.Client {
	t.Helper()
	c := b.process(t, change...)
	require.NoError(t, b.consent(t, c))
	return c
}

// consent leads a browser through an authorization.
func (b *bed) consent(t testing.TB, c *authcode.Client) error {
	t.Helper()
	start := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080/authorize", nil)
	start.RemoteAddr = "127.0.0.1:4711"
	sent := httptest.NewRecorder()
	c.AuthorizeHandler().ServeHTTP(sent, start)
	require.Equal(t, http.StatusSeeOther, sent.Code, "%s", sent.Body)
	asked, err := http.NewRequestWithContext(t.Context(), http.MethodGet, sent.Header().Get("Location"), nil)
	require.NoError(t, err)
	agreed, err := b.Client().Transport.RoundTrip(asked)
	require.NoError(t, err)
	require.Equal(t, http.StatusFound, agreed.StatusCode)
	back := httptest.NewRequest(http.MethodGet, agreed.Header.Get("Location"), nil)
	back.RemoteAddr = start.RemoteAddr
	for _, cookie := range sent.Result().Cookies() {
		back.AddCookie(cookie)
	}
	result := errors.New("the callback did not end")
	c.CallbackHandler(func(_ http.ResponseWriter, _ *http.Request, err error) { result = err }).ServeHTTP(httptest.NewRecorder(), back)
	b.show(result)
	return result
}

// token asks a process for a token that the token service knows.
func (b *bed) token(t testing.TB, c *authcode.Client) *outgrant.Token {
	t.Helper()
	token, err := c.Token(t.Context())
	require.NoError(t, err)
	require.True(t, b.Live(token.AccessToken), "the token service does not know it any more")
	b.show(token)
	return token
}

// fails asks a process for a token that there is none of.
func (b *bed) fails(t testing.TB, c *authcode.Client) *outgrant.TokenError {
	t.Helper()
	token, err := c.Token(t.Context())
	require.Error(t, err)
	require.Nil(t, token)
	b.show(err)
	te, ok := errors.AsType[*outgrant.TokenError](err)
	require.True(t, ok, "%T", err)
	require.Contains(t, err.Error(), bedName)
	require.Contains(t, err.Error(), "token-service.test")
	return te
}

// status is what a process says about the credential.
func (b *bed) status(t testing.TB, c *authcode.Client) authcode.Status {
	t.Helper()
	s, err := c.Status(t.Context())
	require.NoError(t, err)
	b.show(s)
	return s
}

// stored is what the vault has, whatever it says to others.
func (b *bed) stored(t testing.TB) authcode.Authorization {
	t.Helper()
	a, err := b.vault.kept.Load(context.Background(), bedName)
	require.NoError(t, err)
	b.show(a)
	return a
}

// store changes what the vault has, as another process would.
func (b *bed) store(t testing.TB, change func(*authcode.Authorization)) {
	t.Helper()
	a := b.stored(t)
	spent := a.RefreshToken
	change(&a)
	_, err := b.vault.kept.Save(context.Background(), bedName, spent, a)
	require.NoError(t, err)
}

// refreshes is how many refresh requests have come in.
func (b *bed) refreshes() int {
	n := 0
	for _, r := range b.Requests() {
		if r.GrantType == "refresh_token" {
			n++
		}
	}
	return n
}

// changes are what the hooks told, without the beginning.
func (b *bed) changes() []outgrant.AuthorizationChange {
	synctest.Wait() // hooks are called after the callers have their token
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []outgrant.AuthorizationChange
	for _, e := range b.told {
		all = append(all, e.Change)
	}
	if len(all) > 0 && all[0] == outgrant.Authorized {
		all = all[1:]
	}
	return all
}

// lastChange is what the hooks told last.
func (b *bed) lastChange() outgrant.AuthorizationEvent {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.told) == 0 {
		return outgrant.AuthorizationEvent{}
	}
	return b.told[len(b.told)-1]
}

func (b *bed) hooks() *outgrant.Hooks {
	return &outgrant.Hooks{
		AuthorizationChanged: func(e outgrant.AuthorizationEvent) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.told = append(b.told, e)
			b.shown = append(b.shown, e, e.Err)
		},
		FetchDone: func(e outgrant.FetchEvent) { b.show(e, e.Err) },
	}
}

func (b *bed) show(outputs ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown = append(b.shown, outputs...)
}

func (b *bed) assertNoSecrets(t testing.TB) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	outputs := make([]any, 0, len(b.shown))
	seen := map[string]bool{}
	for _, o := range b.shown {
		if text := fmt.Sprintf("%T %v", o, o); o != nil && !seen[text] { // many are the same
			seen[text] = true
			outputs = append(outputs, o)
		}
	}
	// It takes a while to search them all.
	oauthtest.AssertNoSecrets(t, b.secrets[:min(len(b.secrets), 10)], outputs[:min(len(outputs), 80)]...)
}

// wire brings requests to the bed's token service, and notes the tokens.
type wire struct{ bed *bed }

func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == "hangs.test" {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	resp, err := w.bed.Client().Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	_ = json.Unmarshal(body, &tokens)
	w.bed.mu.Lock()
	for _, token := range []string{tokens.Access, tokens.Refresh} {
		if token != "" && !slices.Contains(w.bed.secrets, token) {
			w.bed.secrets = append(w.bed.secrets, token)
		}
	}
	w.bed.mu.Unlock()
	resp.Body = io.NopCloser(io.MultiReader(bytesThenError(body, err)))
	return resp, nil
}

// within asks for a token and leaves after a time, and returns how long the call took.
func within(t testing.TB, c *authcode.Client, d time.Duration) (*outgrant.Token, time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	began := time.Now()
	token, err := c.Token(ctx)
	return token, time.Since(began), err
}

const (
	// nearEnd is when a token of an hour wants to be refreshed, and past when it has ended.
	nearEnd = 56 * time.Minute
	past    = 61 * time.Minute
)
