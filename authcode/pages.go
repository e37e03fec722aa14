package authcode

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/display"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// page is what a person is told.
type page struct {
	Good           bool
	Title, Text    string
	Detail         string // small: for whoever runs the program
	Link, LinkText string // Link "": the page itself
}

// policy lets a page have its own style and nothing else, in no frame.
var policy = "default-src 'none'; style-src 'sha256-" + styleDigest() + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func styleDigest() string {
	_, style, _ := strings.Cut(pageSource, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// secure sets the headers of our pages and redirects.
func secure(h http.Header) {
	secureURL(h)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
}

// secureURL keeps what a callback's URL carries out of caches and of the next page's Referer.
func secureURL(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
}

func (p page) write(w http.ResponseWriter, status int) {
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, p); err != nil {
		panic(err) // the template takes any page
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

func methodPage(w http.ResponseWriter) {
	w.Header().Set("Allow", http.MethodGet)
	page{Title: "Wrong request", Text: "This page is opened in a browser (by GET), and in no other way."}.write(w, http.StatusMethodNotAllowed)
}

// startPage says why an authorization is not started.
func startPage(w http.ResponseWriter, status int, err error) {
	page{Title: "The authorization cannot be started", Text: line(err)}.write(w, status)
}

// confirmPage asks a user whom another site sent here.
func confirmPage(w http.ResponseWriter, c *Client) {
	page{
		Title:    "Authorize " + c.cfg.Name + "?",
		Text:     "Another site sent you here. Go on only if you meant to: what you allow next is used as the credential " + c.cfg.Name + ".",
		LinkText: "Authorize " + c.cfg.Name,
	}.write(w, http.StatusForbidden)
}

// resultPage says how an authorization has ended.
func resultPage(w http.ResponseWriter, r *http.Request, t *taken, err error) {
	name := "The credential"
	if t != nil && t.client != nil {
		name = t.client.cfg.Name
	}
	if err == nil {
		p := page{Good: true, Title: name + " is authorized", Text: "You can close this window."}
		if s, err := t.client.Status(r.Context()); err == nil {
			p.Detail = s.Reason // such as that there is no refresh token
		}
		p.write(w, http.StatusOK)
		return
	}
	p, status := explain(name, err)
	p.Detail = line(err)
	if t != nil && t.attempt.Start != "" {
		p.Link, p.LinkText = t.attempt.Start, "Start again"
	}
	p.write(w, status)
}

// Explain tells a person how the authorization of a credential has ended: in a title and a text, with the HTTP status that
// the answer should have. err is what [Client.CallbackHandler] gave to its function, or nil.
func Explain(name string, err error) (title, text string, status int) {
	if err == nil {
		return name + " is authorized", "Its tokens come by themselves from now on.", http.StatusOK
	}
	p, status := explain(name, err)
	return p.Title, p.Text, status
}

func line(err error) string { return display.Line(err.Error(), 600) }

// explain says what has happened, and what to do.
func explain(name string, err error) (page, int) {
	for _, known := range explanations {
		if errors.Is(err, known.err) {
			return page{Title: known.title, Text: strings.ReplaceAll(known.text, "NAME", name)}, known.status
		}
	}
	text := "It could not be completed."
	if _, ok := errors.AsType[*outgrant.TokenError](err); ok {
		text = "The provider gave no tokens for it, or they could not be kept."
	}
	return page{Title: name + " is not authorized", Text: text}, http.StatusBadGateway
}

var explanations = []struct {
	err         error
	status      int
	title, text string
}{
	{ErrNoAttempt, http.StatusBadRequest, "No authorization waits here",
		"This page completes an authorization that was started in this browser a few minutes ago. There is none, unless it was completed before. If you did start one, allow cookies, and start it under the same host name that this page has: localhost and 127.0.0.1, for instance, are two."},
	{ErrExpired, http.StatusGone, "That took too long", "NAME was not authorized within ten minutes. Nothing has changed."},
	{ErrUsed, http.StatusConflict, "Completed before", "This authorization has been completed once, and that is what counts: NAME may be authorized by now."},
	{ErrChanged, http.StatusConflict, "The credential has changed", "NAME was changed while you were asked, so your answer was not used."},
	{ErrDenied, http.StatusForbidden, "Consent was not given", "The provider says that NAME was not allowed what it asked for. Nothing has changed."},
	{ErrWrongIssuer, http.StatusForbidden, "The answer is from somebody else", "It does not come from the provider that NAME belongs to, so it was not used."},
	{ErrWrongUser, http.StatusForbidden, "That was another user", "NAME belongs to another user than the one who consented. Log out at the provider, or choose the other account there."},
}
