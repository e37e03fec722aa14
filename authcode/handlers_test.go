package authcode_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// sharedAttempts stand for what several processes share. They do not encrypt: a test can look into them.
type sharedAttempts struct {
	mu     sync.Mutex
	used   map[string]time.Time
	broken error
}

func (s *sharedAttempts) Seal(_ context.Context, data []byte) ([]byte, error) { return data, s.broken }
func (s *sharedAttempts) Open(_ context.Context, data []byte) ([]byte, error) { return data, s.broken }

func (s *sharedAttempts) Use(_ context.Context, attempt string, until time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return false, s.broken
	}
	_, known := s.used[attempt]
	s.used[attempt] = until
	return !known, nil
}

// worker is one process: handlers of its own for all clients, by the query parameter name.
func worker(clients map[string]*authcode.Client, attempts authcode.Attempts, done func(http.ResponseWriter, *http.Request, error)) *http.ServeMux {
	h := &authcode.Handlers{
		ID: func(r *http.Request) (string, error) {
			if name := r.URL.Query().Get("name"); name != "" {
				return name, nil
			}
			return "", errors.New("say which: ?name=NAME")
		},
		Client: func(_ context.Context, id string) (*authcode.Client, error) {
			if c := clients[id]; c != nil {
				return c, nil
			}
			return nil, fmt.Errorf("there is no credential %q", id)
		},
		MayAuthorize: func(r *http.Request, id string) error {
			if id == "SECRET" {
				return errors.New("not you")
			}
			return nil
		},
		Attempts: attempts,
	}
	mux := http.NewServeMux()
	mux.Handle("/oauth/authorize", h.Authorize())
	mux.Handle("/oauth/callback", h.Callback(done))
	return mux
}

// two are two clients with one vault and one redirect URL.
func two(t testing.TB) (*site, map[string]*authcode.Client) {
	s := newBareSite(t, oauthtest.ServerOptions{}, nil)
	clients := map[string]*authcode.Client{}
	for _, name := range []string{"A", "B"} {
		s.cfg.Name, s.cfg.Scopes = name, []string{"for-" + name}
		clients[name] = s.newClient()
	}
	return s, clients
}

func TestHandlersOfManyClients(t *testing.T) {
	t.Parallel()
	s, clients := two(t)
	attempts := &sharedAttempts{used: map[string]time.Time{}}
	s.mux = worker(clients, attempts, nil)
	b := s.browser()
	b.open(startURL).requirePage(t, http.StatusBadRequest, "say which: ?name=NAME")
	b.open(startURL+"?name=C").requirePage(t, http.StatusNotFound, "there is no credential")
	b.open(startURL+"?name=SECRET").requirePage(t, http.StatusForbidden, "not you") // and not whether there is one
	b.open(startURL+"?name=C", "Sec-Fetch-Site", "cross-site").requirePage(t, http.StatusNotFound)
	b.open(startURL+"?name=A", "Sec-Fetch-Site", "cross-site").requirePage(t, http.StatusForbidden, "Authorize A")

	a, c := b.consent(startURL+"?name=A"), b.consent(startURL+"?name=B")
	b.open(a).requirePage(t, http.StatusOK, "A is authorized")
	s.cfg.Name = "A"
	require.Equal(t, []string{"for-A"}, s.stored().Token.Scopes)
	s.cfg.Name = "B"
	require.Zero(t, s.stored().Authorized)
	b.open(c).requirePage(t, http.StatusOK, "B is authorized")
	require.Equal(t, []string{"for-B"}, s.stored().Token.Scopes)
	require.Len(t, attempts.used, 2)
	for attempt, until := range attempts.used {
		require.Regexp(t, "^[0-9a-f]{64}$", attempt)
		require.WithinDuration(t, time.Now().Add(10*time.Minute), until, time.Minute)
	}

	// Deleted while the user is asked.
	callback := b.consent(startURL + "?name=A")
	delete(clients, "A")
	b.open(callback).requirePage(t, http.StatusBadGateway, "there is no credential", `href="/oauth/authorize?name=A"`)
}

// TestEnded is told of each authorization that has ended, and of no stranger's callback.
func TestEnded(t *testing.T) {
	t.Parallel()
	s, clients := two(t)
	var ended []string
	h := &authcode.Handlers{
		ID:           func(r *http.Request) (string, error) { return r.URL.Query().Get("name"), nil },
		MayAuthorize: func(*http.Request, string) error { return nil },
		Client:       func(_ context.Context, id string) (*authcode.Client, error) { return clients[id], nil },
		Ended:        func(_ *http.Request, id string, err error) { ended = append(ended, fmt.Sprint(id, " ", err)) },
	}
	s.mux = http.NewServeMux()
	s.mux.Handle("/oauth/authorize", h.Authorize())
	s.mux.Handle("/oauth/callback", h.Callback(nil))
	b := s.browser()
	b.open(callbackURL+"?state=x&code=y").requirePage(t, http.StatusBadRequest, "No authorization waits here")
	require.Empty(t, ended)
	b.open(b.consent(startURL+"?name=A")).requirePage(t, http.StatusOK, "A is authorized")
	require.Equal(t, []string{"A <nil>"}, ended)
	s.service.Inject(oauthtest.Deny("access_denied", ""))
	b.open(b.consent(startURL+"?name=B")).requirePage(t, http.StatusForbidden, "Consent was not given")
	require.Len(t, ended, 2)
	require.Contains(t, ended[1], "did not consent")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	title, text, status := authcode.Explain("MAILBOX", nil)
	require.Equal(t, "MAILBOX is authorized", title)
	require.NotEmpty(t, text)
	require.Equal(t, http.StatusOK, status)
	_, text, status = authcode.Explain("MAILBOX", fmt.Errorf("somewhere: %w", authcode.ErrExpired))
	require.Contains(t, text, "MAILBOX was not authorized within ten minutes")
	require.Equal(t, http.StatusGone, status)
	title, _, status = authcode.Explain("MAILBOX", errors.New("any"))
	require.Equal(t, "MAILBOX is not authorized", title)
	require.Equal(t, http.StatusBadGateway, status)
}

// TestAttemptsAreShared: one process starts and another takes the callback, once.
func TestAttemptsAreShared(t *testing.T) {
	t.Parallel()
	s, clients := two(t)
	shared := &sharedAttempts{used: map[string]time.Time{}}
	var all []ended
	done := func(_ http.ResponseWriter, r *http.Request, err error) {
		id, c := authcode.AttemptOf(r)
		all = append(all, ended{id, c, err})
	}
	first, second := worker(clients, shared, done), worker(clients, shared, done)
	b := s.browser()
	s.mux = first
	callback := b.consent(startURL + "?name=A")
	cookie := b.attempts(callbackURL)[0].String()
	s.mux = second
	b.open(callback)
	require.Equal(t, []ended{{"A", clients["A"], nil}}, all)
	s.mux = first
	s.browser().open(callback, "Cookie", cookie)
	require.ErrorIs(t, all[1].err, authcode.ErrUsed)
	require.Equal(t, "A", all[1].id)
	require.Equal(t, 1, s.service.TokenRequests())
}

// TestAttemptsFail: a code is not used unless it is known that it was not used before.
func TestAttemptsFail(t *testing.T) {
	t.Parallel()
	s, clients := two(t)
	shared := &sharedAttempts{used: map[string]time.Time{}, broken: errors.New("the store is away")}
	s.mux = worker(clients, shared, nil)
	b := s.browser()
	b.open(startURL+"?name=A").requirePage(t, http.StatusInternalServerError, "the store is away")
	shared.broken = nil
	callback := b.consent(startURL + "?name=A")
	shared.broken = errors.New("the store is away")
	b.open(callback).requirePage(t, http.StatusBadRequest, "No authorization waits here")
	shared.broken = nil
	onlyUse := &useFails{shared}
	s.mux = worker(clients, onlyUse, nil)
	b.open(callback).requirePage(t, http.StatusBadGateway, "cannot be told", "load the page again")
	require.Zero(t, s.service.TokenRequests())
	s.mux = worker(clients, shared, nil)
	b.open(callback).requirePage(t, http.StatusOK, "A is authorized")
}

type useFails struct{ authcode.Attempts }

func (useFails) Use(context.Context, string, time.Time) (bool, error) {
	return false, errors.New("the store is away")
}

// TestSealedAttempt: what is sealed says which authorization it is, whole and no more than once.
func TestSealedAttempt(t *testing.T) {
	t.Parallel()
	s, clients := two(t)
	shared := &sharedAttempts{used: map[string]time.Time{}}
	s.mux = worker(clients, shared, nil)
	b := s.browser()
	a, c := b.consent(startURL+"?name=A"), b.consent(startURL+"?name=B")
	cookies := b.attempts(callbackURL)
	require.Len(t, cookies, 2)
	// B's attempt in a cookie with the name of A's.
	r := httptest.NewRequest("GET", a, nil)
	r.AddCookie(&http.Cookie{Name: cookies[0].Name, Value: cookies[1].Value})
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	// Not even an attempt in the clear, which only a broken Open lets through, is taken without its state.
	r = httptest.NewRequest("GET", with(c, "state", ""), nil)
	r.AddCookie(&http.Cookie{Name: "outgrant-e3b0c44298fc1c14", Value: "e30"}) // {}
	w = httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Zero(t, s.service.TokenRequests())
}

// TestLinkToStartAgain: it leads to the page of the start, on this host.
func TestLinkToStartAgain(t *testing.T) {
	t.Parallel()
	for start, want := range map[string]string{
		"/oauth/authorize?name=A&x=%3Cb%3E": `<a href="/oauth/authorize?name=A&amp;x=%3Cb%3E">`,
		"//evil.test/x?name=A":              `<a href="/evil.test/x?name=A">`,
		`/\evil.test/x?name=A`:              `<a href="/evil.test/x?name=A">`,
		"http://evil.test/x?name=A":         "",
	} {
		s, clients := two(t)
		h := worker(clients, &sharedAttempts{used: map[string]time.Time{}}, nil)
		s.service.Inject(oauthtest.Deny("access_denied", ""))
		r := httptest.NewRequest("GET", "/oauth/authorize?name=A", nil)
		r.RequestURI = start
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusSeeOther, w.Code)
		callback := newBrowser(t, s).stay(w.Header().Get("Location")).header.Get("Location")
		r = httptest.NewRequest("GET", callback, nil)
		r.AddCookie(w.Result().Cookies()[0])
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusForbidden, w.Code)
		if want == "" {
			require.NotContains(t, w.Body.String(), "<a ")
		} else {
			require.Contains(t, w.Body.String(), want)
		}
	}
}
