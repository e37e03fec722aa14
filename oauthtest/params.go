package oauthtest

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// bodyParams must be in the body (RFC 6749 2.3.1, 3.2): a URL is logged on its way.
var bodyParams = []string{"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "assertion",
	"code", "code_verifier", "redirect_uri", "refresh_token", "scope", "username", "password", "token"}

// sapURLParams are the ones that SAP's artifacts can send in the URL.
var sapURLParams = []string{"grant_type", "scope"}

const largestBody = 1 << 20

// params reads the parameters and refuses what RFC 6749 3.2 forbids.
func (s *Server) params(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, &Error{Status: http.StatusMethodNotAllowed, Code: "invalid_request", Description: "this endpoint takes POST"}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidRequest("the URL's query is malformed")
	}
	for _, p := range bodyParams {
		if query.Has(p) && !(s.opts.SAPDialect && slices.Contains(sapURLParams, p)) {
			return nil, invalidRequest(p + " must be in the body")
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, largestBody+1))
	if err != nil || len(body) > largestBody {
		return nil, invalidRequest("the body cannot be read, or is larger than 1 MiB")
	}
	var params url.Values
	switch mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case mediaType == "application/x-www-form-urlencoded":
		params, err = url.ParseQuery(string(body))
	case mediaType == "application/json" && s.opts.SAPDialect:
		params, err = jsonParams(body)
	default:
		return nil, invalidRequest("the content type must be application/x-www-form-urlencoded")
	}
	if err != nil {
		return nil, invalidRequest("the body is malformed")
	}
	for _, p := range sapURLParams {
		params[p] = append(params[p], query[p]...) // none outside the dialect
	}
	for name, values := range params {
		if len(values) > 1 && name != "resource" && name != "audience" { // RFC 8707 2, RFC 8693 2.1
			return nil, invalidRequest(name + " is repeated")
		}
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" }) // as if omitted
		if params[name] = values; len(values) == 0 {
			delete(params, name)
		}
	}
	return params, nil
}

func jsonParams(body []byte) (url.Values, error) {
	var members map[string]string
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	params := url.Values{}
	for k, v := range members {
		params.Set(k, v)
	}
	return params, nil
}

// scopes reads and checks scope (RFC 6749 3.3). Without it the client gets what it may have.
func (s *Server) scopes(client Client, scope string) ([]string, *Error) {
	if scope == "" {
		return client.Scopes, nil
	}
	asked := strings.Split(scope, " ")
	for _, one := range asked {
		if one == "" || strings.ContainsFunc(one, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return nil, &Error{Code: "invalid_scope", Description: "the scope is malformed"}
		}
		if s.opts.Scopes != nil && !slices.Contains(s.opts.Scopes, one) || client.Scopes != nil && !slices.Contains(client.Scopes, one) {
			return nil, &Error{Code: "invalid_scope", Description: "there is no such scope for this client: " + one}
		}
	}
	return asked, nil
}

// checkResource checks RFC 8707 2.
func checkResource(resources []string) *Error {
	for _, res := range resources {
		if u, err := url.Parse(res); err != nil || !u.IsAbs() || strings.Contains(res, "#") {
			return &Error{Code: "invalid_target", Description: "resource must be an absolute URI without fragment"}
		}
	}
	return nil
}
