package samltest

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// SuccessFactors teaches a server the grant as SAP SuccessFactors has it, and returns the token URL. It panics if the
// options are wrong. A server has one personality: the one that it was taught last.
//
// The API key is the client_id, and there is no client authentication: let the server's Clients be nil, or have Auth
// None. The assertion comes in standard base64; its Issuer may be anybody, because the API key's certificate verifies
// it. There is no protection against replay. While the user's token lives, this token is what comes back, with the
// remaining time as expires_in, unless new_token=true. Refusals are {"errorHttpCode":"401","errorMessage":"..."}; only what
// is refused before the grant is looked at, such as a request without client_id, is in the form of RFC 6749.
func SuccessFactors(s *oauthtest.Server, opts *Options) (tokenURL string) {
	sf := successFactors{service: newService(opts, s.TokenURL(), base64.StdEncoding)}
	sf.Audience = cmp.Or(sf.Audience, "www.successfactors.com")
	s.Handle(grantType, sf.grant)
	return sf.tokenURL
}

type successFactors struct {
	*service
	companies sync.Map // by API key: the first that it was used with
}

func (s *successFactors) grant(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
	apiKey, company := r.Client.ID, r.Params.Get("company_id")
	cert := s.Certificates[apiKey]
	switch {
	case r.URL != s.tokenURL:
		return nil, unhappy(http.StatusNotFound, "there is no token service at this address")
	case company == "":
		return nil, unhappy(http.StatusBadRequest, "company_id is missing")
	case !r.Params.Has("assertion"):
		return nil, unhappy(http.StatusBadRequest, "assertion is missing")
	case r.Client.Auth != outgrant.None:
		return nil, unhappy(http.StatusUnauthorized, "there is no client authentication here: the assertion's signature is enough")
	case cert == nil:
		return nil, unhappy(http.StatusUnauthorized, "client_id is not an API key that is registered")
	case s.CompanyID != "" && company != s.CompanyID:
		return nil, unhappy(http.StatusUnauthorized, "company_id is not the API key's company")
	}
	received, err := s.receive(r)
	if err != nil {
		return nil, unhappy(http.StatusUnauthorized, err.Error())
	}
	a, err := s.accept(received, cert)
	switch {
	case err != nil:
		return nil, unhappy(http.StatusUnauthorized, err.Error())
	case slices.ContainsFunc(a.Attributes["api_key"], func(key string) bool { return key != apiKey }):
		return nil, unhappy(http.StatusUnauthorized, "the assertion's attribute api_key is not the client_id")
	}
	if first, _ := s.companies.LoadOrStore(apiKey, company); first != company {
		return nil, unhappy(http.StatusUnauthorized, "company_id is not the API key's company")
	}
	return &oauthtest.Granted{User: a.NameID, SameToken: r.Params.Get("new_token") != "true"}, nil
}

// unhappy is a refusal in the shape of SuccessFactors.
func unhappy(status int, message string) *oauthtest.Error {
	return &oauthtest.Error{Status: status, Code: "invalid_grant", Description: message, Members: map[string]any{
		"errorHttpCode": strconv.Itoa(status), "errorMessage": message,
	}}
}
