package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
	"github.com/outgrant/outgrant/oauthtest"
)

var namesShown = regexp.MustCompile(`class="name" href="artifact\?name=([^"]*)"`)

// names returns the credentials of a list, in its order.
func (p *shown) names() (all []string) {
	for _, m := range namesShown.FindAllStringSubmatch(p.text, -1) {
		name, err := url.QueryUnescape(html.UnescapeString(m[1]))
		require.NoError(p.browser.t, err)
		all = append(all, name)
	}
	return all
}

func TestListIsSortedAndSearched(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	b.get("./").requireStatus(http.StatusOK).has("There are no credentials yet.", "Make the first one")
	fine, refused, away := s.clientCredentials("FINE"), s.clientCredentials("REFUSED"), s.clientCredentials("AWAY")
	fine.Description, away.ClientID = "about Orders", "the-odd-id"
	elsewhere := s.clientCredentials("ELSEWHERE")
	elsewhere.TokenServiceURL = "https://acme.example/token?secret=no"
	s.deploy(t, fine, refused, away, elsewhere, s.authorizationCode("mailbox"), credstore.SecureParameter{Name: "PARAMETER", Value: secret})
	_, err := token(t, s.store, "FINE")
	require.NoError(t, err)
	s.Inject(oauthtest.Refuse("invalid_client", ""), oauthtest.Status(503))
	for _, name := range []string{"REFUSED", "AWAY"} {
		_, err = token(t, s.store, name)
		require.Error(t, err)
	}
	eventually(t, func() bool { return mustInfo(t, s, "AWAY").Reason != "" })
	_, err = s.store.History(t.Context(), "REFUSED") // it is stored then
	require.NoError(t, err)
	_, err = s.store.History(t.Context(), "AWAY")
	require.NoError(t, err)

	for query, want := range map[string]string{
		"":                            "REFUSED mailbox AWAY ELSEWHERE FINE PARAMETER",
		"?sort=-status":               "PARAMETER FINE ELSEWHERE AWAY mailbox REFUSED",
		"?sort=name":                  "AWAY ELSEWHERE FINE mailbox PARAMETER REFUSED",
		"?sort=-name":                 "REFUSED PARAMETER mailbox FINE ELSEWHERE AWAY",
		"?sort=nonsense":              "REFUSED mailbox AWAY ELSEWHERE FINE PARAMETER",
		"?sort=token&status=Deployed": "FINE AWAY ELSEWHERE PARAMETER",
		"?sort=failures&type=OAuth2+Client+Credentials": "AWAY REFUSED ELSEWHERE FINE",
		"?status=attention":                             "REFUSED mailbox AWAY",
		"?status=Error":                                 "REFUSED",
		"?status=Unauthorized":                          "mailbox",
		"?q=ORDERS":                                     "FINE",
		"?q=odd-id":                                     "AWAY",
		"?q=acme.example":                               "mailbox ELSEWHERE", // the user of one, and the host of the other
		"?q=+e+":                                        "REFUSED mailbox AWAY ELSEWHERE FINE PARAMETER",
		"?type=Secure+Parameter":                        "PARAMETER",
		"?q=nobody":                                     "",
		"?page=99":                                      "REFUSED mailbox AWAY ELSEWHERE FINE PARAMETER",
		"?page=-1":                                      "REFUSED mailbox AWAY ELSEWHERE FINE PARAMETER",
	} {
		page := b.get("./" + query).requireStatus(http.StatusOK)
		require.Equal(t, want, strings.Join(page.names(), " "), query)
		page.hasNot("secret=no")
	}
	b.get("./?q=odd-id").has("1 all", "1 need attention", "0 Error", "0 Unauthorized", "1 Deployed")
	b.get("./?q=odd-id&status=Error").has("1 all", "0 Error", "No credential is like that", "Show all 6")
	for query, want := range map[string]string{"?sort=name": "ascending", "?sort=-name": "descending", "?sort=failures": "descending", "?sort=-failures": "ascending"} {
		require.Equal(t, want, regexp.MustCompile(`aria-sort="([a-z]*ending)"`).FindStringSubmatch(b.get("./" + query).text)[1], query)
	}
	page := b.get("./?status=attention&q=a&sort=-name").has("6 all", "3 need attention", "1 Error", "127.0.0.1:")
	require.Contains(t, page.text, "<title>Need attention, “a” · Credentials</title>", "tabs and histories tell one list from another")
	require.Contains(t, page.text, `<option value="-name" selected>`, "a search keeps the order")
	require.Contains(t, page.text, `<input type="hidden" name="status" value="attention">`, "a search keeps what was chosen")
	require.Contains(t, page.text, `value="a"`)
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for i := range 120 {
		s.deploy(t, credstore.SecureParameter{Name: fmt.Sprintf("P_%03d", i), Value: secret})
	}
	b := s.browser(t)
	page := b.get("./?q=P_").has("1–50 of 120")
	seen := map[string]bool{}
	next := regexp.MustCompile(`rel="next" href="([^"]*)"`)
	for {
		for _, name := range page.names() {
			require.False(t, seen[name], name)
			seen[name] = true
		}
		m := next.FindStringSubmatch(page.text)
		if m == nil {
			break
		}
		page = b.get(html.UnescapeString(m[1]))
	}
	require.Len(t, seen, 120)
	page.has("101–120 of 120")
	require.Contains(t, page.text, `rel="prev"`)
}

// TestHostileTexts has names and descriptions that would like to be more than texts.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	for i, text := range []string{
		`<script>alert(1)<script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `{{.Name}}`, `&lt;b&gt;`, `a&name=OTHER`, `100%+#?;=`, `javascript:alert(1)`,
		"עברית مرحبا", strings.Repeat("w", 255), strings.Repeat("𝕏", 255), "日本語 の 名前", `]]>`, `<title><b>bold`,
	} {
		name := strings.NewReplacer("/", "", `\`, "").Replace(text)
		description := text + "\u202e gnol dna tfel ot thgir " + strings.Repeat("é", 1024-60-len([]rune(text)))
		s.deploy(t, &credstore.AuthorizationCode{Name: name, Description: description, AuthorizationURL: s.AuthURL(), TokenServiceURL: s.TokenURL(),
			ClientID: text, ClientSecret: secret, UserName: text})
		query := "?name=" + url.QueryEscape(name)
		page := b.get("artifact" + query).requireStatus(http.StatusOK)
		for _, page := range []*shown{page, b.get("edit" + query), b.get("delete" + query), b.get("./?q=" + url.QueryEscape(text))} {
			page.requireStatus(http.StatusOK)
			require.Contains(t, page.text, html.EscapeString(name)[:3], i)
			for _, raw := range []string{"<script>a", "<img", "<b>bold", "onmouseover='a"} {
				require.NotContains(t, page.text, raw, i)
			}
		}
		edited := b.get("edit" + query).fields()
		require.Equal(t, name, edited.Get("name"), i)
		require.Equal(t, description, edited.Get("description"), i)
		require.Contains(t, b.get("./?q="+url.QueryEscape(text)).names(), name, i)
		b.get("edit" + query).send(map[string]any{"clientSecret": secret}).requireStatus(http.StatusOK)
		b.get("delete" + query).send(nil).requireStatus(http.StatusOK).has("Deleted")
	}
	b.get("artifact?name=" + strings.Repeat("x", 5000)).requireStatus(http.StatusNotFound)
	b.get("artifact?name=%00").requireStatus(http.StatusNotFound)
	b.get("artifact?name=%ff").requireStatus(http.StatusNotFound)
}

// TestAStoreThatIsDown has the store go away while pages are open, and come back.
func TestAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"), s.authorizationCode("MAILBOX"))
	b := s.browser(t)
	edit, remove, imports, tried := b.get("edit?name=S4_ORDERS"), b.get("delete?name=S4_ORDERS"), b.get("import"), b.get("artifact?name=S4_ORDERS")
	back := b.to("MAILBOX")
	s.down.Store(true)
	for _, page := range []string{"./", "artifact?name=S4_ORDERS", "edit?name=S4_ORDERS", "delete?name=S4_ORDERS", "authorize?name=MAILBOX"} {
		b.get(page).requireStatus(http.StatusServiceUnavailable).has("The store does not answer", "the database is away")
	}
	b.get("new?type=Secure+Parameter").requireStatus(http.StatusOK)
	edit.send(map[string]any{"clientSecret": secret, "description": "new"}).requireStatus(http.StatusServiceUnavailable).has("It cannot be told whether that was deployed")
	remove.send(nil).requireStatus(http.StatusServiceUnavailable)
	imports.send(map[string]any{"text": twoArtifacts}).requireStatus(http.StatusServiceUnavailable).has("the database is away")
	tried.send(nil).requireStatus(http.StatusServiceUnavailable)
	require.NotEqual(t, http.StatusOK, b.get(back).status)
	require.Empty(t, s.noted(), "that callback may come again")
	s.down.Store(false)
	b.get(back).requireStatus(http.StatusOK).has("Authorized")
	b.get("./").requireStatus(http.StatusOK).has("S4_ORDERS")
	edit.send(map[string]any{"clientSecret": secret, "description": "new"}).requireStatus(http.StatusOK)
}

// TestADamagedCredential has one that cannot be read: it is shown, can be deleted, and deployed again.
func TestADamagedCredential(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"), s.clientCredentials("OTHER"))
	for _, name := range []string{"S4_ORDERS", "OTHER"} {
		s.damage(t, name)
	}
	b := s.browser(t)
	page := b.get("artifact?name=S4_ORDERS").requireStatus(http.StatusOK).has("S4_ORDERS Error", "cannot be read", "deploy it")
	page.send(nil).has("No token came")
	b.get("edit?name=S4_ORDERS").requireStatus(http.StatusOK).has("Enter all of it again").
		send(map[string]any{"tokenServiceUrl": s.TokenURL(), "clientId": "x", "clientSecret": secret}).requireStatus(http.StatusOK).has("S4_ORDERS Deployed")
	b.get("delete?name=OTHER").send(nil).requireStatus(http.StatusOK).has("Deleted")
	b.get("artifact?name=OTHER").requireStatus(http.StatusNotFound).has("It was deleted by somebody at this machine at ")
}

// TestTenants has two tenants, each with pages of its own.
func TestTenants(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	acme, other := s.store.Tenant("acme"), s.store.Tenant("other")
	require.NoError(t, acme.Deploy(t.Context(), s.authorizationCode("MAILBOX")))
	mux := http.NewServeMux()
	mux.HandleFunc("/{tenant}/", func(w http.ResponseWriter, r *http.Request) {
		console.New(s.store.Tenant(r.PathValue("tenant")), &console.Options{Title: "Security material"}).ServeHTTP(w, r)
	})
	s.serve(t, mux)
	b := s.browser(t)
	b.get("acme/").has("Security material", "Tenant acme", "MAILBOX")
	b.get("other/").has("Tenant other").hasNot("MAILBOX")
	b.get("other/artifact?name=MAILBOX").requireStatus(http.StatusNotFound)
	b.get("other/authorize?name=MAILBOX").requireStatus(http.StatusNotFound)
	b.get("other/new?type=Secure+Parameter").send(map[string]any{"name": "P", "secureParameter": secret}).requireStatus(http.StatusOK)
	_, err := other.SecureParameter(t.Context(), "P")
	require.NoError(t, err)
	_, err = acme.SecureParameter(t.Context(), "P")
	require.ErrorIs(t, err, credstore.ErrNotFound)
}

// TestTenThousand holds the first page to its size, with texts as long as they can be on it, and tells how long it takes.
func TestTenThousand(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("deploys 10,000 artifacts")
	}
	s := newSite(t, nil)
	for i := range 10_000 {
		a := s.clientCredentials(fmt.Sprintf("S4_ORDERS_%05d", i))
		if i < 50 {
			code := s.authorizationCode("!!" + strings.Repeat("𝕏", 250) + fmt.Sprint(i))
			code.UserName = strings.Repeat("é", 1000)
			s.deploy(t, code)
		}
		if i < 100 {
			a.Name, a.Description = "!"+strings.Repeat("𝕏", 250)+fmt.Sprint(i), strings.Repeat("<é>", 341)
			a.TokenServiceURL, a.ClientID = "https://"+strings.Repeat("a", 200)+".example/token", strings.Repeat("c", 500)
		}
		s.deploy(t, a)
	}
	h := console.New(s.store, nil)
	fastest := time.Hour
	for try := range 3 {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/credentials/?sort=name&status="+strings.Repeat("x", 50_000)+"&q="+strings.Repeat("%F0%9D%95%8F", 10_000), nil)
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "&q=", []string{"&other=", "&other=", "&q="}[try], 1)
		r.RemoteAddr = "127.0.0.1:4711"
		w := httptest.NewRecorder()
		began := time.Now()
		h.ServeHTTP(w, r)
		fastest = min(fastest, time.Since(began))
		require.Equal(t, http.StatusOK, w.Code)
		require.Less(t, w.Body.Len(), 300<<10)
		require.Contains(t, w.Body.String(), "𝕏𝕏𝕏", "the long ones are on it, or what was searched for")
	}
	t.Logf("%s for the first page of 10,000", fastest)
}
