package authcode

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
)

const (
	attemptLife  = 10 * time.Minute
	cookieLife   = 20 * time.Minute // longer, so that who comes late is told so
	cookiePrefix = "outgrant-"
	mostCookies  = 8    // of attempts in one browser: tabs that were opened and left
	longestValue = 3800 // of a cookie: browsers take 4096 bytes with name and attributes
)

// attempt is an authorization under way, as it is sealed in a cookie: one for each, so that several can be under way.
type attempt struct {
	State    string          `json:"s"`
	ID       string          `json:"i"`
	Binding  string          `json:"b"`           // what the user was asked about
	Redirect string          `json:"r"`           // the redirect_uri
	Verifier outgrant.Secret `json:"-"`           // RFC 7636; "" without PKCE
	Revealed string          `json:"v,omitempty"` // the verifier, while it is sealed
	Ends     int64           `json:"e"`           // Unix time
	Start    string          `json:"a,omitempty"` // path and query of the page that starts another one
	Path     string          `json:"p"`           // the cookie's
}

func newAttempt(c *Client, id, redirectURL string, r *http.Request) *attempt {
	a := &attempt{
		State: rand.Text(), ID: id, Binding: c.binding, Redirect: redirectURL, Ends: time.Now().Add(attemptLife).Unix(),
		Path: commonPath(r, redirectURL),
	}
	if !c.cfg.DisablePKCE {
		verifier := make([]byte, 32)
		_, _ = rand.Read(verifier) // never fails
		a.Verifier = outgrant.Secret(base64.RawURLEncoding.EncodeToString(verifier))
	}
	if strings.HasPrefix(r.RequestURI, "/") && len(r.RequestURI) <= 500 {
		a.Start = "/" + strings.TrimLeft(r.RequestURI, `/\`) // "//host" would be a link to another host
	}
	return a
}

// commonPath is the folder that the page of a start and the callback are both in: cookies with this path are sent to both.
func commonPath(r *http.Request, redirectURL string) string {
	start, _, _ := strings.Cut(r.RequestURI, "?")
	callback := "/"
	if u, err := url.Parse(redirectURL); err == nil && u.Path != "" {
		callback = u.EscapedPath()
	}
	folder := path.Dir(callback)
	for folder != "/" && (strings.Contains(folder, ";") || !strings.HasPrefix(start+"/", folder+"/")) {
		folder = path.Dir(folder)
	}
	return folder
}

func (a *attempt) ended(now time.Time) bool { return now.Unix() >= a.Ends }

// digest is what an attempt is known by where it is noted that its callback came.
func (a *attempt) digest() string { return digestOf(a.State) }

func digestOf(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:])
}

// cookieName is the name of the cookie for a state. It does not tell the state.
func cookieName(state string) string { return cookiePrefix + digestOf(state)[:16] }

// cookie seals the attempt.
func (a *attempt) cookie(ctx context.Context, by Attempts) (*http.Cookie, error) {
	sent := *a
	sent.Revealed = a.Verifier.Reveal()
	data, err := json.Marshal(sent)
	if err != nil {
		return nil, err
	}
	box, err := by.Seal(ctx, data)
	if err != nil {
		return nil, err
	}
	c := a.emptyCookie(cookieName(a.State))
	c.Value, c.MaxAge = base64.RawURLEncoding.EncodeToString(box), int(cookieLife/time.Second)
	if len(c.Value) > longestValue {
		return nil, errors.New("what belongs to an authorization does not fit into a cookie: the credential's name or RedirectURL is too long")
	}
	return c, nil
}

// emptyCookie removes a cookie from the browser.
func (a *attempt) emptyCookie(name string) *http.Cookie {
	return &http.Cookie{
		Name: name, Path: a.Path, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(strings.ToLower(a.Redirect), "https:"),
	}
}

// surplus returns the names of attempts' cookies that one more would be too many with: the oldest, which browsers send
// first (RFC 6265 5.4).
func surplus(r *http.Request) []string {
	var names []string
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, cookiePrefix) {
			names = append(names, c.Name)
		}
	}
	return names[:max(len(names)-(mostCookies-1), 0)]
}

// findAttempt opens the attempt of a state from the cookies of the browser; nil: there is none. A cookie can be planted
// beside the right one, so all of its name are tried.
func findAttempt(r *http.Request, state string, by Attempts) *attempt {
	for _, c := range r.CookiesNamed(cookieName(state)) {
		box, err := base64.RawURLEncoding.DecodeString(c.Value)
		if err != nil {
			continue
		}
		data, err := by.Open(r.Context(), box)
		if err != nil {
			continue
		}
		a := &attempt{}
		if json.Unmarshal(data, a) != nil || subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) != 1 {
			continue
		}
		a.Verifier, a.Revealed = outgrant.Secret(a.Revealed), ""
		return a
	}
	return nil
}

// attemptsOfProcess are the attempts that only this process can take back.
var attemptsOfProcess = sync.OnceValue(newProcessAttempts)

// processAttempts has a random key of its own, and remembers in memory.
type processAttempts struct {
	aead cipher.AEAD // brings its nonces

	mu   sync.Mutex
	used map[string]time.Time // when to forget it
}

func newProcessAttempts() Attempts {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has the right size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return &processAttempts{aead: aead, used: map[string]time.Time{}}
}

func (p *processAttempts) Seal(_ context.Context, data []byte) ([]byte, error) {
	return p.aead.Seal(nil, nil, data, nil), nil
}

func (p *processAttempts) Open(_ context.Context, sealed []byte) ([]byte, error) {
	return p.aead.Open(nil, nil, sealed, nil)
}

func (p *processAttempts) Use(_ context.Context, attempt string, until time.Time) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for known, end := range p.used { // the callbacks of ten minutes: few
		if now.After(end) {
			delete(p.used, known)
		}
	}
	_, known := p.used[attempt]
	p.used[attempt] = until
	return !known, nil
}
