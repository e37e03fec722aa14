package socialoauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// exchanged is a long-lived token, and what it came from.
type exchanged struct {
	from  outgrant.Secret
	token *outgrant.Token
}

// LongLived exchanges the access token, which may live for an hour, for one that lives for about 60 days, and returns that:
// Expiry says when it ends, or is zero if Graph does not know. From then on the source uses it in place of the one that it
// came from; a changed access token in the secure parameter takes precedence.
//
// The source keeps it in memory alone: deploy it as the secure parameter to have it after a restart, and in other processes.
// Its end is not deployed with it: whoever is to know that, such as a job that warns of it, calls LongLived again.
// Before it ends the user has to authorize the app again: Graph renews no token that has ended. The application secret and
// the token go in the body of a POST. Errors are [outgrant.TokenError].
func (s *FacebookSource) LongLived(ctx context.Context) (*outgrant.Token, error) {
	if s.core == nil {
		return nil, s.failed(errors.New("the FacebookSource is empty: make it by Facebook or FacebookFrom"))
	}
	c := s.core()
	k, err := c.keys(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	client, err := tokenclient.New(tokenclient.Config{
		Name: c.name, Grant: outgrant.Social, TokenURL: c.tokenURL, ClientID: k.id.Reveal(),
		Auth: func(context.Context) (outgrant.ClientAuth, error) {
			return outgrant.ClientAuth{Method: outgrant.ClientSecretPost, Secret: k.secret}, nil
		},
		HTTPClient: c.graph.HTTPClient, AllowInsecureHTTP: c.graph.AllowInsecureHTTP,
		ErrorCodes: map[int]string{http.StatusBadRequest: "invalid_grant"}, ObjectCodes: graphCodes, // its errors have a shape of their own
	})
	if err != nil {
		return nil, s.failed(err)
	}
	answer, err := client.Ask(ctx, &tokenclient.Request{
		Form:    url.Values{"grant_type": {"fb_exchange_token"}, "fb_exchange_token": {k.token.Reveal()}},
		Secrets: []outgrant.Secret{k.token, k.secret},
	})
	if err != nil {
		return nil, err
	}
	c.latest.Store(&exchanged{k.token, answer.Token})
	return answer.Token, nil
}

// graphCodes are RFC 6749's words for the error codes of Graph's that matter here.
var graphCodes = map[int]string{
	102: "invalid_grant", 190: "invalid_grant", // the token has ended or was taken back
	1:   "invalid_client", // the secret is wrong; what may pass is said to be transient
	101: "invalid_client",
	4:   "temporarily_unavailable", 17: "temporarily_unavailable", 32: "temporarily_unavailable", // limits
	341: "temporarily_unavailable", 613: "temporarily_unavailable",
}
