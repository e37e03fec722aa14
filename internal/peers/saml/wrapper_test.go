package saml_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/samlbearer"
)

// The response that a target may want around the assertion is one: verifiers of responses take it as it went out.
func TestResponseWrapper(t *testing.T) {
	t.Parallel()
	a := algorithms(t)[0]
	s := a.signer()
	s.Attributes = map[string][]string{"odd": {odd}}
	sent := &peer.Recorder{Base: tokenService{}}
	users, err := samlbearer.New(&samlbearer.Config{
		Target:   samlbearer.Target{Encoding: samlbearer.Base64, ResponseWrapper: true, Auth: outgrant.None},
		TokenURL: recipient, ClientKey: "client", Assertions: s, HTTPClient: &http.Client{Transport: sent},
	})
	require.NoError(t, err)
	_, err = users.ForUser(odd).Token(t.Context())
	require.NoError(t, err)
	require.Len(t, sent.Requests(), 1)
	xml, err := base64.StdEncoding.DecodeString(sent.Requests()[0].Form.Get("assertion"))
	require.NoError(t, err)
	require.Contains(t, string(xml), "<samlp:Response ")

	for _, v := range verifiers {
		if v.signature != "" {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			said := v.start(t)(t, xml, a.expectation())
			require.Empty(t, said.Refused, "%s", xml)
			require.Equal(t, verdict{NameID: odd, Attributes: s.Attributes}, said)
		})
	}
}

// tokenService answers any request with a token.
type tokenService struct{}

func (tokenService) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(`{"access_token":"token","token_type":"Bearer","expires_in":3600}`)),
	}, nil
}
