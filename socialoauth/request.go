package socialoauth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// largestForm bounds a form's body, which is read to be signed.
const largestForm = 10 << 20

// sign authorizes a request: more are parameters of the protocol beside the usual ones.
func (k twitterKeys) sign(ctx context.Context, req *http.Request, more ...parameter) error {
	return k.signAs(ctx, req, append(k.protocol(rand.Text(), time.Now()), more...))
}

// protocol returns the usual parameters of the protocol (RFC 5849 3.1). A nonce is used once.
func (k twitterKeys) protocol(nonce string, now time.Time) []parameter {
	all := make([]parameter, 0, 8)
	all = append(all,
		parameter{"oauth_consumer_key", k.consumerKey.Reveal()},
		parameter{"oauth_nonce", nonce},
		parameter{"oauth_signature_method", k.method.String()},
		parameter{"oauth_timestamp", strconv.FormatInt(now.Unix(), 10)},
	)
	if k.token != "" {
		all = append(all, parameter{"oauth_token", k.token.Reveal()})
	}
	return append(all, parameter{"oauth_version", "1.0"})
}

// signAs is sign with all parameters of the protocol.
func (k twitterKeys) signAs(ctx context.Context, req *http.Request, protocol []parameter) error {
	if req.URL == nil {
		return refusal{errors.New("the request has no URL")}
	}
	form, err := formOf(ctx, req)
	if err != nil {
		return err
	}
	base, err := baseString(req, protocol, form)
	if err != nil {
		return err
	}
	setAuthorization(req, authorization(protocol, k.signature(base)))
	return nil
}

// setAuthorization replaces the header, also one that the caller has put there under another spelling of the name.
func setAuthorization(req *http.Request, value string) {
	maps.DeleteFunc(req.Header, func(name string, _ []string) bool { return strings.EqualFold(name, "Authorization") })
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Authorization", value)
}

// hostAndPort is a host as it stands in a URL (RFC 3986 3.2.2, 3.2.3).
var hostAndPort = regexp.MustCompile(`^(\[[^\[\]]*\]|[^\[\]:]+)(:[0-9]*)?$`)

// baseURI returns a request's URI as it is signed (RFC 5849 3.4.1.2): of what goes over the wire, without the query.
func baseURI(req *http.Request) (string, error) {
	scheme := strings.ToLower(req.URL.Scheme)
	host := strings.ToLower(cmp.Or(req.Host, req.URL.Host))
	switch {
	case req.URL.Opaque != "" || host == "" || (scheme != "http" && scheme != "https"):
		return "", refusal{errors.New("the URL must be absolute, http or https, and not opaque")}
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/?#@%\`, r) }):
		// net/http would send another one: without a zone, in Punycode.
		return "", refusal{errors.New("the host has characters that cannot be signed: write it in Punycode, and without a zone")}
	case !hostAndPort.MatchString(host):
		return "", refusal{errors.New("the host is neither a name nor an address: an IPv6 address stands in brackets")}
	}
	host = strings.TrimSuffix(host, ":")
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host + cmp.Or(req.URL.EscapedPath(), "/"), nil
}

// formOf returns the body if it is a form, as that is signed, too (RFC 5849 3.4.1.3.1). The body can be read as before.
func formOf(ctx context.Context, req *http.Request) (string, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return "", nil
	}
	kind, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";") // whatever its parameters are, receivers take it for a form
	if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return "", nil
	}
	if req.Header.Get("Content-Encoding") != "" {
		return "", refusal{errors.New("a form with a Content-Encoding cannot be signed: send it as it is")}
	}
	body := req.Body
	stop := context.AfterFunc(ctx, func() { _ = body.Close() }) // so that a body which blocks does not hold the caller
	form, err := io.ReadAll(io.LimitReader(body, largestForm+1))
	if !stop() {
		return "", ctx.Err()
	}
	closed := body.Close()
	switch {
	case err != nil:
		return "", fmt.Errorf("the body: %w", err)
	case closed != nil:
		return "", fmt.Errorf("the body: %w", closed)
	case len(form) > largestForm:
		return "", refusal{errors.New("the form is larger than 10 MiB, and would have to be signed as a whole")}
	case req.ContentLength > 0 && req.ContentLength != int64(len(form)):
		return "", refusal{fmt.Errorf("the body has %d bytes, and ContentLength says %d", len(form), req.ContentLength)}
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(form)), nil }
	req.Body, _ = req.GetBody()
	req.ContentLength, req.TransferEncoding = int64(len(form)), nil
	if len(form) == 0 {
		req.Body = http.NoBody
	}
	return string(form), nil
}
