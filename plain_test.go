package outgrant_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// plainSource is a token source as a user would write it, so that the engine is tested without our own grants.
type plainSource struct{ server *oauthtest.Server }

func (s *plainSource) Token(ctx context.Context) (*outgrant.Token, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.TokenURL(), strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth("id", "secret")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	began := time.Now()
	resp, err := s.server.Client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &outgrant.TokenError{StatusCode: resp.StatusCode}
	}
	var answer struct {
		AccessToken outgrant.Secret `json:"access_token"`
		ExpiresIn   int             `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	token := &outgrant.Token{AccessToken: answer.AccessToken}
	if answer.ExpiresIn > 0 {
		token.Expiry = began.Add(time.Duration(answer.ExpiresIn) * time.Second)
	}
	return token, nil
}
