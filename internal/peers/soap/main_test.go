// Package soap_test tests adapters/successfactors against npm soap, with tokens that samlbearer gets from oidc-provider.
package soap_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/samlbearer"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

var client = peer.SAMLClient("sb-sfapi!t1|outgrant", "s3cr:et/+ %&=")

// newUsers supplies the tokens of users. tokens sends its requests.
func newUsers(t testing.TB, s *peer.AuthServer, idp peer.IdP, tokens http.RoundTripper) *samlbearer.Client {
	t.Helper()
	users, err := samlbearer.New(&samlbearer.Config{
		Name: "SFAPI", Target: samlbearer.BTPCloudFoundry(client.ID, outgrant.Secret(client.Secret)), TokenURL: s.TokenURL, ClientKey: client.ID,
		Assertions: samlbearer.Signer{Key: idp.Key, Certificate: idp.Certificate, Issuer: idp.Issuer, Audience: s.Issuer},
		HTTPClient: &http.Client{Transport: tokens},
	})
	require.NoError(t, err)
	return users
}

// caller calls the SOAP receiver.
type caller struct {
	*http.Client
	answers *answers
}

func newCaller(t testing.TB, users outgrant.UserSource, s *peer.AuthServer, receiver *peer.SOAPReceiver) caller {
	t.Helper()
	answers := &answers{base: s.Transport(t)}
	transport, err := successfactors.NewSOAP(users, &successfactors.Options{
		Base: answers, BaseURL: receiver.URL,
		User: func(req *http.Request) (string, error) { return req.Context().Value(userKey{}).(string), nil },
	})
	require.NoError(t, err)
	return caller{&http.Client{Transport: transport}, answers}
}

type userKey struct{}

// post sends a query on behalf of a user.
func (c caller) post(t testing.TB, user, query string) (*http.Response, error) {
	t.Helper()
	envelope := fmt.Sprintf(`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:sfapi="urn:sfobject.sfapi.successfactors.com">`+
		`<soapenv:Body><sfapi:query><sfapi:queryString>%s</sfapi:queryString></sfapi:query></soapenv:Body></soapenv:Envelope>`, query)
	req, err := http.NewRequestWithContext(context.WithValue(t.Context(), userKey{}, user), http.MethodPost, "", strings.NewReader(envelope))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("SOAPAction", `""`)
	return c.Do(req)
}

// requireCalledBy sends a query, which must succeed, and be taken for the user's.
func (c caller) requireCalledBy(t testing.TB, user string) {
	t.Helper()
	query := "SELECT id FROM User WHERE name = 'ö &amp; ü'"
	resp, err := c.post(t, user, query)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", text)
	var envelope struct {
		Body struct {
			QueryResponse struct {
				CalledBy    string `xml:"calledBy"`
				QueryString string `xml:"queryString"`
			} `xml:"queryResponse"`
		}
	}
	require.NoError(t, xml.Unmarshal(text, &envelope), "%s", text)
	require.Equal(t, user, envelope.Body.QueryResponse.CalledBy)
	require.Equal(t, strings.ReplaceAll(query, "&amp;", "&"), envelope.Body.QueryResponse.QueryString)
}

// answers is an [http.RoundTripper] that keeps the status of each answer.
type answers struct {
	base http.RoundTripper

	mu       sync.Mutex
	statuses []int
}

func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.base.RoundTrip(req)
	if err == nil {
		a.mu.Lock()
		a.statuses = append(a.statuses, resp.StatusCode)
		a.mu.Unlock()
	}
	return resp, err
}

func (a *answers) take() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.statuses
	a.statuses = nil
	return taken
}
