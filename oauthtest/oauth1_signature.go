package oauthtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"
)

// check verifies a request (RFC 5849 3.2) and returns its parameters of the protocol. secretOf knows the secret of a token,
// which is "" if there is none.
func (o *OAuth1) check(r *http.Request, secretOf func(consumer, token string) (string, error)) (map[string]string, error) {
	params, err := protocolParams(r.Header.Values("Authorization"))
	if err != nil {
		return nil, err
	}
	consumer, known := o.consumer(params["oauth_consumer_key"])
	now := time.Now()
	switch version, there := params["oauth_version"]; {
	case there && version != "1.0":
		return nil, errors.New("oauth_version is not 1.0")
	case !known:
		return nil, errors.New("there is no such consumer")
	case params["oauth_nonce"] == "":
		return nil, errors.New("oauth_nonce is missing")
	}
	if err := o.checkTime(params["oauth_timestamp"], now); err != nil {
		return nil, err
	}
	if !o.once(params, now) {
		return nil, errors.New("oauth_nonce was used before")
	}
	tokenSecret, err := secretOf(params["oauth_consumer_key"], params["oauth_token"])
	if err != nil {
		return nil, err
	}
	base, err := o.baseString(r, params)
	if err != nil {
		return nil, err
	}
	newHash := sha1.New
	switch params["oauth_signature_method"] {
	case "HMAC-SHA1":
	case "HMAC-SHA256":
		newHash = sha256.New
	default:
		return nil, errors.New("oauth_signature_method is neither HMAC-SHA1 nor HMAC-SHA256")
	}
	mac := hmac.New(newHash, []byte(percentEncoded(consumer.Secret.Reveal())+"&"+percentEncoded(tokenSecret)))
	mac.Write([]byte(base))
	signature, err := base64.StdEncoding.Strict().DecodeString(params["oauth_signature"])
	if err != nil || !hmac.Equal(signature, mac.Sum(nil)) {
		return nil, errors.New("oauth_signature is wrong")
	}
	return params, nil
}

// protocolParams reads the Authorization header (RFC 5849 3.5.1).
func protocolParams(headers []string) (map[string]string, error) {
	if len(headers) != 1 {
		return nil, fmt.Errorf("there are %d Authorization headers", len(headers))
	}
	scheme, list, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "OAuth") {
		return nil, errors.New("the Authorization header is not OAuth's")
	}
	params := map[string]string{}
	for _, part := range strings.Split(list, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found || len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
			return nil, errors.New("the Authorization header is malformed")
		}
		name, err := url.PathUnescape(name)
		if err != nil {
			return nil, errors.New("the Authorization header is malformed")
		}
		plain, err := url.PathUnescape(value[1 : len(value)-1])
		if err != nil || percentEncoded(plain) != value[1:len(value)-1] && name != "realm" {
			return nil, fmt.Errorf("%s is not encoded as RFC 5849 3.6 says", name)
		}
		if _, twice := params[name]; twice {
			return nil, fmt.Errorf("%s is repeated", name)
		}
		params[name] = plain
	}
	return params, nil
}

// baseString is RFC 5849 3.4.1. It leaves the body to be read again.
func (o *OAuth1) baseString(r *http.Request, params map[string]string) (string, error) {
	var all []string // encoded, name and value separated by what sorts before all others
	add := func(name, value string) { all = append(all, percentEncoded(name)+"\x00"+percentEncoded(value)) }
	for name, value := range params {
		if name != "realm" && name != "oauth_signature" {
			add(name, value)
		}
	}
	forms := []string{r.URL.RawQuery}
	if strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/x-www-form-urlencoded") && r.Body != nil {
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 16<<20))
		if err != nil {
			return "", errors.New("the body cannot be read")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forms = append(forms, string(body))
	}
	for _, form := range forms {
		for _, piece := range strings.Split(form, "&") {
			if piece == "" {
				continue
			}
			name, value, _ := strings.Cut(piece, "=")
			plainName, err := url.QueryUnescape(name)
			plainValue, err2 := url.QueryUnescape(value)
			if err != nil || err2 != nil {
				return "", errors.New("the query or the form is malformed")
			}
			if _, twice := params[plainName]; twice && strings.HasPrefix(plainName, "oauth_") {
				return "", fmt.Errorf("%s is repeated", plainName)
			}
			add(plainName, plainValue)
		}
	}
	sort.Strings(all)
	normal := strings.ReplaceAll(strings.Join(all, "&"), "\x00", "=")
	return percentEncoded(strings.ToUpper(r.Method)) + "&" + percentEncoded(o.signedURL(r)) + "&" + percentEncoded(normal), nil
}

// signedURL is RFC 5849 3.4.1.2, of the request as it came.
func (o *OAuth1) signedURL(r *http.Request) string {
	scheme := strings.ToLower(r.URL.Scheme) // without a network, requests come with it
	if scheme == "" {
		scheme = "http"
		if r.TLS != nil {
			scheme = "https"
		}
	}
	if o.opts.HTTPS {
		scheme = "https"
	}
	host := strings.ToLower(r.Host)
	if name, port, err := net.SplitHostPort(host); err == nil && (port == "" || port == map[string]string{"http": "80", "https": "443"}[scheme]) {
		if host = name; strings.Contains(name, ":") {
			host = "[" + name + "]"
		}
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return scheme + "://" + host + path
}

// percentEncoded is RFC 5849 3.6. QueryEscape leaves the same characters alone, and has + for a blank.
func percentEncoded(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
