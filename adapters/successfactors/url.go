package successfactors

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/origin"
)

// paths are where the APIs are.
var paths = map[adapters.Adapter]string{
	adapters.SuccessFactorsOData: "/odata/v2",
	adapters.SuccessFactorsSOAP:  "/sfapi/v1/soap",
}

// setAPIURL reads BaseURL, which may have the API's path already.
func (c *core) setAPIURL() error {
	if c.opts.BaseURL == "" {
		return nil
	}
	u, err := url.Parse(c.opts.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("BaseURL must be the API server's URL, such as https://api4.successfactors.com, without user, query and fragment")
	}
	if !c.opts.AllowInsecureHTTP && !origin.Secure(u) {
		return fmt.Errorf("BaseURL: %w", outgrant.ErrInsecureURL)
	}
	c.origins = []string{u.Scheme + "://" + u.Host}
	c.apiURL = u.JoinPath("/")
	own := strings.TrimSuffix(c.apiURL.Path, "/")
	for adapter, path := range paths {
		if adapter != c.adapter && strings.HasSuffix(own, path) {
			return fmt.Errorf("BaseURL ends with %s, which is the path of the %s API: leave it away", path, adapter)
		}
	}
	if path := paths[c.adapter]; !strings.HasSuffix(own, path) {
		c.apiURL = c.apiURL.JoinPath(path)
	}
	c.apiURL.Path, c.apiURL.RawPath = strings.TrimSuffix(c.apiURL.Path, "/"), strings.TrimSuffix(c.apiURL.RawPath, "/")
	return nil
}

// resolved returns the request with its full URL: a copy, unless that is what it has.
func (c *core) resolved(req *http.Request) (*http.Request, error) {
	switch {
	case req.URL == nil:
		return nil, errors.New("the request has no URL")
	case req.URL.Scheme != "" && (req.URL.Host != "" || req.URL.Opaque != ""):
		return req, nil
	case req.URL.Scheme != "" || req.URL.Host != "":
		return nil, errors.New("the request's URL must be relative, or have both a scheme and a host")
	case c.apiURL == nil:
		return nil, errors.New("the request's URL is relative: set BaseURL, or send an absolute URL")
	case slices.Contains(strings.Split(req.URL.Path, "/"), ".."):
		return nil, errors.New(`the request's URL leaves BaseURL by ".."`)
	}
	u := *req.URL
	u.Scheme, u.Host, u.RawPath = c.apiURL.Scheme, c.apiURL.Host, c.apiURL.EscapedPath()
	if below := c.belowAPI(req.URL); below != "" {
		u.RawPath += "/" + below
	}
	u.Path, _ = url.PathUnescape(u.RawPath) // both parts are from EscapedPath, which is always right
	out := req.WithContext(req.Context())
	out.URL = &u
	return out, nil
}

// belowAPI returns a relative URL's path, escaped, below the API's path, which it may have itself.
func (c *core) belowAPI(relative *url.URL) string {
	path := "/" + strings.TrimLeft(relative.EscapedPath(), "/")
	if rest, found := strings.CutPrefix(path, paths[c.adapter]); found && (rest == "" || rest[0] == '/') {
		path = rest
	}
	return strings.TrimLeft(path, "/")
}
